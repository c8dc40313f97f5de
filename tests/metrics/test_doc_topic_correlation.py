"""Correlation of shares against every match of topics, by SciPy's Pearson correlation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import pearsonr

from mtmbench.metrics.compute import compute_value
from mtmbench.metrics.doc_topic_correlation import DocTopicCorrelation, matched_correlations


def correlations(first: Any, second: Any) -> Any:
    return np.array([[pearsonr(a, b).statistic for b in second.T] for a in first.T])


def thetas(seed: int, *sizes: int, n_docs: int = 12) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(k), n_docs).astype(np.float32) for k in sizes]


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (5, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_the_match_is_the_best_of_all(sizes: tuple[int, int], seed: int) -> None:
    first, second = thetas(seed, *sizes)
    found = matched_correlations(first, second)
    correlation = correlations(first, second)
    rows, columns = linear_sum_assignment(-correlation)
    expected = np.zeros(len(correlation))
    expected[rows] = correlation[rows, columns]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    wide = correlation if sizes[0] <= sizes[1] else correlation.T
    best = max(
        sum(wide[i, j] for i, j in enumerate(order))
        for order in permutations(range(wide.shape[1]), wide.shape[0])
    )
    assert found.sum() == pytest.approx(best, abs=1e-6)
    assert matched_correlations(second, first).sum() == pytest.approx(best, abs=1e-6)


def test_topics_in_another_order_are_the_same() -> None:
    (theta,) = thetas(0, 6, n_docs=30)
    np.testing.assert_allclose(matched_correlations(theta, theta[:, ::-1]), 1.0)


def test_a_topic_with_one_share_everywhere_correlates_with_nothing() -> None:
    (theta,) = thetas(1, 2)
    flat = np.concatenate([0.9 * theta, np.full((12, 1), 0.1, dtype=np.float32)], axis=1)
    np.testing.assert_allclose(matched_correlations(flat, flat), [1, 1, 0])


@pytest.fixture
def made(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> Callable[..., Any]:
    """Returns the metric's value for the first of the shares given, the others by name."""

    def value(own: Any, **others: Any) -> Any:
        def result(theta: Any) -> Any:
            return result_of([[f"w{k}"] for k in range(theta.shape[1])], theta)

        corpus = corpus_of(["a b"] * len(own))
        named = {name: None if theta is None else result(theta) for name, theta in others.items()}
        context = context_of(corpus, others=named)
        return compute_value(result(own), context, "doc_topic_correlation", None, {})

    return value


def test_a_value_is_the_mean_over_other_models(made: Callable[..., Any]) -> None:
    own, lda, etm = thetas(2, 3, 3, 4)
    value = made(own, lda=lda, etm=etm)
    each = {
        "lda": matched_correlations(own, lda).sum() / 3,
        "etm": matched_correlations(own, etm).sum() / 4,
    }
    assert value.details["others"] == pytest.approx(each)
    assert value.details["documents"] == {"lda": 12, "etm": 12}
    assert value.value == pytest.approx(np.mean(list(each.values())))
    assert np.mean(value.per_topic) == pytest.approx(
        (matched_correlations(own, lda) + matched_correlations(own, etm)).mean() / 2
    )
    # Symmetric, whichever model finds more topics.
    back = made(etm, mlda=own)
    assert back.value == pytest.approx(each["etm"])


def test_documents_without_mass_are_left_out(made: Callable[..., Any]) -> None:
    own, other = thetas(3, 3, 3)
    own[2], other[5] = 0, 0
    kept = [d for d in range(12) if d not in (2, 5)]
    value = made(own, lda=other)
    assert value.details["documents"] == {"lda": 10}
    assert value.value == pytest.approx(matched_correlations(own[kept], other[kept]).mean())


def test_what_is_missing_says_why(made: Callable[..., Any]) -> None:
    own, lda = thetas(4, 3, 3)
    empty = np.zeros_like(lda)
    value = made(own, lda=lda, etm=None, mlda=empty)
    assert value.details["others"].keys() == {"lda"}
    assert value.details["missing"] == {
        "etm": "its fit failed",
        "mlda": "fewer than two documents have mass in both models",
    }
    nothing = made(own, etm=None)
    assert nothing.value is None
    assert nothing.reason == "no other model has topics to compare with"
    assert made(own).reason == "there is no result of another model to compare"
    assert DocTopicCorrelation.higher_is_better
