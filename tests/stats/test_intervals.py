"""Intervals against textbook formulas, brute force and simulation."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean, variance

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, sem
from scipy.stats import t as student

from mtmbench.core.errors import InputError
from mtmbench.stats.intervals import (
    Rate,
    above_drawn,
    clustered,
    logit_share,
    numbered,
    pair_pseudo_values,
    wilson,
)


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


@pytest.mark.parametrize(("won", "n"), [(1, 48), (20, 48), (47, 48), (15, 16)])
def test_the_logits_interval_of_single_trials_is_the_textbooks(won: int, n: int) -> None:
    """logit p ± t / √((n − 1) p (1 − p)): Wald's on the logit scale (Agresti 2013, 1.4)."""
    part = np.repeat([1, 0], [won, n - won])
    share = won / n
    half = student.ppf(0.975, n - 1) / np.sqrt((n - 1) * share * (1 - share))
    found = logit_share(part, np.ones(n, int))
    assert (found.value, found.n) == (pytest.approx(share), n)
    assert [found.lo, found.hi] == pytest.approx(
        list(expit([logit(share) - half, logit(share) + half]))
    )


def test_the_logits_interval_over_clusters_is_the_jackknifes() -> None:
    """With many clusters the linearised error is that of leaving out one cluster at a time."""
    random = np.random.default_rng(1)
    whole = random.integers(1, 9, size=400)
    part = random.binomial(whole, random.beta(6, 1, size=400))
    left = (part.sum() - part) / (whole.sum() - whole)
    error = np.sqrt(399 / 400 * ((left - left.mean()) ** 2).sum())
    value = part.sum() / whole.sum()
    found = logit_share(part, whole)
    half = student.ppf(0.975, 399) * error / (value * (1 - value))
    assert found.lo == pytest.approx(expit(logit(value) - half), abs=2e-4)
    assert found.hi == pytest.approx(expit(logit(value) + half), abs=2e-4)


def test_without_spread_the_logits_interval_is_wilsons_over_clusters() -> None:
    found, once = logit_share([4, 2, 6], [4, 2, 6], of="prompt"), wilson(3, 3)
    assert (found.value, found.lo, found.hi) == (1.0, once.lo, once.hi)
    assert found.reason == (
        "every prompt has the same share: Wilson's interval, each prompt counted once"
    )
    assert logit_share([1], [2]).reason == "no interval over documents: there is one"
    assert logit_share([], []).value is None


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
def test_the_logits_interval_covers_near_one(share: float) -> None:
    """48 prompts, 2,000 draws, ties in a third of the even cases."""
    random = np.random.default_rng(int(100 * share))
    covered, tie = 0, 0.6 * min(share, 1 - share)
    drawn = random.random((2000, 48))
    values = np.where(drawn < share - tie / 2, 1.0, np.where(drawn < share + tie / 2, 0.5, 0.0))
    for row in values:
        found = logit_share(row, np.ones(48, int))
        assert found.lo is not None
        assert found.hi is not None
        covered += found.lo <= share <= found.hi
    assert 0.935 < covered / 2000 < 0.995


def test_above_drawn_is_the_interval_of_one_more_draw() -> None:
    """One group: Crawford and Howell's t of a single case; two: their spread pooled by hand."""
    group = [0.4, 0.5, 0.6, 0.5]
    ((difference, lo, hi),) = above_drawn([0.9], [group])
    half = student.ppf(0.975, 3) * np.std(group, ddof=1) * np.sqrt(1 + 1 / 4)
    assert (difference, lo, hi) == pytest.approx((0.4, 0.4 - half, 0.4 + half))
    other = [0.1, 0.5]
    found = above_drawn([0.9, 0.2], [group, other], 0.9)
    pooled = np.sqrt((3 * np.var(group, ddof=1) + np.var(other, ddof=1)) / 4)
    t = student.ppf(1 - 0.05 / 2, 4)
    assert [each[0] for each in found] == pytest.approx([0.4, -0.1])
    for (value, low, _), n in zip(found, (4, 2), strict=True):
        assert value - low == pytest.approx(t * pooled * np.sqrt(1 + 1 / n))


def test_one_more_draw_lies_above_as_often_as_stated() -> None:
    """Ten topics, ten directions each, shares of 50 prompts about a direction's own: 2.5 %."""
    random = np.random.default_rng(0)
    above = 0
    for _ in range(1000):
        own = random.normal(0.5, 0.05, size=(10, 11)).clip(0, 1)
        rates = random.binomial(50, own) / 50
        found = above_drawn(rates[:, 0].tolist(), rates[:, 1:].tolist())
        above += any(lo > 0 for _, lo, _ in found)
    assert 0.012 < above / 1000 < 0.04


def test_above_drawn_needs_several_directions() -> None:
    with pytest.raises(InputError, match="no group has two drawn values"):
        above_drawn([0.9], [[0.5]])
    with pytest.raises(InputError, match="2 values need as many groups"):
        above_drawn([0.9, 0.1], [[0.5, 0.4]])


@pytest.mark.parametrize("values", [[], [7], [3, -2, 3, 9], [0, 10**15, 5, 0]])
def test_numbers_are_those_of_a_sort(values: list[int]) -> None:
    found, place = numbered(np.array(values, dtype=np.int64))
    expected, inverse = np.unique(np.array(values, dtype=np.int64), return_inverse=True)
    assert found.tolist() == expected.tolist()
    assert place.tolist() == inverse.tolist()


def test_pseudo_values_of_pairs_of_numbers_are_the_numbers_and_their_variance() -> None:
    numbers = [0.3, 1.7, 0.9, 2.2, 1.1]
    pairs = list(combinations(numbers, 2))
    # The mean of (x + y) / 2 over pairs is the mean, whose pseudo-values are the numbers.
    assert pair_pseudo_values([(x + y) / 2 for x, y in pairs], 5) == pytest.approx(numbers)
    # Of (x − y)² / 2 it is the variance; the pseudo-values have it as their mean.
    found = pair_pseudo_values([(x - y) ** 2 / 2 for x, y in pairs], 5)
    assert fmean(found) == pytest.approx(variance(numbers))
    assert pair_pseudo_values([0.4], 2) == []
    with pytest.raises(InputError, match="4 things have 6 pairs, not 1"):
        pair_pseudo_values([0.4], 4)
