"""The tables of a site: a row a model or a rating, to be sorted and filtered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtmbench.boards.cells import ALL
from mtmbench.boards.metric_view import MetricLine, MetricTable
from mtmbench.boards.numbers import signed
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.leagues import LeagueRow
from mtmbench.boards.site.overview import JudgeColumn, RatingChart
from mtmbench.boards.terms import k_text
from mtmbench.boards.view import BoardView
from mtmbench.core.specs import is_capped


@dataclass(frozen=True)
class Dot:
    """A model on a metric's axis: which one, where (percent of the width), its value in words."""

    model: int
    x: str
    told: str


@dataclass(frozen=True)
class ProfileLine:
    """A metric with every model's value on it; the better end lies to the right."""

    name: str
    dots: Sequence[Dot]
    worst: str
    best: str


@dataclass(frozen=True)
class ModelMetrics:
    """Elo and metrics of one corpus and K side by side, a row a model.

    Attributes:
        corpus: its name.
        k: K in words.
        table: the metrics, models in the order of ``table.names``.
        ratings: the judges' leagues on the same corpus and K, each by its first representation.
        elo: a row a model, its rating before each of these judges; None without one.
        rows: number in ``board.json``'s metrics of each value, by metric line, then model.
        profile: comparable metrics as dots on axes.
    """

    corpus: str
    k: str
    table: MetricTable
    ratings: Sequence[JudgeColumn]
    elo: Sequence[Sequence[LeagueRow | None]]
    rows: Mapping[int, Sequence[int | None]]
    profile: Sequence[ProfileLine]

    def rows_of(self, line: MetricLine) -> Sequence[int | None]:
        """Returns the numbers of a line's values."""
        return self.rows[id(line)]


def model_metrics(view: BoardView, charts: Sequence[RatingChart]) -> list[ModelMetrics]:
    """Returns metrics per corpus and K, with the ratings that stand beside them."""
    numbers = {id(row): i for i, row in enumerate(view.board["metrics"])}
    beside: dict[tuple[str, int | str], RatingChart] = {}
    for chart in charts:
        beside.setdefault((chart.corpus, chart.k_spec), chart)
    found = []
    for table in view.metric_tables():
        rated_by = beside.get((table.corpus, table.k_spec))
        columns = rated_by.columns if rated_by else ()
        elo: list[list[LeagueRow | None]] = []
        for name in table.names:
            if rated_by and name in rated_by.names:
                rated = rated_by.cells[rated_by.names.index(name)]
                elo.append([None if each is None else each.row for each in rated])
            else:
                elo.append([None for _ in columns])
        found.append(
            ModelMetrics(
                table.corpus,
                k_text(table.k, table.k_spec),
                table,
                columns,
                elo,
                {
                    id(line): [None if row is None else numbers[id(row)] for row in line.rows]
                    for line in (*table.comparable, *table.own)
                },
                [profile for line in table.comparable if (profile := _profile(table, line))],
            )
        )
    return found


def _profile(table: MetricTable, line: MetricLine) -> ProfileLine | None:
    values = [
        (i, cell.value)
        for i, cell in enumerate(line.cells)
        if cell is not None and cell.value is not None
    ]
    if len(values) < 2:
        return None
    ends = [value for _, value in values]
    worst, best = (min(ends), max(ends)) if line.higher_is_better else (max(ends), min(ends))
    span = best - worst
    return ProfileLine(
        line_name(line),
        [
            Dot(
                i,
                f"{3 + 94 * ((value - worst) / span if span else 0.5):.1f}%",
                f"{table.names[i]} {value:.4f}",
            )
            for i, value in values
        ],
        signed(worst, 3),
        signed(best, 3),
    )


def line_name(line: MetricLine) -> str:
    """Returns a metric with what tells it from others of its name."""
    view = {"projected": "projected words", "own": "own items"}.get(line.view or "", "")
    return ", ".join(filter(None, (line.metric, view, line.params)))


@dataclass(frozen=True)
class RatingLine:
    """A row of the table of all ratings."""

    judge: str
    corpus: str
    k: str
    shown: str
    name: str
    kind: str | None
    row: LeagueRow
    sequential: float | None


def short_k(k: int | None, k_spec: int | str) -> str:
    """Returns the number of topics for a narrow column; what it came from in brackets."""
    if isinstance(k_spec, int):
        return str(k_spec)
    spec = "capped" if is_capped(k_spec) else k_spec
    return spec if k is None else f"{k} ({spec})"


def rating_lines(charts: Sequence[RatingChart], board: BoardTables) -> list[RatingLine]:
    """Returns every rating of a board, each once, in the order of the charts."""
    lines = {}
    for chart in charts:
        for column in chart.columns:
            league = column.league
            for name, kind, row, sequential in zip(
                league.names, league.kinds, league.rows, league.sequential, strict=True
            ):
                lines[id(row)] = RatingLine(
                    column.judge.judge["id"],
                    "all, pooled" if chart.corpus == ALL else chart.corpus,
                    short_k(row["k"], chart.k_spec),
                    column.shown,
                    name,
                    kind,
                    row,
                    sequential,
                )
    assert len(lines) == len(board["ratings"])
    return list(lines.values())
