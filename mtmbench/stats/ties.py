"""Davidson's model of ties on matrices of wins and ties, one data set or many at once.

With ``m = (θ_i + θ_j) / 2``, the three outcomes of a comparison have probabilities in proportion to
``exp(θ_i) : exp(θ_j) : ν · exp(m)`` (Davidson 1970, JASA 65, 317–328): ν is the odds of a tie
against either win between equals, and given that there is a winner the model is Bradley-Terry's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmbench.core.errors import NotRateableError
from mtmbench.core.types import BoolArray, Float64Array
from mtmbench.stats.bradley_terry import (
    Abilities,
    Wins,
    batch_newton,
    checked_wins,
    strongly_connected,
    unrateable_reason,
)

_MAX_STEPS = 200
_STEP_TOLERANCE = 1e-6
_DIVERGED = 15.0
"""An ability or log ν beyond this has no finite maximum: no judge's odds are e¹⁵ : 1, and the
Newton equations stay far from singular."""


@dataclass(frozen=True)
class TieFit:
    """A fit of Davidson's model.

    Attributes:
        abilities: (n,) in natural log, mean zero.
        nu: odds of a tie against either win between equals; 0 where nobody tied.
    """

    abilities: Abilities
    nu: float


def fit_davidson(wins: Wins, ties: Wins, names: Sequence[str] | None = None) -> TieFit:
    """Returns the maximum-likelihood fit.

    Args:
        wins: (n, n), how often row beat column, ties apart; the diagonal is zero.
        ties: (n, n), how often the two tied; symmetric.
        names: names of the competitors, for the message of an error.

    Raises:
        InputError: a matrix is not square or holds negative or non-finite values.
        NotRateableError: no finite maximum exists; the message names who is cut off.
    """
    wins, ties = checked_wins(wins), checked_wins(ties)
    reason = unrateable_reason(wins + ties / 2, names)
    if reason is not None:
        raise NotRateableError(reason)
    abilities, nu, ok = batch_davidson(wins[None], ties[None])
    if not ok[0]:
        raise NotRateableError(
            "not rateable: Davidson's model has no finite maximum here, since ties never stand "
            "beside wins of both sides"
        )
    return TieFit(abilities[0], float(nu[0]))


def batch_davidson(
    wins: Wins, ties: Wins, *, start: Abilities | None = None
) -> tuple[Abilities, Float64Array, BoolArray]:
    """Fits many data sets at once, by Newton's method as in :func:`batch_newton`.

    A data set without ties has ν = 0 and is Bradley-Terry's.

    Args:
        wins: (B, n, n), how often row beat column, ties apart.
        ties: (B, n, n), how often they tied, symmetric.
        start: (n,) abilities to start from; zeros by default.

    Returns:
        (B, n) abilities in natural log, mean zero, zeros where not ok; (B,) ν; and (B,) whether a
        finite maximum was found.
    """
    wins, ties = np.asarray(wins, dtype=np.float64), np.asarray(ties, dtype=np.float64)
    n_sets, n, _ = wins.shape
    abilities, nu = np.zeros((n_sets, n)), np.zeros(n_sets)
    tied = ties.any(axis=(1, 2))
    ok = strongly_connected(wins + ties / 2) & wins.any(axis=(1, 2))
    plain = np.flatnonzero(ok & ~tied)
    if len(plain):
        abilities[plain], ok[plain] = batch_newton(wins[plain], start=start)
    rows = np.flatnonzero(ok & tied)
    if len(rows):
        origin = np.zeros(n) if start is None else np.asarray(start, dtype=np.float64)
        fitted, log_nu, converged = _newton(wins[rows], ties[rows], origin)
        abilities[rows] = np.where(converged[:, None], fitted, 0.0)
        nu[rows] = np.where(converged, np.exp(log_nu), 0.0)
        ok[rows] = converged
    return abilities, nu, ok


def outcome_chances(
    difference: Float64Array, nu: float | Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Returns the probabilities of a win, a loss and a tie at ``θ_i − θ_j = difference``."""
    up, down = np.exp(difference / 2), np.exp(-difference / 2)
    total = up + down + nu
    return up / total, down / total, nu / total


def _newton(wins: Wins, ties: Wins, start: Abilities) -> tuple[Abilities, Float64Array, BoolArray]:
    n_sets, n, _ = wins.shape
    low, high = np.triu_indices(n, k=1)
    met = (wins[:, low, high] + wins[:, high, low] + ties[:, low, high]).any(axis=0)
    low, high = low[met], high[met]
    first, second, even = wins[:, low, high], wins[:, high, low], ties[:, low, high]
    total = first + second + even
    incidence = np.zeros((len(low), n))
    incidence[np.arange(len(low)), low], incidence[np.arange(len(low)), high] = 1.0, -1.0
    # The odds over all comparisons, as if everyone were equal.
    log_nu = np.log(2 * even.sum(axis=1) / (first + second).sum(axis=1))
    abilities = np.tile(start, (n_sets, 1))
    converged = np.zeros(n_sets, dtype=bool)
    active = np.arange(n_sets)
    for _ in range(_MAX_STEPS):
        m = total[active]
        difference = abilities[active] @ incidence.T
        won, lost, tie = outcome_chances(difference, np.exp(log_nu[active])[:, None])
        lean = won - lost
        gradient = np.empty((len(active), n + 1))
        gradient[:, :n] = ((first[active] - second[active] - m * lean) / 2) @ incidence
        gradient[:, n] = (even[active] - m * tie).sum(axis=1)
        curvature = m * (won + lost - lean**2) / 4
        hessian = np.empty((len(active), n + 1, n + 1))
        # A constant shift of the abilities changes nothing; adding 1/n everywhere pins it to zero.
        hessian[:, :n, :n] = (
            np.einsum("bp,pi,pj->bij", curvature, incidence, incidence, optimize=True) + 1 / n
        )
        cross = -(m * lean * tie / 2) @ incidence
        hessian[:, :n, n] = hessian[:, n, :n] = cross
        hessian[:, n, n] = (m * tie * (1 - tie)).sum(axis=1)
        delta = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        half = np.abs(delta[:, :n] @ incidence.T).max(axis=1) / 2
        # The widest that the step sets two outcomes of one comparison apart.
        widest = np.maximum(2 * half, half + np.abs(delta[:, n]))
        scale = np.where(widest > 0, np.log1p(widest) / np.where(widest > 0, widest, 1), 1.0)
        abilities[active] += scale[:, None] * delta[:, :n]
        log_nu[active] += scale * delta[:, n]
        done = widest < _STEP_TOLERANCE
        converged[active[done]] = True
        size = np.maximum(np.abs(abilities[active]).max(axis=1), np.abs(log_nu[active]))
        active = active[~done & (size < _DIVERGED)]
        if len(active) == 0:
            break
    return abilities - abilities.mean(axis=1, keepdims=True), log_nu, converged
