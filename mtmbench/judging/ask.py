"""Asking a judge many questions: several at a time, and every answer on disk before it counts.

The file of answers is append-only JSON lines, one an answer, keyed by a hash of the judge's card
and of the messages. A question whose answer is there is not asked again, so that work killed
halfway goes on where it stopped, and nothing is paid for twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from mtmbench.cards import JudgeCard
from mtmbench.errors import InputError, MtmbenchError, StoreInUseError
from mtmbench.judging.base import JudgeClient, Question
from mtmbench.serialise import canonical_json, content_hash, plain

T = TypeVar("T")


class JudgeError(MtmbenchError, RuntimeError):
    """A judge failed on a question; the message names the judge and the question."""


@dataclass(frozen=True)
class Answer:
    """What a judge replied to one question.

    Attributes:
        key: content hash of card and messages.
        text: the reply as it came.
        refused: the judge declined to answer.
        usage: tokens by kind.
        model_revision: what the judge says it is.
    """

    key: str
    text: str
    refused: bool
    usage: Mapping[str, int]
    model_revision: str


def card_identity(card: JudgeCard, client: JudgeClient) -> dict[str, Any]:
    """Returns all of a card that an answer can depend on, as JSON values."""
    identity: dict[str, Any] = plain(
        {
            "client": card.client,
            "version": client.version,
            "params": card.params,
            "decoding": card.decoding,
        }
    )
    members = client.members(card.params)
    return {**identity, "members": members} if members else identity


class Asker:
    """Puts questions to one judge and keeps the answers; a context manager.

    The client is closed by whoever made it.

    Args:
        client: the judge.
        card: its card; ``decoding`` goes with every question.
        path: the file of answers; made if it is not there. A last line that a kill cut short is
            removed, since its question counts as not answered.
        concurrency: questions under way at one time, at most.

    Raises:
        StoreInUseError: another process holds the file.
        InputError: a line of the file is no answer, or it cannot be written to.
    """

    def __init__(
        self, client: JudgeClient, card: JudgeCard, path: Path, *, concurrency: int = 8
    ) -> None:
        if concurrency < 1:
            raise InputError(f"concurrency must be at least 1, not {concurrency!r}")
        self.client = client
        self.card = card
        self.path = path
        self.identity = card_identity(card, client)
        self.asked = 0
        """Questions put to the judge, the ones already answered not among them."""
        self._concurrency = concurrency
        self._limits: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        self._under_way: dict[str, asyncio.Task[Answer]] = {}
        self._used: dict[str, Answer] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise InputError(f"cannot keep answers in {path}: {error.strerror}") from error
        try:
            self._known = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Asker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def key(self, question: Question) -> str:
        """Returns the key under which the answer to a question is kept."""
        messages = [dict(message) for message in question.messages]
        return content_hash("answer", self.identity, messages)

    async def ask(self, question: Question, what: str) -> Answer:
        """Returns the answer to a question, from the file or from the judge.

        Args:
            question: the question; its messages tell it from others.
            what: what it is about ("label of feature 12"), for error messages and the file.

        Raises:
            JudgeError: the client raised; the cause is chained. Nothing is kept, so that the same
                question is asked when the work is taken up again.
        """
        key = self.key(question)
        if key not in self._known:
            # Two that ask the same at one time wait for one answer.
            if key not in self._under_way:
                self._under_way[key] = asyncio.ensure_future(self._put(key, question, what))
            try:
                await self._under_way[key]
            finally:
                self._under_way.pop(key, None)
        self._used[key] = self._known[key]
        return self._known[key]

    def record(self) -> dict[str, Any]:
        """Returns, as JSON values, the judge and what its answers to these questions took."""
        usage: Counter[str] = Counter()
        for answer in self._used.values():
            usage.update(answer.usage)
        revisions = {answer.model_revision for answer in self._used.values()} - {""}
        return {
            "card": self.identity,
            "revisions": sorted(revisions),
            "questions": len(self._used),
            "usage": dict(sorted(usage.items())),
        }

    async def _put(self, key: str, question: Question, what: str) -> Answer:
        # A semaphore belongs to the loop that it is first waited for in.
        loop = asyncio.get_running_loop()
        async with self._limits.setdefault(loop, asyncio.Semaphore(self._concurrency)):
            self.asked += 1
            try:
                completion = await self.client.answer(question, self.card.decoding, 0)
            except Exception as error:
                hint = "" if self.client.is_llm else "; proxies rule on matches only"
                raise JudgeError(
                    f"judge {self.card.client!r} failed on the {what}: "
                    f"{type(error).__name__}: {error}{hint}"
                ) from error
            answer = Answer(
                key, completion.text, completion.refused, dict(completion.usage),
                completion.model_revision,
            )  # fmt: skip
            self._keep(answer, what)
        return answer

    def _keep(self, answer: Answer, what: str) -> None:
        line = canonical_json(
            {
                "key": answer.key, "what": what, "text": answer.text, "refused": answer.refused,
                "usage": answer.usage, "model_revision": answer.model_revision,
            }
        )  # fmt: skip
        self._file.write(line.encode("utf-8") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._known[answer.key] = answer

    def _read(self) -> dict[str, Answer]:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUseError(f"{self.path} is in use by another process") from None
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        known: dict[str, Answer] = {}
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                answer = _answer(line)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.path}:{number}: not an answer ({error}); mend or remove the line"
                ) from error
            known.setdefault(answer.key, answer)
        return known


async def gather(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs jobs at one time; the first error ends the others and is then raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, also where a loop is running in this thread (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # Loops do not nest.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def _answer(line: bytes) -> Answer:
    row = json.loads(line)
    text, refused = row["text"], row["refused"]
    if not isinstance(text, str) or not isinstance(refused, bool):
        raise TypeError("text or refused is of another kind")
    return Answer(
        str(row["key"]), text, refused,
        {str(kind): int(n) for kind, n in row["usage"].items()}, str(row["model_revision"]),
    )  # fmt: skip
