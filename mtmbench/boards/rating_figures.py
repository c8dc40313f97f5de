"""Figures of ratings and win rates: a board's, and of any table that ``mtmbench.rate`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mtmbench.boards.figures import KINDS, chosen, grouped, over
from mtmbench.boards.numbers import percent
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.site.overview import LEADING, JudgeColumn, RatingChart, rating_charts
from mtmbench.boards.terms import who_ruled
from mtmbench.boards.view import BoardView
from mtmbench.core.errors import InputError
from mtmbench.core.figures import (
    Estimate,
    HeatPanel,
    IntervalPanel,
    heat_figure,
    interval_figure,
)
from mtmbench.stats.bradley_terry import ELO_MEAN

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.core.notebook_figure import NotebookFigure

_PLACE = ("judge", "corpus", "k_spec", "representation")


def ratings_figure(
    board: BoardTables,
    *,
    judge: str | None = None,
    representation: str | None = None,
    corpus: str | None = None,
    k: int | str | None = None,
) -> NotebookFigure:
    """Draws every model's rating with its interval; see :meth:`Board.plot_ratings`."""
    chart = _chart(board, judge, representation, corpus, k)
    panels = []
    missing: list[tuple[str, str, str]] = []
    for i, column in enumerate(chart.columns):
        estimates = []
        for name, cells in zip(chart.names, chart.cells, strict=True):
            cell = cells[i]
            row = None if cell is None else cell.row
            reason = "not compared" if row is None else row["reason"]
            if reason:
                missing.append((reason, name, column.judge.judge["id"]))
            told = (None, None, None) if row is None else (row["elo"], row["lo"], row["hi"])
            estimates.append(Estimate(*told))
        panels.append(IntervalPanel(_title(column), estimates))
    marks = [_marks(chart, row) for row in range(len(chart.names))]
    return interval_figure(
        [f"{name}{mark}" for name, mark in zip(chart.names, marks, strict=True)],
        panels,
        title=f"Ratings: {chart.where}",
        axis="Elo",
        notes=[
            _interval_note(board, chart.columns),
            *_judge_notes(chart.columns),
            *_mark_notes(chart),
            *grouped(missing, len(panels)),
        ],
        groups=[over(kind) for kind in chart.kinds],
        styles=KINDS,
        reference=ELO_MEAN,
        missing="not rated",
    )


def win_rates_figure(
    board: BoardTables,
    *,
    judge: str | None = None,
    representation: str | None = None,
    corpus: str | None = None,
    k: int | str | None = None,
) -> NotebookFigure:
    """Draws every model's points against every other; see :meth:`Board.plot_win_rates`."""
    chart = _chart(board, judge, representation, corpus, k)
    panels = []
    for column in chart.columns:
        place = {name: i for i, name in enumerate(column.league.names)}
        matrix = column.league.matrix
        panels.append(
            HeatPanel(
                _title(column),
                [
                    [matrix[place[a]][place[b]] if {a, b} <= place.keys() else None
                     for b in chart.names]
                    for a in chart.names
                ],
            )
        )  # fmt: skip
    return heat_figure(
        chart.names,
        panels,
        title=f"Points won, row against column: {chart.where}",
        scale="points won by the row",
        centre=0.5,
        notes=[
            "A tie is half a point. Models in the order of their ratings. Empty: the model itself, "
            "or two that never met.",
            *_judge_notes(chart.columns),
        ],
    )


def plot_ratings(
    ratings: pd.DataFrame, *, title: str = "Ratings", most: int = 40
) -> NotebookFigure:
    """Draws the table that :func:`mtmbench.rate` returns: every rating with its interval.

    Args:
        ratings: the table, or rows of it.
        title: stands above it.
        most: the first so many rows are drawn; a note says of how many they are.

    Raises:
        InputError: it is no such table, has no row, or ``most`` is below 1.
    """
    absent = {"name", "elo", "lo", "hi", "reason"} - set(ratings.columns)
    if absent:
        raise InputError(
            f"a table of ratings has a column {min(absent)!r}, as mtmbench.rate returns it"
        )
    if ratings.empty:
        raise InputError("the table of ratings has no row")
    if not isinstance(most, int) or most < 1:
        raise InputError(f"most must be a whole number of at least 1, not {most!r}")
    drawn = ratings.head(most).astype(object)
    drawn = drawn.where(drawn.notna(), None)
    told = ratings.attrs
    notes = [f"Points: Bradley-Terry ratings, {ELO_MEAN:.0f} their mean; lines: intervals."]
    # A table that was kept as a file has lost what is known beside its rows.
    if {"confidence", "n_clusters", "tie_parameter"} <= told.keys():
        level = f"{percent(told['confidence'], 0)} intervals over {told['n_clusters']:,} clusters"
        by = "the sandwich estimator" if told.get("intervals") == "sandwich" else "bootstrap"
        ties = "half a win each" if told["tie_parameter"] is None else "by Davidson's model"
        notes = [
            f"Points: Bradley-Terry ratings, {ELO_MEAN:.0f} their mean, ties {ties}; lines: "
            f"{level}, by {by}."
        ]
    if len(drawn) < len(ratings):
        notes.append(f"The first {len(drawn)} of {len(ratings):,} rows.")
    reasons = [
        (str(reason), str(name), "")
        for name, reason in zip(drawn["name"], drawn["reason"], strict=True)
        if reason
    ]
    ends = zip(drawn["elo"], drawn["lo"], drawn["hi"], strict=True)
    return interval_figure(
        [str(name) for name in drawn["name"]],
        [IntervalPanel(f"{len(ratings):,} competitors", [Estimate(*each) for each in ends])],
        title=title,
        axis="Elo",
        notes=[*notes, *grouped(reasons, 1)],
        reference=ELO_MEAN,
        missing="not rated",
    )


def _chart(
    board: BoardTables,
    judge: str | None,
    representation: str | None,
    corpus: str | None,
    k: int | str | None,
) -> RatingChart:
    """Returns the chart that is asked for; the one that the page shows first fills the gaps."""
    charts: Sequence[RatingChart] = rating_charts(BoardView(board).judges())
    if not charts:
        raise InputError(f"board {board['suite']!r} has no ratings: no judge compared its models")
    charts = chosen("corpus", corpus, charts, lambda chart: chart.corpus)
    charts = [chart for chart in charts if chart.corpus == charts[0].corpus]
    charts = chosen("K", k, charts, lambda chart: chart.k_spec)
    charts = [chart for chart in charts if chart.k_spec == charts[0].k_spec]
    if representation is not None:
        charts = [chart for chart in charts if chart.shown != LEADING]
    chart = chosen("representation", representation, charts, lambda chart: chart.shown)[0]
    columns = chosen("judge", judge, chart.columns, lambda column: column.judge.judge["id"])
    places = [chart.columns.index(column) for column in columns]
    rows = [
        (name, kind, cells)
        for name, kind, every in zip(chart.names, chart.kinds, chart.cells, strict=True)
        if any(cells := [every[i] for i in places])
    ]
    if judge is not None:  # one judge's order, not the mean of all
        order = {name: i for i, name in enumerate(columns[0].league.names)}
        rows.sort(key=lambda row: order[row[0]])
    return replace(
        chart,
        columns=columns,
        names=[name for name, _, _ in rows],
        kinds=[kind for _, kind, _ in rows],
        cells=[cells for _, _, cells in rows],
    )


def _title(column: JudgeColumn) -> str:
    judge = column.judge.judge
    who = who_ruled(judge)
    kind = who if who == "people" else f"a {who}"
    return f"{judge['id']} ({kind})\n{column.shown}, n = {column.league.n_documents:,} documents"


def _interval_note(board: BoardTables, columns: Sequence[JudgeColumn]) -> str:
    """Says what points and lines are; the level and where it comes from, as each league has it."""
    levels: dict[str, None] = {}
    for column in columns:
        place = column.league.rows[0]
        table = next(
            t for t in board["win_rates"]
            if all(t[name] == place[name] for name in _PLACE)  # type: ignore[literal-required]
        )  # fmt: skip
        if table["confidence"] is not None:
            how = "the sandwich estimator" if column.league.by_sandwich else "bootstrap"
            levels[f"{percent(table['confidence'], 0)} intervals over documents, by {how}"] = None
    lines = f"; lines: {'; '.join(levels)}" if levels else "; no intervals"
    return f"Points: Bradley-Terry ratings, {ELO_MEAN:.0f} their mean{lines}."


def _judge_notes(columns: Sequence[JudgeColumn]) -> list[str]:
    failed = [c.judge.judge["id"] for c in columns if c.judge.judge["reliable"] is False]
    return [f"Failed the null control, so not to be relied on: {', '.join(failed)}."] * bool(failed)


def _marks(chart: RatingChart, row: int) -> str:
    cells = [cell for cell in chart.cells[row] if cell is not None]
    encoder = " †" if any(cell.own_encoder for cell in cells) else ""
    return encoder + (" ‡" if any(cell.short for cell in cells) else "")


def _mark_notes(chart: RatingChart) -> list[str]:
    notes = []
    judges = [
        column.judge.judge["id"]
        for i, column in enumerate(chart.columns)
        if any(cells[i] is not None and cells[i].own_encoder for cells in chart.cells)  # type: ignore[union-attr]
    ]
    if judges:
        notes.append(f"† fitted on the encoder by which {', '.join(judges)} compares texts.")
    short = {
        name: cell.short
        for name, cells in zip(chart.names, chart.cells, strict=True)
        for cell in cells
        if cell is not None and cell.short
    }
    if short:
        told = ", ".join(f"{name} {found}" for name, found in short.items())
        notes.append(f"‡ found fewer topics than K, by seed: {told}.")
    return notes
