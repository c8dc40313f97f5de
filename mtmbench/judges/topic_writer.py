"""A judge card as a writer of topics: what models may ask, with prompts, replies and ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from mtmbench.core.judge_facts import AnswersBy, JudgeFacts
from mtmbench.core.written import Assignment, Replies, WrittenTopic
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Question
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.panel import Consult
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.replies import parse_assignments, parse_groups, parse_written

_T = TypeVar("_T")

_Said = tuple[str, _T | None]
"""A status, and what a reply states."""

TASKS: Mapping[str, tuple[frozenset[str], Mapping[str, int]]] = {
    "topic_write": (
        frozenset({"fence", "topics", "document"}),
        {"document_characters": 100, "name_characters": 10, "description_characters": 40},
    ),
    "topic_merge": (frozenset({"fence", "topics"}), {}),
    "topic_assign": (frozenset({"fence", "topics", "document"}), {"document_characters": 100}),
}
"""Prompts by name: their placeholders, and their settings with the least value of each."""

NO_TOPICS_YET = "(none yet)"


def writing_template(task: str) -> Template:
    """Loads the prompt of a task, one of :data:`TASKS`."""
    return load_template(task, *TASKS[task])


def writer_inputs(card: str) -> dict[str, object]:
    """Returns all that a writer's replies can depend on beside its questions, for keys."""
    judge: JudgeFacts = judge_identity(load_judge_card(card))
    return {"judge": judge, "prompts": {task: writing_template(task).hash for task in TASKS}}


class JudgeWriter:
    """Writes topics by the judge of a card; a :class:`mtmbench.core.written.TopicWriter`.

    Args:
        card: name or path of the judge's card.
        consult: has a job ask it (:meth:`mtmbench.judges.panel.Panel.consult`).
    """

    def __init__(self, card: str, consult: Consult) -> None:
        self._card = card
        self._consult = consult

    def write(self, texts: Sequence[str]) -> Replies[tuple[WrittenTopic, ...]]:
        """See the protocol. One text after the other, since a question shows all topics so far."""
        prompt = writing_template("topic_write")
        limits = prompt.settings["name_characters"], prompt.settings["description_characters"]
        known: dict[str, WrittenTopic] = {}

        async def job(asker: Asker) -> Replies[tuple[WrittenTopic, ...]]:
            said = []
            for number, text in enumerate(texts):
                topics = list(known.values())
                stated = await _ask(
                    asker, prompt, number, topics, text, lambda said: parse_written(said, *limits)
                )
                for topic in stated[1] or ():
                    known.setdefault(topic.name.casefold(), topic)
                said.append(stated)
            own = [
                (status, value and tuple(known[topic.name.casefold()] for topic in value))
                for status, value in said
            ]
            return _replies(own, asker.record())

        return self._consult(self._card, job)

    def merge(self, topics: Sequence[WrittenTopic]) -> Replies[tuple[tuple[int, ...], ...]]:
        """See the protocol."""
        prompt = writing_template("topic_merge")

        async def job(asker: Asker) -> Replies[tuple[tuple[int, ...], ...]]:
            said = await _ask(
                asker, prompt, 0, topics, None, lambda reply: parse_groups(reply, len(topics))
            )
            return _replies([said], asker.record())

        return self._consult(self._card, job)

    def assign(
        self, texts: Sequence[str], topics: Sequence[WrittenTopic]
    ) -> Replies[tuple[Assignment, ...]]:
        """See the protocol.

        A topic whose quotation does not stand in the text as shown, white space and case apart, is
        not the text's; one that is left without any has the status "misquoted".
        """
        prompt = writing_template("topic_assign")

        def read(reply: str) -> tuple[Assignment, ...] | None:
            return parse_assignments(reply, len(topics))

        async def one(asker: Asker, number: int, text: str) -> _Said[tuple[Assignment, ...]]:
            status, stated = await _ask(asker, prompt, number, topics, text, read)
            if not stated:
                return "none" if status == "ok" else status, stated
            shown = _plain(cut_at_sentence(text, prompt.settings["document_characters"]))
            quoted = tuple(one for one in stated if _plain(one.quote) in shown)
            return ("ok", quoted) if quoted else ("misquoted", None)

        async def job(asker: Asker) -> Replies[tuple[Assignment, ...]]:
            said = await gather([one(asker, n, text) for n, text in enumerate(texts)])
            return _replies(said, asker.record())

        return self._consult(self._card, job)


async def _ask(
    asker: Asker,
    prompt: Template,
    number: int,
    topics: Sequence[WrittenTopic],
    text: str | None,
    read: Callable[[str], _T | None],
) -> _Said[_T]:
    """Asks one question; topics are shown numbered, one a line."""
    listed = [" ".join(topic.text.split()) for topic in topics]
    values = {"topics": "\n".join(f"{i}. {one}" for i, one in enumerate(listed, start=1))}
    values["topics"] = values["topics"] or NO_TOPICS_YET
    context: dict[str, object] = {"task": prompt.name, "topics": listed}
    if text is not None:
        shown = cut_at_sentence(text, prompt.settings["document_characters"])
        values["document"] = context["text"] = shown
    question = Question("topics", context, (), prompt.messages(values))
    answer = await asker.ask(question, f"{prompt.name} of document {number}")
    if answer.refused:
        return "refused", None
    value = read(answer.readable)
    return ("unparsed", None) if value is None else ("ok", value)


def _replies(said: Sequence[_Said[_T]], by: AnswersBy) -> Replies[_T]:
    statuses = Counter(status for status, _ in said)
    return Replies(tuple(value for _, value in said), dict(sorted(statuses.items())), by)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
