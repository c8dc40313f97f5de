"""Rows of SQLite that carry a hash of themselves: a damaged one is found and dropped.

SQLite keeps no checksums: a bit that flips on disk comes back as another letter of a record, or as
another verdict. A table with hashed rows has a column ``hash``, the last one, over all others; the
first one is its key.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence

HASH = "hash"


DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a damaged file raises, or one that is no database: SQLite's messages quote from it, and what
they quote may be no UTF-8."""


_KINDS: dict[type, bytes] = {kind: kind.__name__.encode() for kind in (int, float, type(None))}


def row_hash(*values: str | bytes | float | None) -> str:
    """Returns 32 hex digits over the values of a row, each as SQLite gives it back."""
    parts: list[bytes] = []
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8")
        kind = b"text" if data is value or isinstance(value, str) else _KINDS[type(value)]
        parts += (b"%s %d " % (kind, len(data)), data)
    return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()


def add_hashes(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    """Gives the rows of a table of an earlier release their hashes, as they are now.

    Args:
        db: the database.
        table: the table.
        columns: its columns without the hash.
    """
    if HASH not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {HASH} TEXT")
    rows = _rows(db, table, columns)
    hashes = [(row_hash(*row), row[0]) for row, told, _ in rows if told is None]
    db.executemany(f"UPDATE {table} SET {HASH} = ? WHERE {columns[0]} = CAST(? AS TEXT)", hashes)


def drop_damaged(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> list[str]:
    """Drops the rows whose hash is not that of their other columns.

    Args:
        db: the database; a transaction is begun only if there is something to drop or mend.
        table: a table with hashed rows.
        columns: its columns without the hash.

    Returns:
        The keys of the rows dropped, as far as they can be read.
    """
    rows = _rows(db, table, columns)
    lost = [row[0] for row, told, typed in rows if not _is_whole(row, told, typed)]
    (state,) = db.execute(f"PRAGMA integrity_check({table})").fetchone()
    if lost or state != "ok":
        # Written anew: what is looked up by a damaged key or index may not be found.
        values = ", ".join("CAST(? AS TEXT)" if _is_text(db, table, c) else "?" for c in columns)
        db.execute("BEGIN IMMEDIATE")
        with db:
            # Read within the transaction: another process may have added rows since.
            rows = _rows(db, table, columns)
            whole = [(*row, told) for row, told, typed in rows if _is_whole(row, told, typed)]
            db.execute(f"DELETE FROM {table}")
            db.executemany(
                f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}, {HASH}) "
                f"VALUES ({values}, CAST(? AS TEXT))",
                whole,
            )
    return [_readable(key) for key in lost]


def find_row(
    db: sqlite3.Connection, table: str, columns: Sequence[str], key: str
) -> tuple[bytes, ...] | None:
    """Returns a row by its key, texts as bytes; None if there is none.

    Raises:
        ValueError: it is damaged.
    """
    for row, told, typed in _rows(db, table, columns, key):
        if not _is_whole(row, told, typed):
            raise ValueError(f"row {key} of {table} is not what its hash says")
        return row
    return None


def _rows(
    db: sqlite3.Connection, table: str, columns: Sequence[str], key: str | None = None
) -> Iterator[tuple[tuple[bytes, ...], bytes | None, bool]]:
    """Yields rows, one or all: their values, their hash, and whether what should be text is.

    Texts are bytes here, since damaged ones may be no UTF-8; so are values that are none, although
    their hash is the same.
    """
    texts = [name for name in (*columns, HASH) if _is_text(db, table, name)]
    typed = " AND ".join(["1", *(f"typeof({name}) = 'text'" for name in texts)])
    query = f"SELECT {', '.join(columns)}, {HASH}, {typed} FROM {table}"
    before, db.text_factory = db.text_factory, bytes
    try:
        chosen = ("", ()) if key is None else (f" WHERE {columns[0]} = ?", (key,))
        for *row, told, are_texts in db.execute(query + chosen[0], chosen[1]):
            yield tuple(row), told, bool(are_texts)
    finally:
        db.text_factory = before


def _is_whole(row: tuple[bytes, ...], told: bytes | None, typed: bool) -> bool:
    return typed and row_hash(*row).encode("utf-8") == told


def _is_text(db: sqlite3.Connection, table: str, column: str) -> bool:
    return (column, "TEXT") in [row[1:3] for row in db.execute(f"PRAGMA table_info({table})")]


def _readable(key: object) -> str:
    text = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:60])
