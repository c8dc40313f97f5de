"""Matches to ratings: one league per judge, corpus, K and representation, and pooled ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mtmbench.boards.adaptive import AdaptiveLeague
from mtmbench.boards.cells import ALL, BoardRecords, display_names
from mtmbench.boards.lengths import ComparisonColumns, adjusted_ratings, log_ratios
from mtmbench.boards.rows import (
    AdjustedNumbers,
    LeagueExtras,
    LeaguePlace,
    LeagueRow,
    RatedNumbers,
    SequentialRow,
    WinRateNumbers,
    WinRateTable,
)
from mtmbench.core.cards import JudgingSpec, Suite
from mtmbench.core.cells import Competitor, League
from mtmbench.core.errors import InputError
from mtmbench.core.records import MatchRecord
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.matches.adaptive import sides_of
from mtmbench.matches.match import fold
from mtmbench.stats.elo import sequential_elo
from mtmbench.stats.rate import RatingRow, RatingTable, rate


@dataclass(frozen=True)
class RatedLeague:
    """One league, rated.

    Attributes:
        key: which league.
        k: the number of topics asked for; None where pooled corpora differ in it.
        rows: rating rows as they stand in ``board.json``.
        win_rates: the win-rate matrix and what the ratings rest on, as in ``board.json``.
        sequential: sequential Elo rows, as in ``board.json``.
    """

    key: League
    k: int | None
    rows: list[LeagueRow]
    win_rates: WinRateTable
    sequential: list[SequentialRow]


@dataclass(frozen=True)
class _Comparison:
    """The two orders of one document, folded to the score of a.

    ``log_ratio`` is the log of a's length over b's where the record holds lengths; 0 where a rule
    decided, since no text was compared.
    """

    order: tuple[str, int, Competitor, Competitor, str]
    cluster: tuple[str, str]
    a: Competitor
    b: Competitor
    score: float
    log_ratio: float | None = None


def rate_leagues(suite: Suite, records: BoardRecords) -> list[RatedLeague]:
    """Rates every league of the records, sorted; corpora are pooled where there are several.

    Adaptive leagues are not pooled: their pairs were played on other documents in each corpus.

    Raises:
        InputError: a corpus bears the name of the pooled rating.
    """
    adaptive = suite.judging is not None and suite.judging.schedule == "adaptive"
    groups: dict[League, list[MatchRecord]] = {}
    for match in records.matches:
        if match.payload["corpus"] == ALL:
            raise InputError(f"a corpus cannot be called {ALL!r}, the name of the pooled rating")
        groups.setdefault(League.of(match.payload), []).append(match)
    pooled: dict[League, list[MatchRecord]] = {}
    for key, matches in groups.items():
        together = League(key.judge, ALL, key.k_spec, key.representation)
        pooled.setdefault(together, []).extend(matches)
    groups.update(
        (key, matches)
        for key, matches in pooled.items()
        if len({match.payload["corpus"] for match in matches}) > 1 and not adaptive
    )
    reasons = _fit_failures(records)
    return [
        _rate_league(suite, key, groups[key], reasons) for key in sorted(groups, key=League.order)
    ]


def _rate_league(
    suite: Suite,
    key: League,
    matches: Sequence[MatchRecord],
    failures: Mapping[tuple[str, int | str, Competitor], str],
) -> RatedLeague:
    spec = suite.judging or JudgingSpec()
    competitors = sorted({who for match in matches for who in sides_of(match.payload)})
    names = display_names(suite, competitors)
    kept, removed = _comparisons(matches)
    present = {(c.cluster[0], who) for c in kept for who in (c.a, c.b)}
    players = sorted({who for _, who in present})
    index = {who: i for i, who in enumerate(players)}
    columns = _columns([names[who] for who in players], index, kept)
    adaptive = None
    if spec.schedule == "adaptive":
        adaptive = AdaptiveLeague.of(matches, names, spec)
        table = None if adaptive is None else adaptive.table
    else:
        table = _rate(key, columns, spec) if players else None
    shown = {row.name: row for row in table.rows} if table else {}
    rated = {who: shown[names[who]] for who in competitors if names[who] in shown}
    adjusted = None
    extras: LeagueExtras = {}
    if spec.lengths:
        ratios = [comparison.log_ratio for comparison in kept]
        adjusted = adjusted_ratings(columns, ratios, table, spec.confidence)
        extras["length"] = adjusted.summary()
    if adaptive is not None:
        extras["adaptive"] = adaptive.summary()
    unadjusted: AdjustedNumbers = {}
    ks = {match.payload["k"] for match in matches}
    k = ks.pop() if len(ks) == 1 else None
    where: LeaguePlace = {
        "judge": key.judge,
        "corpus": key.corpus,
        "k": k,
        "k_spec": key.k_spec,
        "representation": key.representation,
    }
    rows: list[LeagueRow] = [
        {
            **where,
            **who.identity(),
            **_numbers(rated.get(who), _absences(who, matches, present, failures)),
            "unparsed": removed[who, "unparsed"],
            "refused": removed[who, "refused"],
            **(unadjusted if adjusted is None else adjusted.row(index.get(who))),
        }
        for who in competitors
    ]
    order = sorted(kept, key=lambda comparison: comparison.order)
    points = sequential_elo(len(players), [(index[c.a], index[c.b], c.score) for c in order])
    return RatedLeague(
        key=key,
        k=k,
        rows=rows,
        win_rates={**where, **_win_rates(table), **extras},
        sequential=[
            {**where, **who.identity(), "elo": rounded(points[index[who]], 1)} for who in players
        ],
    )


def _columns(
    names: Sequence[str], index: Mapping[Competitor, int], kept: Sequence[_Comparison]
) -> ComparisonColumns:
    corpora = sorted({c.cluster[0] for c in kept})
    documents = {where: i for i, where in enumerate(sorted({c.cluster for c in kept}))}
    return ComparisonColumns(
        names,
        [index[c.a] for c in kept],
        [index[c.b] for c in kept],
        [c.score for c in kept],
        [documents[c.cluster] for c in kept],
        [corpora.index(c.cluster[0]) for c in kept],
    )


def _rate(key: League, columns: ComparisonColumns, spec: JudgingSpec) -> RatingTable:
    return rate(
        *columns,
        # Of the league alone: new versions of models and records move ratings, not their resamples.
        seed=seed_from("league", key.judge, key.corpus, key.k_spec, key.representation),
        n_bootstrap=spec.bootstrap,
        confidence=spec.confidence,
        ties=spec.ties,
    )


def _comparisons(
    matches: Sequence[MatchRecord],
) -> tuple[list[_Comparison], Counter[tuple[Competitor, str]]]:
    """Returns the comparisons that count, and how many each competitor lost to what."""
    kept: list[_Comparison] = []
    removed: Counter[tuple[Competitor, str]] = Counter()
    for match in matches:
        payload = match.payload
        if match.status != "ok":
            continue
        a, b = sides_of(payload)
        orders = zip(
            payload["documents"], payload["forward"], payload["backward"], log_ratios(payload),
            strict=True,
        )  # fmt: skip
        for position, (document, forward, backward, ratio) in enumerate(orders):
            score = fold(forward, backward)
            if score is None:
                why = "unparsed" if "u" in (forward, backward) else "refused"
                removed.update([(a, why), (b, why)])
                continue
            order = payload["corpus"], payload.get("start", 0) + position, a, b, match.key
            cluster = payload["corpus"], document
            kept.append(_Comparison(order, cluster, a, b, score, ratio))
    return kept, removed


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
    who: Competitor,
    matches: Sequence[MatchRecord],
    present: Collection[tuple[str, Competitor]],
    failures: Mapping[tuple[str, int | str, Competitor], str],
) -> dict[str, str]:
    """Returns, by corpus, why a competitor has no comparison on it."""
    by_corpus: dict[str, list[MatchRecord]] = {}
    for match in matches:
        if who in sides_of(match.payload):
            by_corpus.setdefault(match.payload["corpus"], []).append(match)
    absent = {}
    for corpus, own in by_corpus.items():
        if (corpus, who) in present:
            continue
        failure = failures.get((corpus, own[0].payload["k_spec"], who))
        if failure is not None:
            absent[corpus] = f"no match: the fit failed: {failure}"
        elif any(match.status == "ok" for match in own):
            absent[corpus] = "no comparison is left: every answer was unparsed or refused"
        else:
            reasons = sorted({str(match.payload.get("reason")) for match in own})
            absent[corpus] = "no match: " + "; ".join(reasons)
    return absent


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
    if table.tie_parameter is not None:
        numbers["nu"] = rounded(table.tie_parameter, 4)
    return numbers
