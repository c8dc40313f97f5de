"""Intervals by the sandwich estimator: what the bootstrap over documents tends to, in one step.

The Bradley-Terry score equations are sums over documents, so their spread over documents gives the
covariance of the abilities, ``H⁺ M H⁺`` with H the information and M the sum of squares of the
documents' scores about their corpus's mean (Huber 1967; White 1982; Liang and Zeger 1986), however
the comparisons of a document depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.bradley_terry import ELO_PER_NAT, Abilities, win_terms
from mtmbench.stats.intervals import interval_factor, is_ahead
from mtmbench.stats.outcomes import Outcomes
from mtmbench.stats.ties import davidson_terms, outcome_chances

_CHUNK_ROWS = 256


@dataclass(frozen=True)
class Covariance:
    """The sandwich covariance of p parameters, ``R M Rᵀ − D Dᵀ``, made some rows at a time.

    Attributes:
        side: (p, q) R: the inverse of the information, or that times the clusters' scores where
            there are fewer clusters than parameters.
        meat: (p, p) M: the sum of squares of the clusters' scores; None where R holds them.
        shift: (p, S) D, by which the scores are taken about the mean of their stratum.
    """

    side: Float64Array
    meat: Any
    shift: Float64Array

    @classmethod
    def of(cls, information: Any, scores: Any, strata: IntArray, n: int) -> Covariance:
        """Returns the covariance of parameters, the first n of which are abilities.

        Args:
            information: (p, p), minus the second derivative of the log-likelihood; singular in the
                direction of a common shift of the abilities.
            scores: (C, p), each cluster's part of its first derivative at the estimate.
            strata: (C,) stratum of each cluster, 0 … S − 1.
            n: how many of the p are abilities.
        """
        from scipy.sparse import csr_array

        score = csr_array(scores)
        n_clusters, p = score.shape
        sizes = np.bincount(strata)
        inside = csr_array(
            (np.ones(n_clusters), (strata, np.arange(n_clusters))), (len(sizes), n_clusters)
        )
        sums = (inside @ score).toarray() / np.sqrt(np.maximum(sizes, 1))[:, None]
        bread = _inverse(information, n)
        shift = bread @ sums.T
        if n_clusters < p:
            return cls((score @ bread).T, None, shift)
        meat = (score.T @ score).tocsr()
        return cls(bread, meat.toarray() if meat.nnz > p * p / 20 else meat, shift)

    def rows(self, begin: int, end: int) -> Float64Array:
        """Returns some rows of the covariance, (end − begin, p)."""
        found: Float64Array = self._left(begin, end) @ self.side.T
        return found - self.shift[begin:end] @ self.shift.T

    def variances(self) -> Float64Array:
        """Returns the diagonal, (p,), without the rest."""
        parts = [
            (self._left(begin, end) * self.side[begin:end]).sum(axis=1)
            for begin, end in chunked(len(self.side))
        ]
        found: Float64Array = np.concatenate(parts) - (self.shift**2).sum(axis=1)
        return np.maximum(found, 0)

    def _left(self, begin: int, end: int) -> Float64Array:
        left: Float64Array = self.side[begin:end]
        return left if self.meat is None else left @ self.meat


def chunked(n: int) -> Iterator[tuple[int, int]]:
    """Yields where the chunks of n rows begin and end."""
    for begin in range(0, n, _CHUNK_ROWS):
        yield begin, min(n, begin + _CHUNK_ROWS)


def fit_covariance(outcomes: Outcomes, abilities: Abilities, nu: float | None = None) -> Covariance:
    """Returns the covariance of fitted abilities, and of log ν where ties have a parameter.

    Args:
        outcomes: the comparisons.
        abilities: (n,) as fitted to them.
        nu: Davidson's ν; None where ties are half wins.
    """
    from scipy.sparse import bmat, csr_array

    pairs, n = outcomes.pairs(), len(abilities)
    apart = abilities[outcomes.first] - abilities[outcomes.second]
    rows = [outcomes.groups, outcomes.groups]
    columns = [outcomes.first, outcomes.second]
    difference = abilities[pairs.low] - abilities[pairs.high]
    if not nu:
        slope = outcomes.weight * (outcomes.points - 1 / (1 + np.exp(-apart)))
        values = [slope, -slope]
        _, curvature = win_terms(pairs.halved().won, pairs.played, difference)
        information, size = pairs.laplacian(curvature), n
    else:
        won, lost, tie = outcome_chances(apart, nu)
        slope = outcomes.weight * (outcomes.points - 0.5 - (won - lost) / 2)
        rows.append(outcomes.groups)
        columns.append(np.full(len(slope), n))
        values = [slope, -slope, outcomes.weight * ((outcomes.points == 0.5) - tie)]
        terms = davidson_terms(pairs, difference, nu)
        cross = (pairs.incidence() @ terms.cross)[:, None]
        corner = [[float(terms.tie_curvature.sum())]]
        information = bmat([[pairs.laplacian(terms.curvature), cross], [cross.T, corner]])
        size = n + 1
    place = np.concatenate(rows), np.concatenate(columns)
    scores = csr_array((np.concatenate(values), place), (len(outcomes.strata), size))
    return Covariance.of(information, scores, outcomes.strata, n)


def sandwich_half_widths(
    outcomes: Outcomes, abilities: Abilities, confidence: float
) -> tuple[Abilities, Abilities]:
    """Returns half-widths of intervals on the Elo scale: (n,) per competitor, (n, n) per pair.

    They are ``t(n − S) · √(n / (n − S)) · sandwich error`` for n documents in S corpora, the
    bootstrap's own formula with another error; NaN where a corpus has only one document.
    """
    covariance = fit_covariance(outcomes, abilities).rows(0, len(abilities))
    variance = np.maximum(np.diag(covariance), 0)
    between = np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0)
    scale = ELO_PER_NAT * interval_factor(outcomes.strata, confidence)
    return scale * np.sqrt(variance), scale * np.sqrt(between)


def sandwich_ranks(
    outcomes: Outcomes, abilities: Abilities, confidence: float, nu: float | None = None
) -> tuple[Abilities, IntArray]:
    """Returns (n,) half-widths as above, and ranks, without a half-width for every pair in memory.

    A rank is 1 + how many are ahead by a difference whose interval excludes zero.
    """
    n = len(abilities)
    covariance = fit_covariance(outcomes, abilities, nu)
    scale = ELO_PER_NAT * interval_factor(outcomes.strata, confidence)
    variance, ranks = covariance.variances()[:n], np.empty(n, dtype=np.int64)
    for begin, end in chunked(n):
        shared = covariance.rows(begin, end)[:, :n]
        between = np.maximum(variance[begin:end, None] + variance - 2 * shared, 0)
        lead = ELO_PER_NAT * (abilities - abilities[begin:end, None])
        ranks[begin:end] = 1 + is_ahead(lead, scale * np.sqrt(between)).sum(axis=1)
    return scale * np.sqrt(variance), ranks


def _inverse(information: Any, n: int) -> Float64Array:
    """Returns the inverse of an information that a common shift of n abilities leaves as it is."""
    from scipy.linalg.lapack import dpotrf, dpotri

    dense = information.toarray() if hasattr(information, "toarray") else np.array(information)
    # Something along the shift makes it definite, and is taken off again. (The eigenvalue that is
    # zero but for rounding is told from the others with difficulty.) The matrix is worked on where
    # it lies: LAPACK reads its transpose, which is the same.
    pin = float(dense.diagonal()[:n].mean()) / n
    dense[:n, :n] += pin
    factor, failed = dpotrf(dense.T, lower=1, overwrite_a=1, clean=0)
    if failed:
        return np.full_like(dense, np.nan)
    found: Float64Array
    found, _ = dpotri(factor, lower=1, overwrite_c=1)
    for begin, end in chunked(len(found)):
        found[begin:end, end:] = found[end:, begin:end].T
        block = np.tril(found[begin:end, begin:end])
        found[begin:end, begin:end] = block + np.tril(block, -1).T
    found[:n, :n] -= 1 / (pin * n * n)
    return found
