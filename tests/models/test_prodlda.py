"""ProdLDA and CombinedTM: recovery, the bound against numpy, the prior, moments, embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support.planted import counts_to_views, matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.combinedtm import CombinedTM
from mtmbench.models.count_batches import CountBatch
from mtmbench.models.prodlda import LogisticNormalEncoder, ProdLDA
from mtmbench.models.products import ProductDecoder, document_batches
from mtmbench.models.reproducible import reproducible


def small(model=ProdLDA, **params):
    return model(**{"n_topics": 3, "hidden": 16, "epochs": 5, **params})


def with_embeddings(planted, seed=0):
    """Adds embeddings that are a rotation of the true θ, with noise."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(12, planted.doc_topic.shape[1])))[0]
    vectors = planted.doc_topic @ axes.T
    vectors = vectors + rng.normal(scale=0.05, size=vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    views = planted.views
    return Views(views.corpus, words=views.words, embeddings=vectors.astype(np.float32))


@pytest.fixture(scope="module")
def few():
    return with_embeddings(plant_lda(2, n_docs=60, n_items=50, n_topics=3, doc_length=30))


@pytest.mark.slow
@pytest.mark.parametrize("model", [ProdLDA, CombinedTM])
def test_planted_topics_are_recovered(model):
    planted = plant_lda(0, n_docs=200, n_items=150, n_topics=5, doc_length=60)
    result = model(n_topics=5, hidden=50, epochs=120, learning_rate=0.005).fit(
        with_embeddings(planted), seed=0
    )
    assert matched_cosine(result.topic_item, planted.topic_item).mean() >= 0.8
    found, true = result.doc_topic, planted.doc_topic
    # Normalised as it is, θ is flat: what differs between documents is to agree.
    both = np.corrcoef((found - found.mean(axis=0)).T, (true - true.mean(axis=0)).T)[:5, 5:]
    assert matched_cosine(np.maximum(both, 0), np.eye(5)).mean() >= 0.8


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softplus(x):
    return np.log1p(np.exp(x))


def normalised(x):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)


@pytest.mark.parametrize("n_inputs", [0, 4])
def test_the_bound_is_the_formula(n_inputs):
    """Encoder, draw, likelihood and divergence, each written out in numpy."""
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, size=(6, 7))
    given = counts_to_views(counts, counts.sum(axis=1)).words
    vectors = rng.normal(size=(6, n_inputs)).astype(np.float32) if n_inputs else None
    with reproducible(0):
        encoder = LogisticNormalEncoder(7, 3, 5, dropout=0.0, prior=0.7, n_inputs=n_inputs)
        decoder = ProductDecoder(3, np.linspace(-1, 1, 7))
        batch = CountBatch.of(given.matrix.tocsr(), given.n_tokens, vectors)
        torch.manual_seed(5)
        theta, kl = encoder.draw(batch)
        bound = (decoder.log_likelihood(theta, batch) - kl).detach().numpy()
        torch.manual_seed(5)
        noise = torch.randn(6, 3).numpy()
    w = {name: value.detach().numpy() for name, value in encoder.named_parameters()}
    x = np.log1p(counts)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    first = x @ w["items"] + w["bias"]
    if n_inputs:
        first += vectors @ w["vectors.weight"].T
    second = softplus(softplus(first) @ w["hidden.weight"].T + w["hidden.bias"])
    scores = normalised(second @ w["heads.weight"].T) + w["shift"]
    mean, log_variance = scores[:, :3], scores[:, 3:]
    drawn = softmax(mean + noise * np.exp(log_variance / 2))
    np.testing.assert_allclose(theta.detach().numpy(), drawn)
    words = softmax(normalised(drawn @ decoder.weight.detach().numpy().T) + np.linspace(-1, 1, 7))
    # The Laplace approximation of Dirichlet(α, α, α) as Srivastava and Sutton have it.
    alpha, k = np.full(3, 0.7), 3
    mu = np.log(alpha) - np.log(alpha).mean()
    variance = 1 / alpha * (1 - 2 / k) + (1 / alpha).sum() / k**2
    divergence = 0.5 * (
        np.exp(log_variance) / variance
        + (mean - mu) ** 2 / variance
        - 1
        + np.log(variance)
        - log_variance
    ).sum(axis=1)
    np.testing.assert_allclose(bound, (counts * np.log(words)).sum(axis=1) - divergence)


def test_topics_are_normalised_by_the_moments_of_what_the_decoder_reads():
    counts = np.random.default_rng(0).integers(0, 4, size=(50, 7))
    given = counts_to_views(counts, counts.sum(axis=1)).words
    with reproducible(0), torch.no_grad():
        encoder = LogisticNormalEncoder(7, 3, 5, dropout=0.4, prior=1.0)
        encoder.shift.copy_(torch.tensor([1.0, 0.0, -1.0, 0.5, 1.0, 0.0]))
        encoder.eval()
        encoder.settle(document_batches(given, np.arange(50), None))
        mean, log_variance = encoder(CountBatch.of(given.matrix.tocsr(), given.n_tokens))
        noise = torch.randn(4000, 50, 3)
        theta = torch.softmax(mean + noise * (log_variance / 2).exp(), dim=2).reshape(-1, 3)
        dropped = torch.nn.functional.dropout(theta, 0.4, training=True)
        centre, covariance = encoder.moments(document_batches(given, np.arange(50), None))
    # 500 draws against 200,000: three standard errors of the former.
    torch.testing.assert_close(centre, dropped.mean(dim=0), rtol=0, atol=0.04)
    torch.testing.assert_close(covariance, torch.cov(dropped.T), rtol=0, atol=0.03)
    # What dropout adds is no small part of it.
    assert (torch.cov(dropped.T) - torch.cov(theta.T)).diagonal().max() > 0.2


@pytest.mark.parametrize("model", [ProdLDA, CombinedTM])
def test_the_same_seed_gives_the_same_bits_whatever_the_caller_did(few, model):
    torch.manual_seed(1)
    first = small(model).fit(few, seed=7)
    before = torch.get_rng_state()
    second = clone(small(model)).fit(few, seed=7)
    assert torch.equal(before, torch.get_rng_state())
    assert first.revision == second.revision
    assert first.revision != small(model).fit(few, seed=8).revision
    assert first.info["steps"] == 5


@pytest.mark.parametrize("model", [ProdLDA, CombinedTM])
def test_transform_is_the_fit_and_does_not_depend_on_the_other_documents(few, model):
    fitted = small(model)
    result = fitted.fit(few, seed=0)
    np.testing.assert_allclose(fitted.transform(few), result.doc_topic, atol=1e-6)
    np.testing.assert_allclose(
        fitted.transform(few.select_docs([5, 3])), result.doc_topic[[5, 3]], atol=1e-6
    )
    assert {value.dtype for value in fitted.encoder_.parameters()} == {torch.float64}


def test_embeddings_are_read_by_one_and_not_by_the_other(few):
    turned = Views(few.corpus, words=few.words, embeddings=few.embeddings[::-1].copy())
    for model, moved in ((ProdLDA, False), (CombinedTM, True)):
        fitted = small(model)
        theta = fitted.fit(few, seed=0).doc_topic
        assert bool(np.abs(fitted.transform(turned) - theta).max() > 1e-3) is moved


def test_a_document_without_words_and_one_topic(few):
    matrix = few.words.matrix.toarray()
    matrix[4] = 0
    counts = counts_to_views(matrix, matrix.sum(axis=1)).words
    given = Views(few.corpus, words=counts, embeddings=few.embeddings)
    for n_topics in (1, 3):
        sums = small(CombinedTM, n_topics=n_topics).fit(given, seed=0).doc_topic.sum(axis=1)
        np.testing.assert_allclose(sums, np.arange(60) != 4, atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"prior": 0.0}, "prior must be above zero"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"warm_up": 1.5}, "warm_up must be between 0 and 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": 1e200}, r"diverged in epoch .* lower learning_rate"),
    ],
)
def test_wrong_parameters_are_named(few, params, message):
    with pytest.raises(InputError, match=message):
        small(**params).fit(few, seed=0)


def test_embeddings_that_do_not_belong_to_the_documents_are_refused(few):
    for vectors, message in (
        (None, "'combinedtm' needs the embeddings view"),
        (few.embeddings[:9], "one row for each of the 60 documents"),
        (few.embeddings * np.nan, "vector of document 0 holds non-finite"),
    ):
        with pytest.raises(InputError, match=message):
            small(CombinedTM).fit(Views(few.corpus, words=few.words, embeddings=vectors), seed=0)
    model = small(CombinedTM)
    model.fit(few, seed=0)
    with pytest.raises(InputError, match="fitted on vectors of 12 dimensions, not 5"):
        model.transform(Views(few.corpus, words=few.words, embeddings=few.embeddings[:, :5]))
