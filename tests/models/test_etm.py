"""ETM: recovery of planted topics, given embeddings, degenerate corpora, shared training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support.planted import counts_to_views, matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.count_batches import CountBatch
from mtmbench.models.etm import ETM, _EmbeddedTopics
from mtmbench.models.reproducible import reproducible

pytestmark = pytest.mark.slow


def small(**params) -> ETM:
    return ETM(**{"hidden": 32, "embedding_size": 24, "epochs": 5, **params})


def views(rows) -> Views:
    matrix = np.array(rows)
    return counts_to_views(matrix, matrix.sum(axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_planted_topics_are_recovered(seed):
    planted = plant_lda(seed, n_docs=400, n_items=500)
    result = ETM(n_topics=10).fit(planted.views, seed=seed)
    scores = matched_cosine(result.topic_item, planted.topic_item)
    assert scores.mean() >= 0.8
    assert scores.min() >= 0.7
    assert matched_cosine(result.doc_topic.T, planted.doc_topic.T).mean() >= 0.9


def test_the_published_random_start_learns_too():
    planted = plant_lda(1, n_docs=300, n_items=200, n_topics=4)
    model = ETM(n_topics=4, start="random", hidden=100, epochs=120)
    result = model.fit(planted.views, seed=0)
    assert matched_cosine(result.topic_item, planted.topic_item).mean() >= 0.8


def test_the_bound_of_the_published_model_is_not_beaten_by_nothing():
    """The evidence bound per word is above that of the corpus's word shares alone."""
    planted = plant_lda(2, n_docs=300, n_items=200, n_topics=4)
    result = ETM(n_topics=4).fit(planted.views, seed=0)
    matrix = planted.views.words.matrix.toarray()
    shares = matrix.sum(axis=0) / matrix.sum()
    unigram = (matrix @ np.log(np.maximum(shares, 1e-12))).mean()
    assert result.info["elbo"] > unigram + 20
    assert 0 < result.info["kl"] < 20


def test_topics_are_softmax_of_embeddings():
    """β_k = softmax(ρ α_k), Dieng et al. (2020), equation 6."""
    planted = plant_lda(0, n_docs=60, n_items=50, n_topics=3)
    model = small(n_topics=3)
    result = model.fit(planted.views, seed=0)
    logits = model.topic_embeddings_ @ model.word_embeddings_.T
    by_hand = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.topic_item, by_hand, rtol=1e-4, atol=1e-7)


def test_etms_likelihood_and_gradients_are_those_over_all_words():
    counts = plant_lda(0, n_docs=20, n_items=30, n_topics=3).views.words
    rng = np.random.default_rng(0)
    with reproducible(0):
        theta = torch.from_numpy(rng.dirichlet(np.ones(3), 20)).requires_grad_()
        topics = torch.from_numpy(rng.dirichlet(np.ones(30), 3)).requires_grad_()
        decoder = _EmbeddedTopics(3, 30, 4, trained=True)
        batch = CountBatch.of(counts.matrix, counts.n_tokens)
        found = decoder.log_likelihood(theta, batch, topics)
        dense = torch.from_numpy(counts.matrix.toarray().astype(float))
        expected = (dense * (theta @ topics + 1e-6).log()).sum(dim=1)
        torch.testing.assert_close(found, expected)
        for one, other in zip(
            torch.autograd.grad(found.sum(), (theta, topics)),
            torch.autograd.grad(expected.sum(), (theta, topics)),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


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


def test_transform_is_the_fit_and_folds_in_subsets():
    planted = plant_lda(2, n_docs=120, n_items=100)
    model = small(n_topics=5)
    result = model.fit(planted.views, seed=0)
    theta = model.transform(planted.views)
    np.testing.assert_allclose(theta, result.doc_topic, atol=1e-6)
    np.testing.assert_allclose(
        model.transform(planted.views.select_docs([5, 3])), theta[[5, 3]], atol=1e-5
    )


@pytest.mark.parametrize("n_topics", [5, 20, 100])
def test_any_number_of_topics_fits(n_topics):
    planted = plant_lda(0, n_docs=60, n_items=80, doc_length=30)
    result = small(n_topics=n_topics).fit(planted.views, seed=0)
    assert result.doc_topic.shape == (60, n_topics)
    np.testing.assert_allclose(result.topic_item.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "rows", [[[3, 1, 0, 2]], [[3], [1], [2]], [[3, 1, 0, 2]] * 30], ids=["document", "item", "same"]
)
def test_degenerate_corpora_give_the_only_right_mixture(rows):
    result = small(n_topics=3, epochs=200, learning_rate=0.01).fit(views(rows), seed=0)
    shares = np.array(rows) / np.array(rows).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.doc_topic @ result.topic_item, shares, atol=0.1)


def test_a_document_without_words_has_a_row_of_zeros():
    model = small(n_topics=2)
    given = views([[3, 1], [0, 0], [1, 4]])
    result = model.fit(given, seed=0)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(model.transform(given).sum(axis=1), [1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("form", ["txt", "npz"])
def test_given_embeddings_are_read_and_can_stay_fixed(tmp_path, form):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    planted = plant_lda(0, n_docs=60, n_items=40, n_topics=3)
    names = planted.views.words.item_ids
    path = tmp_path / f"vectors.{form}"
    if form == "npz":
        np.savez(path, words=np.array(names[:38]), vectors=vectors[:38])
    else:
        lines = [f"{n} {' '.join(map(str, v))}" for n, v in zip(names[:38], vectors, strict=False)]
        path.write_text("\n".join(["38 6", "the 1 2 3 4 5 6", *lines]) + "\n", encoding="utf-8")
    model = small(n_topics=3, embeddings=path, train_embeddings=False)
    result = model.fit(planted.views, seed=0)
    np.testing.assert_allclose(model.word_embeddings_[:38], vectors[:38], rtol=1e-6)
    assert result.info["words_without_embedding"] == 2
    trained = small(n_topics=3, embeddings=path)
    trained.fit(planted.views, seed=0)
    assert np.abs(trained.word_embeddings_[:38] - vectors[:38]).max() > 1e-3


def test_wrong_embeddings_are_named(tmp_path):
    given = views([[3, 1], [1, 4]])
    with pytest.raises(InputError, match=r"cannot read word embeddings from .*missing\.txt"):
        small(embeddings=tmp_path / "missing.txt").fit(given, seed=0)
    other = tmp_path / "other.txt"
    other.write_text("cat 1 2\ndog 3 4\n", encoding="utf-8")
    with pytest.raises(InputError, match="no vector of any word"):
        small(embeddings=other).fit(given, seed=0)
    uneven = tmp_path / "uneven.txt"
    uneven.write_text("word0 1 2\nword1 3 4 5\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"different sizes: \[2, 3\]"):
        small(embeddings=uneven).fit(given, seed=0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be a whole number"),
        ({"start": "cluster"}, "did you mean 'clusters'"),
        ({"embedding_size": 0}, "embedding_size must be at least 1"),
        ({"hidden": 0}, "hidden must be above zero"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
        ({"batch_size": 0}, "batch_size must be above zero"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(InputError, match=message):
        ETM(**params).fit(views([[1, 2]]), seed=0)


def test_what_cannot_be_fitted_or_transformed_says_why():
    with pytest.raises(InputError, match="has any words"):
        ETM().fit(views([[0, 0], [0, 0]]), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        ETM().transform(views([[1, 2]]))
    model = small(n_topics=2)
    model.fit(views([[1, 2]]), seed=0)
    with pytest.raises(InputError, match="other items"):
        model.transform(views([[1, 2, 3]]))


def test_training_that_diverges_is_an_error():
    planted = plant_lda(0, n_docs=40, n_items=30, n_topics=3)
    with pytest.raises(InputError, match=r"diverged in epoch .* lower learning_rate"):
        small(learning_rate=1e20, start="random").fit(planted.views, seed=0)
