"""Agreement of two lists of scores, and of a judge with people topic by topic, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.types import IntArray
from mtmbench.stats.intervals import bootstrap_half

BOOTSTRAP_RESAMPLES = 1000
_CONFIDENCE = 0.95
_MOST_UNDEFINED = 0.01
"""Share of resamples without a value above which there is no interval."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its interval over topics.

    Attributes:
        value: the statistic, or None where it is not defined.
        lo: lower end of the interval; None without one.
        hi: upper end.
        n: topics that it is over.
    """

    value: float | None
    lo: float | None
    hi: float | None
    n: int

    def within(self, lowest: float, highest: float) -> Estimate:
        """Returns the estimate with an interval that ends where the statistic's values do."""
        if self.lo is None or self.hi is None:
            return self
        return replace(self, lo=max(self.lo, float(lowest)), hi=min(self.hi, float(highest)))


def bootstrap(
    statistic: Callable[[IntArray], float],
    n: int,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int | None = None,
) -> Estimate:
    """Returns a statistic of n units with its bootstrap interval, as boards make theirs.

    The interval is the estimate ± t(n − 1) · √(n/(n − 1)) · the bootstrap's standard error: plain
    percentiles under-cover at few units. Where more than 1 % of the resamples have no value there
    is none.

    Args:
        statistic: takes (n,) row numbers of the units, with repetitions, and returns the statistic
            over these; NaN where it is not defined.
        n: units.
        groups: the units' groups; each unit is then replaced by one of its own group.
        seed: seed of the resamples.
        resamples: how many; None takes :data:`BOOTSTRAP_RESAMPLES`.
    """
    value = float(statistic(np.arange(n)))
    if not np.isfinite(value):
        return Estimate(None, None, None, n)
    if n < 2:
        return Estimate(value, None, None, n)
    resamples = resamples or BOOTSTRAP_RESAMPLES
    rows = _resampled(n, groups, np.random.default_rng(seed), resamples)
    drawn = np.array([statistic(row) for row in rows], dtype=np.float64)
    known = drawn[np.isfinite(drawn)]
    if len(known) < (1 - _MOST_UNDEFINED) * resamples:
        return Estimate(value, None, None, n)
    half = bootstrap_half(float(known.std()), n, _CONFIDENCE)
    return Estimate(value, value - half, value + half, n)


def mean_over_topics(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """Returns the mean over topics of a statistic that each has; NaN ones are left out."""
    known = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    if not len(known):
        return Estimate(None, None, None, 0)
    return bootstrap(lambda rows: float(known[rows].mean()), len(known), seed=seed)


def kendall_tau(x: ArrayLike, y: ArrayLike) -> float:
    """Returns Kendall's τ-b; NaN where a list is constant."""
    from scipy.stats import kendalltau

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(kendalltau(x, y).statistic)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Returns Spearman's ρ; NaN where a list is constant."""
    from scipy.stats import ConstantInputWarning, spearmanr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return float(spearmanr(x, y).statistic)


def weighted_kappa(x: ArrayLike, y: ArrayLike, *, levels: int) -> float:
    """Returns Cohen's κ of two lists of levels 0, 1, …, with quadratic weights above two levels.

    κ = 1 − Σ w_ij o_ij / Σ w_ij e_ij with w_ij = (i − j)²; with two levels that is the plain κ.
    NaN where both lists are constant and alike.
    """
    table = np.zeros((levels, levels))
    np.add.at(table, (np.asarray(x, dtype=np.int64), np.asarray(y, dtype=np.int64)), 1.0)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    weights = np.subtract.outer(np.arange(levels), np.arange(levels)) ** 2
    chance = float((weights * expected).sum())
    return float("nan") if chance == 0 else 1 - float((weights * table).sum()) / chance


def _resampled(
    n: int, groups: Sequence[str] | None, generator: np.random.Generator, resamples: int
) -> IntArray:
    rows = np.empty((resamples, n), dtype=np.int64)
    for members in group_rows(groups or [""] * n):
        rows[:, members] = members[generator.integers(len(members), size=(resamples, len(members)))]
    return rows


def group_rows(groups: Sequence[str]) -> list[IntArray]:
    """Returns the row numbers of every group, groups in the order of their names."""
    return [
        np.flatnonzero([group == name for group in groups]).astype(np.int64)
        for name in sorted(set(groups))
    ]
