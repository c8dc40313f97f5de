"""The rating table of an adaptive league, by the look at which it stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.adaptive import LeagueProgress
from mtmbench.stats.bradley_terry import ELO_PER_NAT, fit_wins, to_elo
from mtmbench.stats.intervals import is_ahead, t_quantile
from mtmbench.stats.pairs import Pairs, unrateable_reason
from mtmbench.stats.rate import RatingRow, RatingTable


def adaptive_table(
    names: Sequence[str],
    first: IntArray,
    second: IntArray,
    scores: Float64Array,
    state: LeagueProgress,
) -> RatingTable:
    """Returns ratings from pairs' mean scores, all pairs weighing alike, with repeated intervals.

    Intervals are of level ``1 − α_k`` of the last complete look, by the covariance over documents.
    Documents beyond that look are not counted.

    Args:
        names: n competitors.
        first: (P,) the model whose score it is.
        second: (P,) the other.
        scores: (D, P), NaN where there is no readable answer.
        state: how far the league has come.
    """
    n = len(names)
    shown = np.where(np.arange(len(scores))[:, None] < state.offered, scores, np.nan)
    played = (~np.isnan(shown)).sum(axis=0)
    met = played > 0
    won = np.nansum(shown, axis=0)[met]
    means = won / played[met]
    pairs = Pairs(n, first[met], second[met], won, played[met] - won, np.zeros(len(won)))
    rates = pairs.matrix(means, 1 - means, 0.0)
    rows = [_counted(name, i, first, second, shown) for i, name in enumerate(names)]
    error, reason = np.full((n, n), np.nan), _reason(state)
    if reason is None:
        reason = unrateable_reason(rates, names)
    if reason is None and state.state is not None and state.level is not None:
        # The same fit as the look's, polished by choix.
        elo = to_elo(fit_wins(rates, names))
        covariance = state.state.covariance
        variance = np.diag(covariance)
        scale = ELO_PER_NAT * quantile_of(state)
        own = scale * np.sqrt(np.maximum(variance, 0))
        difference = elo[:, None] - elo[None, :]
        between = variance[:, None] + variance[None, :] - 2 * covariance
        error = scale * np.sqrt(np.maximum(between, 0))
        ahead = is_ahead(difference, error)
        rows = [
            RatingRow(
                row.name,
                ability=float((elo[i] - elo.mean()) / ELO_PER_NAT),
                elo=float(elo[i]),
                lo=float(elo[i] - own[i]),
                hi=float(elo[i] + own[i]),
                rank=1 + int(ahead[:, i].sum()),
                wins=row.wins, losses=row.losses, ties=row.ties,
            )
            for i, row in enumerate(rows)
        ]  # fmt: skip
    else:
        rows = [
            RatingRow(r.name, None, None, None, None, None, r.wins, r.losses, r.ties, reason)
            for r in rows
        ]
    return RatingTable(
        rows=tuple(rows),
        pairs=pairs,
        difference_error=error,
        n_clusters=int((~np.isnan(shown)).any(axis=1).sum()),
        n_bootstrap=0,
        n_unrateable=0,
        confidence=1 - (state.level or 0.0),
        reason=reason,
        sandwich=np.full(n, np.nan),
    )


def quantile_of(state: LeagueProgress) -> float:
    """Returns the half-width of a look's intervals in standard errors."""
    assert state.state is not None
    assert state.level is not None
    return t_quantile(int(state.state.played.max()) - 1, 1 - state.level)


def _reason(state: LeagueProgress) -> str | None:
    if state.look == 0:
        return "not rateable: the first look is not complete"
    if state.state is None:
        return "not rateable: a pair has fewer than two readable answers"
    return None


def _counted(
    name: str, i: int, first: IntArray, second: IntArray, shown: Float64Array
) -> RatingRow:
    points = np.concatenate([shown[:, first == i].ravel(), 1 - shown[:, second == i].ravel()])
    return RatingRow(
        name, None, None, None, None, None,
        wins=int((points == 1).sum()), losses=int((points == 0).sum()),
        ties=int((points == 0.5).sum()),
    )  # fmt: skip
