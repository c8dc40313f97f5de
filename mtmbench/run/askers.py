"""The language models that rule in a run: one asker a judge card, one ledger, one budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from types import TracebackType

from mtmbench.core.cards import JudgeCard
from mtmbench.core.cells import League, MatchCell
from mtmbench.judges.asker import Asker
from mtmbench.judges.batch import BatchAsker
from mtmbench.judges.budget import Budget
from mtmbench.judges.ledger import LEDGER, Ledger
from mtmbench.judges.registry import JUDGES


def in_rounds(cells: Sequence[MatchCell]) -> list[MatchCell]:
    """Orders matches so that every competitor of every league plays about as often at any time.

    Pairs come in the rounds of the circle method, the leagues taking turns, so that the board of
    a run that stops halfway compares everybody.
    """
    players: dict[League, dict[str, int]] = {}
    for cell in cells:
        known = players.setdefault(cell.league, {})
        for fit in (cell.a, cell.b):
            known.setdefault(fit.key, len(known))

    def turn(cell: MatchCell) -> int:
        known = players[cell.league]
        i, j = sorted((known[cell.a.key], known[cell.b.key]))
        # Of an even number the last sits outside the circle.
        n = len(known) - 1 + len(known) % 2
        return (2 * i if j == n else i + j) % n

    return sorted(cells, key=turn)


class Askers:
    """Askers by judge; a context manager.

    The ledger lies in the run's folder, so that a run can be moved, copied and deleted whole, and
    so that a budget is a run's: what earlier commands spent on the same folder counts.

    Args:
        folder: the run's folder.
        cards: the judges by name.
        budget: what all of them may spend together; None for no limit.
        batch: whether questions are handed to a Batch API instead of asked one by one.

    Raises:
        InputError: a client cannot be made, or a budget cannot be kept with a card.
    """

    def __init__(
        self,
        folder: Path,
        cards: Mapping[str, JudgeCard],
        budget: float | None = None,
        batch: bool = False,
    ) -> None:
        self.batch = batch
        with ExitStack() as undo:
            ledger = undo.enter_context(Ledger(folder / LEDGER))
            shared = None if budget is None else Budget(budget, ledger.spent())
            self._askers: dict[str, Asker] = {}
            for name, card in cards.items():
                if shared is not None:
                    shared.check(name, card)
                client = JUDGES.get(card.client).from_card(card)
                kind = BatchAsker if batch else Asker
                self._askers[name] = kind(client, card, ledger, budget=shared)
            self._undo = undo.pop_all()

    def __enter__(self) -> Askers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def __getitem__(self, judge: str) -> Asker:
        return self._askers[judge]

    def matches_at_once(self, n_documents: int) -> int:
        """Returns how many matches of so many documents keep every judge busy.

        No more than needed: of matches that are under way when a budget is used up or the run is
        killed, none counts. For batches it is one.
        """
        if self.batch:
            return 1
        questions = sum(asker.concurrency for asker in self._askers.values())
        return 1 + ceil(2 * questions / n_documents)

    async def collect(self) -> None:
        """Collects the batches of every judge, to be done before the first question."""
        for asker in self._askers.values():
            if isinstance(asker, BatchAsker):
                await asker.collect()

    async def submit(self) -> None:
        """Submits the batch of every judge, to be done after the last question."""
        for asker in self._askers.values():
            if isinstance(asker, BatchAsker):
                await asker.submit()

    async def close_clients(self) -> None:
        """Closes every client; called once, in the loop in which they were asked."""
        for asker in self._askers.values():
            await asker.client.close()
