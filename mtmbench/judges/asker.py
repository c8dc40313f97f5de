"""Asking a judge many questions: several at a time, and every answer on disk before it counts.

Answers lie in a ledger (:mod:`mtmbench.judges.ledger`), keyed by a hash of the judge, of the
messages and of the replicate. A question whose answer is there is not asked again, so that work
killed halfway goes on where it stopped, and nothing is paid for twice but the questions that were
under way: :func:`most_lost`, at most.
"""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.judge_facts import AnswersBy, JudgeFacts
from mtmbench.core.serialise import content_hash
from mtmbench.judges.base import (
    Completion,
    JudgeClient,
    JudgeError,
    JudgeStoppedError,
    Lack,
    Question,
)
from mtmbench.judges.budget import Budget, cost_of, most_cost, prices_of, total_cost
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.ledger_file import Answer
from mtmbench.judges.session import Work

_T = TypeVar("_T")

_KEY_BYTES = 16

_GRACE_SECONDS = 10.0
"""How long work that is given up waits for answers that are under way, since they are paid for."""


def most_lost(concurrency: int) -> int:
    """Returns how many answers a killed process has paid for and not kept, at most.

    Those under way, and up to a quarter as many that have come and are on their way to the disk.
    """
    return concurrency + concurrency // 4


def mark(key: str) -> str:
    """Returns the part of an answer's key by which records name it: 48 bits."""
    return key[:12]


class Asker:
    """Puts questions to one judge and keeps the answers; a :class:`~mtmbench.judges.panel.Panel`
    makes them.

    Args:
        client: the judge; closed by whoever made it.
        card: its card; ``decoding`` goes with every question.
        ledger: where answers are kept; None keeps nothing, for judges whose answers cost nothing.
        concurrency: questions under way at one time, at most; the card's limit by default. While
            answers are being written, others are under way in their place (:func:`most_lost`).
        budget: what may be spent.

    Raises:
        InputError: the concurrency is below 1.
    """

    def __init__(
        self,
        client: JudgeClient,
        card: JudgeCard,
        ledger: Ledger | None,
        *,
        concurrency: int | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.concurrency = card.limits.concurrency if concurrency is None else concurrency
        if self.concurrency < 1:
            raise InputError(f"concurrency must be at least 1, not {concurrency!r}")
        self.client = client
        self.card = card
        self.asked = 0
        """Questions put to the judge, the ones already answered not among them."""
        self._budget = budget
        self._stopped: JudgeStoppedError | None = None
        self._slots: dict[asyncio.AbstractEventLoop, _Slots] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._used = bytearray()  # keys one after the other: a tenth of the memory of a set
        self.ledger = ledger
        client.tell_lost(card, self._lost)

    def anew(self) -> Asker:
        """Returns an asker of the same judge, in the same slots, with a record of its own."""
        other = copy.copy(self)
        other.asked, other._used = 0, bytearray()
        return other

    @cached_property
    def identity(self) -> JudgeFacts:
        """All of the judge that an answer can depend on; not needed where nothing is kept."""
        return judge_identity(self.card, self.client)

    def key(self, question: Question, replicate: int = 0) -> str:
        """Returns the key under which the answer to a question is kept."""
        messages = [dict(message) for message in question.messages]
        return content_hash("answer", self.identity, messages, replicate)

    async def ask(self, question: Question, what: str, replicate: int = 0) -> Answer:
        """Returns the answer to a question, from the ledger or from the judge.

        A question without messages has nothing to tell it from others by: it is put to the judge
        every time.

        Args:
            question: the question; its messages tell it from others.
            what: what it is about ("label of feature 12"), for error messages and the ledger.
            replicate: which of several answers to the same question.

        Raises:
            JudgeError: the client raised; the cause is chained. Nothing is kept, so that the same
                question is asked when the work is taken up again.
            JudgeStoppedError: so did the client, in a way that ends all asking, or the budget is
                used up, now or before; answers that are in the ledger are returned all the same.
        """
        if self.ledger is None or not question.messages:
            async with self._slots_here().asking:
                return await self._put("", question, what, replicate)
        key = self.key(question, replicate)
        answer = self.ledger.get(key)
        if answer is None:
            answer = await self._once(self.ledger, key, question, what, replicate)
        self._used += bytes.fromhex(key)
        return answer

    def check_complete(self) -> None:
        """Says if an answer given out since this was called last is not one yet; here all are."""

    def record(self) -> AnswersBy:
        """Returns the judge and what its answers to these questions took."""
        usage: Counter[str] = Counter()
        revisions: set[str] = set()
        costs: dict[str, float | None] = {}
        lacks: Counter[Lack | None] = Counter()
        used = {self._used[i : i + _KEY_BYTES].hex() for i in range(0, len(self._used), _KEY_BYTES)}
        for key in used:
            answer = self.ledger.get(key) if self.ledger is not None else None
            assert answer is not None
            usage.update(answer.usage)
            revisions.add(answer.model_revision)
            costs[mark(answer.key)] = answer.cost
            lacks[answer.lack] += 1
        record: AnswersBy = {
            "card": self.identity,
            "revisions": sorted(revisions - {""}),
            "questions": len(used),
            "usage": dict(sorted(usage.items())),
        }
        cost = total_cost(costs.values())
        if cost is not None:
            record["cost"], record["paid"] = cost, dict(sorted(costs.items()))
        if lacks["cut"]:
            record["cut"] = lacks["cut"]
        if lacks["empty"]:
            record["empty"] = lacks["empty"]
        return record

    async def _once(
        self, ledger: Ledger, key: str, question: Question, what: str, replicate: int
    ) -> Answer:
        """Two that ask the same at one time wait for one answer."""
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = self._under_way[key] = _UnderWay()
            slots = self._slots_here()

            async def pay() -> Answer:
                async with slots.asking:
                    under_way.sent = True
                    return await self._put(key, question, what, replicate)

            under_way.task = asyncio.ensure_future(ledger.obtain(key, what, pay, slots.keeping))
            under_way.task.add_done_callback(lambda task: self._end(key, task))
        return await under_way.answer()

    def _end(self, key: str, task: asyncio.Task[Answer]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # all who waited may have been given up

    def _slots_here(self) -> _Slots:
        # A semaphore belongs to the loop that it is first waited for in.
        loop = asyncio.get_running_loop()
        if loop not in self._slots:
            self._slots[loop] = _Slots(
                asyncio.Semaphore(self.concurrency), asyncio.Semaphore(most_lost(self.concurrency))
            )
        return self._slots[loop]

    async def _put(self, key: str, question: Question, what: str, replicate: int) -> Answer:
        if self._stopped is not None:
            raise JudgeStoppedError(str(self._stopped))
        try:
            return await self._send(key, question, replicate)
        except JudgeStoppedError as error:
            self._stopped = JudgeStoppedError(f"judge {self.card.client!r} stopped: {error}")
            raise self._stopped from error
        except Exception as error:
            raise JudgeError(
                f"judge {self.card.client!r} failed on the {what}: {type(error).__name__}: {error}"
            ) from error

    async def _send(self, key: str, question: Question, replicate: int) -> Answer:
        if self.ledger is not None:
            self.ledger.check()
        reserved = 0.0
        if self._budget is not None:
            reserved = await self._budget.reserve(self.client.put_to(self.card, question))
        self.asked += 1
        cost: float | None = 0.0
        try:
            completion = await self.client.answer(question, self.card.decoding, replicate)
            cost = self._cost(completion)
        except asyncio.CancelledError:
            cost = None  # it may be charged for
            self._note_lost(most_cost(self.client.put_to(self.card, question)))
            raise
        finally:
            if self._budget is not None:
                self._budget.settle(reserved, cost)
        most = None
        if cost is None and (self.card.prices is not None or completion.costs):
            most = most_cost(self.client.put_to(self.card, question))
        return Answer(
            key, completion.text, completion.refused, dict(completion.usage),
            completion.model_revision, cost, completion.cut, most,
        )  # fmt: skip

    async def _lost(self, card: JudgeCard, question: Question) -> None:
        most = most_cost([(card, question)])
        self._note_lost(most)
        if self._budget is not None:
            self._budget.lose(most or 0.0)

    def _note_lost(self, most: float | None) -> None:
        if self.ledger is not None and most:
            self.ledger.note_lost(self.card, most)

    def _cost(self, completion: Completion) -> float | None:
        if completion.costs:
            return total_cost(completion.costs)
        # Of judges that are no language models nothing is said: they have no costs to know.
        prices = prices_of(self.card, self.client) if self.client.is_llm else self.card.prices
        return cost_of(completion.usage, prices)


@dataclass(frozen=True)
class _Slots:
    """What a question holds while it is put to the judge, and until its answer is durable."""

    asking: asyncio.Semaphore
    keeping: asyncio.Semaphore


class _UnderWay:
    """A question that is being asked, and those who wait for its answer."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Answer] | None = None
        self.sent = False
        self._waiting = 0

    async def answer(self) -> Answer:
        """Waits for the answer; the last one to be given up ends the asking.

        A question that was sent is paid for, so its answer is waited for and kept even then.
        """
        assert self.task is not None
        self._waiting += 1
        try:
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self._waiting == 1 and not self.task.done():
                if self.sent:
                    await asyncio.wait({self.task}, timeout=_GRACE_SECONDS)
                self.task.cancel()
                await asyncio.wait({self.task})
            raise
        finally:
            self._waiting -= 1


async def gather(jobs: Sequence[Work[_T]]) -> list[_T]:
    """Runs jobs at one time; the first error ends the others and is then raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
