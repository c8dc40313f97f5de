"""Differences paired by seed: their t-intervals, and Holm's correction over several of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from mtmbench.core.errors import InputError
from mtmbench.stats.intervals import t_quantile

ALPHA = 0.05
"""Two-sided level at which a corrected difference counts as one."""

NO_SPREAD = 1e-9
"""Values that lie within this of each other are taken for equal: they differ by rounding alone."""


@dataclass(frozen=True)
class Paired:
    """A mean difference over seeds that both sides have.

    Attributes:
        mean: mean of the differences; None without a common seed.
        lo: lower end of its t-interval; None where it cannot be had.
        hi: upper end.
        p: two-sided p of the paired t-test; None where it cannot be had.
        n: seeds that both sides have.
        reason: why something is missing, or None.
    """

    mean: float | None
    lo: float | None
    hi: float | None
    p: float | None
    n: int
    reason: str | None = None


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = 0.95
) -> Paired:
    """Compares two settings seed by seed.

    The interval is ``d̄ ± t(n − 1) · s_d / √n``; p is that of the t-test on the same differences.

    Args:
        values: a value per seed.
        baseline: the values that they are held against.
        confidence: level of the interval, in (0, 1).

    Raises:
        InputError: ``confidence`` is not in (0, 1).
    """
    from scipy.special import stdtr

    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, not {confidence!r}")
    differences = [values[seed] - baseline[seed] for seed in sorted(set(values) & set(baseline))]
    n = len(differences)
    if n == 0:
        return Paired(None, None, None, None, 0, "no seed has both values")
    mean = fmean(differences)
    if n == 1:
        return Paired(mean, None, None, None, 1, "one seed: no interval")
    if max(differences) - min(differences) < NO_SPREAD:
        return Paired(mean, None, None, None, n, "every seed gives the same difference")
    error = stdev(differences) / math.sqrt(n)
    half = t_quantile(n - 1, confidence) * error
    p = 2 * float(stdtr(n - 1, -abs(mean) / error))
    return Paired(mean, mean - half, mean + half, p, n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrects p-values for being several (Holm 1979): ``max_j≤i min(1, (m − j + 1) p_(j))``.

    A comparison without a p-value keeps none, but still counts among the m compared.
    """
    m = len(p_values)
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * m
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (m - rank) * p))
        corrected[i] = largest
    return corrected
