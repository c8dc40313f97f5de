"""The figure of a metric: every model's value, a panel a corpus, K and setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtmbench.boards.figures import KINDS, check_panels, chosen, grouped, over
from mtmbench.boards.metric_view import MetricLine, MetricTable
from mtmbench.boards.notes import interval_level
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.metrics import MetricRow
from mtmbench.boards.terms import k_text
from mtmbench.boards.view import BoardView
from mtmbench.core.errors import InputError
from mtmbench.core.figures import Estimate, IntervalPanel, interval_figure

if TYPE_CHECKING:
    from mtmbench.core.notebook_figure import NotebookFigure


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
            kinds[name] = over(kind)
    names = sorted(places, key=lambda name: (sum(places[name]) / len(places[name]), name))
    return names, [kinds[name] for name in names]


def _value(row: MetricRow | None) -> float:
    return 0.0 if row is None or row["value"] is None else row["value"]


def _params(line: MetricLine) -> Mapping[str, object]:
    return next(row["params"] for row in line.rows if row is not None)


def _setting_text(params: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {params[name]}" for name in sorted(params))


def _range(counts: set[int]) -> str:
    few, most = min(counts, default=0), max(counts, default=0)
    return f"{few}" if few == most else f"{few} to {most}"
