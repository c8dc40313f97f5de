"""Agreement of judges on the same comparisons, with intervals over documents.

Verdicts are nominal categories. Units of one document are resampled together, within strata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.intervals import cluster_ids, interval_factor, resampled_counts

MISSING = -1
"""The code of a unit that a judge gave no verdict on."""


@dataclass(frozen=True)
class Agreement:
    """A coefficient with its interval.

    Attributes:
        value: the coefficient, None with ``reason``.
        lo: lower end, None where it cannot be had.
        hi: upper end.
        n: units that it rests on.
        reason: why something is missing, or None.
    """

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    reason: str | None = None


def cohen_kappa(
    verdicts: ArrayLike,
    cluster: ArrayLike,
    stratum: ArrayLike | None = None,
    *,
    seed: int,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
) -> Agreement:
    """Returns Cohen's kappa (1960) of two judges over the units that both ruled on.

    The interval is ``estimate ± t(n − S) · √(n / (n − S)) · bootstrap standard error`` over n
    documents in S strata, as everywhere on a board.

    Args:
        verdicts: (M, 2) categories 0, 1, …; :data:`MISSING` for none.
        cluster: (M,) what is resampled as a whole (the document).
        stratum: (M,) the group (corpus) within which clusters are resampled; None for one.
        seed: seed of the bootstrap.
        n_bootstrap: number of resamples.
        confidence: level of the interval.

    Raises:
        InputError: the shapes do not fit.
    """
    table = _checked(verdicts, cluster, stratum)
    if table.verdicts.shape[1] != 2:
        raise InputError(f"kappa is of two judges, not of {table.verdicts.shape[1]}")
    both = (table.verdicts != MISSING).all(axis=1)
    k = table.n_categories
    first, second = table.verdicts[both].T
    cell = (table.groups[both] * k + first) * k + second
    size = len(table.strata) * k * k
    counts = np.bincount(cell, minlength=size).reshape(-1, k, k).astype(np.float64)
    return _with_interval(_kappas, counts, int(both.sum()), table, seed, n_bootstrap, confidence)


def krippendorff_alpha(
    verdicts: ArrayLike,
    cluster: ArrayLike,
    stratum: ArrayLike | None = None,
    *,
    seed: int,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
) -> Agreement:
    """Returns Krippendorff's alpha for nominal data (2011) of any number of judges.

    Units with fewer than two verdicts say nothing. Arguments and interval are those of
    :func:`cohen_kappa`; ``verdicts`` is (M, J).
    """
    table = _checked(verdicts, cluster, stratum)
    k = table.n_categories
    given = (table.verdicts[:, :, None] == np.arange(k)).sum(axis=1).astype(np.float64)
    m = given.sum(axis=1)
    usable = m >= 2
    given, m = given[usable], m[usable]
    pairs = given[:, :, None] * given[:, None, :]
    pairs[:, np.arange(k), np.arange(k)] -= given
    cell = table.groups[usable][:, None] * (k * k) + np.arange(k * k)
    weight, size = pairs / (m - 1)[:, None, None], len(table.strata) * k * k
    counts = np.bincount(cell.ravel(), weight.ravel(), size).astype(np.float64, copy=False)
    counts = counts.reshape(-1, k, k)
    return _with_interval(_alphas, counts, len(m), table, seed, n_bootstrap, confidence)


@dataclass(frozen=True)
class _Table:
    verdicts: IntArray
    groups: IntArray
    strata: IntArray

    @property
    def n_categories(self) -> int:
        return max(1, int(self.verdicts.max(initial=0)) + 1)


def _kappas(tables: Float64Array) -> Float64Array:
    """Returns kappa of (B, k, k) tables of counts, NaN where it is not defined."""
    n = tables.sum(axis=(1, 2))
    seen = np.trace(tables, axis1=1, axis2=2)
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = chance / n
        kappa = (seen - expected) / (n - expected)
    defined: Float64Array = np.where(n > expected, kappa, np.nan)
    return defined


def _alphas(tables: Float64Array) -> Float64Array:
    """Returns alpha of (B, k, k) coincidences, NaN where it is not defined."""
    by_category = tables.sum(axis=2)
    n = by_category.sum(axis=1)
    apart = n - np.trace(tables, axis1=1, axis2=2)
    chance = n**2 - (by_category**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha: Float64Array = np.where(chance > 0, 1 - (n - 1) * apart / chance, np.nan)
    return alpha


def _with_interval(
    coefficient: Callable[[Float64Array], Float64Array],
    counts: Float64Array,
    n_units: int,
    table: _Table,
    seed: int,
    n_bootstrap: int,
    confidence: float,
) -> Agreement:
    if n_units == 0:
        return Agreement(None, None, None, 0, "no comparison that both ruled on")
    value = float(coefficient(counts.sum(axis=0)[None])[0])
    if np.isnan(value):
        return Agreement(None, None, None, n_units, "every verdict is the same")
    factor = interval_factor(table.strata, confidence)
    if np.isnan(factor):
        reason = "no interval: each corpus needs at least two documents for one"
        return Agreement(value, None, None, n_units, reason)
    random = np.random.RandomState(seed)
    weights = np.zeros((n_bootstrap, len(table.strata)))
    for stratum in np.unique(table.strata):
        inside = np.flatnonzero(table.strata == stratum)
        weights[:, inside] = resampled_counts(random, n_bootstrap, len(inside))
    resampled = coefficient(np.einsum("bc,ckl->bkl", weights, counts, optimize=True))
    error = factor * float(np.nanstd(resampled, ddof=1))
    return Agreement(value, max(-1.0, value - error), min(1.0, value + error), n_units)


def _checked(verdicts: ArrayLike, cluster: ArrayLike, stratum: ArrayLike | None) -> _Table:
    codes = np.asarray(verdicts, dtype=np.int64)
    own = np.asarray(cluster)
    group = np.zeros(len(own), np.int64) if stratum is None else np.asarray(stratum)
    if codes.ndim != 2 or own.shape != (len(codes),) or group.shape != own.shape:
        raise InputError(
            f"verdicts of shape {codes.shape} do not go with clusters of {own.shape} and strata of "
            f"{group.shape}"
        )
    if (codes < MISSING).any():
        raise InputError(f"a verdict is a category from 0 up, or {MISSING} for none")
    return _Table(codes, *cluster_ids(own, group))
