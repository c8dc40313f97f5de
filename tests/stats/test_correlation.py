"""Measures of agreement against brute force and other libraries; the interval against theory."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mtmbench.stats.correlation import (
    Estimate,
    bootstrap,
    kendall_tau,
    mean_over_topics,
    spearman,
    weighted_kappa,
)


def _tau_b(x: list[int], y: list[int]) -> float:
    concordant = x_ties = y_ties = pairs = 0
    for i, j in combinations(range(len(x)), 2):
        a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
        concordant += int(a * b)
        x_ties += a == 0
        y_ties += b == 0
        pairs += 1
    return float(concordant / np.sqrt((pairs - x_ties) * (pairs - y_ties)))


def test_kendall_by_brute_force() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        x, y = (generator.integers(5, size=9).tolist() for _ in range(2))
        assert kendall_tau(x, y) == pytest.approx(_tau_b(x, y))


def test_spearman_is_pearson_of_the_ranks() -> None:
    x, y = [3.0, 1.0, 2.0, 9.0], [0.1, 0.0, 0.3, 0.2]
    assert spearman(x, y) == pytest.approx(np.corrcoef([3, 1, 2, 4], [2, 1, 4, 3])[0, 1])


def test_a_constant_list_has_no_correlation() -> None:
    assert np.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(("levels", "weights"), [(2, None), (3, "quadratic")])
def test_kappa_is_that_of_scikit_learn(levels: int, weights: str | None) -> None:
    generator = np.random.default_rng(1)
    x = generator.integers(levels, size=50)
    y = np.where(generator.random(50) < 0.6, x, generator.integers(levels, size=50))
    ours = weighted_kappa(x, y, levels=levels)
    assert ours == pytest.approx(cohen_kappa_score(x, y, weights=weights))
    assert 0.2 < ours < 1
    assert np.isnan(weighted_kappa([1, 1], [1, 1], levels=2))


def test_the_interval_of_a_mean_is_that_of_the_t_test() -> None:
    values = np.random.default_rng(2).normal(0.3, 0.2, 25)
    found = bootstrap(lambda rows: float(values[rows].mean()), 25, resamples=4000)
    half = 2.0639 * values.std(ddof=1) / 5  # t(24) at 97.5 %
    assert found.value == pytest.approx(values.mean())
    assert found.lo is not None
    assert found.value is not None
    assert found.value - found.lo == pytest.approx(half, rel=0.04)


def test_groups_keep_their_sizes() -> None:
    groups = ["a", "b", "a", "b", "b"]
    seen = set()

    def statistic(rows: np.ndarray) -> float:
        seen.add("".join(groups[row] for row in rows))
        return float(rows[0])

    bootstrap(statistic, 5, groups=groups, resamples=50)
    assert seen == {"ababb"}


def test_what_is_undefined_has_neither_value_nor_interval() -> None:
    assert mean_over_topics([float("nan")] * 3) == Estimate(None, None, None, 0)
    assert mean_over_topics([0.5, float("nan")]) == Estimate(0.5, None, None, 1)
    # A resample of one row only has no τ, and there are more than 1 % of these.
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    found = bootstrap(lambda rows: kendall_tau(x[rows], y[rows]), 3)
    assert found == Estimate(pytest.approx(1 / 3), None, None, 3)


def test_an_interval_ends_with_the_scale() -> None:
    assert Estimate(0.9, 0.7, 1.1, 5).within(0, 1) == Estimate(0.9, 0.7, 1, 5)
    assert Estimate(0.9, None, None, 5).within(0, 1) == Estimate(0.9, None, None, 5)
