"""Tables as files: rows as CSV, tables as JSON with a row a line, and the files of a board."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, TypeVar, cast

from mtmbench.core.serialise import plain, rounded, write_atomically

_Row = TypeVar("_Row", bound=Mapping[str, object])

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class ShownTable(NamedTuple):
    """A table as a page shows it."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    r"""Returns rows as CSV below a header, each line ended by ``\n``.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, unless it is a
    plain number, and so does one that would look like such a text; :func:`unguarded` takes that
    away again. Numbers stay as they are.

    Args:
        columns: what is written, in this order.
        rows: a column that a row lacks, or that is None there, is empty.
    """
    lines: list[str] = []
    # Before Python 3.13 a lone \r inside of a cell is quoted only where lines end in one.
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n")
    writer.writerow([_guarded(name) for name in columns])
    writer.writerows([_guarded(row.get(name)) for name in columns] for row in rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def columns_of(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Returns every column of some rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def unguarded(cell: str) -> str:
    """Returns the text of a cell that :func:`csv_text` wrote."""
    return cell[1:] if cell[:1] == "'" and _guarded(cell[1:]) == cell else cell


def table_json(tables: Mapping[str, object]) -> str:
    """Returns tables by name as JSON with one row per line, so that changes read well."""
    parts = []
    for name, value in plain(tables).items():
        if isinstance(value, list) and value:
            rows = ",\n".join(f"    {_json(row)}" for row in value)
            parts.append(f"  {_json(name)}: [\n{rows}\n  ]")
        else:
            parts.append(f"  {_json(name)}: {_json(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def rounded_row(row: _Row, digits: int) -> _Row:
    """Returns a row with its floats rounded by :func:`~mtmbench.core.serialise.rounded`."""
    told = {
        name: rounded(value, digits) if isinstance(value, float) else value
        for name, value in row.items()
    }
    return cast(_Row, told)  # the same fields, of the same types


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Writes files by name into a folder, each whole or not at all, and returns their paths."""
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _guarded(value: object) -> object:
    if not isinstance(value, str):
        return value
    bare = value.lstrip("'")
    return f"'{value}" if bare.startswith(_FORMULA) and not _NUMBER.fullmatch(bare) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
