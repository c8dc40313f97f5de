"""Several judges as one: every member is asked, and the majority of all members rules."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.judge_facts import MemberFacts
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import gather
from mtmbench.judges.base import (
    Completion,
    JudgeClient,
    JudgeTraits,
    Option,
    Question,
    Verdict,
)
from mtmbench.judges.budget import cost_of, prices_of
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.prompt import Prompt, load_prompt, prompt_hash
from mtmbench.judges.registry import JUDGES, load_judge_card, traits_of
from mtmbench.judges.replies import DECISIONS, parse_verdict, verdict_line

NO_VERDICT = "No verdict: members without one could have decided it."
"""The last line of a jury's reply that states none."""

_BEFORE_VOTES = "The jury's members: "


@dataclass(frozen=True)
class MemberReply:
    """What one member of a jury said.

    Attributes:
        card: its card.
        verdict: as it was read.
        reply: as it came.
    """

    card: str
    verdict: Verdict
    reply: str


@dataclass(frozen=True)
class _Member:
    name: str
    card: JudgeCard
    client: JudgeClient
    prompt: Prompt | None


class Jury(JudgeClient):
    """Combines judges by majority; where they disagree it is a tie.

    Each member is asked as if it ruled alone: by its own card's prompt and decoding. A verdict of
    more than half of **all** members is the jury's, and no such verdict is a tie. A member whose
    reply is unparsed or refused counts among all members and for nothing: if it could have turned
    the tie into a win, the jury's own reply is unparsed (refused where all such members refused),
    so that a missing vote never passes for a tie. Members' replies stand in the jury's reply
    (:func:`read_member_replies`).

    Its answer costs what its members' answers cost, by the prices on their own cards.

    A jury is a language model if any member is, and its verdict is free of the order only if every
    member's is. It compares; it writes no labels, summaries or ratings.

    Args:
        members: names or paths of two or more judge cards, none twice; a member may be a jury.

    Raises:
        InputError: there are fewer members, one stands twice, or a jury is among its own members.
    """

    name: ClassVar[str] = "jury"
    version: ClassVar[int] = 1

    _told: Callable[[JudgeCard, Question], Awaitable[None]] | None = None

    def __init__(self, members: Sequence[str] = ()) -> None:
        self._members = [
            _Member(
                name, card, JUDGES.get(card.client).from_card(card),
                load_prompt(card.prompt) if _reads_prompt(card) else None,
            )
            for name, card in member_cards(members).items()
        ]  # fmt: skip
        traits = self.traits({"members": members})
        # What a jury is depends on who sits on it.
        self.is_llm = traits["is_llm"]  # type: ignore[misc]
        self.order_free = traits["order_free"]  # type: ignore[misc]
        self.encoder = traits["encoder"]  # type: ignore[misc]

    @classmethod
    def check_card(cls, card: JudgeCard) -> None:
        """Says what is missing to ask any of the members."""
        for member in member_cards(card.params.get("members", ())).values():
            JUDGES.get(member.client).check_card(member)

    @classmethod
    def traits(cls, params: Mapping[str, object]) -> JudgeTraits:
        """Returns what follows from the members; an encoder only if it is the only one."""
        each = [traits_of(card) for card in member_cards(params.get("members", ())).values()]
        encoders = {traits["encoder"] for traits in each} - {None}
        return {
            "is_llm": any(traits["is_llm"] for traits in each),
            "order_free": all(traits["order_free"] for traits in each),
            "encoder": encoders.pop() if len(encoders) == 1 else None,
        }

    @classmethod
    def members(cls, params: Mapping[str, object]) -> dict[str, MemberFacts]:
        """Returns all of the members' cards that a verdict can depend on."""
        found: dict[str, MemberFacts] = {}
        for name, card in member_cards(params.get("members", ())).items():
            facts = cast("MemberFacts", judge_identity(card))
            if _reads_prompt(card):
                facts["prompt"] = prompt_hash(card.prompt)
            found[name] = facts
        return found

    def prepare_documents(self, corpus: Corpus, rows: Sequence[int]) -> None:
        """Tells every member which documents are judged."""
        for member in self._members:
            member.client.prepare_documents(corpus, rows)

    def prepare(self, corpus: Corpus, options: Sequence[Option], rows: Sequence[int]) -> None:
        """Tells every member what is coming."""
        for member in self._members:
            member.client.prepare(corpus, options, rows)

    def sees(self, option: Option) -> Hashable:
        """Returns what any member sees."""
        return tuple(member.client.sees(option) for member in self._members)

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,
    ) -> Completion:
        """Asks every member and combines their verdicts.

        Raises:
            InputError: the question is no comparison.
        """
        if question.kind not in ("match", "steer"):
            raise InputError(f"a jury compares; a {question.kind} question needs one judge")
        charged: list[_Member] = []

        async def ask(member: _Member) -> Completion:
            try:
                reply = await member.client.answer(
                    _put_to(member, question), member.card.decoding, replicate
                )
            except asyncio.CancelledError:
                charged.append(member)
                raise
            charged.append(member)
            return reply

        try:
            replies = await gather([ask(member) for member in self._members])
        except Exception:
            # What the others say, or were about to say, is paid for and lost with the one.
            await self._tell_all_lost(charged, question)
            raise
        votes = [
            MemberReply(
                member.name,
                "refused" if reply.refused else parse_verdict(reply.readable),
                reply.text,
            )
            for member, reply in zip(self._members, replies, strict=True)
        ]
        verdict = majority([vote.verdict for vote in votes])
        usage: Counter[str] = Counter()
        for reply in replies:
            usage.update(reply.usage)
        revisions = [
            f"{member.name}: {reply.model_revision}"
            for member, reply in zip(self._members, replies, strict=True)
        ]
        costs = [
            cost
            for member, reply in zip(self._members, replies, strict=True)
            for cost in reply.costs
            or (cost_of(reply.usage, prices_of(member.card, member.client)),)
        ]
        return Completion(
            _reply(votes, verdict), dict(sorted(usage.items())), "; ".join(revisions),
            refused=verdict == "refused", costs=tuple(costs),
            cut=verdict == "unparsed" and any(reply.lack == "cut" for reply in replies),
        )  # fmt: skip

    def put_to(
        self,
        card: JudgeCard,  # noqa: ARG002
        question: Question,
    ) -> list[tuple[JudgeCard, Question]]:
        """Returns every member's card with the question as it is asked."""
        return [
            part
            for member in self._members
            for part in member.client.put_to(member.card, _put_to(member, question))
        ]

    def tell_lost(
        self,
        card: JudgeCard,  # noqa: ARG002
        told: Callable[[JudgeCard, Question], Awaitable[None]],
    ) -> None:
        """Has every member tell, under its own card."""
        self._told = told
        for member in self._members:
            member.client.tell_lost(member.card, told)

    async def _tell_all_lost(self, members: Sequence[_Member], question: Question) -> None:
        for member in members:
            for card, put in member.client.put_to(member.card, _put_to(member, question)):
                if self._told is not None:
                    await self._told(card, put)

    async def close(self) -> None:
        """Closes every member."""
        for member in self._members:
            await member.client.close()


def majority(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns the verdict of more than half of all, else a tie, else why there is none.

    Without a majority it is a tie unless the unparsed and refused ones could have given one option
    the majority; then it is "refused" if all of those are, else "unparsed".
    """
    counts = Counter(verdicts)
    for verdict in DECISIONS:
        if 2 * counts[verdict] > len(verdicts):
            return verdict
    missing = counts["unparsed"] + counts["refused"]
    if all(2 * (counts[option] + missing) <= len(verdicts) for option in ("A", "B")):
        return "tie"
    return "refused" if counts["refused"] == missing else "unparsed"


def read_member_replies(reply: str) -> list[MemberReply]:
    """Returns what the members said, from a jury's reply.

    Raises:
        InputError: the text is not a jury's reply.
    """
    first = reply.split("\n", 1)[0]
    try:
        if not first.startswith(_BEFORE_VOTES):
            raise ValueError("no line of its members")
        rows = json.loads(first.removeprefix(_BEFORE_VOTES))
        return [MemberReply(row["card"], row["says"], row["reply"]) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a jury's reply ({error}): {reply[:80]!r}") from error


def member_cards(members: object, _above: tuple[str, ...] = ()) -> dict[str, JudgeCard]:
    """Returns the cards of a jury's members, those of juries among them looked into.

    Raises:
        InputError: see :class:`Jury`.
        UnknownNameError: there is no such card.
    """
    if isinstance(members, str) or not isinstance(members, Sequence) or len(members) < 2:
        raise InputError(f"a jury has two members or more, not {members!r}")
    cards: dict[str, JudgeCard] = {}
    for name in members:
        if name in cards:
            raise InputError(f"member {name!r} of a jury stands twice")
        if name in _above:
            raise InputError(f"a jury is its own member: {' > '.join((*_above, name))}")
        cards[name] = load_judge_card(name)
        if cards[name].client == Jury.name:
            member_cards(cards[name].params.get("members", ()), (*_above, name))
    return cards


def _reads_prompt(card: JudgeCard) -> bool:
    members = JUDGES.get(card.client).members(card.params)
    return traits_of(card)["is_llm"] and not members


def _put_to(member: _Member, question: Question) -> Question:
    if member.prompt is None or question.kind != "match":
        return question
    messages = member.prompt.messages(str(question.context["text"]), question.options)
    return replace(question, messages=messages)


def _reply(votes: Sequence[MemberReply], verdict: Verdict) -> str:
    rows = ", ".join(
        f'{{"card": {_quoted(vote.card)}, "says": "{vote.verdict}", '
        f'"reply": {_quoted(vote.reply)}}}'
        for vote in votes
    )
    last = verdict_line(verdict) if verdict in DECISIONS else NO_VERDICT
    return f"{_BEFORE_VOTES}[{rows}]\n{last}"


def _quoted(text: str) -> str:
    # A member's "VERDICT: B", or "the verdict is B", must not be read as another verdict of the
    # jury's; characters that only look like these letters, or part them unseen, are no ASCII.
    plain = json.dumps(text).replace(":", "\\u003a")
    return re.sub(
        "verdict", lambda found: rf"\u{ord(found[0][0]):04x}{found[0][1:]}", plain, flags=re.I
    )
