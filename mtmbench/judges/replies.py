"""What judges reply to each question: a grammar each, over the one engine of ``reply_form``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeVar

from mtmbench.core.written import Assignment, WrittenTopic
from mtmbench.features.labels import CLASSES, NO_CLASS, NO_LABEL
from mtmbench.judges.base import QuestionKind, Verdict
from mtmbench.judges.reply_form import Form, lines_in, stated_value

_V = TypeVar("_V", bound=str)

Decision = Literal["A", "B", "tie"]
DECISIONS: tuple[Decision, ...] = ("A", "B", "tie")
"""What a judge may decide between two options."""

Match = Literal["yes", "no", "unsure"]
MATCHES: tuple[Match, ...] = ("yes", "no", "unsure")
"""Whether a label matches a document."""

_RATINGS = (1, 3)
"""Least and highest rating of coherence (as in Newman et al. 2010 and Hoyle et al. 2021)."""

MOST_ODD = 2
"""So many items may a refinement drop where a suite does not say."""


# Verdicts: which of two options, for matches, juries and steered texts.

_DECIDED = "|".join(DECISIONS)

# What contradicts a verdict is taken widely: "The verdict is: B", "VERDICT: \\boxed{B}", "Verdict
# (at first) - option B", a heading with the verdict below. But "verdict: a better set" begins with
# an article and "the verdict - A names five" with a sentence, so what may be one ends the line.
_GAP = r"(?:[^\w\r\n.,;!?]|_)*"
_END = r"(?![^\W_])"
_TO_END = r"(?=[^\w\r\n]*(?:[\r\n]|\Z)|_*[.,;!?)\]}>|<*\"'”])"
_LINE_END = r"(?=[^\w\r\n]*(?:[\r\n]|\Z))"
_NAMED = r"(?i:verdict)(?:[ \t]*(?:[0-9]{1,3}|\([^()\r\n]{0,40}\)))?"
_LINK = rf"{_GAP}(?:[:：=]|(?i:is|was|remains|goes){_END})"
_FILLED = (
    r"(?:(?i:the|an?|set|option|model|system|candidate|answer|choice|clearly|definitely|still|now|"
    r"thus|therefore|for|to|in[ \t]+favou?r[ \t]+of|boxed|text|textbf|mathrm|mathbf)"
    rf"{_END}{_GAP})*"
)
_OTHER = r"(?i:draw|tied|neither|both|none|equal|undecided|unclear|c|d)"
_VERDICT = Form(
    "VERDICT",
    _DECIDED,
    elsewhere=(
        rf"{_NAMED}{_LINK}{_GAP}{_FILLED}(?:([ABb]|(?i:tie)){_END}|(a|{_OTHER}){_END}{_TO_END})",
        rf"{_NAMED}{_GAP}((?i:[ab]|tie)){_END}{_TO_END}",
        rf"{_NAMED}{_GAP}(?:{_LINK}{_GAP})?[\r\n][\W_]*{_FILLED}((?i:[ab]|tie)){_END}{_LINE_END}",
    ),
    json="alone",
    any_case=True,
)
_VERDICT_SCHEMA = {
    "type": "object",
    # The reason first: a model writes in this order, and a verdict without one comes unconsidered.
    "properties": {
        "reason": {"type": "string", "description": "At most two sentences."},
        "verdict": {"type": "string", "enum": list(DECISIONS)},
    },
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}


@lru_cache(maxsize=256)  # proxies say the same three things over and over
def parse_verdict(text: str) -> Verdict:
    """Returns the verdict that a reply states, or "unparsed".

    What every judge replies, model or proxy, goes through this. The reply ends in the line
    ``VERDICT: A``, ``VERDICT: B`` or ``VERDICT: tie``, in any case, or in a JSON object
    ``{"verdict": …}`` with one of the three. A reply that states another verdict anywhere outside
    reasoning, in either form, is unparsed.
    """
    return _one_of(DECISIONS, stated_value(text, _VERDICT)) or "unparsed"


def verdict_line(verdict: Decision) -> str:
    """Returns the reply of a judge that has nothing else to say."""
    return f"VERDICT: {verdict}"


def response_format(kind: QuestionKind) -> dict[str, object] | None:
    """Returns the ``response_format`` of a chat completion, for endpoints that hold a model to one.

    None for questions whose replies have other forms.
    """
    if kind not in ("match", "steer"):
        return None
    return {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "strict": True, "schema": _VERDICT_SCHEMA},
    }


# Labels of features: their words, the contexts that they fit, their classes.


def parse_label(text: str, max_characters: int) -> str | None:
    """Returns the label that a reply ends in, :data:`NO_LABEL`, or None if it is unparsed.

    The last line is ``LABEL: words``, or the reply is a JSON object with ``{"label": "words"}``.
    White space is made single and one pair of quotation marks around the whole is taken off.
    Another label on a line of its own, one without a letter, one longer than ``max_characters``,
    and one that begins with a bracket (as marks of label files do) are none.
    """
    label = _words(text, "LABEL")
    return label if label == NO_LABEL else _proper(label, max_characters)


def parse_active(text: str, n: int) -> frozenset[int] | None:
    """Returns which of ``n`` contexts a reply names, counted from 0, or None if it is unparsed.

    The last line is ``ACTIVE: 2, 5`` or ``ACTIVE: none``, or the reply is a JSON object with
    ``{"active": [2, 5]}``. Numbers run from 1 to ``n``, none twice.
    """
    places = _places(text, "ACTIVE", n)
    return None if places is None else frozenset(places)


def parse_classes(text: str, n: int) -> list[str] | None:
    """Returns the classes of ``n`` labels in order, or None if the reply is unparsed.

    The last ``n`` lines are ``1: class`` to ``n: class``, each of
    :data:`~mtmbench.features.labels.CLASSES` or :data:`NO_CLASS`; no line before them is of that
    form.
    """
    lines = [line for line in lines_in(text) if line]
    pattern = re.compile(r"([0-9]{1,4}):[ \t]*(" + "|".join((*CLASSES, NO_CLASS)) + ")")
    found = [pattern.fullmatch(line) for line in lines]
    stated = [match for match in found if match is not None]
    if len(stated) != n or any(match is None for match in found[len(found) - n :]):
        return None
    if [int(match[1]) for match in stated] != list(range(1, n + 1)):
        return None
    return [match[2] for match in stated]


# Topics by themselves: ratings, intruders, odd items, summaries, names.


def parse_rating(text: str) -> int | None:
    """Returns the rating that a reply ends in: ``RATING: 2``, or ``{"rating": 2}``."""
    return _whole(text, "RATING", *_RATINGS)


def parse_intruder(text: str, n: int) -> int | None:
    """Returns which of ``n`` items a reply names, from 0: ``INTRUDER: 4``, ``{"intruder": 4}``."""
    number = _whole(text, "INTRUDER", 1, n)
    return None if number is None else number - 1


def parse_group(text: str, n: int) -> frozenset[int] | None:
    """Returns which of ``n`` items a reply puts into one of two groups, from 0.

    The last line is ``GROUP: 2, 5``, or the reply is ``{"group": [2, 5]}``; a group of none or of
    all is no answer.
    """
    places = _places(text, "GROUP", n)
    return frozenset(places) if places is not None and 0 < len(places) < n else None


def parse_n_topics(text: str) -> int | None:
    """Returns how many topics a reply finds: ``TOPICS: 1`` or ``TOPICS: 2``."""
    return _whole(text, "TOPICS", 1, 2)


def parse_missing(text: str) -> tuple[str, ...] | None:
    """Returns the themes of ``MISSING: one; another`` on the last line, none for ``none``."""
    form = Form("MISSING", r"\S.*", _unquoted, json="never", words=True)
    stated = stated_value(text, form)
    if stated is None:
        return None
    themes = [" ".join(theme.split()).rstrip(".") for theme in stated.split(";")]
    named = tuple(dict.fromkeys(theme for theme in themes if re.search(r"\w", theme)))
    if "none" in map(str.lower, named):
        return () if len(named) == 1 else None
    return named or None


def parse_odd(text: str, n: int, most: int = MOST_ODD) -> tuple[int, ...] | None:
    """Returns which of ``n`` items are odd, from 0 and rising, at most ``most`` of them.

    The last line is ``ODD: 3, 7`` or ``ODD: none``, or the reply is ``{"odd": [3, 7]}``.
    """
    places = _places(text, "ODD", n)
    return None if places is None or len(places) > most else tuple(sorted(places))


def parse_summary(text: str, max_characters: int) -> str | None:
    """Returns the sentence of ``SUMMARY: …`` on the last line, or of ``{"summary": "…"}``."""
    return _proper(_words(text, "SUMMARY"), max_characters)


def parse_extract(text: str) -> tuple[str, list[str]] | None:
    """Returns summary and document ids of ``{"summary": "…", "documents": ["…"]}``, or None.

    It is what a client of this program says, not a language model: nothing but the object counts.
    """
    try:
        said = json.loads(text)
        summary, documents = said["summary"], said["documents"]
    except (ValueError, KeyError, TypeError):
        return None
    well_formed = isinstance(documents, list) and all(isinstance(one, str) for one in documents)
    return (summary, documents) if isinstance(summary, str) and well_formed else None


def parse_topic_label(text: str, max_characters: int) -> str | None:
    """Returns the words of ``LABEL: …`` on the last line, or of ``{"label": "…"}``."""
    return _proper(_words(text, "LABEL"), max_characters)


# Topics in words: written for a document, merged, assigned with a quotation.


def parse_written(
    text: str, name_characters: int, description_characters: int
) -> tuple[WrittenTopic, ...] | None:
    """Returns the topics of ``{"topics": [{"name": "…", "description": "…"}, …]}``, or None.

    The object is the reply's end; ``TOPICS: none`` on the last line is none. No name stands twice.
    """
    listed = _listed(text, "TOPICS")
    if listed is None:
        return None
    topics = []
    for one in listed:
        if not isinstance(one, dict):
            return None
        said = [one.get("name"), one.get("description")]
        name, description = (
            _proper(_unquoted(value), most) if isinstance(value, str) else None
            for value, most in zip(said, (name_characters, description_characters), strict=True)
        )
        if name is None or description is None:
            return None
        topics.append(WrittenTopic(name, description))
    names = {topic.name.casefold() for topic in topics}
    return tuple(topics) if len(names) == len(topics) else None


def parse_groups(text: str, n: int) -> tuple[tuple[int, ...], ...] | None:
    """Returns groups of ``n`` topics, from 0, of ``{"same": [[1, 4], [2, 7]]}``, or None.

    The object is the reply's end; ``SAME: none`` on the last line is no group. A group has two
    topics or more, and no topic stands twice.
    """
    listed = _listed(text, "SAME")
    if listed is None or not all(isinstance(group, list) and len(group) > 1 for group in listed):
        return None
    numbers = [number for group in listed for number in group]
    if not all(type(number) is int and 1 <= number <= n for number in numbers):
        return None
    if len(set(numbers)) != len(numbers):
        return None
    return tuple(tuple(number - 1 for number in group) for group in listed)


def parse_assignments(text: str, n: int) -> tuple[Assignment, ...] | None:
    """Returns topics, from 0, of ``{"assigned": [{"topic": 2, "quote": "…"}, …]}``, or None.

    The object is the reply's end; ``ASSIGNED: none`` on the last line is none. Topics are of 1 to
    ``n``, none twice.
    """
    listed = _listed(text, "ASSIGNED")
    if listed is None:
        return None
    assigned = []
    for one in listed:
        topic, quote = (one.get("topic"), one.get("quote")) if isinstance(one, dict) else (0, 0)
        if type(topic) is not int or not isinstance(quote, str):
            return None
        if not 1 <= topic <= n or not re.search(r"\w", quote):
            return None
        assigned.append(Assignment(topic - 1, quote))
    return tuple(assigned) if len({one.topic for one in assigned}) == len(assigned) else None


def _listed(text: str, name: str) -> list[Any] | None:
    """The list of ``{"name": […]}`` at a reply's end, or [] for ``NAME: none``."""
    stated = stated_value(text, Form(name, "none", lambda _: [], any_case=True))
    return stated if isinstance(stated, list) else None


# Does a feature's label match a document?

_MATCH = Form("MATCH", "|".join(MATCHES), json="alone", any_case=True)


def parse_match(text: str) -> Match | Literal["unparsed"]:
    """Returns what a reply says, "unparsed" if it says nothing clear.

    It ends in ``MATCH: yes``, ``no`` or ``unsure``, in any case, or in a JSON object
    ``{"match": …}``; no other line says another thing.
    """
    return _one_of(MATCHES, stated_value(text, _MATCH)) or "unparsed"


# What published studies asked people (ProxAnn, Hoyle et al. 2021) and models (AxBench).

# int() refuses numbers of more than 4300 digits.
_DIGITS = r"\d{1,99}"
_AXBENCH = Form("RATING", "[012]", int, (rf"(?i:rating):[ \t]*({_DIGITS})",), json="never")


def parse_level(text: str, name: str, highest: float, lowest: float = 1) -> float | None:
    """Returns the level that a reply's last line states, ``NAME: 3``, or None.

    A fraction is a level too: judges that weigh their answers state one. A level outside
    ``lowest`` to ``highest``, and a reply that states another level elsewhere, is no answer.
    """
    level = stated_value(text, _line_alone(name, r"\d+(?:\.\d+)?", float))
    return level if level is not None and lowest <= level <= highest else None


def parse_ranking(text: str, n: int) -> tuple[int, ...] | None:
    """Returns the rank of each of n documents, the best highest (n to 1), or None.

    The last line must name every document once, ``RANKING: 2, 1, 3``, the best first.
    """
    form = _line_alone("RANKING", rf"{_DIGITS}(?:\s*,\s*{_DIGITS})*", _numbers)
    places = stated_value(text, form)
    if places is None or sorted(places) != list(range(1, n + 1)):
        return None
    return tuple(n - places.index(document) for document in range(1, n + 1))


def parse_hoyle_intruder(text: str, n: int) -> int | None:
    """Returns the place, from 0, that a reply's last line names, ``INTRUDER: 4``, or None."""
    place = stated_value(text, _line_alone("INTRUDER", _DIGITS, int))
    return place - 1 if place is not None and 1 <= place <= n else None


def parse_axbench_rating(text: str) -> int | None:
    """Returns the rating that a reply ends in, or None if it is unparsed.

    The last line is ``RATING: 0``, ``RATING: 1`` or ``RATING: 2``; a reply that states another
    rating elsewhere is unparsed.
    """
    rating: int | None = stated_value(text, _AXBENCH)
    return rating


# What the grammars share.


def _one_of(values: tuple[_V, ...], stated: object) -> _V | None:
    """Returns which of the values a text states, whatever its case."""
    said = stated.strip().lower() if isinstance(stated, str) else None
    return next((value for value in values if value.lower() == said), None)


def _line_alone(name: str, value: str, read: Callable[[str], object]) -> Form:
    """A form for last lines alone; what begins like it anywhere is another statement."""
    return Form(name, value, read, (rf"(?i:\b{name}):[ \t]*({value})",), json="never")


def _whole(text: str, name: str, lowest: int, highest: int) -> int | None:
    number = stated_value(text, Form(name, "[0-9]{1,4}", int))
    return number if type(number) is int and lowest <= number <= highest else None


def _places(text: str, name: str, n: int) -> list[int] | None:
    """The places, from 0, of ``NAME: 2, 5`` or ``NAME: none``: of 1 to ``n``, none twice."""
    value = r"none|[0-9]{1,4}(?:[ \t]*,[ \t]*[0-9]{1,4})*"
    numbers = stated_value(text, Form(name, value, _numbers))
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        return None
    if len(set(numbers)) != len(numbers) or not all(1 <= number <= n for number in numbers):
        return None
    return [number - 1 for number in numbers]


def _numbers(listed: str) -> list[int]:
    return [] if listed == "none" else [int(part) for part in listed.split(",")]


def _words(text: str, name: str) -> str:
    """The words after ``NAME:``, single-spaced and without quotation marks; "" if none are."""
    stated = stated_value(text, Form(name, r"\S.*", _unquoted, words=True))
    return _unquoted(stated) if isinstance(stated, str) else ""


def _unquoted(text: str) -> str:
    words = " ".join(text.split())
    if len(words) > 1 and words[0] in "\"'“" and words[-1] in "\"'”":
        words = words[1:-1].strip()
    return words


def _proper(words: str, max_characters: int) -> str | None:
    # A placeholder copied from the prompt is no answer, nor is a mark of label files a label.
    if len(words) > max_characters or not re.search(r"\w", words) or words.startswith("("):
        return None
    return words
