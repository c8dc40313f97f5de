"""Figures of a board, of the numbers that its pages show: ratings, win rates, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from mtmbench.boards.metric_view import MetricLine, MetricTable
from mtmbench.boards.notes import interval_level
from mtmbench.boards.numbers import percent
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.metrics import MetricRow
from mtmbench.boards.site.overview import LEADING, JudgeColumn, RatingChart, rating_charts
from mtmbench.boards.terms import k_text, who_ruled
from mtmbench.boards.view import BoardView
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.figures import (
    STYLES,
    Estimate,
    HeatPanel,
    IntervalPanel,
    heat_figure,
    interval_figure,
    shortened,
)
from mtmbench.stats.bradley_terry import ELO_MEAN

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.core.notebook_figure import NotebookFigure

_T = TypeVar("_T")
_MOST_PANELS, _NAMED, _NOTED = 24, 2, 60
KINDS = dict(zip(("over words", "over features", "over unknown items"), STYLES, strict=False))
"""How models over each kind of items are drawn, in the colours of the board's page."""
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
        groups=[_over(kind) for kind in chart.kinds],
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


def metric_figure(
    board: BoardTables,
    metric: str,
    *,
    view: str | None = None,
    corpus: str | None = None,
    k: int | str | None = None,
    params: Mapping[str, object] | None = None,
) -> NotebookFigure:
    """Draws a metric of every model, a panel a corpus, K and setting; see `Board.plot_metric`."""
    lines = _metric_lines(board, metric, view, corpus, k, params or {})
    _, first = lines[0]
    panels, missing, counts = [], [], set()
    names, kinds = _ranked(lines)
    settings = [_params(line) for _, line in lines]
    common = {
        name: value
        for name, value in settings[0].items()
        if all(setting.get(name) == value for setting in settings)
    }
    for (table, line), setting in zip(lines, settings, strict=True):
        rows = dict(zip(table.names, line.rows, strict=True))
        where = f"{table.corpus}, {k_text(table.k, table.k_spec)}"
        own = _setting_text({k: v for k, v in setting.items() if k not in common})
        place = f"{where}, {own}" if own else where
        estimates = []
        for name in names:
            row = rows.get(name)
            reason = "not measured" if row is None else row["reason"]
            if reason:
                missing.append((reason, name, place))
            if row is None:
                estimates.append(Estimate(None))
                continue
            estimates.append(Estimate(row["value"], row["lo"], row["hi"]))
            if row["value"] is not None:
                counts.add(row["n_seeds"])
            if note := row.get("note"):
                missing.append((note, name, place))
        panels.append(IntervalPanel(f"{where}\n{own}".rstrip(), estimates))
    better = "higher" if first.higher_is_better else "lower"
    of = {"projected": " of projected words", "own": " of models' own items"}.get(
        first.view or "", ""
    )
    return interval_figure(
        names,
        panels,
        title=f"{metric}{of}" + (f", {_setting_text(common)}" if common else ""),
        axis=f"{metric} ({better} is better)",
        notes=[
            f"Points: means over seeds (n = {_range(counts)}); lines: {interval_level(board)}"
            "intervals of the mean, by Student's t."
            if any(each.lo is not None for panel in panels for each in panel.estimates)
            else f"Points: values over seeds (n = {_range(counts)}); no intervals.",
            *(
                ["Own items of models over words and over features do not compare."]
                if first.view == "own" and len(set(kinds)) > 1
                else []
            ),
            *grouped(missing, len(panels)),
        ],
        groups=kinds,
        styles=KINDS,
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


def chosen(
    what: str, asked: object, found: Sequence[_T], name: Callable[[_T], object]
) -> Sequence[_T]:
    """Returns what bears a name that is asked for; all of it where None is.

    Raises:
        UnknownNameError: nothing does; the message says what there is.
    """
    if asked is None:
        return found
    kept = [each for each in found if str(name(each)) == str(asked)]
    if not kept:
        raise UnknownNameError(what, str(asked), {str(name(each)) for each in found})
    return kept


def check_panels(n: int, what: str) -> None:
    """Checks that a figure can hold so many panels.

    Raises:
        InputError: it cannot.
    """
    if n > _MOST_PANELS:
        raise InputError(
            f"{n} panels are more than the {_MOST_PANELS} that a figure has room for; choose {what}"
        )


def grouped(told: Iterable[tuple[str, str, str]], n_panels: int) -> list[str]:
    """Returns sentences of (reason, name, panel), one a reason, with who it is of.

    Of one panel alone, nothing is said of where.
    """
    by_reason: dict[str, dict[str, list[str]]] = {}
    for reason, name, where in told:
        by_reason.setdefault(reason, {}).setdefault(name, []).append(where)
    sentences = []
    for reason, names in by_reason.items():
        everywhere = n_panels == 1 or all(len(places) == n_panels for places in names.values())
        who = ", ".join(
            short if everywhere else f"{short} ({_places(places, n_panels)})"
            for name, places in names.items()
            for short in [shortened(name, _NOTED)]
        )
        sentences.append(f"{who}: {shortened(reason, 3 * _NOTED).rstrip('.')}.")
    return sentences


def _places(places: Sequence[str], n_panels: int) -> str:
    """Returns where something is missing; how often, where that is in many panels."""
    if len(places) > _NAMED:
        return f"{len(places)} of {n_panels} panels"
    return "; ".join(shortened(place, _NOTED) for place in places)


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


def _metric_lines(
    board: BoardTables,
    metric: str,
    view: str | None,
    corpus: str | None,
    k: int | str | None,
    params: Mapping[str, object],
) -> list[tuple[MetricTable, MetricLine]]:
    if not board["metrics"]:
        raise InputError(f"board {board['suite']!r} has no metric values")
    found: Sequence[tuple[MetricTable, MetricLine]] = [
        (table, line)
        for table in BoardView(board).metric_tables()
        for line in (*table.comparable, *table.own)
    ]
    found = chosen("metric of this board", metric, found, lambda each: each[1].metric)
    views = {line.view for _, line in found}
    if view is not None and views == {None}:
        raise InputError(f"{metric} reads no items, so it has no view {view!r}; leave view out")
    if view is None and None not in views:
        view = "projected" if "projected" in views else min(filter(None, views))
    found = chosen(f"view of {metric}", view, found, lambda each: each[1].view)
    found = chosen("corpus", corpus, found, lambda each: each[0].corpus)
    found = chosen("K", k, found, lambda each: each[0].k_spec)
    for name, value in params.items():
        known = sorted({str(_params(line).get(name)) for _, line in found})
        found = [each for each in found if str(_params(each[1]).get(name)) == str(value)]
        if not found:
            raise InputError(
                f"{metric} is not on this board with {name} = {value!r}; it has {', '.join(known)}"
            )
    check_panels(len(found), "a corpus=, a k= or a setting of the metric")
    return list(found)


def _ranked(lines: Sequence[tuple[MetricTable, MetricLine]]) -> tuple[list[str], list[str]]:
    """Returns models with the kind of their items: those of the best mean place come first."""
    places: dict[str, list[int]] = {}
    kinds: dict[str, str] = {}
    for table, line in lines:
        sign = -1 if line.higher_is_better else 1
        rows = zip(table.names, table.kinds, line.rows, strict=True)
        told = [
            (row is None or row["value"] is None, sign * _value(row), name, kind)
            for name, kind, row in rows
        ]
        for place, (_, _, name, kind) in enumerate(sorted(told, key=lambda each: each[:3])):
            places.setdefault(name, []).append(place)
            kinds[name] = _over(kind)
    names = sorted(places, key=lambda name: (sum(places[name]) / len(places[name]), name))
    return names, [kinds[name] for name in names]


def _over(kind: str | None) -> str:
    return f"over {kind or 'unknown items'}"


def _value(row: MetricRow | None) -> float:
    return 0.0 if row is None or row["value"] is None else row["value"]


def _params(line: MetricLine) -> Mapping[str, object]:
    return next(row["params"] for row in line.rows if row is not None)


def _setting_text(params: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {params[name]}" for name in sorted(params))


def _range(counts: set[int]) -> str:
    few, most = min(counts, default=0), max(counts, default=0)
    return f"{few}" if few == most else f"{few} to {most}"
