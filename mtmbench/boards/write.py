"""The files of a board, rebuilt from ``suite.toml`` and its records byte for byte."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_html import render_html
from mtmbench.boards.render_md import render_md
from mtmbench.boards.rows import BoardTables
from mtmbench.boards.tables import build_board
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import records_file, stream_records
from mtmbench.core.tables import table_json, write_files


def write_board(folder: Path) -> list[Path]:
    """Writes ``board.json``, ``board.csv``, ``board.md`` and ``index.html`` into ``folder``.

    They depend on the folder's ``suite.toml`` and ``records.jsonl`` (or ``records.jsonl.gz``)
    alone; each file is written whole or not at all.

    Returns:
        The files written.

    Raises:
        InputError: a file is missing or wrong, or records contradict each other.
    """
    suite = read_card(folder / "suite.toml", Suite)
    records = records_file(folder)
    with uncollected():
        board = build_board(suite, stream_records(records))
        if records.name != "records.jsonl":
            board["records"] = records.name
        return write_files(folder, board_files(board))


@contextmanager
def uncollected() -> Iterator[None]:
    """Pauses the search for cycles of garbage.

    Records are trees, of which a million make it look through all of them again and again.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def board_files(board: BoardTables) -> dict[str, str]:
    """Returns the contents of a board's files by name."""
    return {
        "board.json": table_json(board),
        "board.csv": render_csv(board),
        "board.md": render_md(board),
        "index.html": render_html(board),
    }
