"""D-VAE: recovery of planted topics, its parts against dense networks and closed forms, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support.planted import counts_to_views, matched_cosine, plant_lda
from torch.nn import functional

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.count_batches import CountBatch
from mtmbench.models.dvae import DVAE, DirichletEncoder, moments
from mtmbench.models.products import ProductDecoder, document_batches
from mtmbench.models.reproducible import reproducible

pytestmark = pytest.mark.slow


def small(**params) -> DVAE:
    return DVAE(**{"hidden": 32, "epochs": 5, **params})


def views(rows) -> Views:
    matrix = np.array(rows)
    return counts_to_views(matrix, matrix.sum(axis=1))


@pytest.mark.parametrize("seed", range(3))
def test_planted_topics_are_recovered(seed):
    planted = plant_lda(seed, n_docs=400, n_items=500)
    result = DVAE(n_topics=10).fit(planted.views, seed=seed)
    assert matched_cosine(result.topic_item, planted.topic_item).mean() >= 0.8
    assert matched_cosine(result.doc_topic.T, planted.doc_topic.T).mean() >= 0.9


def test_no_topic_takes_everything():
    """A collapsed posterior is the same for all documents: the bound of one topic, KL near zero."""
    planted = plant_lda(2, n_docs=300, n_items=200, n_topics=4)
    result = DVAE(n_topics=4).fit(planted.views, seed=0)
    matrix = planted.views.words.matrix.toarray()
    shares = matrix.sum(axis=0) / matrix.sum()
    unigram = (matrix @ np.log(np.maximum(shares, 1e-12))).mean()
    assert result.info["elbo"] > unigram + 20
    assert result.info["kl"] > 1
    assert result.shares.max() < 2 * planted.doc_topic.mean(axis=0).max()


@pytest.mark.parametrize("seed", range(3))
def test_a_few_very_long_documents_do_not_drown_the_others(seed):
    """Read as counts, six of 400 documents had nearly all the variance; θ matched by ≤ .56 then."""
    planted = plant_lda(seed, n_docs=400, n_items=500)
    matrix = planted.views.words.matrix.toarray()
    matrix[:6] *= 200
    result = DVAE(n_topics=10).fit(views(matrix), seed=seed)
    assert matched_cosine(result.doc_topic[6:].T, planted.doc_topic[6:].T).mean() >= 0.6


def test_the_same_seed_gives_the_same_bits_whatever_the_caller_did():
    planted = plant_lda(3, n_docs=80, n_items=60)
    torch.manual_seed(1)
    first = small(n_topics=5).fit(planted.views, seed=7)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        second = clone(small(n_topics=5)).fit(planted.views, seed=7)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(before, torch.get_rng_state())
    assert first.revision == second.revision
    assert first.revision != small(n_topics=5).fit(planted.views, seed=8).revision


def test_everything_is_fitted_in_double_precision():
    planted = plant_lda(3, n_docs=40, n_items=30)
    model = small(n_topics=3)
    model.fit(planted.views, seed=0)
    assert {value.dtype for value in model.encoder_.state_dict().values()} == {torch.float64}
    assert torch.get_default_dtype() == torch.float32


def test_transform_is_the_fit_and_does_not_depend_on_the_other_documents():
    planted = plant_lda(2, n_docs=120, n_items=100)
    model = small(n_topics=5)
    result = model.fit(planted.views, seed=0)
    theta = model.transform(planted.views)
    np.testing.assert_allclose(theta, result.doc_topic, atol=1e-6)
    np.testing.assert_allclose(
        model.transform(planted.views.select_docs([5, 3])), theta[[5, 3]], atol=1e-6
    )


@pytest.mark.parametrize("n_topics", [1, 5, 100])
def test_any_number_of_topics_fits(n_topics):
    planted = plant_lda(0, n_docs=60, n_items=80, doc_length=30)
    result = small(n_topics=n_topics).fit(planted.views, seed=0)
    assert result.doc_topic.shape == (60, n_topics)
    np.testing.assert_allclose(result.topic_item.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "rows", [[[3, 1, 0, 2]], [[3], [1], [2]], [[3, 1, 0, 2]] * 30], ids=["document", "item", "same"]
)
def test_degenerate_corpora_give_the_only_right_words(rows):
    """Where all documents are alike, what the model says of them is their entropy at best."""
    result = small(n_topics=3, epochs=200).fit(views(rows), seed=0)
    shares = np.array(rows) / np.array(rows).sum(axis=1, keepdims=True)
    best = (np.array(rows) * np.log(np.maximum(shares, 1e-12))).sum(axis=1).mean()
    assert result.info["elbo"] + result.info["kl"] == pytest.approx(best, abs=0.02)


def test_a_document_without_words_has_a_row_of_zeros():
    model = small(n_topics=2)
    given = views([[3, 1], [0, 0], [1, 4]])
    result = model.fit(given, seed=0)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(model.transform(given).sum(axis=1), [1, 0, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be a whole number"),
        ({"prior": 0.0}, "prior must be above zero"),
        ({"hidden": 0}, "hidden must be above zero"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
        ({"batch_size": 0}, "batch_size must be above zero"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"warm_up": 1.5}, "warm_up must be between 0 and 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(InputError, match=message):
        DVAE(**params).fit(views([[1, 2]]), seed=0)


def test_what_cannot_be_fitted_or_transformed_says_why():
    with pytest.raises(InputError, match="has any words"):
        DVAE().fit(views([[0, 0], [0, 0]]), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        DVAE().transform(views([[1, 2]]))
    model = small(n_topics=2)
    model.fit(views([[1, 2]]), seed=0)
    with pytest.raises(InputError, match="other items"):
        model.transform(views([[1, 2, 3]]))


def test_training_that_diverges_is_an_error():
    planted = plant_lda(0, n_docs=40, n_items=30, n_topics=3)
    with pytest.raises(InputError, match=r"diverged in epoch .* lower learning_rate"):
        small(learning_rate=1e200).fit(planted.views, seed=0)


def test_the_likelihood_is_that_of_torchs_batch_normalisation():
    counts = np.random.default_rng(0).integers(0, 4, size=(6, 7))
    given = views(counts).words
    with reproducible(0):
        decoder = ProductDecoder(3, np.linspace(-1, 1, 7))
        theta = torch.distributions.Dirichlet(torch.ones(3)).sample((6,))
        batch = CountBatch.of(given.matrix.tocsr(), given.n_tokens)
        found = decoder.log_likelihood(theta, batch)
        logits = functional.batch_norm(
            theta @ decoder.weight.T, None, None, bias=decoder.shift, training=True, eps=1e-3
        )
        expected = (torch.from_numpy(counts) * functional.log_softmax(logits, dim=1)).sum(dim=1)
    torch.testing.assert_close(found, expected)
    # A topic is what the same map says of a document of one topic.
    with reproducible(0):
        of_theta = theta.mean(dim=0), torch.cov(theta.T, correction=0)
        scaled, offset = decoder.normalised(*of_theta)
        torch.testing.assert_close(
            decoder.topics(*of_theta)[1], functional.softmax(scaled[:, 1] + offset, dim=0)
        )


def test_topics_are_normalised_by_the_moments_of_draws():
    with reproducible(0):
        concentration = torch.rand(50, 3) * torch.tensor([0.3, 1.0, 4.0])
        draws = torch.distributions.Dirichlet(concentration.repeat(4000, 1)).sample()
        centre, covariance = moments(concentration)
    torch.testing.assert_close(centre, draws.mean(dim=0), rtol=0, atol=5e-3)
    torch.testing.assert_close(covariance, torch.cov(draws.T), rtol=0, atol=5e-3)


def test_the_encoder_is_a_dense_network_on_logs_of_counts():
    counts = np.array([[2, 0, 1, 0, 1], [0, 3, 0, 0, 0], [1, 1, 1, 1, 1]])
    given = views(counts).words
    with reproducible(0):
        encoder = DirichletEncoder(5, 3, hidden=4, dropout=0.0, prior=0.1)
        batch = CountBatch.of(given.matrix.tocsr(), given.n_tokens)
        logs = functional.normalize(torch.from_numpy(np.log(1.0 + counts)))
        hidden = torch.relu(logs @ encoder.items + encoder.bias)
        scores = hidden @ encoder.topics.weight.T
        expected = functional.softplus(
            functional.batch_norm(scores, None, None, training=True, eps=1e-3)
        )
        torch.testing.assert_close(encoder(batch), expected)
        # Settled on these documents it gives the same of each by itself.
        encoder.eval()
        encoder.settle(document_batches(given, np.arange(3), None))
        alone = CountBatch.of(given.matrix.tocsr()[[1]], given.n_tokens[[1]])
        torch.testing.assert_close(encoder(alone), expected[[1]])
        theta, kl = encoder.draw(batch)
    torch.testing.assert_close(theta.sum(dim=1), torch.ones(3, dtype=torch.float64))
    # KL of two Dirichlet distributions, by its closed form.
    total, prior = expected.sum(dim=1), torch.full((3,), 0.1, dtype=torch.float64)
    by_hand = (
        torch.lgamma(total) - torch.lgamma(expected).sum(dim=1)
        - torch.lgamma(prior.sum()) + torch.lgamma(prior).sum()
        + ((expected - prior) * (expected.digamma() - total.digamma()[:, None])).sum(dim=1)
    )  # fmt: skip
    torch.testing.assert_close(kl, by_hand)
