"""Intervals: Student's t, Wilson's, over clusters, on the logit scale, and by resampling clusters.

Every interval of a small sample is ``estimate ± t · √(n / (n − 1)) · error`` with n independent
units: plain percentiles and normal quantiles under-cover there (.91 at 20 documents).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, fmean, stdev, variance

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import BoolArray, Float64Array, IntArray

N_BOOTSTRAP = 2000
"""Resamples of a share; a board's ratings take as many as its suite says."""

LEAST_SPREAD = 1e-9
"""An interval narrower than this, in Elo, is rounding's."""
_NO_SPREAD = 1e-12
_DENSE_SPAN = 1_000_000
"""A range of whole numbers for which there is room to look each of them up."""


@dataclass(frozen=True)
class Rate:
    """A share with its interval.

    Attributes:
        value: the share, None with ``reason``.
        lo: lower end of the interval, None with ``reason``.
        hi: upper end.
        n: what it is a share of.
        reason: why a value or an interval is missing, or of another kind; None if neither.
    """

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    reason: str | None = None


def t_quantile(freedom: float, confidence: float = 0.95) -> float:
    """Returns the quantile of Student's t that a two-sided interval takes."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def interval_factor(strata: IntArray | Sequence[int], confidence: float = 0.95) -> float:
    """Returns ``t(n − S) · √(n / (n − S))`` for n clusters in S strata; NaN if one has only one."""
    sizes = np.bincount(np.asarray(strata, dtype=np.int64))
    if sizes.min() < 2:
        return float("nan")
    n, freedom = int(sizes.sum()), int(sizes.sum()) - len(sizes)
    return t_quantile(freedom, confidence) * math.sqrt(n / freedom)


def bootstrap_half(error: float, n: int, confidence: float = 0.95) -> float:
    """Returns the half-width ``t(n − 1) · √(n / (n − 1)) · error`` over n resampled units.

    Args:
        error: standard deviation of the statistic over the resamples.
        n: independent units that are resampled, at least 2.
        confidence: of the interval, in (0, 1).
    """
    return t_quantile(n - 1, confidence) * math.sqrt(n / (n - 1)) * error


def is_ahead(lead: Float64Array, half_width: Float64Array) -> BoolArray:
    """Returns where the interval of a difference, in Elo, lies above zero.

    A difference without any spread is not told from zero: of two that always score alike, rounding
    decides which comes out higher.
    """
    ahead: BoolArray = (lead > half_width) & (half_width > LEAST_SPREAD)
    return ahead


def mean_interval(
    values: Sequence[float], confidence: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Returns the mean and the ends of its t-interval.

    The ends are None for a single value and for equal ones, whose spread says nothing.
    """
    mean, n = fmean(values), len(values)
    if n < 2 or min(values) == max(values):
        return mean, None, None
    half = t_quantile(n - 1, confidence) * stdev(values) / math.sqrt(n)
    return mean, mean - half, mean + half


def pair_pseudo_values(pairs: Sequence[float], n: int) -> list[float]:
    """Returns n jackknife pseudo-values of the mean over all pairs of n things.

    ``n U − (n − 1) U₋ᵢ`` with U the mean over pairs and U₋ᵢ that over the pairs without i (Arvesen
    1969). Their mean is U, and :func:`mean_interval` of them an interval of it over the things.

    Args:
        pairs: a value for each pair, in the order of ``itertools.combinations``.
        n: how many things there are.

    Returns:
        The pseudo-values; none for fewer than three things, as no pair is left without one.

    Raises:
        InputError: there are not as many values as pairs.
    """
    if len(pairs) != math.comb(n, 2):
        raise InputError(f"{n} things have {math.comb(n, 2)} pairs, not {len(pairs)}")
    if n < 3:
        return []
    mean = fmean(pairs)
    told = list(zip(combinations(range(n), 2), pairs, strict=True))
    return [
        n * mean - (n - 1) * fmean([value for both, value in told if i not in both])
        for i in range(n)
    ]


def welch(
    on: Sequence[float], off: Sequence[float], confidence: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Returns the difference of two means and the ends of Welch's interval (1947).

    The ends are None where a side has a single value; without spread they are the difference.
    """
    value = fmean(on) - fmean(off)
    if min(len(on), len(off)) < 2:
        return value, None, None
    parts = [variance(side) / len(side) for side in (on, off)]
    spread = sum(parts)
    if spread == 0:
        return value, value, value
    freedom = spread**2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (on, off), strict=True)
    )
    half = t_quantile(freedom, confidence) * math.sqrt(spread)
    return value, value - half, value + half


def wilson(
    part: float, whole: int, confidence: float = 0.95, *, reason: str = "nothing to count"
) -> Rate:
    """Returns ``part / whole`` with its Wilson score interval (Wilson 1927).

    Args:
        part: successes; a half counts half, which makes the interval a little too wide.
        whole: trials; 0 gives a missing value with ``reason``.
        confidence: of the interval, in (0, 1).
        reason: why there is no value when ``whole`` is 0.

    Raises:
        InputError: ``part`` is not between 0 and ``whole``, or ``confidence`` not in (0, 1).
    """
    if not 0 <= part <= whole:
        raise InputError(f"{part} of {whole} is not a share")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, not {confidence!r}")
    if whole == 0:
        return Rate(None, None, None, 0, reason)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = part / whole
    scale = 1 + z * z / whole
    centre = (share + z * z / (2 * whole)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    # At 0 and at 1 the end is exact, and rounding must not carry it outside.
    lo = 0.0 if part == 0 else max(0.0, centre - half)
    hi = 1.0 if part == whole else min(1.0, centre + half)
    return Rate(share, lo, hi, whole)


def clustered(
    values: Sequence[float] | Float64Array,
    clusters: Sequence[Hashable] | IntArray,
    strata: Sequence[Hashable] | IntArray | None = None,
    *,
    confidence: float = 0.95,
    reason: str = "nothing to count",
) -> Rate:
    """Returns the mean of values in [0, 1] with an interval over clusters (documents).

    ``mean ± t(n − S) · √(n / (n − S)) · error`` for n clusters in S strata, with the linearised
    error of a ratio, ``√Σ_s Σ_c (e_c − ē_s)² / Σ_c m_c`` where ``e_c = Σ_c value − m_c · mean`` and
    m_c values are in cluster c (Cochran 1977, 6.13): what resampling whole documents within their
    corpora tends to. Where no cluster differs from the others that error is zero, and the interval
    is Wilson's with the clusters as trials.

    Args:
        values: M values.
        clusters: M clusters; a cluster may repeat in another stratum.
        strata: M strata (corpora); None for one.
        confidence: of the interval, in (0, 1).
        reason: why there is no value when there are no values.

    Raises:
        InputError: the columns differ in length, or a value is not in [0, 1].
    """
    n_strata = len(values) if strata is None else len(strata)
    if not len(values) == len(clusters) == n_strata:
        raise InputError(f"{len(values)} values, {len(clusters)} clusters, {n_strata} strata")
    found = np.asarray(values, dtype=np.float64)
    if not ((found >= 0) & (found <= 1)).all():
        raise InputError("a value is not between 0 and 1")
    if not len(found):
        return Rate(None, None, None, 0, reason)
    mean = math.fsum(found) / len(found)
    own = np.zeros(len(found), np.int64) if strata is None else _coded(strata)
    groups, stratum = cluster_ids(_coded(clusters), own)
    excess = np.bincount(groups, found - mean)
    sizes = np.bincount(stratum)
    n, freedom = len(excess), len(excess) - len(sizes)
    if sizes.min() < 2:
        return Rate(mean, None, None, len(values), "no interval: a corpus has only one document")
    centred = excess - (np.bincount(stratum, excess) / sizes)[stratum]
    squares = math.fsum(centred**2)
    if squares < _NO_SPREAD:
        exact = wilson(round(mean * n), n, confidence)
        return Rate(mean, exact.lo, exact.hi, len(values))
    error = math.sqrt(squares * n / freedom) / len(values)
    half = t_quantile(freedom, confidence) * error
    return Rate(mean, max(0.0, mean - half), min(1.0, mean + half), len(values))


def cluster_ids(cluster: ArrayLike, stratum: ArrayLike) -> tuple[IntArray, IntArray]:
    """Numbers the clusters of all strata, by stratum and then by cluster.

    Args:
        cluster: (M,) which cluster each is of; it may repeat in another stratum.
        stratum: (M,) which stratum.

    Returns:
        (M,) the number of each one's cluster, and (C,) the number of each cluster's stratum.
    """
    _, outer = numbered(np.asarray(stratum))
    names, inner = numbered(np.asarray(cluster))
    both, number = numbered(outer * len(names) + inner)
    return number, both // max(1, len(names))


def numbered(values: IntArray) -> tuple[IntArray, IntArray]:
    """Returns the distinct ones of M whole numbers, sorted, and (M,) each one's place among them.

    It is ``np.unique``, without sorting where they lie close together.
    """
    if not len(values):
        return values.astype(np.int64), values.astype(np.int64)
    least, span = int(values.min()), int(values.max()) - int(values.min()) + 1
    if span > max(_DENSE_SPAN, len(values)):
        found, place = np.unique(values, return_inverse=True)
        return found.astype(np.int64), place.ravel().astype(np.int64)
    offset = values - least
    met = np.zeros(span, dtype=bool)
    met[offset] = True
    place = np.cumsum(met)[offset] - 1
    return np.flatnonzero(met) + least, place


def _coded(values: Sequence[Hashable] | IntArray) -> IntArray:
    """Returns a number for each value, equal for equal ones."""
    if isinstance(values, np.ndarray):
        return values
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def resampled_share(
    part: ArrayLike,
    whole: ArrayLike,
    *,
    seed: int,
    of: str = "document",
    n_bootstrap: int = N_BOOTSTRAP,
    confidence: float = 0.95,
) -> Rate:
    """Returns ``Σ part / Σ whole`` with an interval that resamples whole clusters.

    As for ratings: ``share ± t(n − 1) · √(n / (n − 1)) · bootstrap standard error`` with n
    clusters, kept within 0 and 1. Where every cluster has the same share the bootstrap shows no
    spread, and the interval is Wilson's with each cluster counted once.

    Args:
        part: (C,) successes in each cluster; a half counts half.
        whole: (C,) trials in each, at least 1.
        seed: seed of the bootstrap.
        of: what a cluster is, for reasons.
        n_bootstrap: number of resamples.
        confidence: of the interval.
    """
    won = np.asarray(part, dtype=np.float64)
    played = np.asarray(whole, dtype=np.int64)
    plain = _without_spread(won, played, of, confidence)
    if plain is not None:
        return plain
    n_clusters, n = len(played), int(played.sum())
    value = float(won.sum()) / n
    drawn = resampled_counts(np.random.RandomState(seed), n_bootstrap, n_clusters)
    error = float(np.std((drawn @ won) / (drawn @ played), ddof=1))
    half = bootstrap_half(error, n_clusters, confidence)
    return Rate(value, max(0.0, value - half), min(1.0, value + half), n)


def _without_spread(won: Float64Array, played: IntArray, of: str, confidence: float) -> Rate | None:
    """Returns the rate where clusters cannot say how far it varies; None where they can."""
    n_clusters, n = len(played), int(played.sum())
    if n == 0:
        return Rate(None, None, None, 0, "nothing to count")
    value = float(won.sum()) / n
    if n_clusters < 2:
        return Rate(value, None, None, n, f"no interval over {of}s: there is one")
    if np.ptp(won / played) == 0:
        once = wilson(value * n_clusters, n_clusters, confidence)
        told = f"every {of} has the same share: Wilson's interval, each {of} counted once"
        return Rate(value, once.lo, once.hi, n, told)
    return None


def logit_share(
    part: ArrayLike, whole: ArrayLike, *, of: str = "document", confidence: float = 0.95
) -> Rate:
    """Returns ``Σ part / Σ whole`` with an interval over clusters, made on the logit scale.

    ``logit p ± t(C − 1) · error / (p (1 − p))`` with the linearised error of a ratio over C
    clusters (:func:`clustered`), carried back to shares (the delta method; Korn and Graubard 1998
    compare such intervals). Near 0 and 1 it leans towards the middle as a share's errors do, where
    symmetric intervals miss too often. Where every cluster has the same share nothing varies, and
    the interval is Wilson's with each cluster counted once.

    Args:
        part: (C,) successes in each cluster; a half counts half.
        whole: (C,) trials in each, at least 1.
        of: what a cluster is, for reasons.
        confidence: of the interval, in (0, 1).
    """
    won = np.asarray(part, dtype=np.float64)
    played = np.asarray(whole, dtype=np.int64)
    plain = _without_spread(won, played, of, confidence)
    if plain is not None:
        return plain
    n_clusters, n = len(played), int(played.sum())
    value = float(won.sum()) / n
    squares = math.fsum((won - value * played) ** 2)
    error = math.sqrt(squares * n_clusters / (n_clusters - 1)) / n
    half = t_quantile(n_clusters - 1, confidence) * error / (value * (1 - value))
    odds = math.log(value / (1 - value))
    lo, hi = (1 / (1 + math.exp(-end)) for end in (odds - half, odds + half))
    return Rate(value, lo, hi, n)


def above_drawn(
    values: Sequence[float], drawn: Sequence[Sequence[float]], confidence: float = 0.95
) -> list[tuple[float, float, float]]:
    """Returns how far each value lies above its group of drawn ones, with the interval's ends.

    ``value − mean ± t(f) · s · √(1 + 1 / R)`` with R drawn values in the group: the interval in
    which one more drawn value would lie (Crawford and Howell 1998, a single case against a small
    sample). s² is pooled over the groups, f = Σ (R − 1). Together the intervals hold with the
    confidence: each is at level 1 − (1 − confidence) / groups (Bonferroni).

    Args:
        values: one for each group.
        drawn: what each is held against; a group of one adds no freedom.
        confidence: that no value like the drawn ones lies outside of its interval, in (0, 1).

    Raises:
        InputError: the two differ in length, a group is empty, or no group has two values.
    """
    if len(values) != len(drawn) or not all(drawn):
        raise InputError(f"{len(values)} values need as many groups of drawn ones, none empty")
    freedom = sum(len(group) - 1 for group in drawn)
    if freedom < 1:
        raise InputError("no group has two drawn values, so that nothing says how they spread")
    squares = sum(variance(group) * (len(group) - 1) for group in drawn if len(group) > 1)
    t = t_quantile(freedom, 1 - (1 - confidence) / len(values))
    found = []
    for value, group in zip(values, drawn, strict=True):
        difference = value - fmean(group)
        half = t * math.sqrt(squares / freedom * (1 + 1 / len(group)))
        found.append((difference, difference - half, difference + half))
    return found


def resampled_counts(random: np.random.RandomState, size: int, n: int) -> IntArray:
    """Returns (size, n): how often each of n clusters is drawn in n draws with replacement.

    RandomState's stream is frozen by numpy's policy (NEP 19), Generator's is not, and a board must
    rebuild to the same bytes under any numpy.
    """
    drawn = random.randint(0, n, size=(size, n), dtype=np.int64)
    flat = drawn + n * np.arange(size)[:, None]
    return np.bincount(flat.ravel(), minlength=size * n).reshape(size, n)
