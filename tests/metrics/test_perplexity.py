"""Held-out perplexity where the right answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.registry import Registry
from mtmbench.core.types import Corpus, Counts, Views
from mtmbench.features.words import tokenise, word_counts
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.perplexity import (
    UNIFORM_SHARE,
    Perplexity,
    completion_log_likelihood,
    split_documents,
    split_occurrences,
)
from mtmbench.models.base import TopicModel
from mtmbench.models.lda import LDA

N_WORDS = 20


class Known(TopicModel):
    """Topics that are given; θ by which half of the vocabulary a document's words come from."""

    name: ClassVar[str] = "known"
    has_perplexity: ClassVar[bool] = True

    def __init__(self, topics: Any = None) -> None:
        self.topics = topics
        self.n_topics = 2

    def fit(self, views: Views, *, seed: int) -> Any:
        self.seen_ = set(views.corpus.doc_ids)
        self.seed_ = seed
        words = views.require("words", self.name)
        topics = np.asarray(self.topics)
        return self._result(
            views, words, seed=seed, doc_topic=self.transform(views), topic_item=topics
        )

    def transform(self, views: Views) -> Any:
        matrix = views.require("words", self.name).matrix
        self.given_ = matrix
        first = np.asarray(matrix[:, : N_WORDS // 2].sum(axis=1)).ravel() > 0
        return np.stack([first, ~first], axis=1).astype(np.float32)


def two_halves(n_documents: int = 200, seed: int = 0) -> Corpus:
    """Documents of 30 words, all from the first or all from the second half of 20 words."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n_documents):
        low = (i % 2) * N_WORDS // 2
        texts.append(" ".join(f"w{v:02}" for v in rng.integers(low, low + N_WORDS // 2, 30)))
    ids = tuple(str(i) for i in range(n_documents))
    return Corpus("halves", ids, tuple(texts), pretokenised=True)


def context_for(corpus: Corpus, make: Callable[[], TopicModel] | None) -> MetricContext:
    words = word_counts(corpus)
    fitted: list[Any] = []

    def refit(views: Views, seed: int) -> Any:
        assert make is not None
        model = make()
        fitted.append(model)
        return model, model.fit(views, seed=seed)

    context = MetricContext(
        corpus, tokens=tokenise(corpus), counts={"words": words},
        views=Views(corpus, words), refit=None if make is None else refit,
    )  # fmt: skip
    context.fitted = fitted
    return context


HALVES = np.kron(np.eye(2), np.full((1, N_WORDS // 2), 2 / N_WORDS)).tolist()
UNIFORM = np.full((2, N_WORDS), 1 / N_WORDS).tolist()


@pytest.mark.parametrize(("topics", "expected"), [(HALVES, N_WORDS / 2), (UNIFORM, N_WORDS)])
def test_known_topics_have_their_known_perplexity(topics: Any, expected: float) -> None:
    corpus = two_halves()
    context = context_for(corpus, lambda: Known(topics))
    result = Known(topics).fit(context.views, seed=3)
    value = Perplexity().compute(result, context)
    assert value.value == pytest.approx(expected, rel=1e-5)
    assert value.details["n_held_out_documents"] == 20
    assert value.details["n_occurrences"] == 20 * 15
    assert value.details["n_zero_probability"] == 0
    model = context.fitted[0]
    assert model.seed_ == 3
    assert len(model.seen_) == 180
    assert model.given_.sum() == 20 * 15


def test_the_split_is_seeded() -> None:
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(N_WORDS, 0.5), 2).tolist()
    context = context_for(two_halves(), lambda: Known(topics))
    result = Known(topics).fit(context.views, seed=0)
    first, again, other = (
        Perplexity().compute(result, context, seed=seed).value for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.slow
def test_lda_finds_the_halves() -> None:
    corpus = two_halves()
    values = {}
    for k in (1, 2):
        context = context_for(corpus, lambda k=k: LDA(n_topics=k, iterations=50))
        result = LDA(n_topics=k, iterations=50).fit(context.views, seed=0)
        values[k] = Perplexity().compute(result, context).value
    assert values[1] == pytest.approx(N_WORDS, rel=0.03)
    # The document prior, of total 5, keeps some mass on the topic that a document lacks.
    assert N_WORDS / 2 < values[2] < 0.75 * N_WORDS


def test_occurrences_are_halved_at_random_and_none_is_lost() -> None:
    rng = np.random.default_rng(0)
    dense = rng.poisson(2.0, (30, 9)).astype(np.int32)
    dense[4], dense[5] = 0, 0
    dense[5, 2] = 1
    names = tuple("abcdefghi")
    activation = csr_matrix(dense.astype(np.float32))
    counts = Counts(
        "features", csr_matrix(dense), np.full(30, 50), names, names, activation=activation
    )
    observed, scored = split_occurrences(counts, np.random.default_rng(1))
    np.testing.assert_array_equal((observed.matrix + scored.matrix).toarray(), dense)
    totals = dense.sum(axis=1)
    np.testing.assert_array_equal(observed.matrix.sum(axis=1).A1, totals // 2)
    assert observed.activation is None
    assert observed.n_tokens[0] == -(-50 * (totals[0] // 2) // totals[0])
    assert (observed.n_tokens >= observed.matrix.max(axis=1).toarray().ravel()).all()
    # One item's share of the observed half is hypergeometric: on average, half of it.
    halves = [
        split_occurrences(counts, np.random.default_rng(s))[0].matrix.toarray() for s in range(300)
    ]
    big = totals % 2 == 0
    np.testing.assert_allclose(np.mean(halves, axis=0)[big], dense[big] / 2, atol=0.35)


def test_zero_probability_costs_the_uniform_share() -> None:
    corpus = two_halves(4)
    words = word_counts(corpus)
    fitted = Known(HALVES).fit(Views(corpus, words), seed=0)
    one = Counts(
        "words", csr_matrix(([3, 2], ([0, 0], [0, 15])), shape=(1, N_WORDS)), np.array([5]),
        words.item_ids, words.item_labels,
    )  # fmt: skip
    log_p, n, n_zero = completion_log_likelihood(np.array([[1.0, 0.0]]), fitted, one)
    expected = 3 * np.log(2 / N_WORDS) + 2 * np.log(UNIFORM_SHARE / N_WORDS)
    assert (n, n_zero) == (5, 2)
    assert log_p == pytest.approx(expected, abs=1e-4)
    # A document without mass is scored under the mean θ of the fit.
    log_p, _, n_zero = completion_log_likelihood(np.zeros((1, 2)), fitted, one)
    assert log_p == pytest.approx(5 * np.log(1 / N_WORDS), abs=1e-4)
    assert n_zero == 0


def test_models_without_a_likelihood_are_not_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clustering(Known):
        name: ClassVar[str] = "clustering"
        has_perplexity: ClassVar[bool] = False

    context = context_for(two_halves(), lambda: Clustering(HALVES))
    result = Clustering(HALVES).fit(context.views, seed=0)
    reason = "model 'clustering' defines no likelihood of items, so it has no perplexity"
    assert Perplexity().compute(result, context).reason == reason
    assert len(context.fitted) == 1
    models: Registry[type[TopicModel]] = Registry("model", "mtmbench.no_such_group")
    models.register("clustering", Clustering)
    monkeypatch.setattr("mtmbench.metrics.perplexity.MODELS", models)
    assert Perplexity().compute(result, context).reason == reason
    assert len(context.fitted) == 1


def test_what_cannot_be_refitted_or_split_is_missing() -> None:
    corpus = two_halves()
    context = context_for(corpus, None)
    result = Known(HALVES).fit(context.views, seed=0)
    assert Perplexity().compute(result, context).reason == "the model cannot be fitted anew here"
    short = Corpus("short", ("0", "1", "2"), ("w00", "w01", "w02"), pretokenised=True)
    thirds = [[1 / 3] * 3] * 2
    context = context_for(short, lambda: Known(thirds))
    result = Known(thirds).fit(context.views, seed=0)
    reason = Perplexity().compute(result, context).reason
    assert reason == "no held-out document has two item occurrences to split"


def test_parameters_are_checked() -> None:
    context = context_for(two_halves(10), lambda: Known(HALVES))
    result = Known(HALVES).fit(context.views, seed=0)
    with pytest.raises(InputError, match=r"held_out.*not 1\.5"):
        Perplexity().compute(result, context, held_out=1.5)


def test_documents_are_split_without_overlap() -> None:
    train, held = split_documents(25, 0.1, np.random.default_rng(0))
    assert sorted([*train, *held]) == list(range(25))
    assert len(held) == 2
    assert len(split_documents(3, 0.1, np.random.default_rng(0))[1]) == 1
