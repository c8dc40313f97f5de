"""FASTopic: planted clusters, the plan and the objective against references, new documents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from support.planted import counts_to_views, matched_cosine

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.fastopic import FASTopic, Transport, sinkhorn, squared_distances
from mtmbench.models.reproducible import reproducible

pytestmark = pytest.mark.slow


def planted(n_docs=150, n_topics=5, n_items=60, seed=0, size=24):
    """Documents near one of K directions, each with nine in ten words from one of K word lists."""
    rng = np.random.default_rng(seed)
    lists = np.arange(n_items) % n_topics == np.arange(n_topics)[:, None]
    topics = 0.9 * lists * n_topics / n_items + 0.1 / n_items
    own = np.arange(n_docs) % n_topics
    vectors = np.eye(size)[own] + rng.normal(scale=0.1, size=(n_docs, size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = np.array([rng.multinomial(40, topics[k]) for k in own])
    views = counts_to_views(matrix, matrix.sum(axis=1))
    return (
        Views(views.corpus, words=views.words, embeddings=vectors.astype(np.float32)),
        topics,
        own,
    )


def small(**params) -> FASTopic:
    return FASTopic(**{"n_topics": 3, "epochs": 5, **params})


@pytest.mark.parametrize("seed", range(3))
def test_planted_topics_are_recovered(seed):
    views, topics, own = planted(seed=seed)
    result = FASTopic(n_topics=5).fit(views, seed=seed)
    assert matched_cosine(result.topic_item, topics).min() >= 0.9
    # Every document's strongest topic is its own one.
    found = result.doc_topic.argmax(axis=1)
    assert len(set(zip(found, own, strict=True))) == len(set(found)) == 5


def test_the_same_seed_gives_the_same_bits_whatever_the_caller_did():
    views, _, _ = planted(n_docs=60)
    torch.manual_seed(1)
    first = small().fit(views, seed=7)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        second = clone(small()).fit(views, seed=7)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(before, torch.get_rng_state())
    assert first.revision == second.revision
    assert first.revision != small().fit(views, seed=8).revision


def test_everything_is_fitted_in_double_precision(monkeypatch):
    views, _, _ = planted(n_docs=30)
    seen = []
    objective = Transport.objective

    def spy(self, vectors, matrix):
        loss = objective(self, vectors, matrix)
        seen.extend([loss.dtype, vectors.dtype, *(value.dtype for value in self.parameters())])
        return loss

    monkeypatch.setattr(Transport, "objective", spy)
    small().fit(views, seed=0)
    assert set(seen) == {torch.float64}


def test_a_plan_has_its_marginals_and_is_the_regularised_optimum():
    """Against SciPy: minimise ⟨π, C⟩ + Σ π (log π − 1) / α under both marginals, by its dual."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    cost, alpha = rng.uniform(0.1, 2, (6, 4)), 3.0
    masses = rng.dirichlet(np.ones(4))
    rows = np.full(6, 1 / 6)

    def dual(both):
        f, g = both[:6], both[6:]
        plan = np.exp(alpha * (f[:, None] + g - cost))
        return plan.sum() / alpha - f @ rows - g @ masses

    both = minimize(dual, np.zeros(10), method="BFGS", options={"gtol": 1e-9}).x
    expected = np.exp(alpha * (both[:6, None] + both[6:] - cost))
    with reproducible(0):
        plan, total = sinkhorn(torch.from_numpy(cost), torch.from_numpy(masses), alpha)
    np.testing.assert_allclose(plan.sum(dim=1), rows, atol=1e-9)
    np.testing.assert_allclose(plan.sum(dim=0), masses, atol=0.005)
    np.testing.assert_allclose(plan, expected, atol=2e-3)
    assert float(total) == pytest.approx(float((plan * torch.from_numpy(cost)).sum()))


def test_the_objective_and_its_gradients_are_those_of_the_dense_formula():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (8, 11))
    vectors = torch.from_numpy(rng.normal(size=(8, 5)))
    with reproducible(0):
        transport = Transport(3, 11, 5, 3.0, 2.0)
        found = transport.objective(vectors, csr_matrix(counts))
        found.backward()
        gradients = [value.grad.clone() for value in transport.parameters()]
        transport.zero_grad()
        doc_plan, doc_cost = sinkhorn(
            squared_distances(vectors, transport.topics), transport.topic_masses.softmax(0), 3.0
        )
        word_plan, word_cost = sinkhorn(
            squared_distances(transport.topics, transport.words),
            transport.word_masses.softmax(0),
            2.0,
        )
        mixture = (doc_plan * 8) @ (word_plan * 3)
        fit = -(torch.from_numpy(counts) * (mixture + 1e-12).log()).sum(dim=1).mean()
        expected = fit + doc_cost + word_cost
        expected.backward()
    torch.testing.assert_close(found, expected)
    for gradient, value in zip(gradients, transport.parameters(), strict=True):
        torch.testing.assert_close(gradient, value.grad)


def test_new_documents_follow_the_published_rule():
    """exp(−C/τ) over its sum over the documents of the fit, normalised over topics."""
    views, _, _ = planted(n_docs=60)
    model = small(temperature=0.7)
    result = model.fit(views, seed=0)
    cost = ((views.embeddings[:, None] - model.topic_embeddings_) ** 2).sum(axis=2)
    close = np.exp(-cost / 0.7)
    expected = close / close.sum(axis=0)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.doc_topic, expected, rtol=1e-4)
    np.testing.assert_allclose(
        model.transform(views.select_docs([5, 3])), expected[[5, 3]], rtol=1e-4
    )


def test_a_large_corpus_is_fitted_in_batches():
    views, topics, _ = planted()
    result = FASTopic(n_topics=5, batch_size=60, epochs=100).fit(views, seed=0)
    assert result.info["batch_size"] == 60
    assert matched_cosine(result.topic_item, topics).mean() >= 0.9


def test_documents_without_words_or_without_a_vector():
    views, _, _ = planted(n_docs=30)
    matrix = views.words.matrix.toarray()
    matrix[4] = 0
    vectors = views.embeddings.copy()
    vectors[7] = 0
    counts = counts_to_views(matrix, matrix.sum(axis=1)).words
    given = Views(views.corpus, words=counts, embeddings=vectors)
    result = small().fit(given, seed=0)
    sums = result.doc_topic.sum(axis=1)
    assert sums[4] == pytest.approx(1)
    assert sums[7] == 0
    assert result.info["without_vector"] == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be a whole number"),
        ({"doc_alpha": 0.0}, "doc_alpha must be above zero"),
        ({"word_alpha": -1.0}, "word_alpha must be above zero"),
        ({"temperature": 0.0}, "temperature must be above zero"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"learning_rate": 1e300}, r"diverged in epoch .* lower learning_rate"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    views, _, _ = planted(n_docs=30)
    with pytest.raises(InputError, match=message):
        small(**params).fit(views, seed=0)


def test_what_cannot_be_fitted_or_transformed_says_why():
    views, _, _ = planted(n_docs=30)
    corpus, words, vectors = views.corpus, views.words, views.embeddings
    with pytest.raises(InputError, match="embeddings"):
        small().fit(Views(corpus, words=words), seed=0)
    with pytest.raises(InputError, match="all are zero"):
        small().fit(Views(corpus, words=words, embeddings=vectors * 0), seed=0)
    with pytest.raises(InputError, match="for each of the 30 documents"):
        small().fit(Views(corpus, words=words, embeddings=vectors[:9]), seed=0)
    with pytest.raises(InputError, match="vector of document 0 holds non-finite"):
        small().fit(Views(corpus, words=words, embeddings=vectors * np.nan), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        small().transform(views)
    model = small()
    model.fit(views, seed=0)
    with pytest.raises(InputError, match="fitted on vectors of 24 dimensions, not 5"):
        model.transform(Views(corpus, words=words, embeddings=vectors[:, :5]))
