from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, sem
from scipy.stats import t as student

from mtmbench.core.errors import InputError
from mtmbench.matches.audit import ORDER_FREE, Rate, audit, clustered, wilson


def test_counts_on_a_match_worked_by_hand() -> None:
    #   document  0 1 2 3 4 5 6 7 8 9
    forward = "a b a t a A T u r a".replace(" ", "")
    backward = "a b b t t A T a a u".replace(" ", "")
    seen = audit(forward, backward)
    assert (seen.n_documents, seen.n_ruled, seen.n_removed) == (10, 2, 3)
    # Decisive answers, forward: a b a a a (slots 1 2 1 1 1); backward: a b b a a (2 1 1 2 2).
    assert seen.position_bias.value == pytest.approx(6 / 10)
    assert seen.position_bias.n == 10
    # Answered in both orders: documents 0 to 4; 2 (a, b) and 4 (a, t) flip.
    assert (seen.flips.value, seen.flips.n) == (2 / 5, 5)
    # Parsed answers: 7 forward less u and r are 6, 7 backward; ties 1 and 2.
    assert (seen.ties.value, seen.ties.n) == (3 / 13, 13)
    assert (seen.unparsed.value, seen.unparsed.n) == (2 / 16, 16)
    assert (seen.refused.value, seen.refused.n) == (1 / 16, 16)


def test_an_order_free_judge_has_no_bias_and_no_flips() -> None:
    seen = audit("abtuA", "abtuA", order_free=True)
    assert seen.position_bias == seen.flips == Rate(None, None, None, 0, ORDER_FREE)
    assert (seen.ties.value, seen.ties.n) == (1 / 3, 3)
    assert (seen.unparsed.value, seen.unparsed.n) == (1 / 4, 4)
    assert seen.n_removed == 1


def test_nothing_asked_has_reasons() -> None:
    seen = audit("AT", "AT")
    assert seen.position_bias == Rate(None, None, None, 0, "no decisive answer")
    assert seen.unparsed == Rate(None, None, None, 0, "no answer")


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
    with pytest.raises(InputError, match="2 outcomes forward but 1 backward"):
        audit("ab", "a")
    with pytest.raises(InputError, match="'x' is no outcome"):
        audit("x", "x")
    with pytest.raises(InputError, match="a rule decides both orders"):
        audit("A", "a")
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
