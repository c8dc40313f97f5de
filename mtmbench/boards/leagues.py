"""Matches to ratings: one league per judge, corpus, K and representation, and pooled ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import stdev

import numpy as np

from mtmbench.boards.adaptive import AdaptiveLeague
from mtmbench.boards.cells import ALL, BoardRecords, display_names
from mtmbench.boards.columns import MatchColumns
from mtmbench.boards.lengths import ComparisonColumns, adjusted_ratings, log_ratios
from mtmbench.boards.rows.leagues import (
    AdjustedNumbers,
    LeagueExtras,
    LeaguePlace,
    LeagueRow,
    RatedNumbers,
    SeedNumbers,
    SequentialRow,
    WinRateNumbers,
    WinRateTable,
)
from mtmbench.core.cards import Suite
from mtmbench.core.competitors import Competitor, League
from mtmbench.core.errors import InputError
from mtmbench.core.records import MatchRecord
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.types import IntArray
from mtmbench.stats.elo import level_shift, sequential_elo
from mtmbench.stats.rate import RatingRow, RatingTable, rate


@dataclass(frozen=True)
class RatedLeague:
    """One league, rated.

    Attributes:
        key: which league.
        matches: the matches that it is of, by their number on the board.
        k: the number of topics asked for; None where pooled corpora differ in it.
        rows: rating rows as they stand in ``board.json``.
        win_rates: the win-rate matrix and what the ratings rest on, as in ``board.json``.
        sequential: sequential Elo rows, as in ``board.json``.
    """

    key: League
    matches: IntArray
    k: int | None
    rows: list[LeagueRow]
    win_rates: WinRateTable
    sequential: list[SequentialRow]


def rate_leagues(suite: Suite, records: BoardRecords) -> list[RatedLeague]:
    """Rates every league of the records, sorted; corpora are pooled where there are several.

    Adaptive leagues are not pooled: their pairs were played on other documents in each corpus.
    Where fits of later seeds played among themselves, their ratings stand beside those of the
    first, level with them (:func:`~mtmbench.stats.elo.level_shift`).

    Raises:
        InputError: a corpus bears the name of the pooled rating.
    """
    failures = _fit_failures(records)
    rated = [
        _rate_league(suite, key, records.columns, own, failures)
        for key, own in _matches_by_league(suite, records.columns)
    ]
    by_seed: dict[int, list[MatchRecord]] = {}
    for match in records.later:
        by_seed.setdefault(match.payload["nth_seed"], []).append(match)
    later = [_elo_by_league(_quickly(suite), by_seed[nth]) for nth in sorted(by_seed)]
    for league in rated if later else ():
        first = {Competitor.of(row): row["elo"] for row in league.rows if row["elo"] is not None}
        of_seeds = [
            (elos, level_shift(first, elos))
            for elos in (leagues.get(league.key, {}) for leagues in later)
        ]
        for row in league.rows:
            who = Competitor.of(row)
            row["elo_by_seed"] = [
                row["elo"],
                *(
                    rounded(elos[who] + shift, 1) if shift is not None and who in elos else None
                    for elos, shift in of_seeds
                ),
            ]
            known = [elo for elo in row["elo_by_seed"] if elo is not None]
            row["elo_sd"] = rounded(stdev(known), 1) if len(known) > 1 else None
    return rated


def _elo_by_league(
    suite: Suite, matches: Sequence[MatchRecord]
) -> dict[League, dict[Competitor, float]]:
    """Returns the Elos of all leagues of matches between fits of one seed, and nothing else."""
    columns = MatchColumns.of(matches)
    return {
        key: {
            who: elo
            for who, row in _Table.of(suite, key, columns, own).rated.items()
            if (elo := rounded(row.elo, 1)) is not None
        }
        for key, own in _matches_by_league(suite, columns)
    }


def _quickly(suite: Suite) -> Suite:
    """Returns the suite for ratings whose intervals nobody reads."""
    assert suite.judging is not None
    return suite.model_copy(update={"judging": suite.judging.model_copy(update={"bootstrap": 0})})


def _matches_by_league(suite: Suite, columns: MatchColumns) -> list[tuple[League, IntArray]]:
    """Returns the leagues of matches between fits of one seed each, and the pooled ones, sorted.

    With each come its matches, by number.
    """
    if ALL in columns.corpora:
        raise InputError(f"a corpus cannot be called {ALL!r}, the name of the pooled rating")
    adaptive = suite.judging is not None and suite.judging.schedule == "adaptive"
    order = np.argsort(columns.league, kind="stable")
    ends = np.cumsum(np.bincount(columns.league, minlength=len(columns.leagues)))
    groups = dict(zip(columns.leagues, np.split(order, ends), strict=False))
    pooled: dict[League, list[League]] = {}
    pooled_ks = suite.pooled_ks(key.k_spec for key in groups)
    for key in groups:
        together = League(key.judge, ALL, pooled_ks[key.k_spec], key.representation)
        pooled.setdefault(together, []).append(key)
    if not adaptive:
        groups.update(
            (key, np.sort(np.concatenate([groups[part] for part in parts])))
            for key, parts in pooled.items()
            if len(parts) > 1
        )
    return [(key, groups[key]) for key in sorted(groups, key=League.order)]


@dataclass(frozen=True)
class _Table:
    """The comparisons of a league, and how they rate.

    Attributes:
        matches: the records.
        everyone: the numbers of all competitors of the board that the league names.
        names: their display ids.
        players: those of them with a comparison that counts.
        rows: all documents of the matches, as positions in the board's columns.
        kept: those that count, of as many comparisons.
        comparisons: the comparisons.
        adaptive: how far an adaptive league has come.
        table: the ratings, None where nothing was compared.
    """

    matches: Sequence[MatchRecord]
    everyone: Mapping[Competitor, int]
    names: Mapping[Competitor, str]
    players: Sequence[Competitor]
    rows: IntArray
    kept: IntArray
    comparisons: ComparisonColumns
    adaptive: AdaptiveLeague | None
    table: RatingTable | None

    @classmethod
    def of(cls, suite: Suite, key: League, columns: MatchColumns, own: IntArray) -> _Table:
        """Rates the league that some of the matches are of."""
        spec = suite.judging or JudgingSpec()
        matches = [columns.matches[i] for i in own.tolist()]
        everyone = {columns.players[i]: i for i in _either(columns.a[own], columns.b[own])}
        names = display_names(suite, everyone)
        rows = columns.rows_of(own)
        kept = rows[~np.isnan(columns.score[rows])]
        match = columns.match[kept]
        a, b = columns.a[match], columns.b[match]
        playing = _either(a, b)
        players = [columns.players[i] for i in playing]
        comparisons = ComparisonColumns(
            [names[who] for who in players],
            np.searchsorted(playing, a),
            np.searchsorted(playing, b),
            columns.score[kept],
            columns.place[kept],
            columns.corpus[match],
        )
        adaptive = None
        if spec.schedule == "adaptive":
            adaptive = AdaptiveLeague.of(matches, names, spec)
            table = None if adaptive is None else adaptive.table
        else:
            table = _rate(key, comparisons, spec) if players else None
        return cls(matches, everyone, names, players, rows, kept, comparisons, adaptive, table)

    @cached_property
    def rated(self) -> Mapping[Competitor, RatingRow]:
        """The rows of those that the table holds."""
        shown = {row.name: row for row in self.table.rows} if self.table else {}
        return {who: shown[name] for who, name in self.names.items() if name in shown}


def _rate_league(
    suite: Suite,
    key: League,
    columns: MatchColumns,
    own: IntArray,
    failures: Mapping[tuple[str, int | str, Competitor], str],
) -> RatedLeague:
    """Rates the league that some of the matches are of."""
    spec = suite.judging or JudgingSpec()
    league = _Table.of(suite, key, columns, own)
    table, rows, kept, comparisons = league.table, league.rows, league.kept, league.comparisons
    index = {who: i for i, who in enumerate(league.players)}
    adjusted = None
    extras: LeagueExtras = {}
    if spec.lengths:
        told = [ratio for match in league.matches for ratio in _ratios(match)]
        ratios = [told[i] for i in np.searchsorted(rows, kept)]
        adjusted = adjusted_ratings(comparisons, ratios, table, spec.confidence)
        extras["length"] = adjusted.summary()
    if league.adaptive is not None:
        extras["adaptive"] = league.adaptive.summary()
    unadjusted: AdjustedNumbers = {}
    of_one_seed: SeedNumbers = {}
    ks = {match.payload["k"] for match in league.matches}
    k = ks.pop() if len(ks) == 1 else None
    where: LeaguePlace = {
        "judge": key.judge,
        "corpus": key.corpus,
        "k": k,
        "k_spec": key.k_spec,
        "representation": key.representation,
    }
    removed = _removed(columns, rows)
    absent = _absences(columns, own, kept, failures)
    league_rows: list[LeagueRow] = [
        {
            **where,
            **who.identity(),
            **_numbers(league.rated.get(who), absent.get(who, {})),
            "unparsed": int(removed["unparsed"][i]),
            "refused": int(removed["refused"][i]),
            **(unadjusted if adjusted is None else adjusted.row(index.get(who))),
            **of_one_seed,
        }
        for who, i in league.everyone.items()
    ]
    order = _order(columns, kept)
    sides = comparisons.a, comparisons.b, comparisons.score
    played = (side[order].tolist() for side in sides)
    points = sequential_elo(len(league.players), zip(*played, strict=True))
    return RatedLeague(
        key=key,
        matches=own,
        k=k,
        rows=league_rows,
        win_rates={**where, **_win_rates(table), **extras},
        sequential=[
            {**where, **who.identity(), "elo": rounded(points[i], 1)} for who, i in index.items()
        ],
    )


def _order(columns: MatchColumns, rows: IntArray) -> IntArray:
    """Returns the order in which comparisons are played one by one: of documents, then of pairs."""
    match = columns.match[rows]
    own, inside = np.unique(match, return_inverse=True)
    records = [columns.matches[i] for i in own]
    start = np.array([record.payload.get("start", 0) for record in records], dtype=np.int64)
    key = np.array([record.key for record in records])
    _, rank = np.unique(key, return_inverse=True)
    inside = inside.ravel()
    position = columns.position[rows] + start[inside]
    keys = rank.ravel()[inside], columns.b[match], columns.a[match], position, columns.corpus[match]
    return np.lexsort(keys)


def _ratios(match: MatchRecord) -> list[float | None]:
    return log_ratios(match.payload) if match.status == "ok" else []


def _removed(columns: MatchColumns, rows: IntArray) -> dict[str, IntArray]:
    """Returns how many comparisons each player of the board lost to what."""
    gone = rows[np.isnan(columns.score[rows])]
    unparsed = columns.unparsed[gone]
    found = {}
    for why, part in (("unparsed", gone[unparsed]), ("refused", gone[~unparsed])):
        match = columns.match[part]
        both = np.concatenate([columns.a[match], columns.b[match]])
        found[why] = np.bincount(both, minlength=len(columns.players))
    return found


def _either(a: IntArray, b: IntArray) -> list[int]:
    """Returns the numbers that stand on either side, sorted."""
    found: list[int] = np.unique([a, b]).tolist()
    return found


def _rate(key: League, columns: ComparisonColumns, spec: JudgingSpec) -> RatingTable:
    return rate(
        *columns,
        # Of the league alone: new versions of models and records move ratings, not their resamples.
        seed=seed_from("league", key.judge, key.corpus, key.k_spec, key.representation),
        n_bootstrap=spec.bootstrap,
        confidence=spec.confidence,
        ties=spec.ties,
    )


def _numbers(row: RatingRow | None, absent: Mapping[str, str]) -> RatedNumbers:
    """Returns the rated part of a row; its reason also names corpora that a pooled row lacks."""
    if row is None:
        whole = "; ".join(sorted(set(absent.values())))
        row = RatingRow("", None, None, None, None, None, 0, 0, 0, whole)
    elif absent:
        parts = [row.reason] if row.reason else []
        parts += [f"not on {corpus}: {why}" for corpus, why in sorted(absent.items())]
        row = replace(row, reason="; ".join(parts))
    return {
        "elo": rounded(row.elo, 1),
        "lo": rounded(row.lo, 1),
        "hi": rounded(row.hi, 1),
        "rank": row.rank,
        "wins": int(row.wins),
        "losses": int(row.losses),
        "ties": int(row.ties),
        "reason": row.reason,
    }


def _absences(
    columns: MatchColumns,
    own: IntArray,
    kept: IntArray,
    failures: Mapping[tuple[str, int | str, Competitor], str],
) -> dict[Competitor, dict[str, str]]:
    """Returns, by competitor and corpus, why it has no comparison there.

    Args:
        columns: the matches.
        own: those of the league.
        kept: the comparisons of the league that count.
        failures: reasons of fits that failed.
    """
    n = len(columns.players)
    sides = columns.a, columns.b
    rows = columns.match[kept]
    present = np.unique([columns.corpus[rows] * n + side[rows] for side in sides])
    missing: dict[tuple[int, int], list[MatchRecord]] = {}
    for side in sides:
        place = columns.corpus[own] * n + side[own]
        for i in np.flatnonzero(~np.isin(place, present)):
            of, number = divmod(int(place[i]), n)
            missing.setdefault((number, of), []).append(columns.matches[own[i]])
    found: dict[Competitor, dict[str, str]] = {}
    for (number, of), matches in sorted(missing.items(), key=lambda item: item[0]):
        who, corpus = columns.players[number], columns.corpora[of]
        failure = failures.get((corpus, matches[0].payload["k_spec"], who))
        if any(match.status == "ok" for match in matches):
            reason = "no comparison is left: every answer was unparsed or refused"
        elif failure is not None:
            reason = f"no match: the fit failed: {failure}"
        else:
            reasons = sorted({str(match.payload.get("reason")) for match in matches})
            reason = "no match: " + "; ".join(reasons)
        found.setdefault(who, {})[corpus] = reason
    return found


def _fit_failures(records: BoardRecords) -> dict[tuple[str, int | str, Competitor], str]:
    return {
        (fit.payload["corpus"], fit.payload["k_spec"], Competitor.of(fit.payload)): str(
            fit.payload.get("reason")
        )
        for fit in records.fits
        if fit.status == "error"
    }


def _win_rates(table: RatingTable | None) -> WinRateNumbers:
    if table is None:
        return {
            "names": [], "rates": [], "comparisons": [], "n_documents": 0, "n_bootstrap": 0,
            "n_unrateable": 0, "confidence": None, "reason": "no comparison", "sandwich": [],
        }  # fmt: skip
    numbers: WinRateNumbers = {
        "names": [row.name for row in table.rows],
        "rates": [[rounded(rate, 4) for rate in row] for row in table.win_rate],
        "comparisons": table.comparisons.tolist(),
        "n_documents": table.n_clusters,
        "n_bootstrap": table.n_bootstrap,
        "n_unrateable": table.n_unrateable,
        "confidence": table.confidence,
        "reason": table.reason,
        "sandwich": [None if math.isnan(half) else rounded(half, 1) for half in table.sandwich],
    }
    if table.intervals == "sandwich":
        numbers["intervals"] = table.intervals
    if table.tie_parameter is not None:
        numbers["nu"] = rounded(table.tie_parameter, 4)
    return numbers
