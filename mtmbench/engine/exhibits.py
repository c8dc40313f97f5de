"""What a judge is shown of a match of a suite, and what becomes of its record.

Judges in a run and people on the voting page see the very same: topics as they were refined and
summarised, a control's opponent, no document whose summary is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mtmbench.core.cells import FitCell, MatchCell, behind, labels_of
from mtmbench.core.errors import InputError
from mtmbench.core.match_payloads import OutcomeValues, SideLengths
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.engine.labels import labelled
from mtmbench.matches.controls import opponent
from mtmbench.matches.match import MatchOutcome, Pair, Player
from mtmbench.matches.options import Projected, option_lengths, words_to_project
from mtmbench.matches.rewrites import read_rewrites, show
from mtmbench.matches.summaries import unshown_rows, with_unshown

_MOST_PLAYERS = 32


class NothingToShowError(InputError):
    """A match cannot be put to a judge; the message says why."""


@dataclass(frozen=True)
class Exhibit:
    """A match as a judge sees it.

    Attributes:
        cell: the match.
        pair: both players on the documents that are shown.
        unshown: the other rows of the match, and the outcome that stands for each: a topic of
            theirs has no summary that could be read ("u"), or one was refused ("r").
    """

    cell: MatchCell
    pair: Pair
    unshown: Mapping[int, str]

    def values(self, outcome: MatchOutcome) -> OutcomeValues:
        """Returns what the record says of the outcome over all documents of the match."""
        whole = with_unshown(outcome, self.cell.rows, self.unshown)
        values = whole.values()
        values["unread"] = self._unread(whole)
        if self.pair.spec.lengths:
            values["lengths"] = self._lengths()
        if self.cell.projected and (wordless := self._wordless()):
            values["wordless"] = wordless
        return values

    def _wordless(self) -> int:
        """Returns how many options have topics, but none that projected words tell of."""
        return sum(
            bool(option.topics) and not any(topic.words for topic in option.topics)
            for side in self.pair.options()
            for option in side
        )

    def _unread(self, outcome: MatchOutcome) -> dict[str, list[str | None]]:
        """Returns unparsed and refused replies by document id, both orders as they came."""
        orders = zip(outcome.forward, outcome.backward, strict=True)
        return {
            doc_id: list(replies)
            for doc_id, replies, chars in zip(
                self.cell.doc_ids, outcome.replies, orders, strict=True
            )
            if set(chars) & {"u", "r"}
        }

    def _lengths(self) -> SideLengths:
        left, right = self.pair.over(self.cell.rows).options()
        return {"a": option_lengths(left), "b": option_lengths(right)}


@dataclass(frozen=True)
class Exhibits:
    """Makes the exhibits of a run.

    Attributes:
        spec: how many topics of how many items are shown.
        folder: the run's folder, with what rewrites topics.
        corpus: returns a corpus by name.
        result: returns the result of a fit by the fit's key.
        projected: returns so many projected words of each of a fit's topics, None where a corpus
            has no words.
    """

    spec: JudgingSpec
    folder: Path
    corpus: Callable[[str], Corpus]
    result: Callable[[str], TopicResult]
    projected: Callable[[FitCell, int], Projected | None]
    _players: dict[tuple[str, ...], Player] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of(self, cell: MatchCell) -> Exhibit:
        """Returns a match as a judge sees it.

        Raises:
            NothingToShowError: a control has no other topic to draw, or a model has no summaries.
            InputError: labels, a refinement or a summary that it needs are missing; the message
                names them.
        """
        name_a, name_b = cell.sides
        left, right = self._player(cell, cell.a, name_a), self._player(cell, cell.b, name_b)
        a = left.result
        try:
            b = opponent(cell, right.result)
        except InputError as error:
            raise NothingToShowError(str(error)) from error
        if cell.representation == "summary" and None in (a.summaries, b.summaries):
            raise NothingToShowError("a model of the pair has no summaries")
        unshown: dict[int, str] = {}
        for fit, result in ((cell.a, a), (cell.b, b)):
            for rewrite in behind(cell.rewrites, fit):
                if rewrite.task == "summary":
                    statuses = read_rewrites(self.folder, rewrite.key).statuses
                    unshown |= unshown_rows(result, cell.rows, statuses, self.spec)
        pair = Pair(
            self.corpus(cell.corpus),
            [row for row in cell.rows if row not in unshown],
            left,
            right if b is right.result else replace(right, result=b),
            self.spec,
            cell.representation,
            cell.replicate,
            cell.judged,
        )
        return Exhibit(cell, pair, unshown)

    def _player(self, cell: MatchCell, fit: FitCell, name: str) -> Player:
        """Returns who plays for a fit; of the last ones each is kept, with the options it made."""
        called, rewrites = labels_of(cell.labels, fit), behind(cell.rewrites, fit)
        key = (name, fit.key, "" if called is None else called.key, *(own.key for own in rewrites))
        if key not in self._players:
            result = labelled(self.result(fit.key), called, self.folder)
            shown = show(result, rewrites, self.folder)
            words = self.projected(fit, words_to_project(self.spec))
            self._players[key] = Player(name, shown, words)
            if len(self._players) > _MOST_PLAYERS:
                del self._players[next(iter(self._players))]
        return self._players[key]
