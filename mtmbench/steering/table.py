"""The steering table beside a board: ``steering.json``, ``steering.csv``, ``steering.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtmbench.boards.markdown import MarkdownPage
from mtmbench.boards.numbers import estimate, fixed, shown
from mtmbench.core.tables import (
    TableRow,
    columns_of,
    csv_text,
    rounded_row,
    table_json,
    write_files,
)
from mtmbench.steering.axbench import ASPECTS
from mtmbench.steering.evaluate import BEATEN
from mtmbench.steering.summary import in_words, strength_text, summary_rows, topic_rows

_SCHEMA = 1
_DIGITS = 4
_SHOWN = ("perplexity", "distinct_2", "delta_l", "drift", "mean_change")
_PLACE = ("corpus", "model", "k", "judge")
_TOPIC_HEADER = (
    "corpus", "model", "topic", "chosen λ", "Spearman of Δℓ with λ", "over λ", "steered by",
)  # fmt: skip
_NOTES = (
    "A win rate is the share of prompts whose steered text a judge finds more about the topic than "
    "the unsteered one, a tie being half a win; 95 % intervals over prompts, or over directions "
    "where a control has several and these are wider.",
    "λ is chosen on one half of the prompts by the first judge, among those whose text has at most "
    "twice the perplexity of unsteered text and at least 0.8 of its distinct-2; every number here "
    "is from the other half.",
    "Controls change activations by as much as the topic does at the chosen λ, in the mean over a "
    "reference text; mean ‖a′ − a‖ is what they did in the texts.",
    "Spearman's correlation of Δℓ with λ is over the grid up to the chosen λ. Neither Δℓ nor a "
    "difference of means can be had of a topic that every document shares in.",
    f"A topic counts as steered where its win rate lies above the intervals of {BEATEN[0]} and "
    f"{BEATEN[1]}.",
)


def write_table(
    folder: Path, rows: Sequence[TableRow], *, title: str, notes: Sequence[str] = ()
) -> list[Path]:
    """Writes the three files, each whole or not at all; numbers are rounded to 4 decimals.

    Args:
        folder: where they go.
        rows: rows of :func:`~mtmbench.steering.rows.experiment_rows`.
        title: of the page.
        notes: what else a reader must know.
    """
    told = {"summary": summary_rows(rows), "topics": topic_rows(rows), "rows": rows}
    table = {name: [rounded_row(row, _DIGITS) for row in its] for name, its in told.items()}
    contents = steering_files({"schema": _SCHEMA, **table}, title=title, notes=notes)
    return write_files(folder, contents)


def steering_files(
    table: Mapping[str, Any], *, title: str, notes: Sequence[str] = ()
) -> dict[str, str]:
    """Returns the contents of the three files by name; they follow from ``steering.json`` alone."""
    return {
        "steering.json": table_json(table),
        "steering.csv": csv_text(columns_of(table["rows"]), table["rows"]),
        "steering.md": _page(table, title, notes),
    }


def _page(table: Mapping[str, Any], title: str, notes: Sequence[str]) -> str:
    rows = table["rows"]
    page = MarkdownPage(title)
    page.bullets([*notes, *_NOTES])
    if table["topics"]:
        page.heading("Topics")
        page.table(_TOPIC_HEADER, map(_topic_cells, table["topics"]))
    for told in table["summary"]:
        place = [told[name] for name in _PLACE]
        group = [row for row in rows if [row.get(n) for n in _PLACE] == place]
        columns = _columns(rated=any(row.get("overall") is not None for row in group))
        k = "" if told["k"] is None else f", K = {told['k']}"
        page.heading(f"{told['model']} on {told['corpus']}{k}, judge {told['judge']}")
        page.raw(in_words(told))
        page.table(
            ("topic", "method", "λ", "win rate", "n", *map(_heading, columns)),
            [_cells(row, columns) for row in group],
        )
    return str(page)


def _columns(*, rated: bool) -> tuple[str, ...]:
    return (*_SHOWN, *ASPECTS, "overall") if rated else _SHOWN


def _topic_cells(row: TableRow) -> list[Any]:
    return [
        row["corpus"], row["model"], row["topic"], strength_text(row),
        shown(row["delta_l_spearman"], fixed(2)), row["n_lambdas"],
        ", ".join(row["steered"]) or "none",
    ]  # fmt: skip


def _cells(row: TableRow, columns: Sequence[str]) -> list[Any]:
    method = row["method"] + (" (chosen)" if row["chosen"] else "")
    rate = estimate(row["win_rate"], row["lo"], row["hi"], fixed(2))
    numbers = [shown(row[name], "{:.3g}".format) for name in columns]
    return [row["topic"], method, strength_text(row), rate, row["n"], *numbers]


def _heading(name: str) -> str:
    return {
        "delta_l": "Δℓ", "mean_change": "mean ‖a′ − a‖", "distinct_2": "distinct-2",
        "overall": "AxBench",
    }.get(name, name)  # fmt: skip
