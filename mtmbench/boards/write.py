"""The files of a board, rebuilt from ``suite.toml`` and ``records.jsonl`` byte for byte."""

from __future__ import annotations

from pathlib import Path

from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_html import render_html
from mtmbench.boards.render_md import render_md
from mtmbench.boards.rows import BoardTables
from mtmbench.boards.tables import build_board
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import stream_records
from mtmbench.core.tables import table_json, write_files


def write_board(folder: Path) -> list[Path]:
    """Writes ``board.json``, ``board.csv``, ``board.md`` and ``index.html`` into ``folder``.

    They depend on the folder's ``suite.toml`` and ``records.jsonl`` alone; each file is written
    whole or not at all.

    Returns:
        The files written.

    Raises:
        InputError: a file is missing or wrong, or records contradict each other.
    """
    return write_files(folder, files_of(folder))


def files_of(folder: Path) -> dict[str, str]:
    """Returns all that :func:`write_board` writes of a folder's records, by name.

    Raises:
        InputError: as :func:`write_board` does.
    """
    suite = read_card(folder / "suite.toml", Suite)
    return board_files(build_board(suite, stream_records(folder / "records.jsonl")))


def board_files(board: BoardTables) -> dict[str, str]:
    """Returns the contents of a board's files by name."""
    return {
        "board.json": table_json(board),
        "board.csv": render_csv(board),
        "board.md": render_md(board),
        "index.html": render_html(board),
    }
