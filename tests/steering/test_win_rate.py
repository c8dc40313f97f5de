"""Win rates by hand; intervals against the t-interval of logits over equal clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import t

from mtmbench.core.errors import InputError
from mtmbench.steering.win_rate import win_rate


def test_the_value_folds_both_orders():
    # Won, tied by disagreement, lost, tied by rule, removed, removed.
    found = win_rate("aabTua", "abbTar", ["p", "p", "q", "q", "r", "r"])
    assert (found.value, found.n, found.n_prompts, found.n_removed) == (0.5, 4, 2, 2)


def test_wilson_by_hand():
    found = win_rate("a" * 9 + "b" * 3, "a" * 9 + "b" * 3, [str(i) for i in range(12)])
    z, p, n = 1.959964, 0.75, 12
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert (found.wilson_lo, found.wilson_hi) == pytest.approx((centre - half, centre + half))


def test_the_interval_is_over_prompts():
    """With equal clusters it is the t-interval of the clusters' means, by the delta method."""
    generator = np.random.default_rng(0)
    prompts, outcomes, means = [], "", []
    for prompt in range(30):
        share = generator.random()
        drawn = "".join("a" if generator.random() < share else "b" for _ in range(8))
        prompts += [f"p{prompt}"] * 8
        outcomes += drawn
        means.append(drawn.count("a") / 8)
    found = win_rate(outcomes, outcomes, prompts)
    mean = np.mean(means)
    half = t.ppf(0.975, 29) * np.std(means, ddof=1) / math.sqrt(30) / (mean * (1 - mean))
    assert found.value == pytest.approx(mean)
    assert logit([found.lo, found.hi]) == pytest.approx([logit(mean) - half, logit(mean) + half])
    assert found.wilson_hi - found.wilson_lo < 0.8 * (found.hi - found.lo)


def test_where_there_is_no_spread():
    every = win_rate("aaaa", "aaaa", ["p", "p", "q", "r"])
    alone = win_rate("aaa", "aaa", ["p", "q", "r"])
    assert (every.value, every.hi) == (1, 1)
    assert every.lo == pytest.approx(alone.wilson_lo)
    assert "each prompt counted once" in str(every.reason)
    one = win_rate("ab", "ab", ["p", "p"])
    assert (one.value, one.lo) == (0.5, None)
    assert one.reason == "no interval over prompts: there is one"
    nothing = win_rate("ur", "aa", ["p", "q"])
    assert (nothing.value, nothing.n_removed) == (None, 2)
    assert nothing.reason == "no pair was judged"


def test_lengths_agree():
    with pytest.raises(InputError, match="2 outcomes forward, 2 backward, 1 prompts"):
        win_rate("ab", "ab", ["p"])
