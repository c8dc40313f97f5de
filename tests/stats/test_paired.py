"""Paired differences against scipy's t-test and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mtmbench.core.errors import InputError
from mtmbench.stats.paired import holm, paired_difference


def test_the_interval_of_two_seeds_is_the_closed_form() -> None:
    # t(1) at 97.5 % is tan(0.475 π); d = 0.1, 0.3: mean 0.2, s_d / √2 = 0.1.
    found = paired_difference({0: 0.5, 1: 0.7}, {0: 0.4, 1: 0.4})
    half = math.tan(0.475 * math.pi) * 0.1
    assert found.mean == pytest.approx(0.2)
    assert (found.lo, found.hi) == pytest.approx((0.2 - half, 0.2 + half))
    # Student's t with one degree of freedom is Cauchy's: P(|t| > 2) = 1 − 2 atan(2) / π.
    assert found.p == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    assert found.n == 2
    assert found.reason is None


def test_interval_and_p_equal_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 0.1, 7), rng.normal(0.45, 0.1, 7)
    found = paired_difference(dict(enumerate(a)), dict(enumerate(b)), confidence=0.9)
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(0.9)
    assert found.p == pytest.approx(test.pvalue)
    assert (found.lo, found.hi) == pytest.approx((interval.low, interval.high))


def test_only_common_seeds_are_paired() -> None:
    both = paired_difference({0: 1.0, 1: 2.0, 2: 4.0, 7: 90.0}, {0: 0.0, 1: 0.5, 2: 1.0, 5: -90.0})
    assert both.n == 3
    assert both.mean == pytest.approx((1 + 1.5 + 3) / 3)


def test_what_has_no_interval_says_why() -> None:
    assert paired_difference({0: 1.0}, {1: 1.0}).reason == "no seed has both values"
    one = paired_difference({0: 1.0}, {0: 0.25})
    assert (one.mean, one.lo, one.p, one.reason) == (0.75, None, None, "one seed: no interval")
    same = paired_difference({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5})
    assert (same.mean, same.lo, same.p) == (0.5, None, None)
    assert same.reason == "every seed gives the same difference"
    with pytest.raises(InputError, match="confidence"):
        paired_difference({0: 1.0}, {0: 1.0}, confidence=95)


def test_holm_by_hand() -> None:
    # m = 4: sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, made monotone.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm([]) == []


def test_a_comparison_without_p_counts_among_the_compared() -> None:
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]


def test_holm_controls_the_family_wise_error() -> None:
    """Under no difference at all, some of six settings "differs" in at most 5 % of studies."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(1500):
        values = rng.normal(size=(7, 5))
        ps = [
            paired_difference(dict(enumerate(row)), dict(enumerate(values[0]))).p
            for row in values[1:]
        ]
        wrong += any(p is not None and p < 0.05 for p in holm(ps))
    assert wrong / 1500 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)
