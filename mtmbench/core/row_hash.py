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


def row_hash(*values: str | bytes | float | None) -> str:
    """Returns 32 hex digits over the values of a row, each as SQLite gives it back."""
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8")
        kind = "text" if isinstance(value, str | bytes) else type(value).__name__
        digest.update(f"{kind} {len(data)} ".encode() + data)
    return digest.hexdigest()


def add_hashes(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    """Gives the rows of a table of an earlier release their hashes, as they are now.

    Args:
        db: the database.
        table: the table.
        columns: its columns without the hash.
    """
    if HASH not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {HASH} TEXT")
    rows = _rows(db, table, (*columns, HASH))
    hashes = [(row_hash(*row[:-1]), row[0]) for row in rows if row[-1] is None]
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
    lost = [row[0] for row in _rows(db, table, (*columns, HASH)) if not _is_whole(row)]
    (state,) = db.execute(f"PRAGMA integrity_check({table})").fetchone()
    if lost or state != "ok":
        # Written anew: what is looked up by a damaged key or index may not be found.
        values = ", ".join("CAST(? AS TEXT)" if _is_text(db, table, c) else "?" for c in columns)
        db.execute("BEGIN IMMEDIATE")
        with db:
            # Read within the transaction: another process may have added rows since.
            whole = [row for row in _rows(db, table, (*columns, HASH)) if _is_whole(row)]
            db.execute(f"DELETE FROM {table}")
            db.executemany(
                f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}, {HASH}) "
                f"VALUES ({values}, CAST(? AS TEXT))",
                whole,
            )
    return [_readable(key) for key in lost]


def _rows(
    db: sqlite3.Connection, table: str, columns: Sequence[str]
) -> Iterator[tuple[bytes, ...]]:
    """Yields all rows, texts as bytes: damaged ones may be no UTF-8."""
    before, db.text_factory = db.text_factory, bytes
    try:
        yield from db.execute(f"SELECT {', '.join(columns)} FROM {table}")
    finally:
        db.text_factory = before


def _is_whole(row: tuple[bytes, ...]) -> bool:
    return row_hash(*row[:-1]).encode("utf-8") == row[-1]


def _is_text(db: sqlite3.Connection, table: str, column: str) -> bool:
    return (column, "TEXT") in [row[1:3] for row in db.execute(f"PRAGMA table_info({table})")]


def _readable(key: object) -> str:
    text = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:60])
