"""Questions handed over all at once: OpenAI's Batch API, submitted now and collected later.

The ledger notes a batch before it is submitted, under a name of ours that goes with it, so that a
run killed in between finds it again at the endpoint and does not pay for it twice.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import JudgeClient, JudgeError, JudgeStoppedError, Question
from mtmbench.judges.budget import Budget, cost_of, most_cost
from mtmbench.judges.clients.openai_chat import OpenAIJudge, read_json
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.ledger_file import Answer, QuestionBatch
from mtmbench.judges.session import Work

if TYPE_CHECKING:
    from openai.types import Batch

_T = TypeVar("_T")

_MOST_QUESTIONS = 50_000
"""The Batch API takes so many requests in one batch."""
_MOST_BYTES = 200_000_000
"""And a file of so many bytes."""

_UNDER_WAY = ("validating", "in_progress", "finalizing", "cancelling")
_METADATA = "mtmbench"


class BatchedError(JudgeError):
    """Answers are not here yet: their questions wait in a batch."""


@dataclass
class _Waiting:
    """What will be submitted: the lines of the file; what each is about and can cost, by key."""

    lines: list[str]
    questions: dict[str, str]
    most: dict[str, float]
    n_bytes: int = 0


class BatchAsker(Asker):
    """An asker that asks nothing itself: what is not in the ledger goes into the next batch.

    :meth:`collect` comes first, then the questions of one match after the other, each closed by
    :meth:`check_complete`, then :meth:`submit`. While a batch is under way no other is submitted,
    so that a budget cannot be exceeded by what is not yet charged.

    Raises:
        InputError: the card's client has no Batch API.
    """

    def __init__(
        self, client: JudgeClient, card: JudgeCard, ledger: Ledger, *, budget: Budget | None = None
    ) -> None:
        if not isinstance(client, OpenAIJudge):
            raise InputError(f"client {card.client!r} has no Batch API; play it without --batch")
        super().__init__(client, card, ledger, budget=budget)
        self._judge = client
        self._answers = ledger
        self._name = canonical_json(self.identity)
        self._waiting = _Waiting([], {}, {})
        self._missing = 0
        self._closed: str | None = None

    async def collect(self) -> None:
        """Keeps the answers of batches that are done.

        Raises:
            JudgeStoppedError: the endpoint says no, or a batch is done and brought nothing.
        """
        for batch in self._answers.batches(self._name):
            found = await self._told(self._find(batch))
            if found is None:
                # It never arrived; its questions go into the next one.
                await self._answers.note_batch(replace(batch, state="collected"))
            elif found.status in _UNDER_WAY:
                await self._answers.note_batch(replace(batch, id=found.id, state="submitted"))
            else:
                await self._told(self._keep_all(batch, found))

    async def ask(self, question: Question, what: str, replicate: int = 0) -> Answer:
        """Returns the answer if it is there, else an empty one, and notes the question."""
        key = self.key(question, replicate)
        answer = self._answers.get(key)
        if answer is not None:
            return answer
        self._missing += 1
        if self._closed is None:
            self._closed = self._under_way_now()
        if self._closed is None and key not in self._waiting.questions:
            await self._add(key, question, what)
        return Answer(key, "", False, {}, "")

    def check_complete(self) -> None:
        """Says that answers were not there since this was called last.

        Raises:
            BatchedError: so it is; the message says what they wait for.
        """
        missing, self._missing = self._missing, 0
        if missing:
            why = self._closed or "they go into a batch"
            raise BatchedError(
                f"{missing} answers are not here yet: {why}; the same command again goes on"
            )

    async def submit(self) -> str | None:
        """Submits the questions that were asked; returns the batch's id, None without any.

        Raises:
            JudgeStoppedError: the endpoint says no.
        """
        return await self._told(self._submit()) if self._waiting.lines else None

    async def _submit(self) -> str:
        connected = self._judge.connected()
        batch = QuestionBatch(
            uuid.uuid4().hex, self._name, None, "submitting", self._waiting.questions,
            self._waiting.most,
        )  # fmt: skip
        await self._answers.note_batch(batch)
        content = "".join(self._waiting.lines).encode("utf-8")
        file = await connected.files.create(file=("questions.jsonl", content), purpose="batch")
        made = await connected.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h",
            metadata={_METADATA: batch.token},
        )  # fmt: skip
        await self._answers.note_batch(replace(batch, id=made.id, state="submitted"))
        self._waiting = _Waiting([], {}, {})
        return str(made.id)

    def _under_way_now(self) -> str | None:
        found = self._answers.batches()
        return None if not found else f"batch {found[0].id} is under way"

    async def _add(self, key: str, question: Question, what: str) -> None:
        body = self._judge.body(question, self.card.decoding)
        line = json.dumps(
            {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
        )
        waiting = self._waiting
        if len(waiting.lines) == _MOST_QUESTIONS or waiting.n_bytes + len(line) >= _MOST_BYTES:
            self._closed = "they go into the batch after the next"
            return
        if self._budget is not None:
            try:
                await self._budget.reserve([(_at_batch_price(self.card), question)], wait=False)
            except JudgeStoppedError as error:
                self._closed = str(error)
                return
        waiting.n_bytes += len(line) + 1
        waiting.lines.append(line + "\n")
        waiting.questions[key] = what
        most = most_cost([(_at_batch_price(self.card), question)])
        if most is not None:
            waiting.most[key] = most

    async def _told(self, asked: Work[_T]) -> _T:
        from openai import OpenAIError

        try:
            return await asked
        except OpenAIError as error:
            # Not chained: the package's own errors may show the key.
            raise JudgeStoppedError(
                f"{self._judge.endpoint.base_url} says: {self._judge.shown(error)}"
            ) from None

    async def _find(self, batch: QuestionBatch) -> Batch | None:
        """Returns the endpoint's word on a batch, None if it does not know of it."""
        connected = self._judge.connected()
        if batch.id is not None:
            return await connected.batches.retrieve(batch.id)
        async for made in connected.batches.list():
            if (made.metadata or {}).get(_METADATA) == batch.token:
                return await connected.batches.retrieve(made.id)
        return None

    async def _keep_all(self, batch: QuestionBatch, found: Batch) -> None:
        """Keeps what a batch brought, row by row; what it failed at is asked again.

        Raises:
            JudgeStoppedError: it brought nothing, or some of it does not come from the revision
                that the card pins; the rest is kept.
        """
        kept: list[tuple[Answer, str]] = []
        others: JudgeStoppedError | None = None
        if found.output_file_id:
            response = await self._judge.connected().files.content(found.output_file_id)
            for line in response.content.split(b"\n"):
                try:
                    answer = self._answer(line, batch)
                except JudgeStoppedError as error:
                    others, answer = error, None
                if answer is not None:
                    kept.append((answer, batch.questions[answer.key]))
                elif most := self._most_lost(line, batch):
                    self._answers.note_lost(self.card, most)
        await self._answers.keep(kept)
        self._answers.check()
        await self._answers.note_batch(replace(batch, id=found.id, state="collected"))
        if self._budget is not None:
            self._budget.spent = self._answers.spent()
        if others is not None:
            raise others
        if not kept:
            raise JudgeStoppedError(
                f"batch {found.id} brought no answer: it is {found.status}"
                f"{self._reason(found)}; the same command again submits its questions anew"
            )

    def _answer(self, line: bytes, batch: QuestionBatch) -> Answer | None:
        """Returns the answer of a row; None if it holds none, or to no question of the batch."""
        try:
            row = read_json(line.decode("utf-8-sig"))
            key, response = row["custom_id"], row["response"]
            if response["status_code"] != 200 or key not in batch.questions:
                return None
            completion = self._judge.read(response["body"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        cost = cost_of(completion.usage, _at_batch_price(self.card).prices)
        return Answer(
            key, completion.text, completion.refused, dict(completion.usage),
            completion.model_revision, cost, completion.cut,
            batch.most.get(key) if cost is None else None,
        )  # fmt: skip

    def _most_lost(self, line: bytes, batch: QuestionBatch) -> float:
        """Returns what a row can have cost that brought no answer; a refused question is free."""
        if not line.strip():
            return 0.0
        try:
            row = read_json(line.decode("utf-8-sig"))
            if row["response"] is None or row["response"]["status_code"] != 200:
                return 0.0
            return batch.most.get(row["custom_id"], 0.0)
        except (ValueError, KeyError, TypeError, RecursionError):
            return max(batch.most.values(), default=0.0)

    def _reason(self, found: Batch) -> str:
        errors = getattr(found.errors, "data", None) or []
        told = [error.message for error in errors[:1] if error.message]
        return "".join(f", {self._judge.kept(message)}" for message in told)


def _at_batch_price(card: JudgeCard) -> JudgeCard:
    if card.prices is None:
        return card
    prices = card.prices
    cheaper = prices.model_copy(
        update={
            "input": prices.input * prices.batch,
            "output": prices.output * prices.batch,
            "cached": None if prices.cached is None else prices.cached * prices.batch,
        }
    )
    return card.model_copy(update={"prices": cheaper})
