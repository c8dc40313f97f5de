"""Intervals against textbook formulas, brute force and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, sem
from scipy.stats import t as student

from mtmbench.core.errors import InputError
from mtmbench.stats.intervals import Rate, clustered, wilson


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (3, 10), (10, 10), (1, 1), (250, 500)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_ends_solve_its_defining_equation(part: int, whole: int, confidence: float) -> None:
    """The ends are the p at which the score test (p̂ − p)/√(p(1 − p)/n) = ±z."""
    z = norm.ppf((1 + confidence) / 2)
    share = part / whole

    def score(p: float, side: int) -> float:
        return float((share - p) - side * z * np.sqrt(p * (1 - p) / whole))

    rate = wilson(part, whole, confidence)
    assert rate.value == share
    assert rate.lo is not None
    assert rate.hi is not None
    tiny = 1e-12
    lo = 0.0 if part == 0 else brentq(score, tiny, share - tiny, args=(1,))
    hi = 1.0 if part == whole else brentq(score, share + tiny, 1 - tiny, args=(-1,))
    assert rate.lo == pytest.approx(lo, abs=1e-9)
    assert rate.hi == pytest.approx(hi, abs=1e-9)


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="3 of 2 is not a share"):
        wilson(3, 2)
    with pytest.raises(InputError, match=r"confidence must lie between 0 and 1, not 1\.5"):
        wilson(1, 2, 1.5)


def test_the_clustered_interval_of_single_values_is_the_textbook_one() -> None:
    values = [0.0, 0.5, 1.0, 1.0, 0.5, 1.0, 1.0, 0.0, 1.0, 0.5]
    found = clustered(values, range(10))
    lo, hi = student.interval(0.95, 9, np.mean(values), sem(values))
    assert (found.value, found.lo, found.hi) == pytest.approx((np.mean(values), lo, min(hi, 1)))


def test_the_clustered_interval_is_what_resampling_clusters_tends_to() -> None:
    random = np.random.default_rng(3)
    sizes = random.integers(1, 6, size=120)
    strata = np.repeat([0, 1], 60)
    leaning = random.beta(1, 1, size=120) * 0.7 + 0.3 * strata
    values = [(random.random(m) < p).astype(float) for m, p in zip(sizes, leaning, strict=True)]
    totals = np.array([v.sum() for v in values])
    means = []
    for _ in range(4000):
        drawn = np.concatenate([random.integers(0, 60, 60), random.integers(60, 120, 60)])
        means.append(totals[drawn].sum() / sizes[drawn].sum())
    found = clustered(
        np.concatenate(values).tolist(),
        np.repeat(np.arange(120), sizes).tolist(),
        np.repeat(strata, sizes).tolist(),
    )
    assert found.hi is not None
    assert found.value is not None
    expected = student.ppf(0.975, 118) * np.sqrt(120 / 118) * np.std(means, ddof=1)
    assert found.hi - found.value == pytest.approx(expected, rel=0.04)


def test_clusters_that_agree_have_wilsons_interval_and_one_cluster_none() -> None:
    alike = clustered([1.0] * 40, [i // 2 for i in range(40)])
    exact = wilson(20, 20)
    assert (alike.value, alike.lo, alike.hi, alike.n) == (1.0, exact.lo, exact.hi, 40)
    lone = clustered([1.0, 0.0], ["d", "d"])
    assert (lone.value, lone.lo) == (0.5, None)
    assert "one document" in (lone.reason or "")
    assert clustered([], []) == Rate(None, None, None, 0, "nothing to count")
    with pytest.raises(InputError, match="between 0 and 1"):
        clustered([1.5], [0])
