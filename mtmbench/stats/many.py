"""Bradley-Terry and Davidson's model for thousands of names: sparse Newton steps.

The likelihood is that of :mod:`bradley_terry` and :mod:`ties`, and so is the length of a step. Its
second derivatives are the Laplacian of the graph of who met, weighted by curvature, so a step costs
as much as there are pairs that met: conjugate gradients, and a sparse factorisation where those
creep (on long chains of names, where a factorisation costs little).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtmbench.core.errors import NotRateableError
from mtmbench.core.types import Float64Array
from mtmbench.stats.bradley_terry import (
    MAX_NEWTON_STEPS,
    STEP_TOLERANCE,
    Abilities,
    damped,
    win_terms,
)
from mtmbench.stats.pairs import Pairs, unrateable_reason
from mtmbench.stats.ties import (
    DIVERGED,
    NO_FINITE_MAXIMUM,
    TieFit,
    davidson_terms,
    first_log_nu,
)

_NOT_CONVERGED = "not rateable: the fit did not converge"
_SOLVED = 1e-10
_MOST_ITERATIONS = 500


def fit_many(pairs: Pairs, names: Sequence[str] | None = None) -> Abilities:
    """Returns what :func:`mtmbench.stats.bradley_terry.fit_wins` does, of one sparse data set.

    Args:
        pairs: the comparisons; a tie counts as half a win for each.
        names: names of the competitors, for the message of an error.

    Returns:
        (n,) abilities in natural log, mean zero.

    Raises:
        NotRateableError: as there.
    """
    _require_connected(pairs, names)
    half = pairs.halved()
    incidence, played = half.incidence(), half.played
    abilities = np.zeros(half.n)
    for _ in range(MAX_NEWTON_STEPS):
        residual, curvature = win_terms(half.won, played, incidence.T @ abilities)
        delta = solved(half.laplacian(curvature), incidence @ residual)
        widest = np.abs(incidence.T @ delta).max()
        abilities = abilities + damped(widest) * delta
        if widest < STEP_TOLERANCE:
            centred: Abilities = abilities - abilities.mean()
            return centred
    raise NotRateableError(_NOT_CONVERGED)


def fit_many_davidson(pairs: Pairs, names: Sequence[str] | None = None) -> TieFit:
    """Returns what :func:`mtmbench.stats.ties.fit_davidson` does, of one sparse data set.

    Raises:
        NotRateableError: as there.
    """
    _require_connected(pairs, names)
    if not pairs.tied.any():
        return TieFit(fit_many(pairs, names), 0.0)
    if not (pairs.won + pairs.lost).any():
        raise NotRateableError(NO_FINITE_MAXIMUM)
    incidence = pairs.incidence()
    abilities, log_nu = np.zeros(pairs.n), float(first_log_nu(pairs))
    for _ in range(MAX_NEWTON_STEPS):
        terms = davidson_terms(pairs, incidence.T @ abilities, np.exp(log_nu))
        matrix, cross = pairs.laplacian(terms.curvature), incidence @ terms.cross
        # log ν borders the Laplacian: eliminate it.
        plain, along = solved(matrix, incidence @ terms.slope), solved(matrix, cross)
        step = float(terms.tie_slope.sum() - cross @ plain)
        step /= float(terms.tie_curvature.sum() - cross @ along)
        delta = plain - step * along
        half = np.abs(incidence.T @ delta).max() / 2
        widest = np.maximum(2 * half, half + abs(step))
        scale = float(damped(widest))
        abilities, log_nu = abilities + scale * delta, log_nu + scale * step
        if widest < STEP_TOLERANCE:
            return TieFit(abilities - abilities.mean(), float(np.exp(log_nu)))
        if not max(np.abs(abilities).max(), abs(log_nu)) < DIVERGED:
            break
    raise NotRateableError(NO_FINITE_MAXIMUM)


def solved(matrix: Any, right: Float64Array) -> Float64Array:
    """Returns the solution, of mean zero, of equations in the Laplacian of a connected graph.

    Raises:
        NotRateableError: curvatures lie so far apart that rounding disconnects the graph.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import cg, splu

    if not right.any():
        return np.zeros_like(right)
    diagonal = matrix.diagonal()
    if not (diagonal > 0).all():
        raise NotRateableError(_NOT_CONVERGED)
    scale = diags_array(1 / diagonal)
    found, missed = cg(matrix, right, rtol=_SOLVED, maxiter=_MOST_ITERATIONS, M=scale)
    if missed:
        # Abilities are differences: the first is held at zero.
        try:
            held = splu(matrix[1:, 1:].tocsc(), permc_spec="MMD_AT_PLUS_A").solve(right[1:])
        except RuntimeError as error:  # singular, but for rounding
            raise NotRateableError(_NOT_CONVERGED) from error
        found = np.concatenate([[0.0], held])
    centred: Float64Array = found - found.mean()
    return centred


def _require_connected(pairs: Pairs, names: Sequence[str] | None) -> None:
    reason = unrateable_reason(pairs.graph(), names)
    if reason is not None:
        raise NotRateableError(reason)
