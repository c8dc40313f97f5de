"""Embeddings on disk, a row a text: what was embedded once, by any process, is not embedded again.

A row is found by the tokens that the encoder read, so that it is one row whether a text was
embedded for itself or went through the model for its features.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np

from mtmbench.core.row_hash import DAMAGE, row_hash
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import FloatArray, Progress
from mtmbench.features.cache import kept_if_writable, locked, not_writable, one_at_a_time

_T = TypeVar("_T")
_FileNumber = tuple[int, int]
"""Device and number of a file, which is its own while it is open."""

_BUSY_SECONDS = 120.0
_ASKED_AT_ONCE = 500
_TRIES = 5
"""Times that a file is opened which others begin anew meanwhile."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, row BLOB NOT NULL, hash TEXT NOT NULL)"
)


def embed_once(
    keys: Sequence[str],
    inputs: Sequence[_T],
    make: Callable[[Sequence[str], Sequence[_T]], Iterator[Mapping[str, FloatArray]]],
    rows: EmbeddingRows | None,
    progress: Progress | None = None,
) -> FloatArray:
    """Returns a vector a key, those that are in a file from there, and the others made and kept.

    Args:
        keys: content hashes of the inputs; equal ones share a vector.
        inputs: what is embedded.
        make: yields the vectors of inputs by key, batch by batch.
        rows: the file; None keeps nothing.
        progress: told how many keys have their vector.
    """
    known = rows.find(keys) if rows else {}
    missing = {key: each for key, each in zip(keys, inputs, strict=True) if key not in known}
    with _one_at_a_time(rows, keys) if rows and len(missing) > 1 else nullcontext():
        if rows and missing:
            known |= rows.find(list(missing))
        left = {key: each for key, each in missing.items() if key not in known}
        for made in make([*left], [*left.values()]) if left else ():
            known |= made
            if rows:
                rows.add(made)
            if progress is not None:
                progress(sum(key in known for key in keys), len(keys))
    return np.stack([known[key] for key in keys])


def _one_at_a_time(rows: EmbeddingRows, keys: Sequence[str]) -> AbstractContextManager[None]:
    """Of processes that want the same texts one embeds them, and the others wait for it."""
    return one_at_a_time(rows.path.with_name(f"{content_hash(list(keys))[:1]}.lock"))


class EmbeddingRows:
    """A file of f32 vectors by key, which processes may read and write at the same time.

    A row that is not as it was written counts as missing, and a file that is damaged beyond rows is
    begun anew; both are told by a warning. So is a folder that cannot be written to, where nothing
    is found or kept.

    Args:
        path: the file; it and its folder are made when first needed.
        size: entries of each vector.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size

    def find(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Returns the vectors that are there, by key."""

        def look(db: sqlite3.Connection) -> dict[str, FloatArray]:
            found: dict[str, FloatArray] = {}
            n_damaged = 0
            for first in range(0, len(keys), _ASKED_AT_ONCE):
                some = keys[first : first + _ASKED_AT_ONCE]
                marks = ", ".join("?" * len(some))
                asked = f"SELECT key, row, hash FROM rows WHERE key IN ({marks})"
                for key, row, told in db.execute(asked, some):
                    if row_hash(key, row) == told and len(row) == 4 * self.size:
                        found[key] = np.frombuffer(row, np.float32)
                    else:
                        n_damaged += 1
            if n_damaged:
                warnings.warn(
                    f"{n_damaged} rows of {self.path} are damaged; made anew", stacklevel=4
                )
            return found

        with kept_if_writable():
            return self._with(look)
        return {}

    def add(self, vectors: Mapping[str, FloatArray]) -> None:
        """Writes vectors, all or none of them."""
        rows = [(key, np.asarray(row, np.float32).tobytes()) for key, row in vectors.items()]
        hashed = [(key, row, row_hash(key, row)) for key, row in rows]

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            with db:
                db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", hashed)

        with kept_if_writable():
            self._with(write)

    def _with(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        folder = self.path.parent
        for _ in range(_TRIES):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                before = self._file()
                with closing(sqlite3.connect(self.path, _BUSY_SECONDS, isolation_level=None)) as db:
                    opened = self._file()
                    try:
                        # What a crash of the machine damages is found and made anew.
                        db.execute("PRAGMA synchronous = OFF")
                        db.execute(_TABLE)
                        return work(db)
                    except DAMAGE as error:
                        # While it is open no other file can have its number.
                        if opened is None or not before == opened == self._file():
                            continue  # Another process has begun the file anew.
                        if isinstance(error, sqlite3.OperationalError):
                            raise
                        self._begin_anew(opened, error)
            except OSError as error:
                raise not_writable(folder, str(error.strerror)) from error
            except sqlite3.OperationalError as error:
                raise not_writable(folder, str(error)) from error
        raise not_writable(folder, f"{self.path.name} is damaged again and again")

    def _begin_anew(self, opened: _FileNumber, error: Exception) -> None:
        """Removes the damaged file that was opened, unless another process has done so."""
        with locked(self.path.with_name(f"{self.path.name}.lock")):
            if self._file() != opened:
                return
            warnings.warn(f"cache file {self.path} is damaged ({error}); made anew", stacklevel=5)
            for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
                path.unlink(missing_ok=True)

    def _file(self) -> _FileNumber | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
