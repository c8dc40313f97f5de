"""Outcomes to a table of ratings with bootstrap intervals over documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import NotRateableError
from mtmbench.core.types import IntArray
from mtmbench.stats.bradley_terry import (
    ELO_PER_NAT,
    Abilities,
    Wins,
    batch_newton,
    fit_wins,
    to_elo,
)
from mtmbench.stats.intervals import interval_factor
from mtmbench.stats.outcomes import Outcomes, checked_outcomes
from mtmbench.stats.sandwich import sandwich_half_widths
from mtmbench.stats.ties import batch_davidson, fit_davidson

TieModel = Literal["half", "davidson"]
"""How ties are rated: as half a win for each, or by Davidson's model."""

MAX_UNRATEABLE_SHARE = 0.01
_NO_SPREAD = 1e-9


@dataclass(frozen=True)
class RatingRow:
    """One competitor's rating.

    Attributes:
        name: the competitor.
        ability: Bradley-Terry ability, natural log, mean zero; None if not rateable.
        elo: the same on the Elo scale (400·log10, mean 1500).
        lo: lower end of the interval, on the Elo scale; None where it cannot be had.
        hi: upper end.
        rank: 1 + the number of competitors whose difference interval with this one excludes zero
            in their favour; None without intervals.
        wins: comparisons won.
        losses: comparisons lost.
        ties: comparisons tied.
        reason: why something is missing, or None.
    """

    name: str
    ability: float | None
    elo: float | None
    lo: float | None
    hi: float | None
    rank: int | None
    wins: int
    losses: int
    ties: int
    reason: str | None = None


@dataclass(frozen=True)
class RatingTable:
    """Ratings of one league, with the settings that produced them.

    Attributes:
        rows: one row per competitor, in the order of the names given.
        win_rate: (n, n) mean score of row against column, None where they never met.
        comparisons: (n, n) number of comparisons.
        difference: (n, n) row's Elo minus column's, NaN if not rateable.
        difference_error: (n, n) half-width of its interval, NaN where it cannot be had.
        n_clusters: clusters (documents) that the intervals rest on.
        n_bootstrap: resamples drawn.
        n_unrateable: resamples that could not be rated.
        confidence: level of the intervals.
        reason: why the league has no ratings or no intervals, or None.
        sandwich: (n,) half-widths by the sandwich estimator, a check on the bootstrap; NaN where
            they cannot be had, and under a tie model.
        tie_parameter: Davidson's ν; None where ties are half wins.
    """

    rows: tuple[RatingRow, ...]
    win_rate: tuple[tuple[float | None, ...], ...]
    comparisons: IntArray
    difference: Abilities
    difference_error: Abilities
    n_clusters: int
    n_bootstrap: int
    n_unrateable: int
    confidence: float
    reason: str | None
    sandwich: Abilities
    tie_parameter: float | None = None

    @property
    def rateable(self) -> bool:
        """Whether the league has ratings; :attr:`reason` says why not."""
        return all(row.ability is not None for row in self.rows)

    def ranked(self) -> list[RatingRow]:
        """Returns the rows, strongest first, then by name."""
        return sorted(self.rows, key=lambda row: (-(row.ability or 0.0), row.name))

    def require_rateable(self) -> RatingTable:
        """Returns the table itself.

        Raises:
            NotRateableError: the outcomes do not determine ratings.
        """
        if not self.rateable:
            raise NotRateableError(self.reason or "not rateable")
        return self


def rate(
    names: Sequence[str],
    a: ArrayLike,
    b: ArrayLike,
    score: ArrayLike,
    cluster: ArrayLike,
    stratum: ArrayLike | None = None,
    *,
    seed: int,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    ties: TieModel = "half",
) -> RatingTable:
    """Rates competitors from pairwise outcomes (DESIGN: Rating).

    Intervals are ``estimate ± t(n − S) · √(n / (n − S)) · bootstrap standard error`` with n
    clusters resampled within S strata; with one stratum that is t(n − 1) and √(n / (n − 1)).
    The seed, the outcomes and the order of clusters determine the table exactly.

    Args:
        names: n distinct competitors.
        a: (M,) index of one competitor of each comparison.
        b: (M,) index of the other.
        score: (M,) score of ``a``: 1, 0.5 or 0.
        cluster: (M,) integer id of what is resampled as a whole (the document).
        stratum: (M,) integer id of the group (corpus) within which clusters are resampled; a
            cluster id may repeat in another stratum. None for one group.
        seed: seed of the bootstrap.
        n_bootstrap: number of resamples.
        confidence: level of the intervals.
        ties: as half a win each, or by Davidson's model; then differences of Elo are the odds of
            the comparisons that have a winner.

    Returns:
        A table; a league that is not rateable has rows without numbers and a reason.

    Raises:
        InputError: an array has a wrong length or value; the message names the comparison.
    """
    outcomes = checked_outcomes(names, a, b, score, cluster, stratum)
    totals, counts = outcomes.wins(), outcomes.counts()
    shape = (len(names), len(names))
    table = partial(
        RatingTable,
        win_rate=_win_rate(totals, counts),
        comparisons=counts,
        n_clusters=len(outcomes.strata),
        n_bootstrap=n_bootstrap,
        confidence=confidence,
    )
    nu = None
    try:
        if ties == "half":
            abilities = fit_wins(totals, names)
        else:
            fit = fit_davidson(outcomes.wins(tie=0.0), outcomes.ties(), names)
            abilities, nu = fit.abilities, fit.nu
    except NotRateableError as error:
        return table(
            rows=tuple(_row(outcomes, i, str(error)) for i in range(len(names))),
            difference=np.full(shape, np.nan),
            difference_error=np.full(shape, np.nan),
            n_unrateable=0,
            reason=str(error),
            sandwich=np.full(len(names), np.nan),
        )
    elo = to_elo(abilities)
    difference = elo[:, None] - elo[None, :]
    spread = _spread(outcomes, abilities, seed, n_bootstrap, confidence, ties)
    sandwich = np.full(len(names), np.nan)
    if ties == "half":
        sandwich, _ = sandwich_half_widths(outcomes, abilities, confidence)
    rows = [
        replace(_row(outcomes, i, spread.reason), ability=float(abilities[i]), elo=float(elo[i]))
        for i in range(len(names))
    ]
    if spread.reason is None:
        rows = [_with_interval(row, i, difference, spread) for i, row in enumerate(rows)]
    return table(
        rows=tuple(rows),
        difference=difference,
        difference_error=spread.between,
        n_unrateable=spread.n_unrateable,
        reason=spread.reason,
        sandwich=sandwich,
        tie_parameter=nu,
    )


@dataclass(frozen=True)
class _Spread:
    """Half-widths of the intervals on the Elo scale: (n,) per competitor, (n, n) per pair."""

    own: Abilities
    between: Abilities
    n_unrateable: int
    reason: str | None


def _spread(
    outcomes: Outcomes,
    abilities: Abilities,
    seed: int,
    n_bootstrap: int,
    confidence: float,
    ties: TieModel,
) -> _Spread:
    n = len(abilities)
    missing = np.full(n, np.nan), np.full((n, n), np.nan)
    factor = interval_factor(outcomes.strata, confidence)
    if np.isnan(factor):
        return _Spread(*missing, 0, "no interval: each corpus needs at least two documents for one")
    if ties == "half":
        fitted, ok = batch_newton(outcomes.resampled_wins(seed, n_bootstrap), start=abilities)
    else:
        wins = outcomes.resampled_wins(seed, n_bootstrap, tie=0.0)
        tied = outcomes.resampled_ties(seed, n_bootstrap)
        fitted, _, ok = batch_davidson(wins, tied, start=abilities)
    n_unrateable = int((~ok).sum())
    if n_unrateable > MAX_UNRATEABLE_SHARE * n_bootstrap:
        share = n_unrateable / n_bootstrap
        reason = (
            f"no interval: {n_unrateable} of {n_bootstrap} resamples ({share:.1%}) could not be "
            f"rated, over {MAX_UNRATEABLE_SHARE:.0%}"
        )
        return _Spread(*missing, n_unrateable, reason)
    covariance = np.cov(fitted[ok], rowvar=False)
    variance = np.diag(covariance)
    between = np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0)
    scale = ELO_PER_NAT * factor
    return _Spread(scale * np.sqrt(variance), scale * np.sqrt(between), n_unrateable, None)


def _row(outcomes: Outcomes, i: int, reason: str | None) -> RatingRow:
    points = np.concatenate(
        [outcomes.points[outcomes.first == i], 1 - outcomes.points[outcomes.second == i]]
    )
    return RatingRow(
        name=outcomes.names[i],
        ability=None, elo=None, lo=None, hi=None, rank=None,
        wins=int((points == 1).sum()),
        losses=int((points == 0).sum()),
        ties=int((points == 0.5).sum()),
        reason=reason,
    )  # fmt: skip


def _with_interval(row: RatingRow, i: int, difference: Abilities, spread: _Spread) -> RatingRow:
    half = float(spread.own[i])
    if row.elo is None or half < _NO_SPREAD:
        return replace(row, reason="no interval: every resample gives the same rating")
    error = spread.between[:, i]
    ahead = (difference[:, i] > error) & (error > _NO_SPREAD)
    return replace(row, lo=row.elo - half, hi=row.elo + half, rank=1 + int(ahead.sum()))


def _win_rate(wins: Wins, counts: IntArray) -> tuple[tuple[float | None, ...], ...]:
    n = len(wins)
    return tuple(
        tuple(float(wins[i, j] / counts[i, j]) if counts[i, j] else None for j in range(n))
        for i in range(n)
    )
