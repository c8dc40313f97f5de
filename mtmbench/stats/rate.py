"""Outcomes to a table of ratings with intervals over documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import NotRateableError
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.bradley_terry import (
    ELO_PER_NAT,
    Abilities,
    fit_wins,
    newton_pairs,
    to_elo,
)
from mtmbench.stats.intervals import LEAST_SPREAD, interval_factor, is_ahead
from mtmbench.stats.many import fit_many, fit_many_davidson
from mtmbench.stats.outcomes import Outcomes, checked_outcomes
from mtmbench.stats.pairs import Pairs
from mtmbench.stats.sandwich import sandwich_half_widths, sandwich_ranks
from mtmbench.stats.ties import davidson_pairs, fit_davidson

TieModel = Literal["half", "davidson"]
"""How ties are rated: as half a win for each, or by Davidson's model."""

Intervals = Literal["bootstrap", "sandwich"]
"""Where intervals come from."""

MOST_BOOTSTRAPPED = 250
"""Competitors whose intervals are bootstrapped. The time of a resample's fit grows with the cube of
their number; of more, intervals are the sandwich estimator's."""
MOST_WITH_INTERVALS = 10_000
"""Competitors that are given intervals: the sandwich inverts a matrix of their number squared."""

MAX_UNRATEABLE_SHARE = 0.01

_WHOLE = 1e-9
"""A sum of weights this near to a whole number is one but for rounding."""


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
        wins: comparisons won; whole, unless their weights are not.
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
    wins: float
    losses: float
    ties: float
    reason: str | None = None


@dataclass(frozen=True)
class RatingTable:
    """Ratings of one league, with the settings that produced them.

    Attributes:
        rows: one row per competitor, in the order of the names given.
        pairs: the comparisons by pair.
        difference_error: (n, n) half-width of the interval of row's Elo minus column's, NaN where
            it cannot be had; empty for more than :data:`MOST_BOOTSTRAPPED` competitors.
        n_clusters: clusters (documents) that the intervals rest on.
        n_bootstrap: resamples drawn.
        n_unrateable: resamples that could not be rated.
        confidence: level of the intervals.
        reason: why the league has no ratings or no intervals, or None.
        sandwich: (n,) half-widths by the sandwich estimator, a check on the bootstrap; NaN where
            they cannot be had, and under a tie model.
        tie_parameter: Davidson's ν; None where ties are half wins.
        intervals: "sandwich" where there are too many competitors for a bootstrap.
        unread: columns of the file or frame that were not read.
        weightless: names that stand only in rows of weight 0; they have no row.
    """

    rows: tuple[RatingRow, ...]
    pairs: Pairs
    difference_error: Abilities
    n_clusters: int
    n_bootstrap: int
    n_unrateable: int
    confidence: float
    reason: str | None
    sandwich: Abilities
    tie_parameter: float | None = None
    intervals: Intervals = "bootstrap"
    unread: tuple[str, ...] = ()
    weightless: tuple[str, ...] = ()

    @property
    def rateable(self) -> bool:
        """Whether the league has ratings; :attr:`reason` says why not."""
        return all(row.ability is not None for row in self.rows)

    @cached_property
    def win_rate(self) -> tuple[tuple[float | None, ...], ...]:
        """(n, n) mean score of row against column, None where they never met."""
        half = self.pairs.halved()
        rates = half.matrix(half.won / half.played, half.lost / half.played, np.nan)
        return tuple(tuple(None if r != r else r for r in row) for row in rates.tolist())

    @cached_property
    def comparisons(self) -> Float64Array | IntArray:
        """(n, n) number of comparisons; whole, unless their weights are not."""
        played = self.pairs.played
        counts = self.pairs.matrix(played, played, 0.0)
        return counts.astype(np.int64) if (counts == np.rint(counts)).all() else counts

    @cached_property
    def difference(self) -> Abilities:
        """(n, n) row's Elo minus column's, NaN if not rateable."""
        elo = np.array([np.nan if row.elo is None else row.elo for row in self.rows])
        gaps: Abilities = np.subtract.outer(elo, elo)
        return gaps

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
    weight: ArrayLike | None = None,
    *,
    seed: int,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    ties: TieModel = "half",
) -> RatingTable:
    """Rates competitors from pairwise outcomes (DESIGN: Rating).

    Intervals are ``estimate ± t(n − S) · √(n / (n − S)) · bootstrap standard error`` with n
    clusters resampled within S strata; with one stratum that is t(n − 1) and √(n / (n − 1)).
    The seed, the outcomes and the order of clusters determine the table exactly. Of more than
    :data:`MOST_BOOTSTRAPPED` competitors the error is the sandwich estimator's, which the
    bootstrap's tends to, and nothing is drawn.

    Args:
        names: n distinct competitors.
        a: (M,) index of one competitor of each comparison.
        b: (M,) index of the other.
        score: (M,) score of ``a``: 1, 0.5 or 0.
        cluster: (M,) integer id of what is resampled as a whole (the document).
        stratum: (M,) integer id of the group (corpus) within which clusters are resampled; a
            cluster id may repeat in another stratum. None for one group.
        weight: (M,) positive: a comparison of weight w is w identical ones of one cluster. None
            for 1 each.
        seed: seed of the bootstrap.
        n_bootstrap: number of resamples; 0 for ratings without intervals.
        confidence: level of the intervals.
        ties: as half a win each, or by Davidson's model; then differences of Elo are the odds of
            the comparisons that have a winner.

    Returns:
        A table; a league that is not rateable has rows without numbers and a reason.

    Raises:
        InputError: an array has a wrong length or value; the message names the comparison.
    """
    given = checked_outcomes(names, a, b, score, cluster, stratum, weight)
    outcomes = given.in_middling_weights()
    pairs, many = outcomes.pairs(), len(names) > MOST_BOOTSTRAPPED
    table = partial(
        RatingTable,
        pairs=given.pairs(),
        n_clusters=len(outcomes.strata),
        n_bootstrap=0 if many else n_bootstrap,
        confidence=confidence,
        intervals="sandwich" if many else "bootstrap",
    )
    counted = _counted_rows(given)
    missing = np.full((0, 0) if many else (len(names), len(names)), np.nan)
    try:
        abilities, nu = _fitted(outcomes, pairs, ties)
    except NotRateableError as error:
        return table(
            rows=tuple(replace(row, reason=str(error)) for row in counted),
            difference_error=missing,
            n_unrateable=0,
            reason=str(error),
            sandwich=np.full(len(names), np.nan),
        )
    if n_bootstrap == 0:
        spread = _Spread.missing(len(names), "no interval: none was asked for")
    elif many:
        spread = _sandwich_spread(outcomes, abilities, confidence, nu)
    else:
        spread = _bootstrap_spread(outcomes, abilities, seed, n_bootstrap, confidence, ties)
    sandwich = np.full(len(names), np.nan)
    if many:
        sandwich = spread.own
    elif ties == "half" and n_bootstrap:
        sandwich, _ = sandwich_half_widths(outcomes, abilities, confidence)
    elo = to_elo(abilities)
    rows = [
        _with_interval(replace(row, ability=float(theta), elo=float(points)), i, spread)
        for i, (row, theta, points) in enumerate(zip(counted, abilities, elo, strict=True))
    ]
    return table(
        rows=tuple(rows),
        difference_error=missing if spread.between is None else spread.between,
        n_unrateable=spread.n_unrateable,
        reason=spread.reason,
        sandwich=sandwich,
        tie_parameter=nu,
    )


def _fitted(outcomes: Outcomes, pairs: Pairs, ties: TieModel) -> tuple[Abilities, float | None]:
    """Returns abilities and, under Davidson's model, its ν."""
    names = outcomes.names
    if len(names) > MOST_BOOTSTRAPPED:
        if ties == "half":
            return fit_many(pairs, names), None
        fit = fit_many_davidson(pairs, names)
    elif ties == "half":
        return fit_wins(outcomes.wins(), names), None
    else:
        tied = pairs.matrix(pairs.tied, pairs.tied, 0.0)
        fit = fit_davidson(outcomes.wins(tie=0.0), tied, names)
    return fit.abilities, fit.nu


@dataclass(frozen=True)
class _Spread:
    """Half-widths of the intervals on the Elo scale, (n,) per competitor, and (n,) ranks.

    ``between`` are those of differences, (n, n), where the bootstrap gave them.
    """

    own: Abilities
    ranks: IntArray
    n_unrateable: int = 0
    reason: str | None = None
    between: Abilities | None = None

    @classmethod
    def missing(cls, n: int, reason: str, n_unrateable: int = 0) -> _Spread:
        """Returns none, with the reason why."""
        return cls(np.full(n, np.nan), np.zeros(n, dtype=np.int64), n_unrateable, reason)


def _sandwich_spread(
    outcomes: Outcomes, abilities: Abilities, confidence: float, nu: float | None
) -> _Spread:
    n = len(abilities)
    if np.isnan(interval_factor(outcomes.strata, confidence)):
        return _Spread.missing(n, _FEW_CLUSTERS)
    if n > MOST_WITH_INTERVALS:
        return _Spread.missing(
            n, f"no interval: {n:,} competitors are more than {MOST_WITH_INTERVALS:,}"
        )
    own, ranks = sandwich_ranks(outcomes, abilities, confidence, nu)
    if np.isnan(own).any():
        return _Spread.missing(n, "no interval: abilities lie too far apart to tell their error")
    return _told(outcomes, _Spread(own, ranks))


_FEW_CLUSTERS = "no interval: one needs at least two documents (clusters) of each corpus"


def _bootstrap_spread(
    outcomes: Outcomes,
    abilities: Abilities,
    seed: int,
    n_bootstrap: int,
    confidence: float,
    ties: TieModel,
) -> _Spread:
    n = len(abilities)
    factor = interval_factor(outcomes.strata, confidence)
    if np.isnan(factor):
        return _Spread.missing(n, _FEW_CLUSTERS)
    found = []
    for resamples in outcomes.resampled(seed, n_bootstrap):
        if ties == "half":
            fitted, ok = newton_pairs(resamples, start=abilities)
        else:
            fitted, _, ok = davidson_pairs(resamples, start=abilities)
        found.append(fitted[ok])
    rated = np.concatenate(found)
    n_unrateable = n_bootstrap - len(rated)
    if n_unrateable > MAX_UNRATEABLE_SHARE * n_bootstrap:
        share = n_unrateable / n_bootstrap
        reason = (
            f"no interval: {n_unrateable} of {n_bootstrap} resamples ({share:.1%}) could not be "
            f"rated, over {MAX_UNRATEABLE_SHARE:.0%}"
        )
        return _Spread.missing(n, reason, n_unrateable)
    covariance = np.cov(rated, rowvar=False)
    variance = np.diag(covariance)
    between = np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0)
    scale = ELO_PER_NAT * factor
    own, between = scale * np.sqrt(variance), scale * np.sqrt(between)
    elo = to_elo(abilities)
    ahead = is_ahead(np.subtract.outer(elo, elo), between)
    return _told(outcomes, _Spread(own, 1 + ahead.sum(axis=0), n_unrateable, None, between))


def _told(outcomes: Outcomes, spread: _Spread) -> _Spread:
    """Returns a spread with the reason why nobody has an interval, where nobody has one."""
    if (spread.own >= LEAST_SPREAD).any():
        return spread
    if (outcomes.points == 0.5).all():
        why = "no interval: every comparison is a tie, so every resample gives the same rating"
        return replace(spread, reason=why)
    return replace(spread, reason=_SAME)


_SAME = "no interval: every resample gives the same rating"


def _counted_rows(outcomes: Outcomes) -> list[RatingRow]:
    """Returns rows without a rating."""
    won, lost, tied = outcomes.tally()
    return [
        RatingRow(name, None, None, None, None, None, _count(up), _count(down), _count(even))
        for name, up, down, even in zip(outcomes.names, won, lost, tied, strict=True)
    ]


def _count(value: float) -> float:
    """Returns a sum of weights, whole where it is; one below 1 keeps six digits that count."""
    whole = round(value)
    if value == 0 or (whole > 0 and abs(value - whole) < _WHOLE):
        return whole
    return float(f"{value:.6g}") if value < 1 else round(float(value), 6)


def _with_interval(row: RatingRow, i: int, spread: _Spread) -> RatingRow:
    if spread.reason is not None:
        return replace(row, reason=spread.reason)
    half = float(spread.own[i])
    if row.elo is None or half < LEAST_SPREAD:
        return replace(row, reason=_SAME)
    return replace(row, lo=row.elo - half, hi=row.elo + half, rank=int(spread.ranks[i]))
