"""Tables as files: what a CSV reader gives back, what a spreadsheet must not compute."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtmbench.core.tables import (
    columns_of,
    csv_text,
    rounded_row,
    table_json,
    unguarded,
    write_files,
)


def read(text: str) -> list[list[str]]:
    """What Python's own reader finds."""
    return list(csv.reader(io.StringIO(text, newline="")))


def test_rows_become_csv() -> None:
    rows = [{"a": 'x, "y"', "b": None, "c": -0.5}, {"a": "two\nlines", "d": True, "c": 3}]
    assert columns_of(rows) == ["a", "b", "c", "d"]
    assert csv_text(["c", "a", "b", "d"], rows) == (
        'c,a,b,d\n-0.5,"x, ""y""",,\n3,"two\nlines",,True\n'
    )
    assert csv_text(["a", "b"], []) == "a,b\n"
    assert csv_text(["c"], rows) == "c\n-0.5\n3\n"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        "－1+1",
        "'=x",
        "''=x",
        "'@x",
    ],
)
def test_a_text_that_a_spreadsheet_would_compute_is_guarded(text: str) -> None:
    (_, (cell,)) = read(csv_text(["a"], [{"a": text}]))
    assert cell == f"'{text}"
    assert unguarded(cell) == text


@pytest.mark.parametrize(
    "value",
    [
        "-0.5",
        "+3",
        "-1e-05",
        "-.5",
        "x=1",
        "",
        "'quoted'",
        "'-5",
        "'",
        "a-b",
        -0.5,
        -3,
        -1e-05,
        None,
    ],
)
def test_numbers_and_other_texts_stay_as_they_are(value: Any) -> None:
    # The second column keeps an empty line from being read as no row.
    (_, (cell, _)) = read(csv_text(["a", "b"], [{"a": value, "b": 1}]))
    assert cell == ("" if value is None else str(value))
    assert unguarded(cell) == cell


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(TEXTS, min_size=2))
@example(["a\rb", "c"])
@example(["'=x", "''-y"])
def test_any_texts_come_back(cells: list[str]) -> None:
    """Whatever they hold: quotes, commas, line ends of any kind, a carriage return alone."""
    names = [f"c{i}" for i in range(len(cells))]
    header, *rows = read(csv_text(names, [dict(zip(names, cells, strict=True))]))
    assert header == names
    assert len(rows) == 1
    for found, cell in zip(rows[0], cells, strict=True):
        assert unguarded(found) == cell


def test_json_has_a_line_a_row() -> None:
    tables = {
        "schema": 1,
        "rows": [{"a": 1, "b": "ä"}, {"a": (1, 2)}],
        "none": [],
        "facts": {"x": 1},
    }
    text = table_json(tables)
    assert json.loads(text) == json.loads(json.dumps(tables))
    assert text.splitlines() == [
        "{",
        '  "schema": 1,',
        '  "rows": [',
        '    {"a": 1, "b": "ä"},',
        '    {"a": [1, 2]}',
        "  ],",
        '  "none": [],',
        '  "facts": {"x": 1}',
        "}",
    ]


def test_floats_of_a_row_are_rounded_and_nothing_else() -> None:
    row = {"a": 0.123456, "b": -0.00001, "c": True, "d": 7, "e": None, "f": "1.23456"}
    found = rounded_row(row, 4)
    assert found == {**row, "a": 0.1235, "b": 0.0}
    assert str(found["b"]) == "0.0"
    assert found["c"] is True


def test_files_are_written_in_their_order(tmp_path: Path) -> None:
    paths = write_files(tmp_path / "new", {"b.csv": "x\n", "a.md": "ü"})
    assert [path.name for path in paths] == ["b.csv", "a.md"]
    assert paths[1].read_bytes() == "ü".encode()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.md", "b.csv"}
