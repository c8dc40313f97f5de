"""Embeddings on disk, a row a text: what was embedded once, by any process, is not embedded again.

A row is found by the tokens that the encoder read, so that it is one row whether a text was
embedded for itself or went through the model for its features.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np

from mtmbench.core.row_hash import DAMAGE, row_hash
from mtmbench.core.types import FloatArray
from mtmbench.features.cache import kept_if_writable, locked, not_writable

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
