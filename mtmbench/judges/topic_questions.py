"""Questions about topics by themselves, one a topic, and how their replies are read.

A topic is shown as its items, numbered, one a line, between fences. A reply that cannot be read and
a refusal are kept as such and never become a value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Question, QuestionKind
from mtmbench.judges.prompt import Template, load_template
from mtmbench.judges.replies import in_json, on_last_line

T = TypeVar("T")

TopicStatus = Literal["ok", "unparsed", "refused", "empty"]
"""``empty``: there was too little to ask about, and nothing was asked."""

RATINGS = (1, 3)
"""Least and highest rating of coherence (as in Newman et al. 2010 and Hoyle et al. 2021)."""

MOST_ODD = 2
"""So many items may a refinement drop."""

_LEAST_SETTINGS: Mapping[str, Mapping[str, int]] = {
    "summary": {"summary_characters": 40},
    "topic_label": {"label_characters": 10},
}
_RATING = re.compile(r"RATING:[ \t]*([0-9]{1,4})")
_INTRUDER = re.compile(r"INTRUDER:[ \t]*([0-9]{1,4})")
_ODD = re.compile(r"ODD:[ \t]*(none|[0-9]{1,4}(?:[ \t]*,[ \t]*[0-9]{1,4})*)")
_SUMMARY = re.compile(r"SUMMARY:[ \t]*(\S.*)")
_LABEL = re.compile(r"LABEL:[ \t]*(\S.*)")


@dataclass(frozen=True)
class TopicAnswer(Generic[T]):
    """What was replied about one topic.

    Attributes:
        status: "ok", or why there is no value.
        value: what the reply states, None with another status.
        reply: the reply as it came; None where nothing was asked.
    """

    status: TopicStatus
    value: T | None = None
    reply: str | None = None


def topic_template(task: str) -> Template:
    """Loads the prompt of a task: "summary", "topic_label", "refine", "rating" or "intrusion"."""
    return load_template(task, {"fence", "items"}, _LEAST_SETTINGS.get(task, {}))


async def ask_about_topics(
    asker: Asker,
    topics: Sequence[Sequence[str]],
    prompt: Template,
    read: Callable[[str, Sequence[str]], T | None],
    *,
    kind: QuestionKind,
    least: int = 1,
) -> list[TopicAnswer[T]]:
    """Asks one question a topic.

    Args:
        asker: whom, and where answers are kept.
        topics: the items shown of each topic, as they are read.
        prompt: the prompt; its placeholder ``items`` is the numbered list.
        read: the parser; it is given the reply and the items, and returns None for "unparsed".
        kind: what sort of question it is.
        least: topics with fewer items are not asked about.
    """

    async def one(number: int, items: Sequence[str]) -> TopicAnswer[T]:
        if len(items) < least:
            return TopicAnswer("empty")
        shown = [" ".join(item.split()) for item in items]
        listed = "\n".join(f"{i}. {item}" for i, item in enumerate(shown, start=1))
        context = {"task": prompt.name, "topic": number, "items": shown}
        question = Question(kind, context, (), prompt.messages({"items": listed}))
        answer = await asker.ask(question, f"{prompt.name} of topic {number}")
        if answer.refused:
            return TopicAnswer("refused", reply=answer.text)
        value = read(answer.text, items)
        return TopicAnswer("unparsed" if value is None else "ok", value, answer.text)

    return await gather([one(number, items) for number, items in enumerate(topics)])


def prompt_record(prompt: Template) -> dict[str, str]:
    """Returns name and hash of a prompt, for records."""
    return {"name": prompt.name, "hash": prompt.hash}


def counted(answers: Sequence[TopicAnswer[Any]]) -> dict[str, int]:
    """Returns how many topics got an answer of each status."""
    return dict(sorted(Counter(answer.status for answer in answers).items()))


def parse_rating(text: str) -> int | None:
    """Returns the rating that a reply ends in: ``RATING: 2``, or ``{"rating": 2}``."""
    stated = _number(text, "rating", _RATING)
    return stated if stated is not None and RATINGS[0] <= stated <= RATINGS[1] else None


def parse_intruder(text: str, n: int) -> int | None:
    """Returns which of ``n`` items a reply names, from 0: ``INTRUDER: 4``, ``{"intruder": 4}``."""
    stated = _number(text, "intruder", _INTRUDER)
    return stated - 1 if stated is not None and 1 <= stated <= n else None


def parse_odd(text: str, n: int) -> tuple[int, ...] | None:
    """Returns which of ``n`` items are odd, from 0 and rising, at most :data:`MOST_ODD` of them.

    The last line is ``ODD: 3, 7`` or ``ODD: none``, or the reply is ``{"odd": [3, 7]}``.
    """
    stated = in_json(text, "odd")
    if isinstance(stated, list) and all(type(number) is int for number in stated):
        numbers = stated
    else:
        line = on_last_line(text, _ODD)
        if line is None:
            return None
        numbers = [] if line == "none" else [int(part) for part in line.split(",")]
    if len(set(numbers)) != len(numbers) or len(numbers) > MOST_ODD:
        return None
    if not all(1 <= number <= n for number in numbers):
        return None
    return tuple(sorted(number - 1 for number in numbers))


def parse_summary(text: str, max_characters: int) -> str | None:
    """Returns the sentence of ``SUMMARY: …`` on the last line, or of ``{"summary": "…"}``."""
    return _words(text, "summary", _SUMMARY, max_characters)


def parse_topic_label(text: str, max_characters: int) -> str | None:
    """Returns the words of ``LABEL: …`` on the last line, or of ``{"label": "…"}``."""
    return _words(text, "label", _LABEL, max_characters)


def _number(text: str, key: str, pattern: re.Pattern[str]) -> int | None:
    stated = in_json(text, key)
    if type(stated) is int:
        return stated
    line = on_last_line(text, pattern)
    return None if line is None else int(line)


def _words(text: str, key: str, pattern: re.Pattern[str], max_characters: int) -> str | None:
    stated = in_json(text, key)
    if stated is None:
        stated = on_last_line(text, pattern)
    if not isinstance(stated, str):
        return None
    words = " ".join(stated.split())
    if len(words) > 1 and words[0] in "\"'“" and words[-1] in "\"'”":
        words = words[1:-1].strip()
    # A placeholder copied from the prompt is no answer.
    if len(words) > max_characters or not re.search(r"\w", words) or words.startswith("("):
        return None
    return words
