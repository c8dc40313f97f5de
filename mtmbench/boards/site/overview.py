"""What a board says first: who wins, by how much, how sure; as a sentence and as one chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from mtmbench.boards.cells import ALL
from mtmbench.boards.league_view import LeagueView
from mtmbench.boards.plot import Axis, Mark
from mtmbench.boards.rows.leagues import LeagueRow
from mtmbench.boards.terms import SHOWN, k_text, lead
from mtmbench.boards.view import JudgeView
from mtmbench.core.competitors import k_order
from mtmbench.core.specs import Representation

LEADING = "lead"
"""In place of a representation: each judge by the one with which its tables begin."""

_NAMED = 4
"""So many models are named; of more it is said how many they are."""


@dataclass(frozen=True)
class Rated:
    """A model before a judge: its row, where it lies, and what is marked of it."""

    row: LeagueRow
    mark: Mark | None
    own_encoder: bool
    short: str


@dataclass(frozen=True)
class JudgeColumn:
    """A judge's part of a chart: who it is, how topics were shown, the axis."""

    judge: JudgeView
    league: LeagueView
    representation: Representation
    axis: Axis

    @property
    def shown(self) -> str:
        """How topics were shown, in words."""
        return SHOWN[self.representation]


@dataclass(frozen=True)
class RatingChart:
    """All models by judge on one corpus (or all) and K.

    Attributes:
        corpus: its name, "all" for the pool.
        k_spec: K as asked for.
        k: the same in words.
        shown: a representation, or "lead" where each judge's own is.
        columns: the judges.
        names: models, those that stand first in the mean over the judges first.
        kinds: "words", "features" or None, same order.
        cells: a row a model, a cell a judge; None where a judge does not rate it.
    """

    corpus: str
    k_spec: int | str
    k: str
    shown: str
    columns: Sequence[JudgeColumn]
    names: Sequence[str]
    kinds: Sequence[str | None]
    cells: Sequence[Sequence[Rated | None]]

    @property
    def where(self) -> str:
        """Corpus and K in words."""
        return f"{'all corpora pooled' if self.corpus == ALL else self.corpus}, {self.k}"


def rating_charts(judges: Sequence[JudgeView]) -> list[RatingChart]:
    """Returns a chart per corpus, K and representation; the one that says most comes first.

    That is the pool of all corpora where there is one, each judge by its own representation.
    """
    leagues: dict[tuple[str, int | str], dict[str, list[JudgeColumn]]] = {}
    for judge in judges:
        for league in judge.leagues:
            row = league.rows[0]
            column = JudgeColumn(judge, league, row["representation"], Axis.elo(league.rows))
            by_shown = leagues.setdefault((row["corpus"], row["k_spec"]), {})
            by_shown.setdefault(row["representation"], []).append(column)
    charts = []
    for corpus, k_spec in sorted(
        leagues, key=lambda key: (key[0] != ALL, key[0], *k_order(key[1]))
    ):
        by_shown = leagues[corpus, k_spec]
        leading = _leading(by_shown)
        if len({column.representation for column in leading}) > 1:
            charts.append(_chart(corpus, k_spec, LEADING, leading))
        first = leading[0].representation
        for shown in sorted(
            by_shown, key=lambda name: (name != first, [*map(str, SHOWN)].index(name))
        ):
            charts.append(_chart(corpus, k_spec, shown, by_shown[shown]))
    return charts


def _leading(by_shown: dict[str, list[JudgeColumn]]) -> list[JudgeColumn]:
    """Returns each judge's league by the representation that it leads with."""
    found: dict[str, JudgeColumn] = {}
    for column in (column for columns in by_shown.values() for column in columns):
        judge = column.judge.judge
        place = lead(judge).index
        other = found.get(judge["id"])
        if other is None or place(column.representation) < place(other.representation):
            found[judge["id"]] = column
    return sorted(found.values(), key=lambda c: (not c.judge.judge["is_llm"], c.judge.judge["id"]))


def _chart(
    corpus: str, k_spec: int | str, shown: str, columns: Sequence[JudgeColumn]
) -> RatingChart:
    places: dict[str, list[float]] = {}
    kinds: dict[str, str | None] = {}
    rated: list[dict[str, Rated]] = []
    for column in columns:
        league = column.league
        sharers = column.judge.judge["shares_encoder_with"]
        rated.append({})
        for place, (name, kind, row) in enumerate(
            zip(league.names, league.kinds, league.rows, strict=True)
        ):
            places.setdefault(name, []).append(place)
            kinds[name] = kind
            rated[-1][name] = Rated(
                row, Mark.elo(column.axis, row), name in sharers, league.short.get(name, "")
            )
    names = sorted(places, key=lambda name: (sum(places[name]) / len(places[name]), name))
    k = k_text(columns[0].league.rows[0]["k"], k_spec)
    return RatingChart(
        corpus, k_spec, k, shown, columns, names, [kinds[name] for name in names],
        [[each.get(name) for each in rated] for name in names],
    )  # fmt: skip


@dataclass(frozen=True)
class _Lead:
    """How a judge's table begins."""

    judge: str
    first: str
    tied: Sequence[str]
    second: str
    gap: float
    points: float | None


def headline(chart: RatingChart) -> str:
    """Returns who wins, by how much and how sure, from the numbers of one chart alone.

    Models of rank 1 are those that no other is surely ahead of, so where there are several the
    first of them is not called the winner. Judges that failed their control are not heard.
    """
    heard = [c for c in chart.columns if c.judge.judge["reliable"] is not False]
    leads = [lead for column in heard if (lead := _lead(column.judge, column.league)) is not None]
    if not leads:
        failed = "every judge failed its null control" if chart.columns and not heard else None
        return f"Nobody can be called the winner: {failed or 'no two models are rated'}."
    if len(leads) == 1:
        (one,) = leads
        return f"{_claim(one)}, {_gap(one)}."
    by_first = {
        first: list(group)
        for first, group in groupby(
            sorted(leads, key=lambda lead: lead.first), key=lambda lead: lead.first
        )
    }
    sure = [lead for lead in leads if not lead.tied]
    if len(by_first) == 1:
        first = leads[0].first
        whole = "Both judges" if len(leads) == 2 else f"All {len(leads)} judges"
        said = f"{whole} put {first} first"
        if len(sure) == len(leads):
            said += ", and no other model shares its rank"
        elif not sure:
            said += ", but by none is it told apart from all the others"
    else:
        common = set.intersection(*({lead.first, *lead.tied} for lead in leads))
        said = "The judges disagree"
        if common:
            names = _listed(sorted(common))
            said = f"The judges name different leaders, though {names} may be first by every one"
    return (
        f"{said}: {'; '.join(f'by {lead.judge}, {_claim(lead)}, {_gap(lead)}' for lead in leads)}."
    )


def otherwise(charts: Sequence[RatingChart]) -> str:
    """Returns who leads where topics are shown in another way than in the first chart.

    Empty where they are shown in one way alone.
    """
    first = charts[0]
    heard = {(column.judge.judge["id"], column.representation) for column in first.columns}
    told = []
    for chart in charts[1:]:
        if (chart.corpus, chart.k_spec) != (first.corpus, first.k_spec):
            continue
        for column in chart.columns:
            place = column.judge.judge["id"], column.representation
            if place not in heard and column.league.rows[0]["elo"] is not None:
                heard.add(place)
                told.append(f"{place[0]} puts {column.league.names[0]} first by {column.shown}")
    return f"Shown otherwise: {'; '.join(told)}." if told else ""


def _lead(judge: JudgeView, league: LeagueView) -> _Lead | None:
    rated = [
        (name, row, i)
        for i, (name, row) in enumerate(zip(league.names, league.rows, strict=True))
        if row["elo"] is not None
    ]
    if len(rated) < 2:
        return None
    (first, best, i), (second, next_, j) = rated[:2]
    assert best["elo"] is not None
    assert next_["elo"] is not None
    tied = [name for name, row, _ in rated[1:] if row["rank"] == 1]
    return _Lead(
        judge.judge["id"], first, tied, second, best["elo"] - next_["elo"], league.matrix[i][j]
    )


def _claim(lead: _Lead) -> str:
    if not lead.tied:
        return f"{lead.first} wins"
    return f"{lead.first} is ahead but not told apart from {_listed(lead.tied)}"


def _gap(lead: _Lead) -> str:
    points = (
        ""
        if lead.points is None
        else f" ({100 * lead.points:.0f}\N{NO-BREAK SPACE}% of the points)"
    )
    return f"{lead.gap:.0f} Elo above {lead.second}{points}"


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def basis(chart: RatingChart, confidence: float) -> str:
    """Returns on what the sentence rests."""
    documents = max(column.league.n_documents for column in chart.columns)
    shown = {column.shown for column in chart.columns}
    how = shown.pop() if len(shown) == 1 else "what each judge reads best"
    return (
        f"{chart.where[0].upper()}{chart.where[1:]}; topics shown by {how}; {documents:,} "
        f"documents; intervals of {100 * confidence:.0f}\N{NO-BREAK SPACE}%."
    )
