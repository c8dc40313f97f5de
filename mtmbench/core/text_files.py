"""What text files turn out to be: UTF-8 or another encoding, separated by this or by that."""

from __future__ import annotations

import codecs
import csv
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtmbench.core.errors import InputError

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32LE"),
    (codecs.BOM_UTF32_BE, "UTF-32BE"),
    (codecs.BOM_UTF16_LE, "UTF-16LE"),
    (codecs.BOM_UTF16_BE, "UTF-16BE"),
)
_SAMPLE = 4096
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


def decode_text(data: bytes, path: Path) -> str:
    """Returns the text of a UTF-8 file; a byte order mark is dropped.

    Raises:
        InputError: the bytes are UTF-16 or UTF-32, by their mark or their zeros, or not UTF-8; the
            message names the line.
    """
    encoding = _wide_encoding(data)
    if encoding is not None:
        raise InputError(
            f"{path} is {encoding}, not UTF-8; convert it: iconv -f {encoding} -t UTF-8 FILE"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}); "
            "convert the file to UTF-8"
        ) from error


def is_number(text: str) -> bool:
    """Whether a cell of a table is a number as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def whole(text: str, where: str) -> int:
    """Returns a whole number that a stranger wrote.

    Raises:
        InputError: it is none, or of more digits than any number of a topic or document has.
    """
    if re.fullmatch(r"[+-]?\d{1,18}", text.strip()) is None:
        raise InputError(f"{where}: {text!r:.40} is no whole number of at most 18 digits")
    return int(text)


def finite(text: str, where: str) -> float:
    """Returns a number that a stranger wrote.

    Raises:
        InputError: it is none, or not finite.
    """
    number = float(text) if is_number(text) else math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {text!r:.40} is no finite number")
    return number


@contextmanager
def long_cells() -> Iterator[None]:
    """Lets the csv module read cells of more than its 128 KiB, which documents may have."""
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def other_separator(line: str, separator: str) -> str | None:
    """Returns what separates the cells of a line that ``separator`` leaves whole, or None.

    Args:
        line: the first line of a table.
        separator: what was meant to separate its cells.
    """
    if separator in line or re.fullmatch(r'"[^"]*"', line):
        return None
    counts = {mark: line.count(mark) for mark in _SEPARATORS if mark in line}
    return max(counts, key=lambda mark: counts[mark], default=None)


def separated(mark: str) -> str:
    """Says that ``mark`` separates the cells of a table, and what would be right."""
    return (
        f"its cells are separated by {_SEPARATORS[mark]}; a .csv has commas and a .tsv tabs: save "
        "it with those"
    )


def _wide_encoding(data: bytes) -> str | None:
    """Tells UTF-16 and UTF-32 by the mark, or by zeros in every second byte alone.

    UTF-8 text has no zeros; in UTF-16 the spaces, digits and line ends of any language do.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:_SAMPLE]
    zeros = [head[place::4].count(0) for place in range(4)]
    quarter = len(head) // 4
    if quarter and min(zeros[2], zeros[3]) >= quarter:
        return "UTF-32LE"
    if quarter and min(zeros[0], zeros[1]) >= quarter:
        return "UTF-32BE"
    odd, even = zeros[1] + zeros[3], zeros[0] + zeros[2]
    if min(odd, even) > 0 or odd + even == 0:
        return None
    # A stray zero in UTF-8 does not make it UTF-16, of whose Latin text half the bytes are zeros.
    if odd + even < len(head) / 5 and _is_utf8(data):
        return None
    return "UTF-16LE" if odd else "UTF-16BE"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
