"""The files of a board, rebuilt from ``suite.toml`` and ``records.jsonl`` byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_html import render_html
from mtmbench.boards.render_md import render_md
from mtmbench.boards.tables import build_board
from mtmbench.core.cards import Suite, read_card
from mtmbench.core.serialise import plain, write_atomically
from mtmbench.core.store import read_records


def write_board(folder: Path) -> list[Path]:
    """Writes ``board.json``, ``board.csv``, ``board.md`` and ``index.html`` into ``folder``.

    They depend on the folder's ``suite.toml`` and ``records.jsonl`` alone; each file is written
    whole or not at all.

    Returns:
        The files written.

    Raises:
        InputError: a file is missing or wrong, or records contradict each other.
    """
    suite = read_card(folder / "suite.toml", Suite)
    board = build_board(suite, read_records(folder / "records.jsonl"))
    contents = {
        "board.json": board_json(board),
        "board.csv": render_csv(board),
        "board.md": render_md(board),
        "index.html": render_html(board),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def board_json(board: Mapping[str, Any]) -> str:
    """Returns a board as JSON with one row of a table per line, so that changes read well."""
    parts = []
    for name, value in plain(board).items():
        if isinstance(value, list) and value:
            rows = ",\n".join(f"    {_json(row)}" for row in value)
            parts.append(f"  {_json(name)}: [\n{rows}\n  ]")
        else:
            parts.append(f"  {_json(name)}: {_json(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
