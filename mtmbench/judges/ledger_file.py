"""The ledger's file: its schema, brought up to date when it is opened, and its rows.

An answer carries a hash of itself; one that is found damaged is dropped, so that its question is
asked again.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.row_hash import DAMAGE, HASH, add_hashes, drop_damaged, row_hash
from mtmbench.core.serialise import canonical_json
from mtmbench.core.store import process_start
from mtmbench.judges.base import Reply

_BUSY_SECONDS = 60.0
_STEPS = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "CREATE TABLE answers (key TEXT PRIMARY KEY, what TEXT NOT NULL, text TEXT NOT NULL, "
        "refused INTEGER NOT NULL, usage TEXT NOT NULL, model_revision TEXT NOT NULL, cost REAL"
        ") WITHOUT ROWID",
        "CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, pid INTEGER NOT NULL, "
        "started TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE batches (token TEXT PRIMARY KEY, judge TEXT NOT NULL, id TEXT, "
        "state TEXT NOT NULL, questions TEXT NOT NULL)",
    ),
    (
        "ALTER TABLE answers ADD COLUMN cut INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE answers ADD COLUMN most REAL",
        "ALTER TABLE batches ADD COLUMN most TEXT NOT NULL DEFAULT '{}'",
    ),
    ("CREATE TABLE lost (id INTEGER PRIMARY KEY, judge TEXT NOT NULL, most REAL NOT NULL)",),
)
"""What makes each schema, from 1, of the one before; since 2 every answer carries a hash too."""

_COLUMNS = (
    "key", "what", "text", "refused", "usage", "model_revision", "cost", "cut", "most",
)  # fmt: skip
"""The columns of an answer, over which its hash goes."""

DISK_ERRORS = (sqlite3.OperationalError,)
"""What SQLite raises where the disk is full, fails or may not be written to."""

_DISK_CODES = frozenset(
    {
        sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
    }
)  # fmt: skip
"""What it says then, where it may instead have been given a file of another kind."""


@dataclass(frozen=True)
class Answer(Reply):
    """What a judge replied to one question.

    Attributes:
        key: content hash of card, messages and replicate.
        text: the reply as it came.
        refused: the judge declined to answer.
        usage: tokens by kind.
        model_revision: what the judge says it is.
        cost: what it cost in the card's currency; None is not known.
        cut: the reply broke off, so that nothing must be read from it.
        most: where the cost is not known, what it can be at most; a budget counts that.
    """

    key: str
    text: str
    refused: bool
    usage: Mapping[str, int]
    model_revision: str
    cost: float | None = None
    cut: bool = False
    most: float | None = None


@dataclass(frozen=True)
class QuestionBatch:
    """Questions that were handed to a Batch API together.

    Attributes:
        token: this project's own name of it, given before it is submitted.
        judge: whom it asks, as canonical JSON.
        id: the endpoint's name of it; None while it is not known to have arrived.
        state: "submitting", "submitted" or "collected".
        questions: what each question is about, by key.
        most: what the answer to each can cost at most, by key, where that is known.
    """

    token: str
    judge: str
    id: str | None
    state: str
    questions: Mapping[str, str]
    most: Mapping[str, float] = field(default_factory=dict)


def open_ledger(path: Path) -> sqlite3.Connection:
    """Opens a ledger's file for one thread at a time, made or brought to the newest schema.

    Raises:
        InputError: the file cannot be made, is no ledger, or was written by a later schema.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Transactions are begun and ended by hand; one thread at a time uses a connection.
        db = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.OperationalError) as error:
        raise InputError(f"cannot keep answers in {path}: {error}") from error
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        if (schema := _schema(db, path)) < len(_STEPS):
            db.execute("BEGIN IMMEDIATE")
            with db:
                # Another process may have been quicker.
                for step in _STEPS[_schema(db, path) :]:
                    for statement in step:
                        db.execute(statement)
                add_hashes(db, "answers", _COLUMNS)
                db.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(len(_STEPS)),))
    except DAMAGE as error:
        db.close()
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in _DISK_CODES:
            raise InputError(f"cannot keep answers in {path}: {error}") from error
        raise InputError(f"{path} is not a file of answers, or is damaged: {error}") from error
    if schema > len(_STEPS):
        db.close()
        raise InputError(f"{path} has schema {schema}; this mtmbench reads up to {len(_STEPS)}")
    return db


def drop_damaged_answers(db: sqlite3.Connection, path: Path) -> None:
    """Drops the answers that are not as they were written, and warns of each.

    Raises:
        InputError: the file is damaged beyond single answers.
    """
    try:
        for key in drop_damaged(db, "answers", _COLUMNS):
            warnings.warn(
                f"answer {key} in {path} is damaged; its question is asked again", stacklevel=3
            )
    except DAMAGE as error:
        db.close()
        raise InputError(f"{path} is not a file of answers, or is damaged: {error}") from error


def find_answer(db: sqlite3.Connection, key: str) -> Answer | None:
    """Returns the answer under a key, None if the file has none."""
    row = db.execute(
        f"SELECT {', '.join(_COLUMNS[2:])} FROM answers WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        return None
    text, refused, usage, revision, cost, cut, most = row
    return Answer(key, text, bool(refused), json.loads(usage), revision, cost, bool(cut), most)


def keep_answer(db: sqlite3.Connection, answer: Answer, what: str) -> None:
    """Keeps an answer with what it is about, unless there is one, and frees its question."""
    cost, most = (None if x is None else float(x) for x in (answer.cost, answer.most))
    row = (
        answer.key, what, answer.text, int(answer.refused), canonical_json(answer.usage),
        answer.model_revision, cost, int(answer.cut), most,
    )  # fmt: skip
    db.execute(
        f"INSERT OR IGNORE INTO answers ({', '.join(_COLUMNS)}, {HASH}) "
        f"VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})",
        (*row, row_hash(*row)),
    )
    db.execute("DELETE FROM claims WHERE key = ?", (answer.key,))


def total_cost(db: sqlite3.Connection) -> float:
    """Returns what all requests cost together: the most it can be where it is not known."""
    (answered,) = db.execute("SELECT total(coalesce(cost, most)) FROM answers").fetchone()
    (lost,) = db.execute("SELECT total(most) FROM lost").fetchone()
    return float(answered + lost)


def keep_lost(db: sqlite3.Connection, judge: str, most: float) -> None:
    """Keeps that a request to a judge may be charged for which brought no answer."""
    db.execute("INSERT INTO lost (judge, most) VALUES (?, ?)", (judge, float(most)))


def claim_question(db: sqlite3.Connection, key: str, claimant: tuple[str, int, str]) -> bool:
    """Returns whether the question is now the claimant's to ask."""
    if db.execute("SELECT 1 FROM answers WHERE key = ?", (key,)).fetchone() is not None:
        return False
    held = db.execute("SELECT pid, started FROM claims WHERE key = ?", (key,)).fetchone()
    if held is not None and process_start(held[0]) == held[1]:
        return False
    db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, *claimant))
    return True


def release_question(db: sqlite3.Connection, key: str, owner: str) -> None:
    """Gives up an owner's claim to a question."""
    db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))


def release_all(db: sqlite3.Connection, owner: str) -> None:
    """Gives up all claims of an owner."""
    db.execute("DELETE FROM claims WHERE owner = ?", (owner,))


def uncollected_batches(db: sqlite3.Connection, judge: str | None = None) -> list[QuestionBatch]:
    """Returns the batches that are not collected, oldest first; of one judge if named."""
    rows = db.execute(
        "SELECT token, judge, id, state, questions, most FROM batches "
        "WHERE state != 'collected' AND judge = coalesce(?, judge) ORDER BY rowid", (judge,),
    )  # fmt: skip
    return [
        QuestionBatch(token, judge, id_, state, json.loads(questions), json.loads(most))
        for token, judge, id_, state, questions, most in rows
    ]


def keep_batch(db: sqlite3.Connection, batch: QuestionBatch) -> None:
    """Keeps what is known of a batch, in place of what was known before."""
    db.execute(
        "INSERT INTO batches (token, judge, id, state, questions, most) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (token) DO UPDATE SET id = excluded.id, "
        "state = excluded.state, questions = excluded.questions, most = excluded.most",
        (
            batch.token, batch.judge, batch.id, batch.state, canonical_json(batch.questions),
            canonical_json(batch.most),
        ),
    )  # fmt: skip


def _schema(db: sqlite3.Connection, path: Path) -> int:
    """Returns the schema that a file is of; 0 for a new one."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return 0
    found = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    value = "1" if found is None else str(found[0])
    if not value.isdecimal():
        db.close()
        raise InputError(
            f"{path} has schema {value!r:.40}; this mtmbench reads up to {len(_STEPS)}"
        )
    return int(value)
