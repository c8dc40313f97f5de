"""The ledger: every paid answer in one SQLite file, durable before it is used.

Several processes of one machine may share a ledger. A question is claimed before it is sent, so
that two of them do not pay for it twice: who finds it claimed waits for the answer, and takes the
claim over if its owner has ended. All that is written goes through one thread, many answers a
transaction, since a disk can sync some hundred times a second only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import time
import uuid
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from mtmbench.core.errors import InputError
from mtmbench.core.row_hash import add_hashes, drop_damaged, row_hash
from mtmbench.core.serialise import canonical_json
from mtmbench.core.store import process_start

_T = TypeVar("_T")

LEDGER = "answers.sqlite"
"""Name of the ledger in a run's folder."""

_SCHEMA = 2
"""Since 2 every answer carries a hash."""

_COLUMNS = ("key", "what", "text", "refused", "usage", "model_revision", "cost")
_WAIT_SECONDS = 0.2
_GATHER_SECONDS = 0.005
"""So long what is to be written waits for more of it."""

_BUSY_SECONDS = 60.0
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, what TEXT NOT NULL, text TEXT NOT NULL, refused INTEGER NOT NULL,
  usage TEXT NOT NULL, model_revision TEXT NOT NULL, cost REAL, hash TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
  key TEXT PRIMARY KEY, owner TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
  token TEXT PRIMARY KEY, judge TEXT NOT NULL, id TEXT, state TEXT NOT NULL, questions TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Answer:
    """What a judge replied to one question.

    Attributes:
        key: content hash of card, messages and replicate.
        text: the reply as it came.
        refused: the judge declined to answer.
        usage: tokens by kind.
        model_revision: what the judge says it is.
        cost: what it cost in the card's currency; None is not known.
    """

    key: str
    text: str
    refused: bool
    usage: Mapping[str, int]
    model_revision: str
    cost: float | None = None


@dataclass(frozen=True)
class QuestionBatch:
    """Questions that were handed to a Batch API together.

    Attributes:
        token: this project's own name of it, given before it is submitted.
        judge: whom it asks, as canonical JSON.
        id: the endpoint's name of it; None while it is not known to have arrived.
        state: "submitting", "submitted" or "collected".
        questions: what each question is about, by key.
    """

    token: str
    judge: str
    id: str | None
    state: str
    questions: Mapping[str, str]


class Ledger:
    """Answers by key; a context manager.

    Args:
        path: the file; made if it is not there.

    Raises:
        InputError: the file cannot be made, is no ledger, or was written by a later schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _open(path)
        pid = os.getpid()
        self._claimant = uuid.uuid4().hex, pid, process_start(pid) or ""
        self._queue: SimpleQueue[_Order | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, args=(_open(path),), daemon=True)
        self._writer.start()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits for what is being written, gives claims back and closes the file."""
        self._queue.put(None)
        self._writer.join()
        self._reader.close()

    def get(self, key: str) -> Answer | None:
        """Returns the answer under a key, None if there is none yet."""
        row = self._reader.execute(
            "SELECT text, refused, usage, model_revision, cost FROM answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        text, refused, usage, revision, cost = row
        return Answer(key, text, bool(refused), json.loads(usage), revision, cost)

    async def obtain(
        self,
        key: str,
        what: str,
        pay: Callable[[], Awaitable[Answer]],
        slot: AbstractAsyncContextManager[object],
    ) -> Answer:
        """Returns the answer under a key; has it paid for if nobody has, and keeps it first.

        Args:
            key: the question's key.
            what: what it is about, kept with the answer for people to read.
            pay: asks the judge. If it raises, nothing is kept and the question is free again.
            slot: held from before the judge is asked until the answer is durable, so that no more
                answers than slots can be lost.
        """
        while not await self._order(lambda db: _claim(db, key, self._claimant)):
            answer = self.get(key)
            if answer is not None:
                return answer
            await asyncio.sleep(_WAIT_SECONDS)
        try:
            async with slot:
                answer = await pay()
                await self.keep([(answer, what)])
        except BaseException:
            self._order(lambda db: _release(db, key, self._claimant[0]))
            raise
        return answer

    async def keep(self, answers: Sequence[tuple[Answer, str]]) -> None:
        """Keeps answers with what they are about; they are durable when this returns.

        An answer that is there already stays.
        """
        await self._order(lambda db: _keep(db, answers))

    def spent(self) -> float:
        """Returns what all answers cost together, as far as it is known."""
        total = self._reader.execute("SELECT total(cost) FROM answers").fetchone()[0]
        return float(total)

    def batches(self, judge: str | None = None) -> list[QuestionBatch]:
        """Returns the batches that are not collected, oldest first; of one judge if named."""
        rows = self._reader.execute(
            "SELECT token, judge, id, state, questions FROM batches "
            "WHERE state != 'collected' AND judge = coalesce(?, judge) ORDER BY rowid", (judge,),
        )  # fmt: skip
        return [
            QuestionBatch(token, judge, id_, state, json.loads(questions))
            for token, judge, id_, state, questions in rows
        ]

    async def note_batch(self, batch: QuestionBatch) -> None:
        """Keeps what is known of a batch, in place of what was known before."""
        row = (batch.token, batch.judge, batch.id, batch.state, canonical_json(batch.questions))
        await self._order(
            lambda db: db.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?) ON CONFLICT (token) DO UPDATE SET "
                "id = excluded.id, state = excluded.state, questions = excluded.questions", row,
            )
        )  # fmt: skip

    def _order(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Order(work, done))
        # What was ordered is written also if nobody waits for it any longer.
        return done

    def _write_all(self, db: sqlite3.Connection) -> None:
        going = True
        while going:
            orders = [self._queue.get()]
            time.sleep(_GATHER_SECONDS)
            while True:
                try:
                    orders.append(self._queue.get_nowait())
                except Empty:
                    break
            going = None not in orders
            _write(db, [order for order in orders if order is not None])
        with db:
            db.execute("DELETE FROM claims WHERE owner = ?", self._claimant[:1])
        db.close()


@dataclass(frozen=True)
class _Order:
    """Work for the writing thread, and the promise of its result."""

    work: Callable[[sqlite3.Connection], object]
    done: asyncio.Future[Any]


def _write(db: sqlite3.Connection, orders: Sequence[_Order]) -> None:
    """Does all of some work in one transaction, or none of it."""
    results: list[object]
    try:
        db.execute("BEGIN IMMEDIATE")
        with db:
            results = [order.work(db) for order in orders]
    except Exception as error:
        results = [error] * len(orders)
    # One word to each loop for all of them: waking a loop costs more than the work.
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for order, result in zip(orders, results, strict=True):
        told.setdefault(order.done.get_loop(), []).append((order.done, result))
    for loop, outcomes in told.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_hand_over, outcomes)


def _hand_over(outcomes: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _claim(db: sqlite3.Connection, key: str, claimant: tuple[str, int, str]) -> bool:
    """Returns whether the question is now the owner's to ask."""
    if db.execute("SELECT 1 FROM answers WHERE key = ?", (key,)).fetchone() is not None:
        return False
    held = db.execute("SELECT pid, started FROM claims WHERE key = ?", (key,)).fetchone()
    if held is not None and process_start(held[0]) == held[1]:
        return False
    db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, *claimant))
    return True


def _release(db: sqlite3.Connection, key: str, owner: str) -> None:
    db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))


def _keep(db: sqlite3.Connection, answers: Sequence[tuple[Answer, str]]) -> None:
    for answer, what in answers:
        cost = None if answer.cost is None else float(answer.cost)
        row = (
            answer.key, what, answer.text, int(answer.refused), canonical_json(answer.usage),
            answer.model_revision, cost,
        )  # fmt: skip
        db.execute(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, row_hash(*row)),
        )
        db.execute("DELETE FROM claims WHERE key = ?", (answer.key,))


def _open(path: Path) -> sqlite3.Connection:
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
        db.executescript(_TABLES)
        db.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(_SCHEMA),))
        found = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    except sqlite3.DatabaseError as error:
        db.close()
        raise InputError(f"{path} is not a file of answers, or is damaged: {error}") from error
    if not found[0].isdecimal() or int(found[0]) > _SCHEMA:
        db.close()
        raise InputError(f"{path} has schema {found[0]!s:.40}; this mtmbench reads up to {_SCHEMA}")
    try:
        if int(found[0]) < _SCHEMA:
            db.execute("BEGIN IMMEDIATE")
            with db:
                add_hashes(db, "answers", _COLUMNS)
                db.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (str(_SCHEMA),))
        for key in drop_damaged(db, "answers", _COLUMNS):
            warnings.warn(
                f"answer {key} in {path} is damaged; its question is asked again", stacklevel=4
            )
    except sqlite3.DatabaseError as error:
        db.close()
        raise InputError(f"{path} is not a file of answers, or is damaged: {error}") from error
    return db
