"""Comparisons as arrays: checked, counted, and resampled by whole clusters within strata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.bradley_terry import Abilities, Wins
from mtmbench.stats.intervals import cluster_ids, numbered, resampled_counts
from mtmbench.stats.pairs import Pairs

_CHUNK_DRAWS = 4_000_000
_CHUNK_COUNTS = 2_000_000
_DENSE_COUNTS = 8_000_000


@dataclass(frozen=True)
class Outcomes:
    """Comparisons as arrays, checked.

    Attributes:
        names: n competitors.
        first: (M,) index of one competitor of each comparison.
        second: (M,) index of the other.
        points: (M,) score of ``first``: 1, 0.5 or 0.
        groups: (M,) cluster, 0 … C − 1.
        strata: (C,) stratum of each cluster, 0 … S − 1.
        weight: (M,) how many identical comparisons of its cluster each stands for.
    """

    names: tuple[str, ...]
    first: IntArray
    second: IntArray
    points: Abilities
    groups: IntArray
    strata: IntArray
    weight: Float64Array

    def wins(self, tie: float = 0.5) -> Wins:
        """Returns (n, n): how often row beat column, a tie counting ``tie``."""
        pairs = self.pairs()
        even = tie * pairs.tied
        return pairs.matrix(pairs.won + even, pairs.lost + even, 0.0)

    def tally(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Returns (n,) each: how often a competitor won, lost and tied."""
        won, lost, tied = (self.weight * (self.points == points) for points in (1, 0, 0.5))
        return (
            self._per_name(won, lost), self._per_name(lost, won), self._per_name(tied, tied)
        )  # fmt: skip

    def in_middling_weights(self) -> Outcomes:
        """Returns the same in weights of a size with which a fit can reckon.

        The unit of weights says nothing, but sums of tiny ones vanish beside 1 and those of huge
        ones overflow. The new unit is a power of 2³², so no digit changes, and weights of a mean
        between 2⁻¹⁶ and 2¹⁶ stay as they are.
        """
        largest = self.weight.max()
        exponent = np.log2(largest) + np.log2((self.weight / largest).mean())
        unit = 32 * int(np.rint(exponent / 32))
        return replace(self, weight=np.ldexp(self.weight, -unit)) if unit else self

    def pairs(self) -> Pairs:
        """Returns the comparisons counted by pair."""
        column, low, high = self._columns
        counts = np.bincount(column, self.weight, 3 * len(low))
        return Pairs(len(self.names), low, high, *counts.reshape(3, len(low)))

    def resampled(self, seed: int, n_bootstrap: int) -> Iterator[Pairs]:
        """Yields counts over clusters drawn with replacement, some data sets at a time.

        As many clusters are drawn from a stratum as it has. All counts of a data set are of the
        same draws.
        """
        from scipy.sparse import csr_matrix

        n, n_clusters = len(self.names), len(self.strata)
        column, low, high = self._columns
        shape = n_clusters, 3 * len(low)
        counts = csr_matrix((self.weight, (self.groups, column)), shape=shape)
        # Where most clusters hold most pairs, a dense product is many times as fast.
        dense = n_clusters * shape[1] <= min(20 * counts.nnz, _DENSE_COUNTS)
        per_cluster = counts.toarray().T if dense else counts.T.tocsr()
        # RandomState's stream is frozen by numpy's policy (NEP 19), Generator's is not, and a
        # board must rebuild to the same bytes under any numpy.
        random = np.random.RandomState(seed)
        members = [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]
        step = max(1, _CHUNK_DRAWS // n_clusters)
        part = max(1, _CHUNK_COUNTS // max(shape[1], n * n))
        for begin in range(0, n_bootstrap, step):
            size = min(step, n_bootstrap - begin)
            drawn = np.zeros((size, n_clusters))
            for inside in members:
                drawn[:, inside] = resampled_counts(random, size, len(inside))
            for start in range(0, size, part):
                found = (per_cluster @ drawn[start : start + part].T).T
                yield Pairs(n, low, high, *np.split(found, 3, axis=1))

    @cached_property
    def _columns(self) -> tuple[IntArray, IntArray, IntArray]:
        """What each comparison counts for, and both competitors of each of P pairs.

        It is the pair's number where its ``low`` won, P more where it lost, 2 P where they tied.
        """
        n = len(self.names)
        met, pair = numbered(
            np.minimum(self.first, self.second) * n + np.maximum(self.first, self.second)
        )
        low_first = self.first < self.second
        lost = np.where(low_first, self.points == 0, self.points == 1)
        kind = np.where(self.points == 0.5, 2, lost)
        return kind * len(met) + pair, met // n, met % n

    def _per_name(self, of_first: Float64Array, of_second: Float64Array) -> Float64Array:
        n = len(self.names)
        found = np.zeros(n)
        found += np.bincount(self.first, of_first, n)
        found += np.bincount(self.second, of_second, n)
        return found


def checked_outcomes(
    names: Sequence[str],
    a: ArrayLike,
    b: ArrayLike,
    score: ArrayLike,
    cluster: ArrayLike,
    stratum: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Outcomes:
    """Returns comparisons, checked; the arguments are those of :func:`rate`.

    Raises:
        InputError: an array has a wrong length or value; the message names the comparison.
    """
    if len(set(names)) != len(names):
        raise InputError("the names of the competitors are not distinct")
    first, second = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    points = np.asarray(score, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.shape != points.shape:
        raise InputError(
            f"a, b and score must be of one length, not {first.shape}, {second.shape}, "
            f"{points.shape}"
        )
    if len(first) == 0:
        raise InputError("there are no comparisons to rate")
    n = len(names)
    for wrong, what in (
        (np.minimum(first, second) < 0, "a negative competitor index"),
        (np.maximum(first, second) >= n, f"a competitor index above {n - 1}"),
        (first == second, "a competitor against itself"),
        (~np.isin(points, (0.0, 0.5, 1.0)), "a score other than 1, 0.5 or 0"),
    ):
        if wrong.any():
            raise InputError(f"comparison {int(np.argmax(wrong))} has {what}")
    weights = np.ones(len(first)) if weight is None else np.asarray(weight, dtype=np.float64)
    if weights.shape != first.shape:
        raise InputError(f"weight has shape {weights.shape}; expected ({len(first)},)")
    wrong = ~np.isfinite(weights) | (weights <= 0)
    if wrong.any():
        raise InputError(f"comparison {int(np.argmax(wrong))} has a weight that is not positive")
    groups, strata = _clusters(cluster, stratum, len(first))
    return Outcomes(tuple(names), first, second, points, groups, strata, weights)


def _clusters(
    cluster: ArrayLike, stratum: ArrayLike | None, n_comparisons: int
) -> tuple[IntArray, IntArray]:
    own = np.asarray(cluster, dtype=np.int64)
    group = np.zeros(len(own), np.int64) if stratum is None else np.asarray(stratum, np.int64)
    for what, column in (("cluster", own), ("stratum", group)):
        if column.shape != (n_comparisons,):
            raise InputError(f"{what} has shape {column.shape}; expected ({n_comparisons},)")
    return cluster_ids(own, group)
