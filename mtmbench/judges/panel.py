"""The judges that are asked together: one ledger, one budget and one loop, a client a card.

Everything that asks a judge goes through a panel: matches, judged metrics, refinements and
summaries, labels, steering, validation and studies. What a panel has paid for is on disk before it
is used, so that work that was killed goes on where it stopped and asks nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from mtmbench.core.cards import JudgeCard
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import JudgeClient
from mtmbench.judges.batch import BatchAsker
from mtmbench.judges.budget import Budget
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.registry import JUDGES, load_judge_card
from mtmbench.judges.session import Work, completed

_T = TypeVar("_T")

Consultation = Callable[[Asker], Work[_T]]
"""What asks one judge."""


class Consult(Protocol):
    """Has a job ask the judge of a card, named or pathed, and returns what the job returns."""

    def __call__(self, card: str, job: Consultation[_T]) -> _T:
        """Runs ``job`` to its end."""


class Panel:
    """Judges by name; a context manager, which closes their clients in the loop that asked them.

    It is used from places that know no event loop, and in a notebook, where one is running.

    Args:
        answers: the ledger's file, made if it is not there; what is answered there is not asked
            again. None keeps nothing, for judges whose answers cost nothing.
        budget: what all answers of the ledger may cost together, those of earlier commands among
            them; None for no limit.
        batch: questions are handed to a Batch API instead of asked one by one; needs a ledger.
        concurrency: questions under way at one time a judge, at most; the card's limit by default.

    Raises:
        InputError: the budget is no amount.
        ValueError: batches without a ledger.
    """

    def __init__(
        self,
        answers: Path | None = None,
        *,
        budget: float | None = None,
        batch: bool = False,
        concurrency: int | None = None,
    ) -> None:
        if batch and answers is None:
            raise ValueError("a Batch API's answers need a ledger")
        self.batch = batch
        self._concurrency = concurrency
        self._askers: dict[str, Asker] = {}
        self._runner = asyncio.Runner()
        self._undo = ExitStack()
        self._answers = answers
        self._ledger: Ledger | None = None
        self._budget = None if budget is None else Budget(budget)

    def __enter__(self) -> Panel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.run(self._close_clients())
        finally:
            try:
                self._in_loop(self._runner.close)
            finally:
                self._undo.close()

    def seat(
        self, name: str, card: JudgeCard | None = None, client: JudgeClient | None = None
    ) -> Asker:
        """Returns who puts questions to a judge, the same one whenever it is named.

        Args:
            name: the judge's name on this panel.
            card: its card; None loads the card of that name, or path.
            client: the judge, if it was made already; the panel closes it.

        Raises:
            InputError: the client cannot be made, the budget cannot be kept with the card, or
                the file of answers is no ledger.
            UnknownNameError: there is no such card.
        """
        if name not in self._askers:
            card = load_judge_card(name) if card is None else card
            if self._budget is not None:
                self._budget.check(name, card)
            client = client or JUDGES.get(card.client).from_card(card)
            ledger = self._open_ledger()
            if self.batch and ledger is not None:
                asker: Asker = BatchAsker(client, card, ledger, budget=self._budget)
            else:
                asker = Asker(
                    client, card, ledger, concurrency=self._concurrency, budget=self._budget
                )
            self._askers[name] = asker
        return self._askers[name]

    def _open_ledger(self) -> Ledger | None:
        """Opens the ledger once a judge is there: what fails before leaves no empty file."""
        if self._ledger is None and self._answers is not None:
            self._ledger = self._undo.enter_context(Ledger(self._answers))
            if self._budget is not None:
                self._budget.spent = self._ledger.spent()
        return self._ledger

    def consult(self, name: str, job: Consultation[_T], card: JudgeCard | None = None) -> _T:
        """Has a job ask one judge, whose record (:meth:`Asker.record`) is of this job alone.

        Raises:
            JudgeError: the judge failed, or the budget is used up; what was answered before is
                kept.
            ValueError: the panel hands its questions to a Batch API, which answers none at once.
        """
        if self.batch:
            raise ValueError("a Batch API answers no question at once: ask on a panel without it")
        return self.run(job(self.seat(name, card).anew()))

    def run(self, job: Work[_T]) -> _T:
        """Runs what asks to its end, in the panel's loop."""
        return self._in_loop(lambda: self._runner.run(job))

    def completed(self, jobs: Sequence[Callable[[], Work[_T]]], at_once: int) -> Iterator[_T]:
        """Runs jobs in the panel's loop, yielding what each returns as it comes.

        Of a Batch API, where jobs run one by one, batches are collected before the first job and
        submitted after the last.

        Args:
            jobs: what makes each job, begun in this order; one that raises ends all.
            at_once: jobs under way at one time, at most.
        """
        if not self.batch:
            yield from completed(jobs, at_once, self._runner.run)
            return
        every: list[Callable[[], Work[_T | None]]]
        every = [self._collect, *jobs, self._submit]
        for result in completed(every, 1, self._runner.run):
            if result is not None:
                yield result

    def questions_at_once(self) -> int:
        """Returns how many questions all judges of the panel take together."""
        return sum(asker.concurrency for asker in self._askers.values())

    def _in_loop(self, run: Callable[[], _T]) -> _T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return run()
        # Loops do not nest.
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(run).result()

    async def _collect(self) -> None:
        for asker in self._batching():
            await asker.collect()

    async def _submit(self) -> None:
        for asker in self._batching():
            await asker.submit()

    def _batching(self) -> list[BatchAsker]:
        return [asker for asker in self._askers.values() if isinstance(asker, BatchAsker)]

    async def _close_clients(self) -> None:
        async with AsyncExitStack() as undo:  # one that fails to close leaves none open
            for asker in self._askers.values():
                undo.push_async_callback(asker.client.close)
