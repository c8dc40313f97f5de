"""The Bradley-Terry model on counts of wins: one fit by choix, many fits at once by Newton.

``P(i beats j) = 1 / (1 + exp(θ_j − θ_i))``; a tie counts as half a win for each side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mtmbench.core.errors import InputError, NotRateableError
from mtmbench.core.types import BoolArray, Float64Array
from mtmbench.stats.pairs import Pairs, unrateable_reason

Abilities = Float64Array
Wins = Float64Array

ELO_PER_NAT = 400 / np.log(10)
ELO_MEAN = 1500.0

MAX_NEWTON_STEPS = 200
STEP_TOLERANCE = 1e-6
_SHARED_STEPS = 25
_SHARED_TOLERANCE = 1e-10
"""How far from its optimum a fit by shared curvature may be, in natural log."""
CHUNK_CELLS = 250_000
"""Cells of all matrices that are worked on at once: what a processor's cache holds."""


def fit_wins(wins: Wins, names: Sequence[str] | None = None) -> Abilities:
    """Returns the maximum-likelihood abilities of a matrix of wins.

    choix's iterative Luce spectral ranking finds the optimum; Newton steps polish it to 1e-10.

    Args:
        wins: (n, n), how often row beat column; halves for ties; the diagonal is zero.
        names: names of the competitors, for the message of an error.

    Returns:
        (n,) abilities in natural log, mean zero.

    Raises:
        InputError: the matrix is not square, or holds negative or non-finite values or wins of a
            competitor against itself.
        NotRateableError: fewer than two competitors, or the comparison graph is not strongly
            connected, so that no finite estimate exists (Ford 1957); the message names the groups.
    """
    import choix

    wins = checked_wins(wins)
    reason = unrateable_reason(wins, names)
    if reason is not None:
        raise NotRateableError(reason)
    try:
        start = choix.ilsr_pairwise_dense(wins, max_iter=1000, tol=1e-4)
    except RuntimeError:
        # Spectral ranking creeps on nearly cut-off graphs. The likelihood has one optimum, so
        # Newton from the first spectral estimate ends at the same place.
        start = choix.lsr_pairwise_dense(wins)
    abilities, ok = batch_newton(wins[None], start=start - start.mean())
    if not ok[0]:
        raise NotRateableError("not rateable: the Bradley-Terry fit did not converge")
    best: Abilities = abilities[0]
    return best


def batch_newton(wins: Wins, *, start: Abilities | None = None) -> tuple[Abilities, BoolArray]:
    """Fits many matrices of wins at once; see :func:`newton_pairs`.

    Args:
        wins: (B, n, n), how often row beat column in each of B data sets.
        start: (n,) abilities to start from; zeros by default.
    """
    return newton_pairs(Pairs.of_matrices(np.asarray(wins, dtype=np.float64)), start=start)


def newton_pairs(pairs: Pairs, *, start: Abilities | None = None) -> tuple[Abilities, BoolArray]:
    """Fits many data sets at once, ties as half a win for each.

    Resamples of one league lie near each other, so all of them step by their mean curvature, whose
    one factorisation serves every step, until what is left of the way is below 1e-10. Those that
    this does not bring there are fitted by Newton's method with steps of length ``log(1 + r) / r``,
    r being the widest change of a difference: since |d³| ≤ r·d² along the step, every step raises
    the likelihood and no line search is needed (generalised self-concordance, Sun and Tran-Dinh
    2019).

    Args:
        pairs: B data sets.
        start: (n,) abilities to start from; zeros by default.

    Returns:
        (B, n) abilities in natural log, mean zero, zeros where not ok; and (B,) whether the data
        set is strongly connected and its fit converged.
    """
    ok = np.zeros(len(pairs.won), dtype=bool)
    abilities = np.zeros((len(ok), pairs.n))
    incidence = pairs.incidence()
    origin = np.zeros(pairs.n) if start is None else np.asarray(start, dtype=np.float64)
    step = max(1, CHUNK_CELLS // (pairs.n * pairs.n))
    for begin in range(0, len(ok), step):
        chunk = pairs.over(slice(begin, begin + step)).halved()
        sound = _connected_sets(chunk)
        rows = np.flatnonzero(sound)
        chunk = chunk if sound.all() else chunk.over(rows)
        fitted, converged = _shared_newton(chunk, origin, incidence)
        if not converged.all():
            left = np.flatnonzero(~converged)
            fitted[left], converged[left] = _newton(chunk.over(left), origin, incidence)
        abilities[begin + rows] = np.where(converged[:, None], fitted, 0.0)
        ok[begin + rows] = converged
    return abilities, ok


def win_terms(
    won: Float64Array, played: Float64Array, difference: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Returns each pair's first derivative in θ_low − θ_high, and minus its second.

    Args:
        won: how often ``low`` won.
        played: how often the two met.
        difference: θ_low − θ_high.
    """
    chance = 1 / (1 + np.exp(-difference))
    return won - played * chance, played * chance * (1 - chance)


def damped(widest: Float64Array) -> Float64Array:
    """Returns the length of steps that would change a difference by ``widest`` at most."""
    safe = np.where(widest > 0, widest, 1)
    length: Float64Array = np.where(widest > 0, np.log1p(safe) / safe, 1.0)
    return length


def connected(beats: BoolArray) -> BoolArray:
    """Returns, for (B, n, n) graphs, whether each is strongly connected.

    It is when everyone can be reached from the first competitor and the first from everyone.
    """
    return _all_reached(beats) & _all_reached(beats.transpose(0, 2, 1))


def to_elo(abilities: Abilities) -> Abilities:
    """Returns abilities (natural log, mean zero) on the Elo scale: 400·log10, mean 1500."""
    elo: Abilities = ELO_MEAN + ELO_PER_NAT * abilities
    return elo


def _connected_sets(pairs: Pairs) -> BoolArray:
    """Returns whether each data set is strongly connected.

    Where what they have in common is, each of them is.
    """
    common = replace(pairs, won=pairs.won.min(axis=0)[None], lost=pairs.lost.min(axis=0)[None])
    if connected(replace(common, tied=pairs.tied.min(axis=0)[None]).beaten())[0]:
        return np.ones(len(pairs.won), dtype=bool)
    return connected(pairs.beaten())


def _shared_newton(pairs: Pairs, start: Abilities, incidence: Any) -> tuple[Abilities, BoolArray]:
    """Fits data sets by steps that share one curvature; see :func:`newton_pairs`.

    Steps then shrink by a factor r each, and r / (1 − r) of the last one is left.

    Args:
        pairs: B data sets.
        start: (n,) abilities to start from.
        incidence: that of the pairs, which are the same in every data set.

    Returns:
        (B, n) abilities, and (B,) whether they are the data set's optimum.
    """
    n_sets, low, high = len(pairs.won), pairs.low, pairs.high
    # Data sets lie side by side, so that a competitor's numbers are one piece of memory.
    abilities = np.tile(start[:, None], n_sets)
    converged = np.zeros(n_sets, dtype=bool)
    inverse = _mean_inverse(pairs, start) if n_sets else None
    if inverse is None:
        return abilities.T, converged
    played = np.ascontiguousarray(pairs.played.T)
    surplus = incidence @ np.ascontiguousarray(pairs.won.T)
    active, now, before = np.arange(n_sets), abilities, np.zeros(n_sets)
    # What grows beyond all bounds is NaN in the end, and so has not converged.
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_SHARED_STEPS):
            strength = np.exp(now)
            expected = strength[low]
            expected /= expected + strength[high]
            expected *= played
            delta = inverse @ (surplus - incidence @ expected)
            now = now + delta
            widest = np.ptp(delta, axis=0)
            done = (widest <= before / 2) & (
                widest * widest <= _SHARED_TOLERANCE * (before - widest)
            )
            before = widest
            abilities[:, active] = now
            done |= converged[active]
            converged[active] = done
            if done.all():
                break
            if done.mean() > 0.5:
                keep = ~done
                active, now, before = active[keep], now[:, keep], before[keep]
                played, surplus = played[:, keep], surplus[:, keep]
    return (abilities - abilities.mean(axis=0)).T, converged


def _mean_inverse(pairs: Pairs, start: Abilities) -> Float64Array | None:
    """Returns the inverse of the data sets' mean curvature at a start; None where it has none."""
    _, curvature = win_terms(
        pairs.won.mean(axis=0), pairs.played.mean(axis=0), start[pairs.low] - start[pairs.high]
    )
    # A constant shift changes nothing; adding 1/n everywhere pins it to zero.
    try:
        inverse = np.linalg.inv(pairs.dense_laplacian(curvature) + 1 / pairs.n)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(inverse, dtype=np.float64)


def _newton(pairs: Pairs, start: Abilities, incidence: Any) -> tuple[Abilities, BoolArray]:
    n_sets, n, played = len(pairs.won), pairs.n, pairs.played
    either = abs(incidence)
    cells = pairs.low * n + pairs.high, pairs.high * n + pairs.low
    diagonal = np.arange(n) * (n + 1)
    converged = np.zeros(n_sets, dtype=bool)
    active = np.arange(n_sets)
    if n_sets == 0:
        return np.zeros((0, n)), converged
    abilities = start + _first_step(pairs, start, incidence)
    for _ in range(MAX_NEWTON_STEPS):
        if len(active) == 0:
            break
        some = slice(None) if len(active) == n_sets else active
        now = abilities[active]
        difference = now.take(pairs.low, axis=1) - now.take(pairs.high, axis=1)
        residual, curvature = win_terms(pairs.won[some], played[some], difference)
        gradient = (incidence @ residual.T).T
        # A constant shift changes nothing; adding 1/n everywhere pins it to zero.
        hessian = np.full((len(active), n * n), 1 / n)
        hessian[:, diagonal] += (either @ curvature.T).T
        np.subtract(1 / n, curvature, out=curvature)
        for cell in cells:
            hessian[:, cell] = curvature
        try:
            delta = np.linalg.solve(hessian.reshape(-1, n, n), gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            break  # weights or abilities so far apart that rounding leaves nothing to solve
        widest = _widest(delta, pairs)
        abilities[active] = now + damped(widest)[:, None] * delta
        done = widest < STEP_TOLERANCE
        converged[active[done]] = True
        active = active[~done & np.isfinite(widest)]
    return abilities - abilities.mean(axis=1, keepdims=True), converged


def _first_step(pairs: Pairs, start: Abilities, incidence: Any) -> Abilities:
    """Returns steps from one start by the data sets' mean curvature: a solve for all of them."""
    played = pairs.played
    residual, _ = win_terms(pairs.won, played, start[pairs.low] - start[pairs.high])
    inverse = _mean_inverse(pairs, start)
    if inverse is None:
        return np.zeros((len(residual), pairs.n))
    delta = (inverse @ (incidence @ residual.T)).T
    step: Abilities = damped(_widest(delta, pairs))[:, None] * delta
    return step


def _widest(delta: Abilities, pairs: Pairs) -> Float64Array:
    """Returns by how much the steps change a difference at most."""
    change = delta.take(pairs.low, axis=1) - delta.take(pairs.high, axis=1)
    widest: Float64Array = np.abs(change).max(axis=1)
    return widest


def _all_reached(beats: BoolArray) -> BoolArray:
    reached = np.zeros(beats.shape[:2], dtype=bool)
    reached[:, 0] = True
    edges = beats.astype(np.float32)
    while True:
        grown = reached | (np.matmul(reached[:, None].astype(np.float32), edges)[:, 0] > 0)
        if (grown == reached).all():
            return np.asarray(reached.all(axis=1))
        reached = grown


def checked_wins(wins: Wins) -> Wins:
    """Returns a matrix of wins as floats.

    Raises:
        InputError: it is not square, or holds negative or non-finite values or a win of a
            competitor against itself.
    """
    wins = np.asarray(wins, dtype=np.float64)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1]:
        raise InputError(f"wins must be a square matrix, not of shape {wins.shape}")
    if not np.isfinite(wins).all() or (wins < 0).any():
        raise InputError("wins must be finite and not negative")
    if np.diag(wins).any():
        raise InputError("a competitor cannot beat itself: the diagonal of wins must be zero")
    return wins
