"""The files of a board, rebuilt from ``suite.toml`` and ``records.jsonl`` byte for byte."""

from __future__ import annotations

from pathlib import Path

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_md import render_md
from mtmbench.boards.rows import BoardTables
from mtmbench.boards.site.page import site_files
from mtmbench.boards.site.parts import drop_old_parts
from mtmbench.boards.tables import board_tables
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import stream_records
from mtmbench.core.tables import table_json, write_files


def write_board(folder: Path) -> list[Path]:
    """Writes ``board.json``, ``board.csv``, ``board.md``, ``index.html`` and its parts.

    They depend on the folder's ``suite.toml`` and ``records.jsonl`` alone, the page also on a
    steering table and on parts that a run left there
    (:func:`mtmbench.engine.site_parts.write_site_parts`); each file is written whole or not at all.

    Returns:
        The files written.

    Raises:
        InputError: a file is missing or wrong, or records contradict each other.
    """
    suite = read_card(folder / "suite.toml", Suite)
    records = BoardRecords.of(stream_records(folder / "records.jsonl"))
    board = board_tables(suite, records)
    files = {**board_files(board), **site_files(board, records, folder)}
    drop_old_parts(folder, files)
    return write_files(folder, files)


def board_files(board: BoardTables) -> dict[str, str]:
    """Returns the contents of a board's files by name, but for the page's."""
    return {
        "board.json": table_json(board),
        "board.csv": render_csv(board),
        "board.md": render_md(board),
    }
