"""Davidson's model of ties on matrices of wins and ties, one data set or many at once.

With ``m = (θ_i + θ_j) / 2``, the three outcomes of a comparison have probabilities in proportion to
``exp(θ_i) : exp(θ_j) : ν · exp(m)`` (Davidson 1970, JASA 65, 317–328): ν is the odds of a tie
against either win between equals, and given that there is a winner the model is Bradley-Terry's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mtmbench.core.errors import NotRateableError
from mtmbench.core.types import BoolArray, Float64Array
from mtmbench.stats.bradley_terry import (
    CHUNK_CELLS,
    MAX_NEWTON_STEPS,
    STEP_TOLERANCE,
    Abilities,
    Wins,
    checked_wins,
    connected,
    damped,
    newton_pairs,
)
from mtmbench.stats.pairs import Pairs, unrateable_reason

NO_FINITE_MAXIMUM = (
    "not rateable: Davidson's model has no finite maximum here, since ties never stand beside wins "
    "of both sides"
)
DIVERGED = 15.0
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
        raise NotRateableError(NO_FINITE_MAXIMUM)
    return TieFit(abilities[0], float(nu[0]))


def batch_davidson(
    wins: Wins, ties: Wins, *, start: Abilities | None = None
) -> tuple[Abilities, Float64Array, BoolArray]:
    """Fits many matrices at once; see :func:`davidson_pairs`.

    Args:
        wins: (B, n, n), how often row beat column, ties apart.
        ties: (B, n, n), how often they tied, symmetric.
        start: (n,) abilities to start from; zeros by default.
    """
    pairs = Pairs.of_matrices(np.asarray(wins, dtype=np.float64), np.asarray(ties, np.float64))
    return davidson_pairs(pairs, start=start)


def davidson_pairs(
    pairs: Pairs, *, start: Abilities | None = None
) -> tuple[Abilities, Float64Array, BoolArray]:
    """Fits many data sets at once, by Newton's method as in :func:`newton_pairs`.

    A data set without ties has ν = 0 and is Bradley-Terry's.

    Args:
        pairs: B data sets.
        start: (n,) abilities to start from; zeros by default.

    Returns:
        (B, n) abilities in natural log, mean zero, zeros where not ok; (B,) ν; and (B,) whether a
        finite maximum was found.
    """
    n_sets, n = len(pairs.won), pairs.n
    origin = np.zeros(n) if start is None else np.asarray(start, dtype=np.float64)
    abilities, nu, ok = np.zeros((n_sets, n)), np.zeros(n_sets), np.zeros(n_sets, dtype=bool)
    step = max(1, CHUNK_CELLS // (n * n))
    for begin in range(0, n_sets, step):
        chunk = pairs.over(slice(begin, begin + step))
        tied = chunk.tied.any(axis=1)
        rateable = connected(chunk.beaten()) & (chunk.won + chunk.lost).any(axis=1)
        plain = np.flatnonzero(rateable & ~tied)
        if len(plain):
            abilities[begin + plain], ok[begin + plain] = newton_pairs(
                chunk.over(plain), start=origin
            )
        rows = np.flatnonzero(rateable & tied)
        if len(rows):
            fitted, log_nu, converged = _newton(chunk.over(rows), origin)
            abilities[begin + rows] = np.where(converged[:, None], fitted, 0.0)
            nu[begin + rows] = np.where(converged, np.exp(log_nu), 0.0)
            ok[begin + rows] = converged
    return abilities, nu, ok


def outcome_chances(
    difference: Float64Array, nu: float | Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Returns the probabilities of a win, a loss and a tie at ``θ_i − θ_j = difference``."""
    up, down = np.exp(difference / 2), np.exp(-difference / 2)
    total = up + down + nu
    return up / total, down / total, nu / total


class DavidsonTerms(NamedTuple):
    """The log-likelihood's derivatives by pair, in d = θ_low − θ_high and in log ν.

    ``slope`` and ``tie_slope`` are first derivatives; ``curvature``, ``cross`` and
    ``tie_curvature`` minus the second ones, in d, in both, and in log ν.
    """

    slope: Float64Array
    tie_slope: Float64Array
    curvature: Float64Array
    cross: Float64Array
    tie_curvature: Float64Array


def davidson_terms(
    pairs: Pairs, difference: Float64Array, nu: float | Float64Array
) -> DavidsonTerms:
    """Returns what each pair adds to the derivatives at ``θ_low − θ_high = difference``."""
    m = pairs.played
    won, lost, tie = outcome_chances(difference, nu)
    lean = won - lost
    return DavidsonTerms(
        (pairs.won - pairs.lost - m * lean) / 2,
        pairs.tied - m * tie,
        m * (won + lost - lean**2) / 4,
        -m * lean * tie / 2,
        m * tie * (1 - tie),
    )


def first_log_nu(pairs: Pairs) -> Float64Array:
    """Returns the log ν to start from: the odds over all comparisons, as if all were equal."""
    decided = (pairs.won + pairs.lost).sum(axis=-1)
    start: Float64Array = np.log(2 * pairs.tied.sum(axis=-1) / decided)
    return start


def _newton(pairs: Pairs, start: Abilities) -> tuple[Abilities, Float64Array, BoolArray]:
    n_sets, n = len(pairs.won), pairs.n
    incidence = pairs.incidence()
    size = n + 1
    cells = pairs.low * size + pairs.high, pairs.high * size + pairs.low
    diagonal = np.arange(n) * (size + 1)
    log_nu = first_log_nu(pairs)
    abilities = np.tile(start, (n_sets, 1))
    converged = np.zeros(n_sets, dtype=bool)
    active = np.arange(n_sets)
    for _ in range(MAX_NEWTON_STEPS):
        now = abilities[active]
        difference = now[:, pairs.low] - now[:, pairs.high]
        terms = davidson_terms(pairs.over(active), difference, np.exp(log_nu[active])[:, None])
        gradient = np.empty((len(active), size))
        gradient[:, :n] = (incidence @ terms.slope.T).T
        gradient[:, n] = terms.tie_slope.sum(axis=1)
        # A constant shift of the abilities changes nothing; adding 1/n everywhere pins it to zero.
        entries = np.full((len(active), size * size), 1 / n)
        for cell in cells:
            entries[:, cell] -= terms.curvature
        entries[:, diagonal] += (abs(incidence) @ terms.curvature.T).T
        hessian = entries.reshape(-1, size, size)
        hessian[:, :n, n] = hessian[:, n, :n] = (incidence @ terms.cross.T).T
        hessian[:, n, n] = terms.tie_curvature.sum(axis=1)
        try:
            delta = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            break  # as in the model without ties
        half = np.abs(delta[:, pairs.low] - delta[:, pairs.high]).max(axis=1) / 2
        # The widest that the step sets two outcomes of one comparison apart.
        widest = np.maximum(2 * half, half + np.abs(delta[:, n]))
        scale = damped(widest)
        abilities[active] = now + scale[:, None] * delta[:, :n]
        log_nu[active] += scale * delta[:, n]
        done = widest < STEP_TOLERANCE
        converged[active[done]] = True
        reached = np.maximum(np.abs(abilities[active]).max(axis=1), np.abs(log_nu[active]))
        active = active[~done & (reached < DIVERGED)]
        if len(active) == 0:
            break
    return abilities - abilities.mean(axis=1, keepdims=True), log_nu, converged
