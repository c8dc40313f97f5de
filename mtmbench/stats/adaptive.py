"""Adaptive schedules: which pairs of models need more documents, and when it is enough.

A league is looked at a few times, at shares of its documents that are fixed beforehand. Before each
look, documents are added to those pairs that narrow the still undecided differences of neighbours
most; a pair always plays the first documents of the shared sample, so pairs stay comparable.

The estimate. The Bradley-Terry fit is to the mean score of every pair, all pairs weighing alike, so
that it estimates the same whatever the schedule: the fit to the expected scores, uniform over
pairs. Its covariance is that of the means, over documents, through the fit's derivative.

The error. A look k uses intervals of level ``1 − α_k`` with ``Σ α_k = α``, spent as ``α t²`` of the
share t of the documents (Kim and DeMets 1987). Spending the increments one by one is a Bonferroni
bound, so it holds however looks depend on each other and on why a pair was played: intervals at the
look where a league stops cover with at least ``1 − α``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import BoolArray, Float64Array, IntArray
from mtmbench.stats.bradley_terry import ELO_PER_NAT, Abilities, batch_newton
from mtmbench.stats.intervals import t_quantile

LOOKS = (0.03, 0.15, 0.4, 0.7, 1.0)
"""Shares of the documents at which a league is looked at."""

LEAST_DOCUMENTS = 10
"""Documents of every pair at the first look, however small its share."""

BLOCK = 10
"""Documents by which an adaptive schedule grows a pair."""

_MARGIN = 1.1
"""By how much variances are planned larger than predicted, which a last look cannot mend."""

_PRIOR_DOCUMENTS = 5.0
"""How many documents the model's own variance counts for beside a pair's observed one."""


@dataclass(frozen=True)
class Standing:
    """A league as it stands at a look.

    Attributes:
        abilities: (n,) natural log, mean zero.
        covariance: (n, n) of the abilities.
        gradient: (n, P), derivative of the abilities by each pair's mean score.
        variance: (P,) of one document's score, by pair.
        played: (P,) documents of each pair.
        rateable: whether the fit has a finite maximum; else it is one with half a win added to
            either side of every pair, fit for planning only.
    """

    abilities: Abilities
    covariance: Float64Array
    gradient: Float64Array
    variance: Float64Array
    played: IntArray
    rateable: bool


@dataclass(frozen=True)
class Neighbours:
    """Models next to each other in a ranking, strongest first.

    Attributes:
        order: (n,) models, strongest first.
        difference: (n − 1,) Elo of each model over the next.
        half_width: (n − 1,) of the difference's interval at this look.
        decided: (n − 1,) whether the interval excludes zero or is narrower than the resolution.
    """

    order: IntArray
    difference: Float64Array
    half_width: Float64Array
    decided: BoolArray


def spent_levels(alpha: float, looks: Sequence[float] = LOOKS) -> tuple[float, ...]:
    """Returns the level α_k of each look; they sum to ``alpha``.

    Raises:
        InputError: the shares do not rise to 1, are more than five, or ``alpha`` is not in (0, 1).
    """
    shares = list(looks)
    rising = all(low < high for low, high in pairwise([0.0, *shares]))
    if not shares or not rising or shares[-1] != 1 or len(shares) > 5:
        raise InputError(f"looks must be at most five shares that rise to 1, not {shares}")
    if not 0 < alpha < 1:
        raise InputError(f"alpha must lie between 0 and 1, not {alpha!r}")
    squares = [0.0, *(share**2 for share in shares)]
    return tuple(alpha * (high - low) for low, high in pairwise(squares))


def look_limits(n_documents: int, looks: Sequence[float] = LOOKS) -> tuple[int, ...]:
    """Returns how many documents a pair may have been played on at each look.

    Whole blocks, at least :data:`LEAST_DOCUMENTS`, and all documents at the last look.
    """
    limits = [
        max(LEAST_DOCUMENTS, BLOCK * round(share * n_documents / BLOCK)) for share in looks[:-1]
    ]
    return tuple(min(limit, n_documents) for limit in [*limits, n_documents])


def standing(scores: Float64Array, first: IntArray, second: IntArray, n: int) -> Standing:
    """Fits a league to its pairs' mean scores, equally weighted.

    Every pair must have been played on two documents at least. The covariance of the means is the
    observed one over documents; a pair's own variance is pulled towards what the fit implies, since
    a pair played on ten documents may show none at all.

    Args:
        scores: (D, P) folded score of each pair's first model by document, NaN where it was not
            played.
        first: (P,) the model whose score it is.
        second: (P,) the other.
        n: models.

    Raises:
        InputError: a pair was played on fewer than two documents.
    """
    scores = scores[~np.isnan(scores).all(axis=1)]
    known = ~np.isnan(scores)
    played = known.sum(axis=0)
    if len(scores) < 2 or played.min() < 2:
        raise InputError(f"pair {int(played.argmin())} was played on fewer than two documents")
    filled = np.where(known, scores, 0.0)
    means = filled.sum(axis=0) / played
    abilities, rateable = _fit(means, played, first, second, n)
    chance = 1 / (1 + np.exp(abilities[second] - abilities[first]))
    weight = chance * (1 - chance)
    incidence = np.zeros((len(first), n))
    incidence[np.arange(len(first)), first], incidence[np.arange(len(first)), second] = 1.0, -1.0
    information = incidence.T @ (weight[:, None] * incidence)
    gradient = np.asarray(np.linalg.solve(information + 1 / n, incidence.T), dtype=np.float64)
    residual = np.where(known, scores - means, 0.0)
    observed = (residual**2).sum(axis=0)
    # Ties make scores less variable than the chances of a win; how much, all pairs say together.
    shrink = observed.sum() / (weight * (played - 1)).sum()
    prior = max(shrink, 1e-3) * weight
    variance = (observed + _PRIOR_DOCUMENTS * prior) / (played - 1 + _PRIOR_DOCUMENTS)
    influence = (residual / played) @ gradient.T
    factor = len(scores) / max(1, len(scores) - 1)
    correction = (variance / played) - (observed / played**2) * factor
    covariance = factor * influence.T @ influence + (gradient * correction) @ gradient.T
    return Standing(abilities, covariance, gradient, variance, played, rateable)


def neighbours(state: Standing, level: float, resolution: float) -> Neighbours:
    """Returns the ranking's neighbours and which of them are decided.

    Args:
        state: the league.
        level: α_k of this look.
        resolution: Elo; a difference whose half-width is below it is decided, whatever its sign.
    """
    order = np.argsort(-state.abilities, kind="stable")
    above, below = order[:-1], order[1:]
    difference = ELO_PER_NAT * (state.abilities[above] - state.abilities[below])
    variance = (
        state.covariance[above, above]
        + state.covariance[below, below]
        - 2 * state.covariance[above, below]
    )
    quantile = t_quantile(int(state.played.max()) - 1, 1 - level)
    half_width = ELO_PER_NAT * quantile * np.sqrt(np.maximum(variance, 0))
    decided = state.rateable & ((difference > half_width) | (half_width < resolution))
    return Neighbours(order, difference, half_width, decided)


def next_documents(
    state: Standing,
    found: Neighbours,
    levels: tuple[float, float],
    resolution: float,
    *,
    offered: IntArray,
    limit: int,
    most: int,
) -> IntArray:
    """Returns (P,) how many documents each pair should be offered by the next look.

    Blocks of documents are added one by one, each to the pair that brings the undecided
    differences nearest to where they would be decided, until all are predicted to be: at the next
    look where its limit allows that, else at the last. Of that plan, the next look plays what its
    limit allows.

    Args:
        state: the league now.
        found: its neighbours.
        levels: α of the next look and of the last.
        resolution: as in :func:`neighbours`.
        offered: (P,) documents that each pair was offered so far; more than it was played on where
            answers could not be read.
        limit: documents that a pair may be offered by the next look.
        most: documents that there are.
    """
    from scipy.special import ndtri

    played = state.played.astype(np.int64)
    open_ = np.flatnonzero(~found.decided)
    above, below = found.order[open_], found.order[open_ + 1]
    pull = (state.gradient[above] - state.gradient[below]) ** 2 * state.variance
    now = state.covariance[above, above] + state.covariance[below, below]
    now = np.maximum(now - 2 * state.covariance[above, below], 0)
    # Comparisons of one document go together; what that adds is taken to stay in proportion.
    clustering = np.maximum(now / (pull / played).sum(axis=1), 1e-3)
    variance = _MARGIN * pull * clustering[:, None]
    aims = [
        np.maximum(found.difference[open_], resolution)
        / (ELO_PER_NAT * float(ndtri(1 - level / 2)))
        for level in levels
    ]
    soon = (variance / np.maximum(played, limit)).sum(axis=1) <= aims[0] ** 2
    share = variance / (np.where(soon, *aims) ** 2)[:, None]
    target = played.copy()
    need = (share / target).sum(axis=1)
    while (need > 1).any():
        more = np.minimum(target + BLOCK, np.maximum(target, most))
        gain = (share[need > 1] * (1 / target - 1 / more)).sum(axis=0)
        per_document = np.where(more > target, gain / np.maximum(more - target, 1), 0.0)
        best = int(per_document.argmax())
        if per_document[best] <= 0:
            break
        need = need + share[:, best] * (1 / more[best] - 1 / target[best])
        target[best] = more[best]
    grown = offered + BLOCK * -(-(target - played) // BLOCK)
    return np.maximum(offered, np.minimum(grown, limit))


@dataclass(frozen=True)
class LeagueProgress:
    """How far a league has come.

    Attributes:
        look: looks that are complete.
        level: α of the last complete look; None before the first.
        state: the league then; None before the first look, and where it could not be fitted.
        found: its neighbours then.
        offered: (P,) documents that each pair was offered by then.
        wanted: (P,) documents that each pair must be offered for the next look; those that it was
            offered for a league that is finished.
        finished: whether every neighbour is decided, the documents are used up, or a pair has too
            few readable answers to go on.
    """

    look: int
    level: float | None
    state: Standing | None
    found: Neighbours | None
    offered: IntArray
    wanted: IntArray
    finished: bool


def progress(
    scores: Float64Array,
    recorded: IntArray,
    first: IntArray,
    second: IntArray,
    n: int,
    *,
    alpha: float,
    resolution: float,
) -> LeagueProgress:
    """Replays a league's looks from its scores alone, so that a run can stop and go on anywhere.

    Args:
        scores: as in :func:`standing`, over every document of the sample; NaN where a pair has no
            readable answer.
        recorded: (P,) documents, from the first on, that each pair has records of.
        first: (P,) the model whose score it is.
        second: (P,) the other.
        n: models.
        alpha: error of the whole schedule, spent over the looks.
        resolution: as in :func:`neighbours`.
    """
    n_documents, n_pairs = scores.shape
    levels, limits = spent_levels(alpha), look_limits(n_documents)
    wanted = np.full(n_pairs, limits[0])
    reached = LeagueProgress(0, None, None, None, np.zeros_like(wanted), wanted, False)
    for look, level in enumerate(levels):
        if (recorded < wanted).any():
            return reached
        shown = np.where(np.arange(n_documents)[:, None] < wanted, scores, np.nan)
        try:
            state = standing(shown, first, second, n)
        except InputError:
            return LeagueProgress(look + 1, level, None, None, wanted, wanted, True)
        found = neighbours(state, level, resolution)
        last = look == len(levels) - 1 or limits[look] == n_documents
        if last or found.decided.all():
            return LeagueProgress(look + 1, level, state, found, wanted, wanted, True)
        offered, wanted = wanted, next_documents(
            state, found, (levels[look + 1], levels[-1]), resolution, offered=wanted,
            limit=limits[look + 1], most=n_documents,
        )  # fmt: skip
        reached = LeagueProgress(look + 1, level, state, found, offered, wanted, False)
    return reached


def _fit(
    means: Float64Array,
    played: IntArray,
    first: IntArray,
    second: IntArray,
    n: int,
) -> tuple[Abilities, bool]:
    wins = np.zeros((2, n, n))
    wins[0, first, second], wins[0, second, first] = means, 1 - means
    padded = (means * played + 0.5) / (played + 1)
    wins[1, first, second], wins[1, second, first] = padded, 1 - padded
    abilities, ok = batch_newton(wins)
    return (abilities[0], True) if ok[0] else (abilities[1], False)
