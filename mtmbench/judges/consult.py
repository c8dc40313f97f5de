"""Putting questions to a judge card from places that know no event loop: metrics, commands."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mtmbench.core.cards import JudgeCard
from mtmbench.judges.asker import Asker, run_async
from mtmbench.judges.budget import Budget
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.registry import JUDGES

T = TypeVar("T")

Job = Callable[[Asker], Coroutine[Any, Any, T]]
"""What asks."""


class Consult(Protocol):
    """Has a job ask the judge of a card, named or pathed, and returns what the job returns."""

    def __call__(self, card: str, job: Job[T]) -> T:
        """Runs ``job`` to its end."""


def consult(
    card: JudgeCard,
    answers: Path,
    job: Job[T],
    *,
    concurrency: int | None = None,
    budget: float | None = None,
    name: str = "",
) -> T:
    """Makes the judge of a card, has ``job`` ask it, and closes it.

    Args:
        card: the judge.
        answers: the ledger's file; what is answered there is not asked again.
        job: what asks.
        concurrency: questions under way at one time, at most; the card's limit by default.
        budget: what all answers of the ledger may cost together; None for no limit.
        name: the card's, for the message that a budget cannot be kept with it.

    Raises:
        InputError: a budget cannot be kept with the card, or the file is no ledger.
        JudgeError: the judge failed, or the budget is used up; what was answered before is kept.
    """

    async def play() -> T:
        client = JUDGES.get(card.client).from_card(card)
        try:
            with Ledger(answers) as ledger:
                limit = None if budget is None else Budget(budget, ledger.spent())
                if limit is not None:
                    limit.check(name or card.client, card)
                asker = Asker(client, card, ledger, concurrency=concurrency, budget=limit)
                return await job(asker)
        finally:
            await client.close()

    return run_async(play())
