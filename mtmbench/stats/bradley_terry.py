"""The Bradley-Terry model on matrices of wins: one fit by choix, many fits at once by Newton.

``P(i beats j) = 1 / (1 + exp(θ_j − θ_i))``; a tie counts as half a win for each side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError, NotRateableError
from mtmbench.core.types import BoolArray, Float64Array

Abilities = Float64Array
Wins = Float64Array

ELO_PER_NAT = 400 / np.log(10)
ELO_MEAN = 1500.0

_MAX_NEWTON_STEPS = 200
_STEP_TOLERANCE = 1e-6
_CHUNK_CELLS = 2_000_000


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


def unrateable_reason(wins: Wins, names: Sequence[str] | None = None) -> str | None:
    """Returns why a matrix of wins determines no ratings, or None where it does."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(wins)
    if n < 2:
        return f"not rateable: {n} competitor(s), at least two are needed"
    count, component = connected_components(
        csr_matrix((wins > 0).astype(np.int8)), directed=True, connection="strong"
    )
    if count == 1:
        return None
    label = [str(i) for i in range(n)] if names is None else list(names)
    groups = sorted(
        ([label[i] for i in range(n) if component[i] == c] for c in range(count)),
        key=lambda group: (-len(group), group),
    )
    listed = "; ".join(_describe(group, label, wins) for group in groups)
    return (
        "not rateable: the comparison graph is not strongly connected, so no finite ratings fit "
        f"it; groups without both wins and losses between them: {listed}"
    )


def batch_newton(wins: Wins, *, start: Abilities | None = None) -> tuple[Abilities, BoolArray]:
    """Fits many matrices of wins at once.

    Newton's method with steps of length ``log(1 + r) / r``, r being the widest change of a
    difference: since |d³| ≤ r·d² along the step, every step raises the likelihood and no line
    search is needed (generalised self-concordance, Sun and Tran-Dinh 2019).

    Args:
        wins: (B, n, n), how often row beat column in each of B data sets.
        start: (n,) abilities to start from; zeros by default.

    Returns:
        (B, n) abilities in natural log, mean zero, zeros where not ok; and (B,) whether the data
        set is strongly connected and its fit converged.
    """
    wins = np.asarray(wins, dtype=np.float64)
    n_sets, n, _ = wins.shape
    low, high = np.triu_indices(n, k=1)
    met = (wins[:, low, high] + wins[:, high, low]).any(axis=0)
    low, high = low[met], high[met]
    first, second = wins[:, low, high], wins[:, high, low]
    ok = strongly_connected(wins)
    abilities = np.zeros((n_sets, n))
    origin = np.zeros(n) if start is None else np.asarray(start, dtype=np.float64)
    rows = np.flatnonzero(ok)
    step = max(1, _CHUNK_CELLS // (n * n))
    for begin in range(0, len(rows), step):
        chunk = rows[begin : begin + step]
        fitted, converged = _newton(first[chunk], second[chunk], low, high, origin)
        abilities[chunk] = np.where(converged[:, None], fitted, 0.0)
        ok[chunk] = converged
    return abilities, ok


def strongly_connected(wins: Wins) -> BoolArray:
    """Returns, for (B, n, n) matrices of wins, whether each one's graph is strongly connected.

    It is when everyone can be reached from the first competitor and the first from everyone.
    """
    beats = np.asarray(wins) > 0
    return _all_reached(beats) & _all_reached(beats.transpose(0, 2, 1))


def to_elo(abilities: Abilities) -> Abilities:
    """Returns abilities (natural log, mean zero) on the Elo scale: 400·log10, mean 1500."""
    elo: Abilities = ELO_MEAN + ELO_PER_NAT * abilities
    return elo


def _newton(
    first: Wins, second: Wins, low: NDArray[np.intp], high: NDArray[np.intp], start: Abilities
) -> tuple[Abilities, BoolArray]:
    n_sets, n = len(first), len(start)
    pairs = np.arange(len(low))
    incidence = np.zeros((len(low), n))
    incidence[pairs, low], incidence[pairs, high] = 1.0, -1.0
    total = first + second
    abilities = np.tile(start, (n_sets, 1))
    converged = np.zeros(n_sets, dtype=bool)
    active = np.arange(n_sets)
    for _ in range(_MAX_NEWTON_STEPS):
        difference = abilities[active][:, low] - abilities[active][:, high]
        chance = 1 / (1 + np.exp(-difference))
        gradient = (first[active] - total[active] * chance) @ incidence
        curvature = total[active] * chance * (1 - chance)
        # A constant shift changes nothing; adding 1/n everywhere pins it to zero.
        hessian = np.full((len(active), n, n), 1 / n)
        hessian[:, low, high] -= curvature
        hessian[:, high, low] -= curvature
        hessian[:, np.arange(n), np.arange(n)] += curvature @ np.abs(incidence)
        delta = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        widest = np.abs(delta[:, low] - delta[:, high]).max(axis=1)
        scale = np.where(widest > 0, np.log1p(widest) / np.where(widest > 0, widest, 1), 1.0)
        abilities[active] += scale[:, None] * delta
        done = widest < _STEP_TOLERANCE
        converged[active[done]] = True
        active = active[~done & np.isfinite(widest)]
        if len(active) == 0:
            break
    return abilities - abilities.mean(axis=1, keepdims=True), converged


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


def _describe(group: list[str], names: list[str], wins: Wins) -> str:
    members = ", ".join(group)
    inside = [names.index(name) for name in group]
    outside = [i for i in range(len(names)) if i not in inside]
    won = wins[np.ix_(inside, outside)].any()
    lost = wins[np.ix_(outside, inside)].any()
    how = {
        (True, False): "never lost a point to the others",
        (False, True): "never took a point from the others",
        (False, False): "never met the others",
        (True, True): "beat some of the others and lost to some, in one direction only",
    }[bool(won), bool(lost)]
    return f"[{members}] ({how})"
