"""The steering table beside a board: ``steering.json``, ``steering.csv``, ``steering.md``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from mtmbench.boards.markdown import MarkdownPage, markdown_text
from mtmbench.boards.numbers import estimate, fixed, shown, signed
from mtmbench.boards.steering_rows import SteeredTopic, SteeringRow, SteeringTable, VerdictRow
from mtmbench.core.tables import (
    columns_of,
    csv_text,
    rounded_row,
    table_json,
    write_files,
)
from mtmbench.steering.summary import in_words, strength_text, summary_rows, topic_rows
from mtmbench.steering.verdicts import BEATEN, CONFIDENCE, verdict_rows

_SCHEMA = 2
_DIGITS = 4
_Column = tuple[str, Callable[[SteeringRow], float | None]]
_SHOWN: tuple[_Column, ...] = (
    ("perplexity", lambda row: row["perplexity"]),
    ("distinct-2", lambda row: row["distinct_2"]),
    ("Δℓ", lambda row: row["delta_l"]),
    ("drift", lambda row: row["drift"]),
    ("mean ‖a′ − a‖", lambda row: row["mean_change"]),
)
_RATED: tuple[_Column, ...] = (
    ("concept", lambda row: row["concept"]),
    ("instruction", lambda row: row["instruction"]),
    ("fluency", lambda row: row["fluency"]),
    ("AxBench", lambda row: row["overall"]),
)
"""Numbers of a condition, by heading; the latter where a rater was asked."""
_TOPIC_HEADER = (
    "corpus", "model", "topic", "chosen λ", "Spearman of Δℓ with λ", "over λ", "steered by",
)  # fmt: skip
_CONTROLS = {
    1: "Controls change activations by as much as the topic does at the chosen λ, in the mean over "
    "a reference text; mean ‖a′ − a‖ is what they did in the texts.",
    2: "Controls change activations by as much as the topic does at the chosen λ, in the mean over "
    "generated text: their λ are calibrated to it on a few prompts of the first half, and mean "
    "‖a′ − a‖ is what they did on the other half.",
}
_STEERED = {
    1: f"A topic counts as steered where its win rate lies above the intervals of {BEATEN[0]} and "
    f"{BEATEN[1]}.",
    2: "A topic counts as steered where its win rate lies above the interval in which one more "
    f"direction of {BEATEN[0]}, and one more of {BEATEN[1]}, would lie: {100 * CONFIDENCE:.0f} % "
    "for all topics of a model together (Student's t, the spread pooled over topics, Bonferroni).",
}
"""What was done by a table's schema; tables of schema 1 stay readable."""
_VERDICT_HEADER = ("topic", *(f"less {control}" for control in BEATEN))
_NOTES: tuple[str | Mapping[int, str], ...] = (
    "A win rate is the share of prompts whose steered text a judge finds more about the topic than "
    "the unsteered one, a tie being half a win; 95 % intervals over prompts, or over directions "
    "where a control has several and these are wider.",
    "λ is chosen on one half of the prompts by the first judge, among those whose text has at most "
    "twice the perplexity of unsteered text and at least 0.8 of its distinct-2; every number here "
    "is from the other half.",
    _CONTROLS,
    "Spearman's correlation of Δℓ with λ is over the grid up to the chosen λ. Neither Δℓ nor a "
    "difference of means can be had of a topic that every document shares in.",
    _STEERED,
)


def write_table(
    folder: Path, rows: Sequence[SteeringRow], *, title: str, notes: Sequence[str] = ()
) -> list[Path]:
    """Writes the three files, each whole or not at all; numbers are rounded to 4 decimals.

    Args:
        folder: where they go.
        rows: rows of :func:`~mtmbench.steering.rows.experiment_rows`.
        title: of the page.
        notes: what else a reader must know.
    """
    table: SteeringTable = {
        "schema": _SCHEMA,
        "summary": [rounded_row(row, _DIGITS) for row in summary_rows(rows)],
        "topics": [rounded_row(row, _DIGITS) for row in topic_rows(rows)],
        "verdicts": [rounded_row(row, _DIGITS) for row in verdict_rows(rows)],
        "rows": [_rounded(row) for row in rows],
    }
    return write_files(folder, steering_files(table, title=title, notes=notes))


def steering_files(
    table: SteeringTable, *, title: str, notes: Sequence[str] = ()
) -> dict[str, str]:
    """Returns the contents of the three files by name; they follow from ``steering.json`` alone."""
    return {
        "steering.json": table_json(table),
        "steering.csv": csv_text(_columns(table["rows"]), table["rows"]),
        "steering.md": _page(table, title, notes),
    }


def _rounded(row: SteeringRow) -> SteeringRow:
    told = rounded_row(row, _DIGITS)
    if rates := row["by_direction"]:
        told["by_direction"] = [round(rate, _DIGITS) for rate in rates]
    return told


def _columns(rows: Sequence[SteeringRow]) -> list[str]:
    """Returns the columns of the CSV: all but those that hold lists."""
    return [name for name in columns_of(rows) if name != "by_direction"]


def _page(table: SteeringTable, title: str, notes: Sequence[str]) -> str:
    rows = table["rows"]
    page = MarkdownPage(title)
    schema = table["schema"]
    page.bullets([*notes, *(each if isinstance(each, str) else each[schema] for each in _NOTES)])
    if table["topics"]:
        page.heading("Topics")
        page.table(_TOPIC_HEADER, map(_topic_cells, table["topics"]))
    for told in table["summary"]:
        place = told["corpus"], told["model"], told["k"], told["judge"]
        group = [row for row in rows if _place(row) == place]
        rated = any(row.get("overall") is not None for row in group)
        columns = (*_SHOWN, *_RATED) if rated else _SHOWN
        k = "" if told["k"] is None else f", K = {told['k']}"
        page.heading(f"{told['model']} on {told['corpus']}{k}, judge {told['judge']}")
        page.raw(in_words(told))
        verdicts = [row for row in table.get("verdicts", ()) if _place(row) == place]
        if verdicts:
            page.table(_VERDICT_HEADER, _verdict_cells(verdicts))
        if told["n_chosen"] and "verdicts" in table:
            page.raw(_unspread({row["control"] for row in verdicts}))
        page.table(
            ("topic", "method", "λ", "win rate", "n", *(heading for heading, _ in columns)),
            [_cells(row, columns) for row in group],
        )
    return str(page)


def _place(row: SteeringRow | VerdictRow) -> tuple[str, str, int | None, str]:
    return row["corpus"], row["model"], row.get("k"), row["judge"]


def _topic_cells(row: SteeredTopic) -> list[object]:
    return [
        row["corpus"], row["model"], row["topic"], strength_text(row),
        shown(row["delta_l_spearman"], fixed(2)), row["n_lambdas"],
        ", ".join(row["steered"]) or "none",
    ]  # fmt: skip


def _unspread(held: Collection[str]) -> str:
    """Says which controls no topic could be held against; empty where there is none."""
    missing = [markdown_text(control) for control in BEATEN if control not in held]
    if not missing:
        return ""
    return (
        "No topic can count as steered: no topic with a chosen λ has several judged directions of "
        f"{' or '.join(missing)}, so that nothing says how they spread."
    )


def _verdict_cells(rows: Sequence[VerdictRow]) -> list[list[object]]:
    """Returns a line for each topic: how far it lies above each control to beat."""
    topics = dict.fromkeys(row["topic"] for row in rows)
    lines: list[list[object]] = []
    for topic in topics:
        told = {row["control"]: row for row in rows if row["topic"] == topic}
        lines.append([topic, *(_difference(told.get(control)) for control in BEATEN)])
    return lines


def _difference(row: VerdictRow | None) -> str | None:
    if row is None:
        return None
    form = partial(signed, digits=2, plus=True)
    return estimate(row["difference"], row["lo"], row["hi"], form)


def _cells(row: SteeringRow, columns: Sequence[_Column]) -> list[object]:
    method = row["method"] + (" (chosen)" if row["chosen"] else "")
    rate = estimate(row["win_rate"], row["lo"], row["hi"], fixed(2))
    numbers = [shown(number(row), "{:.3g}".format) for _, number in columns]
    return [row["topic"], method, strength_text(row), rate, row["n"], *numbers]
