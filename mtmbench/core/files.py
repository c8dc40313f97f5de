"""Lines, JSON lines, JSON, TOML and arrays in files, plain or packed; a wrong line is named.

What a file may unpack to is limited, and so is how deep JSON is nested: a file of a megabyte must
not fill the memory, and an error must come as one line.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtmbench.core.errors import InputError
from mtmbench.core.text_files import decode_text

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

    from mtmbench.core.types import AnyArray

MAX_UNPACKED = "MTMBENCH_MAX_UNPACKED"
"""The environment variable that raises what a file may unpack to; workers inherit it."""

_MAX_UNPACKED_MB = 512
_HONEST_RATIO = 20
"""Text and numbers pack to a twentieth at best; what packs better is limited by size."""

_MOST_LEVELS = 100


def unpack_limit(packed: int) -> int:
    """Returns to how many bytes a file of ``packed`` bytes may unpack.

    Twenty times its own size, or 512 MB if that is more; ``MTMBENCH_MAX_UNPACKED``, which the
    option ``--max-unpacked`` of the command line sets, is another number of MB.

    Raises:
        InputError: the variable is no number.
    """
    given = os.environ.get(MAX_UNPACKED) or str(_MAX_UNPACKED_MB)
    if not given.isdecimal() or not 0 < len(given) < 10:
        raise InputError(f"{MAX_UNPACKED} is {given!r:.40}; it is a number of MB, such as 2000")
    return max(int(given) * 1_000_000, _HONEST_RATIO * packed)


def check_unpacked(size: int, packed: int, where: str) -> None:
    """Checks that a file of ``packed`` bytes may take ``size`` bytes once it is read.

    Raises:
        InputError: it may not; the message says how to allow it.
    """
    limit = unpack_limit(packed)
    if size > limit:
        raise InputError(
            f"{where} has {packed:,} bytes and unpacks to more than {limit / 1e6:,.0f} MB; if that "
            f"is meant, raise the limit: mtmbench --max-unpacked MB …, or {MAX_UNPACKED}"
        )


def read_bytes(path: Path) -> bytes:
    """Reads a file, unpacked if its name ends in ``.gz``.

    Raises:
        InputError: it cannot be read, is no whole gzip file, or unpacks to too much.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in its name
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    return gunzip(data, str(path)) if path.suffix.lower() == ".gz" else data


def read_text(path: Path, *, plain_ends: bool = False) -> str:
    """Reads a UTF-8 file, gzipped if its name ends in ``.gz``; a byte order mark is dropped.

    Args:
        path: the file.
        plain_ends: make every line end a newline.

    Raises:
        InputError: the file cannot be read, is damaged, or is not UTF-8; the latter names the line.
    """
    text = decode_text(read_bytes(path), path)
    return text.replace("\r\n", "\n").replace("\r", "\n") if plain_ends else text


def gunzip(data: bytes, where: str) -> bytes:
    """Returns what gzipped bytes unpack to.

    Raises:
        InputError: they are no whole gzip file, or unpack to too much.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(unpack_limit(len(data)) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{where} is not a whole gzip file: {error}") from error
    check_unpacked(len(unpacked), len(data), where)
    return unpacked


def check_archive(path: Path) -> None:
    """Checks what an npz file, which is a zip, says of the sizes of its parts.

    Raises:
        InputError: it is no zip file, or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        check_unpacked(size, path.stat().st_size, str(path))
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {path} as npz: {error}") from error


def parse_json(
    text: str | bytes, where: str, wrong: str = " is not JSON", *, unique: bool = False
) -> object:
    """Returns what a JSON text holds.

    Args:
        text: the text.
        where: the file, and the line of it, for messages.
        wrong: what messages say of a text that is not JSON.
        unique: refuse an object in which a name stands twice, of which readers see one or the
            other.

    Raises:
        InputError: it is not JSON, nested too deeply, or holds a number of too many digits.
    """
    try:
        content: object = json.loads(text, object_pairs_hook=_each_once if unique else None)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except RecursionError:
        raise InputError(_too_deep(where)) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}{wrong}: {error}") from error
    except ValueError:
        raise InputError(_too_many_digits(where)) from None
    # A text of so few brackets need not be walked.
    brackets = (
        text.count("[") + text.count("{")
        if isinstance(text, str)
        else text.count(b"[") + text.count(b"{")
    )
    if brackets > _MOST_LEVELS:
        check_depth(content, where)
    return content


def parse_toml(text: str, where: str, wrong: str = " is not valid TOML") -> dict[str, Any]:
    """Returns what a TOML text holds; arguments and errors are those of :func:`parse_json`."""
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise InputError(_too_deep(where)) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}{wrong}: {error}") from error
    except ValueError:
        raise InputError(_too_many_digits(where)) from None
    check_depth(content, where)
    return content


def check_depth(content: object, where: str) -> None:
    """Refuses JSON values that are nested in more levels than the code that walks them can go."""
    level: list[object] = [content]
    for _ in range(_MOST_LEVELS + 1):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner += [part for part in value.values() if isinstance(part, dict | list)]
            elif isinstance(value, list):
                inner += [part for part in value if isinstance(part, dict | list)]
        if not inner:
            return
        level = inner
    raise InputError(_too_deep(where))


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the name {twice!r:.60} stands twice in one object")
    return found


def _too_deep(where: str) -> str:
    return f"{where}: nested too deeply; {_MOST_LEVELS} levels are read"


def _too_many_digits(where: str) -> str:
    limit = sys.get_int_max_str_digits()
    return f"{where}: a whole number of more than {limit} digits, which is no value of anything"


def lines_of(text: str) -> list[str]:
    r"""Returns the lines of a text: they end at ``\n``, before which ``\r`` may stand.

    ``str.splitlines`` ends lines at U+2028, U+2029, U+0085, ``\x1c`` and others as well. Texts,
    labels and replies may hold those, and JSON and CSV leave them as they are.
    """
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r") for line in lines]


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the objects of a JSON-lines file.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object; the line is named.
    """
    for number, line in enumerate(lines_of(read_text(path, plain_ends=True)), start=1):
        row = parse_json(line, f"{path} line {number}")
        if not isinstance(row, dict):
            raise InputError(f"{path} line {number} is no JSON object")
        yield row


def read_json(path: Path, wrong: str = " is not JSON") -> object:
    """Reads a JSON file; an InputError names it if it cannot be read, and says ``wrong`` of it."""
    return parse_json(read_text(path, plain_ends=True), str(path), wrong)


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
        lines = [
            re.split(r"(?:^|\s)[#|]", line, maxsplit=1)[0]
            for line in lines_of(read_text(path, plain_ends=True))
        ]
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
    """Reads a safetensors file; kinds of numbers that NumPy lacks come as float32.

    Raises:
        InputError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        try:
            with safe_open(str(path), framework="numpy") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (TypeError, AttributeError):  # what it raises for bfloat16 and float8
            import torch
            from safetensors.torch import load_file

            return {
                name: tensor.to(torch.float32).numpy() for name, tensor in load_file(path).items()
            }
    except (OSError, SafetensorError, TypeError, ValueError, KeyError, MemoryError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def read_npz(path: Path, trust: bool = False) -> dict[str, AnyArray]:
    """Reads every array of an npz file.

    Raises:
        InputError: the file is damaged, or holds pickled objects and is not trusted.
    """
    import numpy as np

    check_archive(path)
    try:
        with np.load(path, allow_pickle=trust) as file:
            return {name: _array(file, name, path) for name in file.files}
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile and pickle raise whatever a damaged file leads to
        raise InputError(f"cannot read {path} as npz: {error}") from error


def npz_names(path: Path) -> tuple[str, ...]:
    """Returns the names of the arrays in an npz file, reading none.

    Raises:
        InputError: the file is damaged.
    """
    import numpy as np

    check_archive(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return tuple(file.files)
    except Exception as error:  # as in read_npz
        raise InputError(f"cannot read {path} as npz: {error}") from error


def _array(file: NpzFile, name: str, path: Path) -> AnyArray:
    try:
        array: AnyArray = file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"{name!r} in {path} is a pickled Python object, which could run any code when read; "
            "save it as a plain array, or, if the file is yours, pass trust=True (--trust)"
        ) from error
    return array
