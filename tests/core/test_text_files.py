"""Encodings and separators that files have, told from those that they should have."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.text_files import decode_text, other_separator

TEXTS = {
    "english": "id,text\n0,cow barn milk\n1,boat sail\n",
    "mixed": "id,text\n0,牧场 慢慢 羊 喜欢 羊\n1,船 和 沙滩\n",
    "greek": "αγελάδα αχυρώνα\nβάρκα πανί\n" * 3,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_wide_encodings_are_told_with_and_without_mark(text: str, encoding: str, mark: str) -> None:
    named = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    with pytest.raises(InputError, match=rf"^c\.csv is {named}, not UTF-8; convert it: iconv"):
        decode_text((mark + text).encode(encoding), Path("c.csv"))


@pytest.mark.parametrize("text", [*TEXTS.values(), "", "a", "ab", "a stray \0 in a text of UTF-8"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_utf_8_is_read_as_it_is(text: str, mark: str) -> None:
    assert decode_text((mark + text).encode(), Path("c.csv")) == text


def test_other_bytes_are_named_with_their_line() -> None:
    with pytest.raises(InputError, match=r"^c\.csv, line 2: not UTF-8 \(byte 0xe9\)"):
        decode_text(b"text\ncaf\xe9\n", Path("c.csv"))


@pytest.mark.parametrize(
    ("line", "separator", "found"),
    [
        ("id;text;label", ",", ";"), ("id\ttext", ",", "\t"), ("id,text", "\t", ","),
        ("id|text|a;b", ",", "|"), ("text", ",", None), ("id,te;xt", ",", None),
        ('"a;b"', ",", None), ('"a";"b"', ",", ";"),
    ],
)  # fmt: skip
def test_separators_are_told_by_the_first_line(
    line: str, separator: str, found: str | None
) -> None:
    assert other_separator(line, separator) == found
