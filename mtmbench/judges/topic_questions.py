"""Questions about topics by themselves, one a topic.

A topic is shown as its items, numbered, one a line, between fences. A reply that cannot be read and
a refusal are kept as such and never become a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from mtmbench.core.judge_facts import PromptFacts
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Option, Question, QuestionKind, ShownTopic
from mtmbench.judges.prompt import Template, load_template

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

TopicStatus = Literal["ok", "unparsed", "refused", "empty"]
"""``empty``: there was too little to ask about, and nothing was asked."""

_LEAST_SETTINGS: Mapping[str, Mapping[str, int]] = {
    "summary": {"summary_characters": 40},
    "topic_label": {"label_characters": 10},
}


@dataclass(frozen=True)
class TopicAnswer(Generic[_T_co]):
    """What was replied about one topic.

    Attributes:
        status: "ok", or why there is no value.
        value: what the reply states, None with another status.
        reply: the reply as it came; None where nothing was asked.
    """

    status: TopicStatus
    value: _T_co | None = None
    reply: str | None = None


def topic_template(task: str) -> Template:
    """Loads the prompt of a task: "summary", "topic_label", "refine", "rating" or "intrusion".

    "refine_up_to" is "refine" with a limit of the suite's.
    """
    more = {"drop"} if task == "refine_up_to" else set()
    return load_template(task, {"fence", "items", *more}, _LEAST_SETTINGS.get(task, {}))


async def ask_about_topics(
    asker: Asker,
    topics: Sequence[Sequence[str]],
    prompt: Template,
    read: Callable[[str, Sequence[str]], _T | None],
    *,
    kind: QuestionKind,
    least: int = 1,
    task: str | None = None,
    more: Mapping[str, str] | None = None,
    documents: Sequence[str] | None = None,
) -> list[TopicAnswer[_T]]:
    """Asks one question a topic.

    Args:
        asker: whom, and where answers are kept.
        topics: the items shown of each topic, as they are read.
        prompt: the prompt; its placeholder ``items`` is the numbered list.
        read: the parser; it is given the reply and the items, and returns None for "unparsed".
        kind: what sort of question it is.
        least: topics with fewer items are not asked about.
        task: what is asked, for judges that read the context; by default the prompt's name.
        more: values of further placeholders.
        documents: a document beside each topic, the value of placeholder ``document``.
    """

    async def one(number: int, items: Sequence[str]) -> TopicAnswer[_T]:
        if len(items) < least:
            return TopicAnswer("empty")
        shown = [" ".join(item.split()) for item in items]
        listed = "\n".join(f"{i}. {item}" for i, item in enumerate(shown, start=1))
        context = {"task": task or prompt.name, "topic": number, "items": shown}
        context |= {} if documents is None else {"text": documents[number]}
        beside = {} if documents is None else {"document": documents[number]}
        messages = prompt.messages({"items": listed, **(more or {}), **beside})
        # Language models read the messages, and what they were asked must not change for others.
        options = () if asker.client.is_llm else _options(kind, shown)
        question = Question(kind, context, options, messages)
        answer = await asker.ask(question, f"{prompt.name} of topic {number}")
        if answer.refused:
            return TopicAnswer("refused", reply=answer.text)
        value = read(answer.readable, items)
        return TopicAnswer("unparsed" if value is None else "ok", value, answer.text)

    return await gather([one(number, items) for number, items in enumerate(topics)])


def _options(kind: QuestionKind, items: Sequence[str]) -> tuple[Option, ...]:
    """Returns the items as proxies are shown them: one topic, or an option each to choose from."""
    topics = [[item] for item in items] if kind in ("intrusion", "split") else [items]
    return tuple(Option("topic", (ShownTopic(1.0, tuple(topic)),)) for topic in topics)


def prompt_record(prompt: Template) -> PromptFacts:
    """Returns name and hash of a prompt, for records."""
    return {"name": prompt.name, "hash": prompt.hash}


def counted(answers: Sequence[TopicAnswer[object]]) -> dict[str, int]:
    """Returns how many topics got an answer of each status."""
    return dict(sorted(Counter(answer.status for answer in answers).items()))
