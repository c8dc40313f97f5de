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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from mtmbench.core.errors import InputError
from mtmbench.core.match_payloads import OutcomeValues
from mtmbench.core.specs import JudgingSpec, Representation
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import Asker, gather, mark
from mtmbench.judges.base import JudgeClient, Option, Question, judged_mark
from mtmbench.judges.budget import total_cost
from mtmbench.judges.ledger_file import Answer
from mtmbench.judges.prompt import Prompt, load_prompt
from mtmbench.judges.replies import parse_verdict
from mtmbench.matches.options import Projected, document_options

_JUDGED = "abt"
_RULED = "ABT"
_REMOVED = "ur"
OUTCOMES = _JUDGED + _RULED + _REMOVED
"""Every character that an order of a document may have."""
_IN_FORWARD = {"A": "a", "B": "b", "tie": "t", "unparsed": "u", "refused": "r"}
_IN_BACKWARD = {**_IN_FORWARD, "A": "b", "B": "a"}
_MOST_ROWS_KEPT = 2000
"""Options of a player on more documents are made anew for each match, some 2 MB otherwise."""


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
        cut: replies that broke off, so that nothing was read from them.
        empty: replies without a text.
    """

    forward: str
    backward: str
    calls: int
    usage: Mapping[str, int]
    replies: tuple[tuple[str | None, str | None], ...]
    revisions: tuple[str, ...]
    cost: float | None = None
    paid: Mapping[str, float] = field(default_factory=dict)
    cut: int = 0
    empty: int = 0

    def values(self) -> OutcomeValues:
        """Returns what a record says of the outcome; replies that were no verdict are not in it."""
        values: OutcomeValues = {
            "forward": self.forward,
            "backward": self.backward,
            "calls": self.calls,
            "usage": self.usage,
            "judge_revisions": self.revisions,
        }
        if self.usage:
            # Judges that use no tokens cost nothing, and their records say nothing of it.
            values["cost"], values["paid"] = self.cost, self.paid
        if self.cut:
            values["cut"] = self.cut
        if self.empty:
            values["empty"] = self.empty
        return values


def fold(forward: str, backward: str) -> float | None:
    """Folds the two orders of a document into the score of a; None removes the document's pair.

    Only the same competitor in both orders is a win (1 or 0); any other parsed combination is a
    tie (0.5).

    Raises:
        InputError: a character is unknown, or a rule decided one order and not the other.
    """
    for char in (forward, backward):
        if len(char) != 1 or char not in OUTCOMES:
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


@dataclass(frozen=True)
class Player:
    """Who plays: its name, which scripted judges alone see, and its topics.

    ``projected`` are the topics' projected words, to be shown or for judges that read them.
    """

    name: str
    result: TopicResult
    projected: Projected | None = None
    _last: dict[tuple[object, ...], list[Option]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def options(
        self, rows: Sequence[int], spec: JudgingSpec, representation: Representation
    ) -> list[Option]:
        """Returns what it shows for each document; see :func:`document_options`.

        What was asked for last is not made again: all matches of a league ask for the same.
        """
        asked = (tuple(rows), spec.max_topics, spec.share, spec.top_items, representation)
        if asked not in self._last:
            made = document_options(
                self.result, rows, self.name, spec=spec, representation=representation,
                projected=self.projected,
            )  # fmt: skip
            self._last.clear()
            if len(rows) > _MOST_ROWS_KEPT:
                return made
            self._last[asked] = made
        return self._last[asked]


@dataclass(frozen=True)
class Pair:
    """Two players on the same documents, as every judge sees them.

    Attributes:
        corpus: the corpus that both results are about.
        rows: the documents judged, none skipped.
        a: first player.
        b: second player.
        spec: how many topics of how many items are shown.
        representation: "items", "projected" or "summary".
        replicate: counts repeats of the same questions, from 0.
        judged: the documents that all matches of the league judge, ``rows`` among them; None for a
            match by itself, which judges ``rows`` alone.
    """

    corpus: Corpus
    rows: Sequence[int]
    a: Player
    b: Player
    spec: JudgingSpec = field(default_factory=JudgingSpec)
    representation: Representation = "items"
    replicate: int = 0
    judged: Sequence[int] | None = None

    @property
    def league(self) -> Sequence[int]:
        """The documents that are judged beside each other."""
        return self.rows if self.judged is None else self.judged

    @cached_property
    def league_mark(self) -> str:
        """Hash of these documents, by which judges tell leagues apart."""
        return judged_mark(self.corpus, self.league)

    def over(self, rows: Sequence[int]) -> Pair:
        """Returns the same players on other documents."""
        return self if list(rows) == list(self.rows) else replace(self, rows=rows)

    def options(self) -> tuple[list[Option], list[Option]]:
        """Returns what each player shows for each document.

        Raises:
            InputError: the players have one name, or a result is not of this corpus or cannot be
                shown in this way.
        """
        return self._options

    @cached_property
    def _options(self) -> tuple[list[Option], list[Option]]:
        if self.a.name == self.b.name:
            raise InputError(f"{self.a.name!r} cannot play against itself")
        for player in (self.a, self.b):
            of = player.result.corpus
            if of.get("revision") != self.corpus.revision:
                raise InputError(
                    f"{player.name!r} was fitted on corpus {of.get('name')!r} of revision "
                    f"{of.get('revision')!r}, not on {self.corpus.name!r} of "
                    f"{self.corpus.revision!r}"
                )
        left, right = (
            player.options(self.rows, self.spec, self.representation) for player in (self.a, self.b)
        )
        return left, right

    def question(
        self, row: int, first: Option, second: Option, prompt: Prompt | None = None
    ) -> Question:
        """Returns what is asked of one document in one order; chat judges are asked by a prompt."""
        text = self.corpus.texts[row]
        context = {"corpus": self.corpus.name, "doc_id": self.corpus.doc_ids[row], "text": text}
        messages = () if prompt is None else prompt.messages(text, (first, second))
        return Question("match", context, (first, second), messages, self.league_mark)


def questions(client: JudgeClient, pair: Pair) -> list[Question]:
    """Returns what a judge is asked of a pair in the forward order, where no rule decides.

    Raises:
        InputError: see :meth:`Pair.options`.
    """
    return [
        pair.question(row, first, second)
        for row, first, second in zip(pair.rows, *pair.options(), strict=True)
        if _by_rule(client, first, second) is None
    ]


async def judge_pair(asker: Asker, pair: Pair) -> MatchOutcome:
    """Has a judge compare two players on every document of a pair, in both orders.

    The outcome does not depend on the order in which replies arrive. The client is prepared here.

    Args:
        asker: puts the questions and keeps the answers; ``prompt`` of its card is for chat judges.
        pair: who plays, and on what.

    Raises:
        InputError: see :meth:`Pair.options`.
        JudgeError: the client raised; the cause is chained.
    """
    client = asker.client
    left, right = pair.options()
    client.prepare_documents(pair.corpus, pair.league)
    client.prepare(pair.corpus, [*left, *right], pair.rows)
    prompt = load_prompt(asker.card.prompt) if client.is_llm else None
    contests = [
        Contest(
            first,
            second,
            _by_rule(client, first, second),
            partial(pair.question, row, prompt=prompt),
            f"match of {first.name!r} against {second.name!r}, document "
            f"{pair.corpus.doc_ids[row]!r} of {pair.corpus.name!r}",
        )
        for row, first, second in zip(pair.rows, left, right, strict=True)
    ]
    return await judge_contests(asker, contests, pair.replicate)


@dataclass(frozen=True)
class Contest:
    """Two options before a judge, on one document or prompt.

    Attributes:
        first: a's option.
        second: b's.
        ruled: the outcome where a rule decides; None where the judge is asked.
        question: makes the question of options in the order given.
        what: what it is about, for messages of errors and the ledger.
    """

    first: Option
    second: Option
    ruled: str | None
    question: Callable[[Option, Option], Question]
    what: str


async def judge_contests(
    asker: Asker, contests: Sequence[Contest], replicate: int = 0
) -> MatchOutcome:
    """Has a judge decide each contest in both orders; the outcome names a's and b's wins.

    Raises:
        JudgeError: the client raised; the cause is chained.
    """

    async def ask(
        contest: Contest, first: Option, second: Option, names: Mapping[str, str]
    ) -> _Answer:
        answer = await asker.ask(contest.question(first, second), contest.what, replicate)
        verdict = "refused" if answer.refused else parse_verdict(answer.readable)
        return _Answer(names[verdict], answer)

    async def judge(contest: Contest) -> tuple[_Answer, _Answer]:
        if contest.ruled is not None:
            return _Answer(contest.ruled), _Answer(contest.ruled)
        a, b = contest.first, contest.second
        forward = await ask(contest, a, b, _IN_FORWARD)
        if asker.client.order_free:
            return forward, _Answer(forward.char)
        return forward, await ask(contest, b, a, _IN_BACKWARD)

    return _outcome(await gather([judge(contest) for contest in contests]))


def _by_rule(client: JudgeClient, a: Option, b: Option) -> str | None:
    """Returns the outcome of a document that a rule decides; None where the judge is asked.

    A set of topics beats none, and sets that the judge cannot tell apart tie.
    """
    if not a.topics or not b.topics:
        return "A" if a.topics else "B" if b.topics else "T"
    return "T" if client.sees(a) == client.sees(b) else None


@dataclass(frozen=True)
class _Answer:
    """One order of one document: its character, and the judge's answer if a question was asked."""

    char: str
    told: Answer | None = None

    @property
    def reply(self) -> str | None:
        return None if self.told is None else self.told.text


def _outcome(answers: Sequence[tuple[_Answer, _Answer]]) -> MatchOutcome:
    asked = [answer.told for both in answers for answer in both if answer.told is not None]
    usage: Counter[str] = Counter()
    for answer in asked:
        usage.update(answer.usage)
    lacks = Counter(answer.lack for answer in asked)
    return MatchOutcome(
        forward="".join(forward.char for forward, _ in answers),
        backward="".join(backward.char for _, backward in answers),
        calls=len(asked),
        usage=dict(sorted(usage.items())),
        replies=tuple((forward.reply, backward.reply) for forward, backward in answers),
        revisions=tuple(sorted({a.model_revision for a in asked if a.model_revision})),
        cost=total_cost([answer.cost for answer in asked]),
        paid={mark(a.key): a.cost for a in asked if a.key and a.cost is not None},
        cut=lacks["cut"],
        empty=lacks["empty"],
    )
