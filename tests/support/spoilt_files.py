"""Files that are damaged as a disk damages them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def spoil_schema(path: Path) -> None:
    """Makes a database's account of its tables unreadable, with names that are no UTF-8."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET name = CAST(? AS TEXT), sql = 'CREATE TABLE (' "
            "WHERE name = 'meta'",
            (b"m\xffta",),
        )
