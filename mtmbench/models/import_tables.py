"""Files of numbers and names that other tools leave behind: npz, npy, csv, txt, json."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, parse_json, read_text
from mtmbench.core.text_files import is_number, long_cells, other_separator, separated
from mtmbench.core.types import AnyArray

ARRAY_SUFFIXES = (".npy", ".csv")
NAME_SUFFIXES = (".txt", ".json", ".npy")

_ROW_NAME_HEADS = ("", "id", "doc_id", "document", "doc", "topic", "index")


@dataclass(frozen=True)
class Table:
    """A matrix with the names of its rows and columns, where the file has them.

    ``numbered`` says that the rows' names are but running numbers, of which no header says that
    they are ids; pandas writes them in whatever order the rows are.
    """

    values: AnyArray
    columns: tuple[str, ...] | None = None
    rows: tuple[str, ...] | None = None
    numbered: bool = False

    def ids_of(self, n_documents: int) -> tuple[str, ...] | None:
        """Returns the rows' names as ids; None where rows are numbered, one for each document."""
        return None if self.numbered and len(self.values) == n_documents else self.rows


def read_table(path: Path) -> Table:
    """Reads a matrix from ``.npy`` or ``.csv``.

    In a csv file the first line is a header where it holds anything but numbers, or the running
    numbers 0, 1, 2, … with or without a name before them. The first column holds row names where
    it is not numeric, or holds distinct whole numbers under an empty header or one that says so
    ("id", "doc_id", "document", "doc", "topic", "index").

    Raises:
        InputError: the file is damaged, ragged, or holds something that is no number; the message
            names the line.
    """
    if path.suffix == ".npy":
        try:
            return Table(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise InputError(f"cannot read {path} as npy: {error}") from error
    lines = _csv_lines(path)
    width = len(lines[0][1])
    for number, cells in lines:
        if len(cells) != width:
            raise InputError(
                f"{path}, line {number}: {len(cells)} cells; the lines before have {width}"
            )
    header = lines[0][1] if _is_header(lines[0][1]) else None
    body = lines[1:] if header is not None else lines
    if not body:
        raise InputError(f"{path} has a header and no rows")
    named = _are_row_names([cells[0] for _, cells in body], header)
    first = int(named)
    values = np.array(
        [[_number(cell, path, number) for cell in cells[first:]] for number, cells in body]
    )
    rows = tuple(cells[0] for _, cells in body) if named else None
    return Table(
        values,
        None if header is None else tuple(header[first:]),
        rows,
        numbered=header is not None
        and header[0].strip().lower() in ("", "index")
        and rows == tuple(_running(len(body))),
    )


def read_names(path: Path) -> tuple[str, ...]:
    """Reads names: one a line (``.txt``), an array (``.npy``), or JSON.

    JSON may be a list, or an object that maps an index to its name or a name to its index.

    Raises:
        InputError: the file is none of these, or the indices are not 0 … V − 1.
    """
    if path.suffix == ".npy":
        return tuple(map(name_of, read_table(path).values.ravel()))
    text = read_text(path, plain_ends=True)
    if path.suffix != ".json":
        return tuple(lines_of(text))
    return names_of(parse_json(text, str(path), " is not valid JSON"), str(path))


def names_of(data: object, where: str) -> tuple[str, ...]:
    """Returns names from a sequence, an index-to-name or a name-to-index mapping."""
    if isinstance(data, Mapping):
        by_index = all(str(key).isdecimal() for key in data)
        try:
            pairs = {int(k): str(v) for k, v in data.items()} if by_index else _inverted(data)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{where} maps names to something that is no index: {error!s:.100}"
            ) from error
        if sorted(pairs) != list(range(len(data))):
            raise InputError(f"{where}: the indices of the names are not 0 … {len(data) - 1}")
        return tuple(pairs[index] for index in range(len(pairs)))
    if isinstance(data, str | bytes) or not isinstance(data, Sequence | np.ndarray):
        raise InputError(f"{where} must be a list of names, not {type(data).__name__}")
    return tuple(map(name_of, data))


def name_of(value: object) -> str:
    """Returns a name as text: bytes are UTF-8, and a whole number has no decimal point."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)  # type: ignore[call-overload]


def _inverted(data: Mapping[object, str | int]) -> dict[int, str]:
    return {int(index): str(name) for name, index in data.items()}


def _csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    text = read_text(path)
    if (mark := other_separator(text.split("\n", 1)[0].rstrip("\r"), ",")) is not None:
        raise InputError(f"{path}, line 1: {separated(mark)}")
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        with long_cells():
            lines = [(reader.line_num, cells) for cells in reader if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error
    if not lines:
        raise InputError(f"{path} is empty")
    return lines


def _is_header(cells: Sequence[str]) -> bool:
    if list(cells) == _running(len(cells)) or list(cells[1:]) == _running(len(cells) - 1):
        return len(cells) > 1
    return not all(map(is_number, cells[1:] or cells))


def _are_row_names(column: Sequence[str], header: Sequence[str] | None) -> bool:
    if not all(map(is_number, column)):
        return header is None or header[0].strip().lower() in _ROW_NAME_HEADS
    if header is None or header[0].strip().lower() not in _ROW_NAME_HEADS:
        return False
    return all(cell.strip().isdecimal() for cell in column) and len(set(column)) == len(column)


def _running(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def _number(cell: str, path: Path, line: int) -> float:
    try:
        return float(cell)
    except ValueError as error:
        hint = f"; {separated(';')}" if ";" in cell else ""
        raise InputError(f"{path}, line {line}: {cell!r} is not a number{hint}") from error
