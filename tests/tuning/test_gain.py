"""Gain and luck, against scipy and against settings that are all alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from mtmbench.tuning.gain import finding, gain_of

DEFAULTS, TUNED = [0.10, 0.12, 0.11], [0.20, 0.19, 0.21]
FRESH, FRESH_TUNED = [0.11, 0.10, 0.12, 0.13, 0.09], [0.16, 0.18, 0.15, 0.14, 0.17]


def test_the_gain_is_that_of_fresh_seeds_with_welch_s_interval() -> None:
    found = gain_of(
        DEFAULTS, TUNED, FRESH, FRESH_TUNED, settings=10, higher_is_better=True
    )  # fmt: skip
    theirs = ttest_ind(FRESH_TUNED, FRESH, equal_var=False).confidence_interval(0.95)
    assert found.gain == pytest.approx(0.05)
    assert (found.lo, found.hi) == pytest.approx((theirs.low, theirs.high))
    assert found.seen == pytest.approx(0.09)
    assert found.luck == pytest.approx(0.04)


def test_defaults_that_stay_gain_nothing_and_have_no_interval() -> None:
    stays = gain_of(
        DEFAULTS, DEFAULTS, FRESH, FRESH, settings=10, higher_is_better=True, is_default=True
    )
    assert (stays.gain, stays.lo, stays.hi, stays.seen, stays.luck) == (0.0, None, None, 0.0, 0.0)
    same = gain_of(
        [0.16] * 3, [0.16] * 3, [0.16] * 5, [0.16 + 1e-17] * 5, settings=3, higher_is_better=True
    )
    assert same.form(0.160163) == "0.160"
    tuned = gain_of(DEFAULTS, TUNED, FRESH, FRESH_TUNED, settings=10, higher_is_better=True)
    assert stays.expected_luck == tuned.expected_luck > 0


def test_where_lower_is_better_less_is_a_gain() -> None:
    up = gain_of(DEFAULTS, TUNED, FRESH, FRESH_TUNED, settings=4, higher_is_better=True)
    negative = [[-value for value in values] for values in (DEFAULTS, TUNED, FRESH, FRESH_TUNED)]
    down = gain_of(*negative, settings=4, higher_is_better=False)
    assert (down.gain, down.lo, down.hi) == pytest.approx((up.gain, up.lo, up.hi))
    assert (down.seen, down.luck, down.expected_luck) == pytest.approx(
        (up.seen, up.luck, up.expected_luck)
    )


def test_of_settings_that_are_all_alike_luck_is_what_was_expected() -> None:
    """500 tunings of 12 settings whose values differ by the seeds alone."""
    rng = np.random.default_rng(0)
    seen, luck, expected = [], [], []
    for _ in range(500):
        trials = rng.normal(0.3, 0.02, (12, 3))
        best = trials[trials.mean(axis=1).argmax()]
        found = gain_of(
            list(rng.normal(0.3, 0.02, 3)), list(best), list(rng.normal(0.3, 0.02, 5)),
            list(rng.normal(0.3, 0.02, 5)), settings=12, higher_is_better=True,
        )  # fmt: skip
        seen.append(found.seen)
        luck.append(found.luck)
        expected.append(found.expected_luck)
    # The standard deviation of eight values is 3.5 % too small in the mean.
    unbiased = np.mean(expected) / 0.9650
    error = np.std(luck) / np.sqrt(len(luck))
    assert abs(np.mean(luck) - unbiased) < 4 * error
    assert abs(np.mean(seen) - unbiased) < 4 * error


def test_the_sentence_says_what_is_not_told_apart_and_what_stays() -> None:
    sure = gain_of(DEFAULTS, TUNED, FRESH, FRESH_TUNED, settings=10, higher_is_better=True)
    said = finding(sure, "m on c (K = 5)", "npmi", is_default=False, settings=10)
    assert said.startswith(
        "By npmi, tuned m on c (K = 5) is 0.050 better than the defaults under fresh seeds ("
    )
    assert "Of the gain of 0.090 seen while tuning, 0.040 was luck of the seeds" in said
    assert "not told" not in said
    by_hundreds = [
        [1e5 * value for value in each] for each in (DEFAULTS, TUNED, FRESH, FRESH_TUNED)
    ]
    large = gain_of(*by_hundreds, settings=10, higher_is_better=True)
    assert "is 5000 better" in finding(large, "m", "perplexity", is_default=False, settings=10)
    even = gain_of(DEFAULTS, TUNED, FRESH, FRESH[::-1], settings=10, higher_is_better=True)
    assert "not told from no difference" in finding(
        even, "m", "npmi", is_default=False, settings=10
    )
    stays = finding(even, "m", "npmi", is_default=True, settings=10)
    assert stays == "By npmi, none of 10 settings of m was better than the defaults, which stay."
