"""People as a judge: the votes that ``mtmbench serve`` has collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.clients.human_votes import Vote, option_key, read_votes, vote_key
from mtmbench.judges.replies import Decision, verdict_line


class HumanJudge(JudgeClient):
    """Rules by the majority of the people who voted; without one it is a tie.

    A person sees a question once, its sets in random order, and does not see which models they
    are of; so one vote stands for both orders, and position bias averages out over people and
    documents instead of within one. Who failed too many attention checks does not count.

    Args:
        votes: the file of votes, read at the first question.
        max_failed: share of the attention checks that a voter may fail, in [0, 1].
        min_votes: votes that a question needs; with fewer it is not answered yet.
    """

    name: ClassVar[str] = "human"
    version: ClassVar[int] = 1
    order_free: ClassVar[bool] = True

    def __init__(
        self, votes: str = "votes/human.jsonl", max_failed: float = 0.25, min_votes: int = 1
    ) -> None:
        if not 0 <= max_failed <= 1:
            raise InputError(f"max_failed must lie between 0 and 1, not {max_failed!r}")
        if min_votes < 1:
            raise InputError(f"min_votes must be at least 1, not {min_votes!r}")
        self.path = Path(votes)
        self.max_failed = max_failed
        self.min_votes = min_votes
        self._votes: dict[str, list[Vote]] | None = None

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Returns the majority's verdict.

        Raises:
            InputError: too few have voted on the question.
        """
        votes = self._read().get(vote_key(question), [])
        if len(votes) < self.min_votes:
            raise InputError(
                f"{len(votes)} of {self.min_votes} votes on document "
                f"{question.context['doc_id']!r} are in {self.path}; collect them by "
                "`mtmbench serve`"
            )
        chosen = Counter(self._winner(vote, question) for vote in votes)
        top = chosen.most_common(2)
        tie = len(top) > 1 and top[0][1] == top[1][1]
        return Completion(
            verdict_line("tie" if tie else top[0][0]),
            model_revision=f"people, version {self.version}",
        )

    def _winner(self, vote: Vote, question: Question) -> Decision:
        if vote.verdict == "tie":
            return "tie"
        shown_first = vote.first == option_key(question.options[0])
        return "A" if shown_first == (vote.verdict == "A") else "B"

    def _read(self) -> dict[str, list[Vote]]:
        if self._votes is None:
            every = read_votes(self.path).values() if self.path.is_file() else ()
            careless = careless_voters(every, self.max_failed)
            self._votes = {}
            for vote in every:
                if not vote.check and vote.voter not in careless:
                    self._votes.setdefault(vote.key, []).append(vote)
        return self._votes


def careless_voters(votes: Iterable[Vote], max_failed: float) -> set[str]:
    """Returns the voters who failed more than ``max_failed`` of their attention checks."""
    checks: dict[str, list[bool]] = {}
    for vote in votes:
        if vote.check:
            checks.setdefault(vote.voter, []).append(vote.verdict != vote.check)
    return {voter for voter, failed in checks.items() if sum(failed) > max_failed * len(failed)}
