"""Comparisons counted by pair of competitors, of one data set or of many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mtmbench.core.types import BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class Pairs:
    """What became of each pair that met; only such pairs are listed.

    Attributes:
        n: competitors.
        low: (P,) index of one of each pair.
        high: (P,) index of the other.
        won: (P,) or (B, P), how often ``low`` won, in each of B data sets.
        lost: the same, how often ``high`` did.
        tied: the same, how often they tied.
    """

    n: int
    low: IntArray
    high: IntArray
    won: Float64Array
    lost: Float64Array
    tied: Float64Array

    @classmethod
    def of_matrices(cls, wins: Float64Array, ties: Float64Array | None = None) -> Pairs:
        """Returns the pairs of (B, n, n) matrices: how often row beat column, and how often tied.

        Where there is no matrix of ties, nobody tied.
        """
        low, high = np.triu_indices(wins.shape[-1], k=1)
        won, lost = wins[:, low, high], wins[:, high, low]
        tied = np.zeros_like(won) if ties is None else np.asarray(ties)[:, low, high]
        met = (won + lost + tied).any(axis=0)
        return cls(
            wins.shape[-1], low[met], high[met], won[:, met], lost[:, met], tied[:, met]
        )  # fmt: skip

    @property
    def played(self) -> Float64Array:
        """How often each pair met."""
        return self.won + self.lost + self.tied

    def halved(self) -> Pairs:
        """Returns the same with every tie as half a win for each."""
        half = self.tied / 2
        return replace(
            self, won=self.won + half, lost=self.lost + half, tied=np.zeros_like(self.tied)
        )

    def over(self, sets: IntArray | slice) -> Pairs:
        """Returns some of B data sets."""
        return replace(self, won=self.won[sets], lost=self.lost[sets], tied=self.tied[sets])

    def beaten(self) -> BoolArray:
        """Returns (B, n, n): whether row took a point from column."""
        beats = np.zeros((len(self.won), self.n * self.n), dtype=bool)
        beats[:, self.low * self.n + self.high] = self.won + self.tied > 0
        beats[:, self.high * self.n + self.low] = self.lost + self.tied > 0
        return beats.reshape(-1, self.n, self.n)

    def graph(self) -> Any:
        """Returns (n, n), sparse: whether row took a point from column, of one data set."""
        from scipy.sparse import csr_matrix

        row = np.concatenate([self.low, self.high])
        column = np.concatenate([self.high, self.low])
        beats = np.concatenate([self.won + self.tied > 0, self.lost + self.tied > 0])
        ones = np.ones(int(beats.sum()), dtype=np.int8)
        return csr_matrix((ones, (row[beats], column[beats])), shape=(self.n, self.n))

    def incidence(self) -> Any:
        """Returns (n, P), sparse: 1 where a competitor is ``low`` of a pair, −1 where ``high``."""
        from scipy.sparse import csr_matrix

        index = np.arange(len(self.low))
        ones = np.ones(len(index))
        return csr_matrix(
            (
                np.concatenate([ones, -ones]),
                (np.concatenate([self.low, self.high]), np.concatenate([index, index])),
            ),
            shape=(self.n, len(index)),
        )

    def laplacian(self, curvature: Float64Array) -> Any:
        """Returns (n, n), sparse: minus the second derivatives of a log-likelihood in abilities.

        Args:
            curvature: (P,) minus its second derivative in the difference of each pair.
        """
        from scipy.sparse import diags_array

        incidence = self.incidence()
        return (incidence @ diags_array(curvature) @ incidence.T).tocsr()

    def dense_laplacian(self, curvature: Float64Array) -> Float64Array:
        """Returns what :meth:`laplacian` does as an array: for few competitors, the faster way."""
        ends = np.stack([self.low, self.high], axis=1).ravel()
        filled = self.matrix(-curvature, -curvature, 0.0)
        np.fill_diagonal(filled, np.bincount(ends, np.repeat(curvature, 2), self.n))
        return filled

    def matrix(self, of_low: Float64Array, of_high: Float64Array, missing: float) -> Float64Array:
        """Returns (n, n) with a value of each side at (row, column), ``missing`` elsewhere."""
        filled = np.full((self.n, self.n), missing)
        filled[self.low, self.high], filled[self.high, self.low] = of_low, of_high
        return filled


def unrateable_reason(beats: Any, names: Sequence[str] | None = None) -> str | None:
    """Returns why outcomes determine no ratings, or None where they do.

    Args:
        beats: (n, n), dense or sparse: positive where row took a point from column.
        names: names of the competitors.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n = beats.shape[0]
    if n < 2:
        return f"not rateable: {n} competitor(s), at least two are needed"
    graph = csr_matrix(beats > 0).astype(np.int8)
    count, component = connected_components(graph, directed=True, connection="strong")
    if count == 1:
        return None
    label = [str(i) for i in range(n)] if names is None else list(names)
    groups: list[list[str]] = [[] for _ in range(count)]
    for name, of in zip(label, component, strict=True):
        groups[of].append(name)
    edges = graph.tocoo()
    across = component[edges.row] != component[edges.col]
    won, lost = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    won[component[edges.row[across]]] = True
    lost[component[edges.col[across]]] = True
    order = sorted(range(count), key=lambda c: (-len(groups[c]), groups[c]))
    told = [
        f"[{_listed(groups[c], _MOST_NAMED)}] ({_HOW[bool(won[c]), bool(lost[c])]})" for c in order
    ]
    return (
        "not rateable: the comparison graph is not strongly connected, so no finite ratings fit "
        "it; groups without both wins and losses between them: "
        + _listed(told, _MOST_NAMED, "; ", "groups")
    )


_MOST_NAMED = 30
"""Members of a group, and groups, that a message names."""
_HOW = {
    (True, False): "never lost a point to the others",
    (False, True): "never took a point from the others",
    (False, False): "never met the others",
    (True, True): "beat some of the others and lost to some, in one direction only",
}


def _listed(names: Sequence[str], most: int, joint: str = ", ", what: str = "names") -> str:
    more = len(names) - most
    return joint.join(names[:most]) + (f"{joint}and {more:,} more {what}" if more > 0 else "")
