"""Lines end at line feeds alone; what is written as JSON lines or CSV is read back as it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, read_json_lines, read_word_list


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ufeffthe\r\n\r\n of \r\n", ["the", "of"]),
        ("the, of, and\n", ["the", "of", "and"]),
        ("the,of\nand\n", ["the", "of", "and"]),
        ("the of and\n", ["the", "of", "and"]),
        ("a lô\nbởi vì\n", ["a lô", "bởi vì"]),
        (" | Snowball's\nthe      | article\nof\n# more\nc#\n", ["the", "of", "c#"]),
    ],
)
def test_a_list_of_words_in_the_forms_of_its_authors(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "stop.txt").write_text(text, newline="")
    assert read_word_list(tmp_path / "stop.txt") == words
