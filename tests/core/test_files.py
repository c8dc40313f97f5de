"""Lines end at line feeds alone; what is written as JSON lines or CSV is read back as it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, read_json_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n\nb\r\n", ["a", "", "b"]),
        (f"{ODD_TEXT}\nb", [ODD_TEXT, "b"]),
        ("a\rb\n", ["a\rb"]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_json_lines_are_read_back_and_a_wrong_one_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [{"text": ODD_TEXT}, {"text": "second"}]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert list(read_json_lines(path)) == rows
    wrong = data + b"[1]\n"
    path.write_bytes(gzip.compress(wrong) if path.suffix == ".gz" else wrong)
    with pytest.raises(InputError, match=f"{name} line 3 is no JSON object"):
        list(read_json_lines(path))
