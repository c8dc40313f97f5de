"""Comparisons as arrays: checked, counted, and resampled by whole clusters within strata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import IntArray
from mtmbench.stats.bradley_terry import Abilities, Wins
from mtmbench.stats.intervals import resampled_counts

_CHUNK_DRAWS = 4_000_000


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
    """

    names: tuple[str, ...]
    first: IntArray
    second: IntArray
    points: Abilities
    groups: IntArray
    strata: IntArray

    def wins(self, tie: float = 0.5) -> Wins:
        """Returns (n, n): how often row beat column, a tie counting ``tie``."""
        wins = np.zeros((len(self.names), len(self.names)))
        won, lost = self._values(tie)
        np.add.at(wins, (self.first, self.second), won)
        np.add.at(wins, (self.second, self.first), lost)
        return wins

    def ties(self) -> Wins:
        """Returns (n, n): how often row and column tied."""
        ties = np.zeros((len(self.names), len(self.names)))
        np.add.at(ties, (self.first, self.second), self.points == 0.5)
        return ties + ties.T

    def counts(self) -> IntArray:
        """Returns (n, n): how often row met column."""
        counts = np.zeros((len(self.names), len(self.names)), dtype=np.int64)
        np.add.at(counts, (self.first, self.second), 1)
        return counts + counts.T

    def resampled_wins(self, seed: int, n_bootstrap: int, tie: float = 0.5) -> Wins:
        """Returns (B, n, n) matrices of wins, each over clusters drawn with replacement.

        As many clusters are drawn from a stratum as it has. A tie counts ``tie``.
        """
        return self._resampled(seed, n_bootstrap, *self._values(tie))

    def resampled_ties(self, seed: int, n_bootstrap: int) -> Wins:
        """Returns (B, n, n) matrices of ties; under one seed, of the very same draws."""
        tied = (self.points == 0.5).astype(np.float64)
        return self._resampled(seed, n_bootstrap, tied, tied)

    def _values(self, tie: float) -> tuple[Abilities, Abilities]:
        tied = self.points == 0.5
        return np.where(tied, tie, self.points), np.where(tied, tie, 1 - self.points)

    def _resampled(self, seed: int, n_bootstrap: int, first: Abilities, second: Abilities) -> Wins:
        from scipy.sparse import coo_matrix

        n, n_clusters = len(self.names), len(self.strata)
        cell = np.concatenate([self.first * n + self.second, self.second * n + self.first])
        value = np.concatenate([first, second])
        row = np.concatenate([self.groups, self.groups])
        per_cluster = coo_matrix((value, (row, cell)), shape=(n_clusters, n * n)).tocsr()
        # RandomState's stream is frozen by numpy's policy (NEP 19), Generator's is not, and a
        # board must rebuild to the same bytes under any numpy.
        random = np.random.RandomState(seed)
        members = [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]
        wins = np.empty((n_bootstrap, n, n))
        step = max(1, _CHUNK_DRAWS // n_clusters)
        for begin in range(0, n_bootstrap, step):
            size = min(step, n_bootstrap - begin)
            weights = np.zeros((size, n_clusters))
            for inside in members:
                weights[:, inside] = resampled_counts(random, size, len(inside))
            wins[begin : begin + size] = (per_cluster.T @ weights.T).T.reshape(size, n, n)
        return wins


def checked_outcomes(
    names: Sequence[str],
    a: ArrayLike,
    b: ArrayLike,
    score: ArrayLike,
    cluster: ArrayLike,
    stratum: ArrayLike | None = None,
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
    groups, strata = _clusters(cluster, stratum, len(first))
    return Outcomes(tuple(names), first, second, points, groups, strata)


def _clusters(
    cluster: ArrayLike, stratum: ArrayLike | None, n_comparisons: int
) -> tuple[IntArray, IntArray]:
    own = np.asarray(cluster, dtype=np.int64)
    group = np.zeros(len(own), np.int64) if stratum is None else np.asarray(stratum, np.int64)
    for what, column in (("cluster", own), ("stratum", group)):
        if column.shape != (n_comparisons,):
            raise InputError(f"{what} has shape {column.shape}; expected ({n_comparisons},)")
    both, index = np.unique(np.stack([group, own]), axis=1, return_inverse=True)
    return np.asarray(index, np.int64).ravel(), np.unique(both[0], return_inverse=True)[1]
