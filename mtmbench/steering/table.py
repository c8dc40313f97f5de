"""The steering table beside a board: ``steering.json``, ``steering.csv``, ``steering.md``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtmbench.board.cells import rounded
from mtmbench.board.markdown import markdown_bullets, markdown_table, markdown_text
from mtmbench.board.write import board_json
from mtmbench.serialise import write_atomically
from mtmbench.steering.evaluate import BEATEN

SCHEMA = 1
_DIGITS = 4
_SHOWN = ("perplexity", "distinct_2", "delta_l", "drift", "mean_change")
_NOTES = (
    "A win rate is the share of prompts whose steered text a judge finds more about the topic than "
    "the unsteered one, a tie being half a win; 95 % intervals over prompts, or over directions "
    "where a control has several and these are wider.",
    "λ is chosen on one half of the prompts by the first judge, among those whose text has at most "
    "twice the perplexity of unsteered text and at least 0.8 of its distinct-2; every number here "
    "is from the other half.",
    "Controls change activations by as much as the topic does at the chosen λ, in the mean over a "
    "reference text; mean ‖a′ − a‖ is what they did in the texts.",
    f"A topic counts as steered where its win rate lies above the intervals of {BEATEN[0]} and "
    f"{BEATEN[1]}.",
)


def write_table(
    folder: Path, rows: Sequence[Mapping[str, Any]], *, title: str, notes: Sequence[str] = ()
) -> list[Path]:
    """Writes the three files, each whole or not at all; numbers are rounded to 4 decimals.

    Args:
        folder: where they go.
        rows: rows of :func:`~mtmbench.steering.play.play_steering`.
        title: of the page.
        notes: what else a reader must know.
    """
    shown = [_rounded(row) for row in rows]
    contents = {
        "steering.json": board_json({"schema": SCHEMA, "rows": shown}),
        "steering.csv": _csv(shown),
        "steering.md": _page(shown, title, notes),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _page(rows: Sequence[Mapping[str, Any]], title: str, notes: Sequence[str]) -> str:
    parts = [f"# {markdown_text(title)}", markdown_bullets([*notes, *_NOTES])]
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["corpus"], row["model"], row["judge"]), []).append(row)
    for (corpus, model, judge), group in groups.items():
        told = [row for row in group if row["steered"] is not None]
        topics = {row["topic"] for row in group}
        parts += [
            f"## {markdown_text(model)} on {markdown_text(corpus)}, judge {markdown_text(judge)}",
            f"{sum(row['steered'] for row in told)} of {len(topics)} topics count as steered; for "
            f"{len(topics) - len(told)} no λ left the text fluent.",
            markdown_table(
                ("topic", "method", "λ", "win rate", "n", *map(_heading, _SHOWN)),
                [_cells(row) for row in group],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def _cells(row: Mapping[str, Any]) -> list[Any]:
    level = None
    if row["lambda"] is not None:
        level = f"{row['lambda']:g} {row['lambda_unit']}"
    interval = "" if row["lo"] is None else f" ({row['lo']:.2f} to {row['hi']:.2f})"
    method = row["method"] + (" (chosen)" if row["chosen"] else "")
    rate = None if row["win_rate"] is None else f"{row['win_rate']:.2f}{interval}"
    numbers = [None if row[name] is None else f"{row[name]:.3g}" for name in _SHOWN]
    return [row["topic"], method, level, rate, row["n"], *numbers]


def _heading(name: str) -> str:
    return {"delta_l": "Δℓ", "mean_change": "mean ‖a′ − a‖", "distinct_2": "distinct-2"}.get(
        name, name
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: rounded(value, _DIGITS) if isinstance(value, float) else value
        for name, value in row.items()
    }
