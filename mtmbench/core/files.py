"""Lines, JSON lines, JSON and CSV in files, plain or gzipped; a wrong line is named."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtmbench.core.errors import InputError
from mtmbench.core.text_files import decode_text

if TYPE_CHECKING:
    from mtmbench.core.types import AnyArray


def lines_of(text: str) -> list[str]:
    r"""Returns the lines of a text: they end at ``\n``, before which ``\r`` may stand.

    ``str.splitlines`` ends lines at U+2028, U+2029, U+0085, ``\x1c`` and others as well. Texts,
    labels and replies may hold those, and JSON and CSV leave them as they are.
    """
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r") for line in lines]


def read_bytes(path: Path) -> bytes:
    """Reads a file, unpacked if its name ends in ``.gz``.

    Raises:
        InputError: it cannot be read, or is no whole gzip file.
    """
    try:
        packed = path.suffix.lower() == ".gz"
        return gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the objects of a JSON-lines file.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object; the line is named.
    """
    try:
        for number, line in enumerate(lines_of(_text(path)), start=1):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise InputError(f"{path} line {number} is no JSON object")
            yield row
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {number} is not JSON: {error}") from error


def read_json(path: Path) -> object:
    """Reads a JSON file; an InputError names it if it cannot be read."""
    try:
        content: object = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    return content


def read_json_object(path: Path) -> dict[str, Any]:
    """Returns the object that a JSON file holds.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a JSON object")
    return content


def read_word_list(path: Path) -> list[str]:
    """Returns the words of a file: one a line, or a JSON list where its name ends in ``.json``.

    Commas separate words as well, and so do spaces in a file of one line; what follows ``#`` or
    ``|`` is a comment, as in Snowball's lists.

    Raises:
        InputError: the file cannot be read, or is JSON of something else.
    """
    if path.suffix != ".json":
        lines = [re.split(r"(?:^|\s)[#|]", line, maxsplit=1)[0] for line in lines_of(_text(path))]
        lines = [line.removeprefix("\ufeff").strip() for line in lines]
        lines = [line for line in lines if line]
        separator = r"[,\s]" if len(lines) == 1 else ","
        words = (word.strip() for line in lines for word in re.split(separator, line))
        return [word for word in words if word]
    listed = read_json(path)
    if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
        raise InputError(f"{path} must hold a JSON list of words")
    return listed


def read_tensors(path: Path) -> dict[str, AnyArray]:
    """Reads a safetensors file; an InputError names it if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _text(path: Path) -> str:
    text = decode_text(read_bytes(path), path)
    return text.replace("\r\n", "\n").replace("\r", "\n")
