"""Putting questions to a judge card from places that know no event loop: metrics, commands."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mtmbench.cards import JudgeCard
from mtmbench.judging.ask import Asker, run_async
from mtmbench.registries import JUDGES

T = TypeVar("T")

Job = Callable[[Asker], Coroutine[Any, Any, T]]
"""What asks."""


class Consult(Protocol):
    """Has a job ask the judge of a card, named or pathed, and returns what the job returns."""

    def __call__(self, card: str, job: Job[T]) -> T:
        """Runs ``job`` to its end."""


def consult(card: JudgeCard, answers: Path, job: Job[T], *, concurrency: int = 8) -> T:
    """Makes the judge of a card, has ``job`` ask it, and closes it.

    Args:
        card: the judge.
        answers: where answers are kept; what is answered there is not asked again.
        job: what asks.
        concurrency: questions under way at one time, at most.

    Raises:
        JudgeError: the judge failed; what was answered before is kept.
        StoreInUseError: another process holds the answers.
    """

    async def play() -> T:
        client = JUDGES.get(card.client).from_card(card)
        try:
            with Asker(client, card, answers, concurrency=concurrency) as asker:
                return await job(asker)
        finally:
            await client.close()

    return run_async(play())


def answers_of(folder: Path, key: str) -> Path:
    """Returns where a run keeps the answers that one of its cells asks for.

    A file a cell: several workers play at one time, and each holds its file.
    """
    return folder / "answers" / f"{key}.jsonl"
