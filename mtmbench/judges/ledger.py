"""The ledger: every paid answer in one SQLite file, durable before it is used.

Several processes of one machine may share a ledger. A question is claimed before it is sent, so
that two of them do not pay for it twice: who finds it claimed waits for the answer, and takes the
claim over if its owner has ended. All that is written goes through one thread, many answers a
transaction, since a disk can sync some hundred times a second only. One that cannot be written
takes no other along.

Answers that the disk does not take, since it is full, are paid for all the same: they stay in
memory, nothing more is asked, and they go at once into a file of their own, beside the ledger or in
the folder for temporary files, which the next start reads.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, TypeVar, cast

from mtmbench.core.cards import JudgeCard
from mtmbench.core.store import process_start
from mtmbench.judges.base import JudgeStoppedError
from mtmbench.judges.ledger_file import (
    DISK_ERRORS,
    Answer,
    QuestionBatch,
    claim_question,
    drop_damaged_answers,
    find_answer,
    keep_answer,
    keep_batch,
    keep_lost,
    open_ledger,
    release_all,
    release_question,
    total_cost,
    uncollected_batches,
)
from mtmbench.judges.refuge import Refuge, read_rows

_T = TypeVar("_T")

LEDGER = "answers.sqlite"
"""Name of the ledger in a run's folder."""

_WAIT_SECONDS = 0.2
_GATHER_SECONDS = 0.005
"""So long what is to be written waits for more of it."""


class Ledger:
    """Answers by key; a context manager.

    Args:
        path: the file; made if it is not there.

    Raises:
        InputError: the file cannot be made, is no ledger, or was written by a later schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = open_ledger(path)
        drop_damaged_answers(self._reader, path)
        pid = os.getpid()
        self._claimant = uuid.uuid4().hex, pid, process_start(pid) or ""
        self._queue: SimpleQueue[_Order | None] = SimpleQueue()
        self._unsaved: dict[str, tuple[Answer, str]] = {}
        self._fault = ""
        self._refuge = Refuge(path, self._claimant[0])
        writer = open_ledger(path)
        self._take_in_rescued(writer)
        self._writer = threading.Thread(target=self._write_all, args=(writer,), daemon=True)
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
        """Waits for what is being written, gives claims back and closes the file.

        Raises:
            JudgeStoppedError: paid answers are lost, since they can be written nowhere.
        """
        self._queue.put(None)
        self._writer.join()
        self._reader.close()
        if not self._unsaved:
            self._refuge.remove()
        elif not self._rescue():
            raise JudgeStoppedError(
                f"{len(self._unsaved)} paid answers are lost: neither {self.path} nor a file "
                f"beside it nor {tempfile.gettempdir()} could be written ({self._fault})"
            )

    def check(self) -> None:
        """Says if nothing more must be asked, since answers cannot be kept.

        Raises:
            JudgeStoppedError: so it is.
        """
        if self._unsaved:
            place = self._refuge.place
            where = "in memory alone" if place is None else f"in {place}"
            raise JudgeStoppedError(
                f"cannot keep answers in {self.path}: {self._fault}; those that are paid for are "
                f"{where}. Make room, and the same command again goes on"
            )

    def get(self, key: str) -> Answer | None:
        """Returns the answer under a key, None if there is none yet."""
        answer = find_answer(self._reader, key)
        if answer is None and key in self._unsaved:
            return self._unsaved[key][0]
        return answer

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

        Raises:
            JudgeStoppedError: the disk takes nothing more, so nothing more must be paid for.
        """
        self.check()
        while not await self._claimed(key):
            answer = self.get(key)
            if answer is not None:
                return answer
            await asyncio.sleep(_WAIT_SECONDS)
        try:
            async with slot:
                answer = await pay()
                await self.keep([(answer, what)])
        except BaseException:
            given_back = self._order(lambda db: release_question(db, key, self._claimant[0]))
            given_back.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        return answer

    async def keep(self, answers: Sequence[tuple[Answer, str]]) -> None:
        """Keeps answers with what they are about; they are durable when this returns.

        An answer that is there already stays. Those that the disk does not take stay in memory and
        are tried again with the next ones; :meth:`check` tells.
        """
        pairs = [*self._unsaved.values(), *answers]
        kept = [
            self._order(partial(keep_answer, answer=answer, what=what)) for answer, what in pairs
        ]
        errors = []
        faults = 0
        for pair, outcome in zip(
            pairs, await asyncio.gather(*kept, return_exceptions=True), strict=True
        ):
            if isinstance(outcome, DISK_ERRORS):
                self._fault = str(outcome)
                self._unsaved[pair[0].key] = pair
                faults += 1
            else:
                self._unsaved.pop(pair[0].key, None)
                errors += [outcome] if isinstance(outcome, BaseException) else []
        if faults:
            self._rescue()
        if errors:
            raise errors[0]

    def spent(self) -> float:
        """Returns what all requests cost together: the most it can be where it is not known."""
        total = total_cost(self._reader)
        unsaved = [answer for answer, _ in self._unsaved.values()]
        return total + sum(
            (answer.most if answer.cost is None else answer.cost) or 0.0 for answer in unsaved
        )

    def batches(self, judge: str | None = None) -> list[QuestionBatch]:
        """Returns the batches that are not collected, oldest first; of one judge if named."""
        return uncollected_batches(self._reader, judge)

    async def note_batch(self, batch: QuestionBatch) -> None:
        """Keeps what is known of a batch, in place of what was known before."""
        await self._order(partial(keep_batch, batch=batch))

    def note_lost(self, card: JudgeCard, most: float) -> None:
        """Keeps that a request may be charged for which brought no answer; nobody waits for that.

        Args:
            card: the judge's.
            most: what it can cost.
        """
        noted = self._order(partial(keep_lost, judge=card.model or card.client, most=most))
        noted.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _claimed(self, key: str) -> bool:
        try:
            return await self._order(lambda db: claim_question(db, key, self._claimant))
        except DISK_ERRORS as error:
            raise JudgeStoppedError(
                f"cannot keep answers in {self.path}: {error}; nothing was asked that could not be "
                "kept, and the same command again goes on"
            ) from error

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
        self._save_unsaved(db)
        with suppress(*DISK_ERRORS):  # claims of a process that has ended count for nothing
            release_all(db, self._claimant[0])
        db.close()

    def _save_unsaved(self, db: sqlite3.Connection) -> None:
        for key, (answer, what) in list(self._unsaved.items()):
            try:
                keep_answer(db, answer, what)
            except Exception as error:
                self._fault = str(error)
            else:
                del self._unsaved[key]

    def _take_in_rescued(self, db: sqlite3.Connection) -> None:
        """Keeps what an earlier process could not; its files go once it is in the ledger."""
        files = self._refuge.files()
        for row in (row for file in files for row in read_rows(file)):
            with suppress(TypeError, KeyError):  # a row of something else
                what = str(row.pop("what"))
                answer = Answer(**cast(Any, row))
                self._unsaved[answer.key] = (answer, what)
        self._save_unsaved(db)
        if not self._unsaved:
            for file in files:
                file.unlink(missing_ok=True)

    def _rescue(self) -> bool:
        """Writes what is not in the ledger where there is room; returns whether there was."""
        return self._refuge.write(
            {**asdict(answer), "what": what} for answer, what in self._unsaved.values()
        )


@dataclass(frozen=True)
class _Order:
    """Work for the writing thread, and the promise of its result."""

    work: Callable[[sqlite3.Connection], object]
    done: asyncio.Future[Any]


def _write(db: sqlite3.Connection, orders: Sequence[_Order]) -> None:
    """Does some work in one transaction; what fails is left out, and the rest done without it."""
    results = _done(db, orders)
    # One word to each loop for all of them: waking a loop costs more than the work.
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for order, result in zip(orders, results, strict=True):
        told.setdefault(order.done.get_loop(), []).append((order.done, result))
    for loop, outcomes in told.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_hand_over, outcomes)


def _done(db: sqlite3.Connection, orders: Sequence[_Order]) -> list[object]:
    try:
        db.execute("BEGIN IMMEDIATE")
    except Exception as error:
        return [error] * len(orders)
    try:
        with db:
            return [order.work(db) for order in orders]
    except Exception as error:
        if len(orders) == 1:
            return [error]
    return [result for order in orders for result in _done(db, [order])]


def _hand_over(outcomes: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def left_of(budget: float | None, folder: Path) -> float | None:
    """Returns what a folder's answers leave of a budget; hardly anything where they used it up."""
    if budget is None or not (path := folder / LEDGER).is_file():
        return budget
    with Ledger(path) as ledger:
        # Not zero, which is no budget: what needs no answer goes on.
        return max(budget - ledger.spent(), sys.float_info.min)
