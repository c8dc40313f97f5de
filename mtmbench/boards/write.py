"""The files of a board, rebuilt from ``suite.toml`` and its records byte for byte."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_md import render_md
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.site.page import MOST_COMMITTED, site_files
from mtmbench.boards.site.parts import drop_old_parts
from mtmbench.boards.tables import board_tables
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.records import StoredRecord
from mtmbench.core.store import records_file, stream_records
from mtmbench.core.tables import table_json, write_files


def write_board(folder: Path, *, most: int = MOST_COMMITTED) -> list[Path]:
    """Writes ``board.json``, ``board.csv``, ``board.md``, ``index.html`` and its parts.

    They depend on the folder's ``suite.toml`` and ``records.jsonl`` (or ``records.jsonl.gz``)
    alone, the page also on a steering table and on parts that a run left there
    (:func:`mtmbench.engine.site_parts.write_site_parts`); each file is written whole or not at all.

    Args:
        folder: the board's.
        most: bytes that the page's parts may take together in a folder that is no run's.

    Returns:
        The files written.

    Raises:
        InputError: a file is missing or wrong, or records contradict each other.
    """
    files = files_of(folder, most=most)
    drop_old_parts(folder, files)
    return write_files(folder, files)


def files_of(
    folder: Path,
    records: Iterable[StoredRecord] | None = None,
    *,
    most: int | None = MOST_COMMITTED,
    beside: bool = True,
) -> dict[str, str]:
    """Returns all that :func:`write_board` writes of a folder's records, by name.

    Args:
        folder: the folder.
        records: the records, if they are others than those of the folder's file.
        most: bytes that the page's parts may take together in a folder that is no run's; None for
            any number.
        beside: whether the records will lie beside the page, which then links them.

    Raises:
        InputError: as :func:`write_board` does.
    """
    suite = read_card(folder / "suite.toml", Suite)
    path = records_file(folder)
    with uncollected():
        found = BoardRecords.of(stream_records(path) if records is None else records)
        board = board_tables(suite, found)
        if path.name != "records.jsonl":
            board["records"] = path.name
        return {**board_files(board), **site_files(board, found, folder, most=most, beside=beside)}


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
    """Returns the contents of a board's files by name, but for the page's."""
    return {
        "board.json": table_json(board),
        "board.csv": render_csv(board),
        "board.md": render_md(board),
    }
