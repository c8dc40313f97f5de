"""Bradley-Terry with the length of what was shown as a covariate.

``P(a beats b) = σ(θ_a − θ_b + γ (log l_a − log l_b))``: θ are the abilities at equal lengths, and γ
what a judge gives for length alone. Folded scores are fractions, so the fit is a quasi-likelihood
(Papke and Wooldridge 1996) and its errors are those of the sandwich.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array
from mtmbench.stats.bradley_terry import ELO_PER_NAT, Abilities, to_elo
from mtmbench.stats.intervals import interval_factor
from mtmbench.stats.outcomes import Outcomes
from mtmbench.stats.sandwich import Covariance

_MAX_STEPS = 200
_STEP_TOLERANCE = 1e-8
_LEAST_SHARE = 1e-4
"""Length differences must vary by more than this share of their variance within pairs of models;
else they only say who plays, and nothing can be told apart."""


@dataclass(frozen=True)
class LengthFit:
    """Ratings at equal lengths.

    Attributes:
        elo: (n,) on the Elo scale; NaN with ``reason``.
        half: (n,) half-widths of their intervals; NaN where they cannot be had.
        per_doubling: Elo that twice the length is worth to the judge, None with ``reason``.
        lo: lower end of its interval, or None.
        hi: upper end, or None.
        reason: why something is missing, or None.
    """

    elo: Abilities
    half: Abilities
    per_doubling: float | None
    lo: float | None
    hi: float | None
    reason: str | None = None


def fit_length(
    outcomes: Outcomes, log_ratio: ArrayLike, start: ArrayLike, confidence: float
) -> LengthFit:
    """Fits abilities and γ together.

    Args:
        outcomes: the comparisons.
        log_ratio: (M,) log of the first's length over the second's; 0 where no text was compared.
        start: (n,) abilities to start from: those of the fit without the covariate.
        confidence: level of the intervals.

    Raises:
        InputError: ``log_ratio`` is of another length than the comparisons, or not finite.
    """
    ratio = np.asarray(log_ratio, dtype=np.float64)
    if ratio.shape != outcomes.points.shape or not np.isfinite(ratio).all():
        raise InputError(
            f"log_ratio must hold {len(outcomes.points)} finite numbers, not {ratio.shape}"
        )
    origin = np.asarray(start, dtype=np.float64)
    n = len(origin)
    if _share_within(outcomes, ratio, n) < _LEAST_SHARE:
        return _missing(n, "not adjusted: the lengths say no more than which models were compared")
    design = _Design(outcomes, ratio, n)
    found, converged = design.maximum(origin)
    if not converged:
        return _missing(n, "not adjusted: the fit with lengths did not converge")
    information, scores = design.derivatives(found)
    variance = Covariance.of(information, scores, outcomes.strata, n).variances()
    half = ELO_PER_NAT * interval_factor(outcomes.strata, confidence) * np.sqrt(variance)
    doubling = np.log(2)
    worth, error = ELO_PER_NAT * doubling * found[n], doubling * half[n]
    ends = (None, None) if np.isnan(error) else (float(worth - error), float(worth + error))
    return LengthFit(to_elo(found[:n] - found[:n].mean()), half[:n], float(worth), *ends)


@dataclass(frozen=True)
class _Design:
    """The quasi-likelihood of n abilities and γ."""

    outcomes: Outcomes
    ratio: Float64Array
    n: int

    def maximum(self, start: Abilities) -> tuple[Float64Array, bool]:
        z = np.append(start, 0.0)
        pin = np.zeros((self.n + 1, self.n + 1))
        pin[: self.n, : self.n] = 1 / self.n
        for _ in range(_MAX_STEPS):
            information, scores = self.derivatives(z)
            delta = np.linalg.solve(information + pin, scores.sum(axis=0))
            widest = float(np.abs(self._predictor(delta)).max())
            z = z + delta * (np.log1p(widest) / widest if widest > 0 else 1.0)
            if widest < _STEP_TOLERANCE:
                return z, True
        return z, False

    def derivatives(self, z: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Returns the information (n + 1, n + 1) and the score of each cluster (C, n + 1)."""
        a, b, n = self.outcomes.first, self.outcomes.second, self.n
        chance = 1 / (1 + np.exp(-self._predictor(z)))
        times = self.outcomes.weight
        surprise, weight = times * (self.outcomes.points - chance), times * chance * (1 - chance)
        scores = np.zeros((len(self.outcomes.strata), n + 1))
        groups = self.outcomes.groups
        np.add.at(scores, (groups, a), surprise)
        np.add.at(scores, (groups, b), -surprise)
        scores[:, n] = np.bincount(groups, surprise * self.ratio, len(scores))
        information = np.zeros((n + 1, n + 1))
        np.add.at(information, (a, b), -weight)
        information += information.T
        information[np.arange(n), np.arange(n)] = -information[:n, :n].sum(axis=1)
        cross = np.bincount(a, weight * self.ratio, n) - np.bincount(b, weight * self.ratio, n)
        information[:n, n] = information[n, :n] = cross
        information[n, n] = float(weight @ self.ratio**2)
        return information, scores

    def _predictor(self, z: Float64Array) -> Float64Array:
        first, second = self.outcomes.first, self.outcomes.second
        predictor: Float64Array = z[first] - z[second] + z[self.n] * self.ratio
        return predictor


def _share_within(outcomes: Outcomes, ratio: Float64Array, n: int) -> float:
    """Returns the share of the ratios' sum of squares that abilities alone could not mimic."""
    weighed = outcomes.weight * ratio
    total = float(weighed @ ratio)
    if total == 0:
        return 0.0
    pairs = outcomes.pairs()
    laplacian = pairs.laplacian(pairs.played).toarray()
    moment = np.bincount(outcomes.first, weighed, n) - np.bincount(outcomes.second, weighed, n)
    mimic = np.linalg.pinv(laplacian, hermitian=True) @ moment
    rest = ratio - (mimic[outcomes.first] - mimic[outcomes.second])
    return float(outcomes.weight @ rest**2) / total


def _missing(n: int, reason: str) -> LengthFit:
    return LengthFit(np.full(n, np.nan), np.full(n, np.nan), None, None, None, reason)
