"""A match: two models' topics for the same documents, both orders asked (DESIGN: topic judge).

Each document of a match is two characters, one an order, that name competitors, not positions:
in the forward order model a is shown first, in the backward order model b.

===========  =================================================================
``a b t``    the judge said so
``A B T``    decided by rule, without a call: no topic, or identical sets
``u``        the reply could not be parsed
``r``        the judge refused
===========  =================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mtmbench.core.cards import JudgeCard, JudgingSpec, Representation
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import Answer, Asker, JudgeError, gather, mark, run_async
from mtmbench.judges.base import JudgeClient, Option, Question
from mtmbench.judges.budget import total_cost
from mtmbench.judges.prompt import Prompt, load_prompt
from mtmbench.judges.replies import parse_verdict
from mtmbench.matches.options import Projected, document_options

__all__ = ["JudgeError", "MatchOutcome", "fold", "judge_pair", "play_pair"]

_JUDGED = "abt"
_RULED = "ABT"
_REMOVED = "ur"
_IN_FORWARD = {"A": "a", "B": "b", "tie": "t", "unparsed": "u", "refused": "r"}
_IN_BACKWARD = {**_IN_FORWARD, "A": "b", "B": "a"}


@dataclass(frozen=True)
class MatchOutcome:
    """What became of a match.

    Attributes:
        forward: one character a document, a shown first.
        backward: the same with b shown first; equal to ``forward`` for an order-free judge, whose
            one call counts as both orders.
        calls: questions asked.
        usage: tokens by kind, summed over the calls.
        replies: a document's replies in forward and backward order, as they came; None where no
            question was asked.
        revisions: what the judge says it is, distinct and sorted.
        cost: what the answers cost; None where that is not known.
        paid: what each answer that is kept cost, by :func:`mtmbench.judges.asker.mark`.
    """

    forward: str
    backward: str
    calls: int
    usage: Mapping[str, int]
    replies: tuple[tuple[str | None, str | None], ...]
    revisions: tuple[str, ...]
    cost: float | None = None
    paid: Mapping[str, float] = field(default_factory=dict)


def fold(forward: str, backward: str) -> float | None:
    """Folds the two orders of a document into the score of a; None removes the document's pair.

    Only the same competitor in both orders is a win (1 or 0); any other parsed combination is a
    tie (0.5).

    Raises:
        InputError: a character is unknown, or a rule decided one order and not the other.
    """
    for char in (forward, backward):
        if len(char) != 1 or char not in _JUDGED + _RULED + _REMOVED:
            raise InputError(f"{char!r} is no outcome of a match; one of a b t A B T u r is")
    if forward != backward and (forward in _RULED or backward in _RULED):
        raise InputError(
            f"outcomes {forward!r} and {backward!r}: a rule decides both orders alike or neither"
        )
    if forward in _REMOVED or backward in _REMOVED:
        return None
    if forward != backward or forward in "tT":
        return 0.5
    return 1.0 if forward in "aA" else 0.0


def play_pair(
    client: JudgeClient,
    card: JudgeCard,
    corpus: Corpus,
    rows: Sequence[int],
    a: TopicResult,
    b: TopicResult,
    *,
    a_name: str,
    b_name: str,
    spec: JudgingSpec,
    representation: Representation,
    projected_a: Projected | None = None,
    projected_b: Projected | None = None,
    replicate: int = 0,
    concurrency: int = 8,
) -> MatchOutcome:
    """Plays one match; the synchronous edge of :func:`judge_pair`, usable in notebooks too."""
    return run_async(
        judge_pair(
            client, card, corpus, rows, a, b, a_name=a_name, b_name=b_name, spec=spec,
            representation=representation, projected_a=projected_a, projected_b=projected_b,
            replicate=replicate, concurrency=concurrency,
        )
    )  # fmt: skip


async def judge_pair(
    client: JudgeClient,
    card: JudgeCard,
    corpus: Corpus,
    rows: Sequence[int],
    a: TopicResult,
    b: TopicResult,
    *,
    a_name: str,
    b_name: str,
    spec: JudgingSpec,
    representation: Representation,
    projected_a: Projected | None = None,
    projected_b: Projected | None = None,
    replicate: int = 0,
    concurrency: int = 8,
    asker: Asker | None = None,
) -> MatchOutcome:
    """Has a judge compare two results on the documents at ``rows``, in both orders.

    The outcome does not depend on the order in which replies arrive. The client is prepared here
    and closed by whoever made it.

    Args:
        client: the judge.
        card: its card; ``decoding`` goes with every question, ``prompt`` is for chat clients.
        corpus: the corpus both results are about.
        rows: the documents judged, none skipped.
        a: first competitor's topics.
        b: second competitor's topics.
        a_name: its id, seen by scripted judges only.
        b_name: the other's id.
        spec: how many topics of how many items are shown.
        representation: "items" or "summary".
        projected_a: projected words of a's topics, for judges that read them.
        projected_b: those of b's topics.
        replicate: counts repeats of the same questions, from 0.
        concurrency: questions under way at one time, at most.
        asker: puts the questions, several matches' together, and keeps the answers; by default
            nothing is kept. Its own concurrency holds.

    Raises:
        InputError: the results are not of this corpus or cannot be shown in this way.
        JudgeError: the client raised; the cause is chained.
    """
    _check(corpus, ((a_name, a), (b_name, b)), concurrency)
    left = document_options(
        a, rows, a_name, spec=spec, representation=representation, projected=projected_a
    )
    right = document_options(
        b, rows, b_name, spec=spec, representation=representation, projected=projected_b
    )
    client.prepare(corpus, [*left, *right], rows)
    prompt = load_prompt(card.prompt) if client.is_llm else None
    asker = asker or Asker(client, card, None, concurrency=concurrency)
    table = _Table(asker, corpus, prompt, replicate)

    async def judge(row: int, first: Option, second: Option) -> tuple[_Answer, _Answer]:
        ruled = _by_rule(client, first, second)
        if ruled is not None:
            return _Answer(ruled), _Answer(ruled)
        forward = await table.ask(row, first, second, _IN_FORWARD)
        if client.order_free:
            return forward, _Answer(forward.char)
        return forward, await table.ask(row, second, first, _IN_BACKWARD)

    answers = await gather([judge(*job) for job in zip(rows, left, right, strict=True)])
    return _outcome(answers)


@dataclass(frozen=True)
class _Answer:
    """One order of one document: its character, and the judge's answer if a question was asked."""

    char: str
    told: Answer | None = None

    @property
    def reply(self) -> str | None:
        return None if self.told is None else self.told.text


@dataclass(frozen=True)
class _Table:
    asker: Asker
    corpus: Corpus
    prompt: Prompt | None
    replicate: int

    async def ask(
        self, row: int, first: Option, second: Option, names: Mapping[str, str]
    ) -> _Answer:
        text, doc_id = self.corpus.texts[row], self.corpus.doc_ids[row]
        question = Question(
            "match",
            {"corpus": self.corpus.name, "doc_id": doc_id, "text": text},
            (first, second),
            () if self.prompt is None else self.prompt.messages(text, (first, second)),
        )
        what = (
            f"match of {first.name!r} against {second.name!r}, document {doc_id!r} of "
            f"{self.corpus.name!r}"
        )
        answer = await self.asker.ask(question, what, self.replicate)
        return _Answer(names["refused" if answer.refused else parse_verdict(answer.text)], answer)


def _by_rule(client: JudgeClient, a: Option, b: Option) -> str | None:
    if not a.topics or not b.topics:
        return "A" if a.topics else "B" if b.topics else "T"
    return "T" if client.sees(a) == client.sees(b) else None


def _outcome(answers: Sequence[tuple[_Answer, _Answer]]) -> MatchOutcome:
    asked = [answer.told for both in answers for answer in both if answer.told is not None]
    usage: Counter[str] = Counter()
    for answer in asked:
        usage.update(answer.usage)
    return MatchOutcome(
        forward="".join(forward.char for forward, _ in answers),
        backward="".join(backward.char for _, backward in answers),
        calls=len(asked),
        usage=dict(sorted(usage.items())),
        replies=tuple((forward.reply, backward.reply) for forward, backward in answers),
        revisions=tuple(sorted({a.model_revision for a in asked if a.model_revision})),
        cost=total_cost([answer.cost for answer in asked]),
        paid={mark(a.key): a.cost for a in asked if a.key and a.cost is not None},
    )


def _check(
    corpus: Corpus, competitors: Sequence[tuple[str, TopicResult]], concurrency: int
) -> None:
    (a_name, _), (b_name, _) = competitors
    if a_name == b_name:
        raise InputError(f"{a_name!r} cannot play against itself")
    if concurrency < 1:
        raise InputError(f"concurrency must be at least 1, not {concurrency!r}")
    for name, result in competitors:
        if result.corpus.get("revision") != corpus.revision:
            raise InputError(
                f"{name!r} was fitted on corpus {result.corpus.get('name')!r} of revision "
                f"{result.corpus.get('revision')!r}, not on {corpus.name!r} of {corpus.revision!r}"
            )
