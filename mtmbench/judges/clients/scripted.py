"""A judge for tests and simulations: known strengths, position bias and failure rates."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import canonical_json
from mtmbench.judges.base import Completion, JudgeClient, Option, Question
from mtmbench.judges.replies import Decision, verdict_line

UNPARSABLE = "I would rather not commit to one of them."
"""What the scripted judge says when it fails: words, and no verdict."""

REFUSAL = "I cannot help with that."
"""What it says when it refuses."""

_DRAWS = 5
"""Draws of one answer: refuse, fail, tie, name a slot unread, win."""


class ScriptedJudge(JudgeClient):
    """Answers by chance, with probabilities that are known.

    One after the other, each with a draw of its own: it refuses with ``refusal_rate``; it says
    something unparsable with ``failure_rate``; it says tie with ``tie_rate``; with
    ``|position_bias|`` it names the first slot (the second if negative) whatever stands there;
    else the first option wins with the Bradley-Terry probability ``σ(s_first − s_second)``.

    The draws are a hash of the seed, the question and the replicate, so an answer depends neither
    on the order of calls nor on the other questions.

    Args:
        strengths: natural-log ability by competitor id ("lda", "mlda:paper").
        seed: seed of the draws.
        tie_rate: probability of a tie, given an answer, in [0, 1].
        position_bias: in [−1, 1]; the raw rate of the first slot among decisive answers is
            ``(1 + position_bias) / 2`` over both orders, whatever the strengths.
        failure_rate: probability of an unparsable reply, given no refusal, in [0, 1].
        refusal_rate: probability of a refusal, in [0, 1].
        others: ability of competitors that ``strengths`` does not name; None makes them an error.
    """

    name: ClassVar[str] = "scripted"
    version: ClassVar[int] = 1

    def __init__(
        self,
        strengths: Mapping[str, float] | None = None,
        seed: int = 0,
        tie_rate: float = 0.0,
        position_bias: float = 0.0,
        failure_rate: float = 0.0,
        refusal_rate: float = 0.0,
        others: float | None = None,
    ) -> None:
        _check_rates(
            tie_rate=tie_rate, failure_rate=failure_rate, refusal_rate=refusal_rate,
            position_bias=abs(position_bias),
        )  # fmt: skip
        self.strengths = dict(strengths or {})
        self.seed = seed
        self.tie_rate = tie_rate
        self.position_bias = position_bias
        self.failure_rate = failure_rate
        self.refusal_rate = refusal_rate
        self.others = others

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,
    ) -> Completion:
        """Draws one answer."""
        revision = f"{self.name}, version {self.version}"
        refuse, fail, tie, blind, win = self._draws(question, replicate)
        if refuse < self.refusal_rate:
            return Completion(REFUSAL, model_revision=revision, refused=True)
        if fail < self.failure_rate:
            return Completion(UNPARSABLE, model_revision=revision)
        return Completion(
            verdict_line(self._decide(question.options, tie, blind, win)), model_revision=revision
        )

    def _decide(self, options: Sequence[Option], tie: float, blind: float, win: float) -> Decision:
        first, second = (self._strength(option.name) for option in options)
        if tie < self.tie_rate:
            return "tie"
        if blind < abs(self.position_bias):
            return "A" if self.position_bias > 0 else "B"
        return "A" if win < _sigmoid(first - second) else "B"

    def _strength(self, name: str) -> float:
        if name in self.strengths:
            return self.strengths[name]
        if self.others is None:
            raise UnknownNameError("competitor of the scripted judge", name, self.strengths)
        return self.others

    def _draws(self, question: Question, replicate: int) -> list[float]:
        shown = [
            [option.name, [[topic.share, topic.description] for topic in option.topics]]
            for option in question.options
        ]
        context = question.context
        if not {"corpus", "doc_id"} <= context.keys():
            raise InputError(
                f"the scripted judge compares, and answers no question of kind {question.kind!r}"
            )
        asked = [question.kind, context["corpus"], context["doc_id"], shown]
        text = canonical_json(["scripted judge", self.seed, replicate, asked])
        digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8 * _DRAWS).digest()
        words = [digest[8 * i : 8 * i + 8] for i in range(_DRAWS)]
        # 53 bits of each word: a float holds them exactly, and the draw stays below 1.
        return [(int.from_bytes(word, "little") >> 11) / 2**53 for word in words]


def _check_rates(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise InputError(f"{name} must lie between 0 and 1, not {rate!r}")


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
