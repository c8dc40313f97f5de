"""Canonical JSON and content hashes: equal content gives equal bytes, on any machine."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np

from mtmbench.core.errors import InputError


@overload
def plain(value: Mapping[str, object]) -> dict[str, object]: ...


@overload
def plain(value: object) -> object: ...


def plain(value: object) -> object:
    """Turns numpy scalars, arrays, tuples, sets, paths and mappings into plain JSON values.

    What comes back is what JSON can hold: None, bool, int, float, str, list, dict with str keys.

    Raises:
        InputError: a float is NaN or infinite; a missing value is None with a reason beside it.
        TypeError: the value has no JSON form.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise InputError(f"{value!r} has no JSON form; a missing value is null with a reason")
        return float(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        items: list[Any] = [plain(item) for item in value]
        return sorted(items)
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, list | tuple):
        # A million texts or numbers are plain already.
        kinds = set(map(type, value))
        if kinds <= {str, int} or (kinds == {float} and all(map(math.isfinite, value))):
            return list(value)
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def canonical_json(value: object) -> str:
    """Returns JSON with sorted keys, no spaces and no NaN, the form that is hashed and stored."""
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(*parts: object) -> str:
    """Returns 32 hex digits that identify ``parts`` (JSON values, bytes, arrays, sparse matrices).

    Arrays are hashed with dtype and shape; scipy sparse matrices by their sorted CSR parts; a file
    that is mapped into memory as its bytes, of which few are there at a time.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        for chunk in _chunks(part):
            digest.update(len(chunk).to_bytes(8, "little"))
            digest.update(chunk)
    return digest.hexdigest()


def seed_from(*parts: object) -> int:
    """Returns a 32-bit seed derived from ``parts``, so that every random choice has its origin."""
    return int(content_hash(*parts)[:8], 16)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file whole or not at all: a temporary neighbour, fsync, then a rename.

    Raises:
        OSError: it cannot be written (the disk is full, the folder read-only); it names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename, error.filename2 = str(path), None
        raise


def _chunks(part: object) -> list[bytes | mmap.mmap]:
    if isinstance(part, bytes | mmap.mmap):
        return [b"bytes", part]
    if isinstance(part, np.ndarray):
        array = np.ascontiguousarray(part)
        return [f"array {array.dtype.str} {array.shape}".encode(), array.tobytes()]
    if hasattr(part, "tocsr"):
        csr = part.tocsr(copy=True)
        csr.sum_duplicates()
        csr.sort_indices()
        parts = (
            np.asarray(csr.indptr, dtype=np.int64),
            np.asarray(csr.indices, dtype=np.int64),
            csr.data,
        )
        chunks: list[bytes | mmap.mmap] = [f"csr {csr.shape}".encode()]
        for array in parts:
            chunks.extend(_chunks(np.asarray(array)))
        return chunks
    return [b"json", canonical_json(part).encode("utf-8")]


def rounded(value: float | None, digits: int) -> float | None:
    """Rounds a number that goes on a board; None stays None and -0.0 becomes 0.0."""
    return None if value is None else round(float(value), digits) + 0.0
