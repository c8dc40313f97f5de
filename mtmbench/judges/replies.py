r"""How a judge's reply states its answer: one engine, and every grammar that is built on it.

A reply may reason, and ends in a line ``NAME: value``. Where a grammar says so it may also end in a
JSON object ``{"name": value}`` that begins a line, bare or in a code fence; other keys may stand
beside it. What stands between ``<think>`` and ``</think>`` says nothing, and a reply that breaks
off in there is none. The marks of Markdown around a line, its name or its value say nothing, nor
does a full stop at its end. Nothing else counts, and a reply that states two different things is
unparsed: never a tie, a zero or a guess.

Lines end at ``\n``, ``\r\n`` and ``\r`` alone: a model may write U+2028 inside a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal, TypeVar

from mtmbench.features.labels import CLASSES, NO_CLASS, NO_LABEL
from mtmbench.judges.base import QuestionKind, Verdict

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
"""So many items may a refinement drop."""


@dataclass(frozen=True)
class _Form:
    """How one kind of thing is stated.

    Attributes:
        name: what stands before the colon; in small letters it is the key of the JSON object.
        value: regular expression of what stands after it.
        read: makes of that what the JSON object would hold.
        elsewhere: regular expressions whose one group that matches is a value that is stated as
            well, wherever in the reply it stands; without any, only whole lines of this form do.
        json: may the reply end in a JSON object? "alone": one that opens a brace is read as nothing
            else.
        words: the value is free text, in which brackets and a full stop are the value's own.
        any_case: the name, and values that are words, may be written in any case.
    """

    name: str
    value: str
    read: Callable[[str], object] = str
    elsewhere: tuple[str, ...] = ()
    json: Literal["never", "also", "alone"] = "also"
    words: bool = False
    any_case: bool = False

    @cached_property
    def line(self) -> re.Pattern[str]:
        """A whole line that states a value: the one group that is not empty."""
        value = f"({self.value})"
        if not self.words:
            quoted = "|".join(rf"{re.escape(a)}{value}{re.escape(b)}" for a, b in _AROUND)
            value = rf"(?:{value}|{quoted}){_MARK}[.。]?"
        name = rf"(?:#{{1,6}}[ \t]+|>[ \t]*|[-*+][ \t]+)?{_MARK}{self.name}{_MARK}"
        flags = re.IGNORECASE if self.any_case else 0
        return re.compile(rf"{name}[ \t]*[:：]{_MARK}[ \t]*{_MARK}{value}{_MARK}", flags)

    def on(self, line: str) -> str | None:
        """Returns what a line states; None if it is not of this form."""
        found = self.line.fullmatch(line)
        if found is None:
            return None
        said = next(group for group in found.groups() if group is not None)
        return _unmarked(said, line) if self.words else said


_MARK = r"(?:\*{1,3}|_{1,3}|`)?"
_MARKS = ("***", "**", "*", "___", "__", "_", "`")
_AROUND = (("[", "]"), ("(", ")"), ('"', '"'), ("'", "'"), ("“", "”"))

_TAG = re.compile(
    r"<(/?)(?:think|thinking|thought|reasoning|reflection|scratchpad)>", re.IGNORECASE
)
_END = re.compile(r"(?:<\|[\w-]{1,40}\|>|</s>|<eos>|<end_of_turn>)\Z")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_MOST_OBJECTS = 20
"""So many lines that open a brace are tried for the beginning of the JSON object."""


def outside_reasoning(text: str) -> str | None:
    """Returns a reply without what stands between tags of reasoning; None if that never ends.

    A template may have opened the tag in the prompt, so that a reply begins inside it; a second
    end without a beginning is not understood, and None.
    """
    said, depth, since = "", 0, 0
    for number, tag in enumerate(_TAG.finditer(text)):
        if tag[1]:
            if depth == 0 and number > 0:
                return None
            depth = max(0, depth - 1)
        else:
            said += text[since : tag.start()] if depth == 0 else ""
            depth += 1
        since = tag.end()
    return None if depth else said + text[since:]


def _stated(text: str, form: _Form) -> Any:
    """Returns the value that a reply states, None if it is unparsed."""
    outside = outside_reasoning(text)
    if outside is None:
        return None
    reply = _trimmed(_INVISIBLE.sub("", outside))
    lines = _lines(reply)
    said = {found for each in lines if (found := form.on(each)) is not None}
    for pattern in form.elsewhere:
        said.update(next(filter(None, m.groups())) for m in re.finditer(pattern, reply, re.M))
    if form.json != "never" and (opening := _object_at_end(reply)) is not None:
        stated = _in_object(opening, form)
        if stated is not None or form.json == "alone":
            return stated if all(_same(other, stated, form) for other in said) else None
    last = form.on(lines[-1])
    if last is None or not all(_same(other, last, form) for other in said):
        return None
    return form.read(last)


def _same(one: object, other: object, form: _Form) -> bool:
    if form.any_case and isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return one == other


def _trimmed(reply: str) -> str:
    """Returns a reply without white space and the tokens that end a turn, at its end."""
    reply = reply.strip()
    while found := _END.search(reply[-60:]):
        reply = reply[: -len(found[0])].strip()
    return reply


def _object_at_end(reply: str) -> str | None:
    """Returns what may be the JSON object in which a reply ends; None if no line opens one."""
    if reply.endswith("```") and (opened := reply.rfind("```", 0, -3)) >= 0:
        language, _, fenced = reply[opened + 3 : -3].partition("\n")
        begins_line = opened == 0 or reply[opened - 1] == "\n"
        return fenced.strip() if begins_line and language.strip().lower() in ("", "json") else None
    if reply.endswith("}"):
        for found in islice(re.finditer(r"^[ \t]*\{", reply, re.M), _MOST_OBJECTS):
            try:
                json.loads(reply[found.start() :])
            except (ValueError, RecursionError):
                continue
            return reply[found.start() :].strip()
    return reply if reply.startswith("{") else None


def _in_object(reply: str, form: _Form) -> object:
    def keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key.lower() for key, _ in pairs}) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    key = form.name.lower()
    try:
        stated = json.loads(reply, object_pairs_hook=keys)
    except (ValueError, RecursionError):
        return None
    if not isinstance(stated, dict):
        return None
    return next((value for name, value in stated.items() if name.lower() == key), None)


def _lines(reply: str) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|\r|\n", reply)]


def _unmarked(words: str, line: str) -> str:
    """Takes off the marks of Markdown that end with the line what they began in it."""
    for mark in _MARKS:
        begun = line[: len(line) - len(words)]
        if words.endswith(mark) and (mark in begun or words.startswith(mark)):
            words = words.removesuffix(mark).removeprefix(mark)
    return words.strip()


# Verdicts: which of two options, for matches, juries and steered texts.

_DECIDED = "|".join(DECISIONS)
_AFTER_NAME = rf"(?i:verdict){_MARK}[ \t]*[:：]{_MARK}[ \t]*{_MARK}[\[(\"'“]?"
_VERDICT = _Form(
    "VERDICT",
    _DECIDED,
    elsewhere=(
        # "verdict: a better set" begins with an article, not with a verdict.
        rf"{_AFTER_NAME}(A|B|(?i:tie))\b|{_AFTER_NAME}([ab])(?=[\s.,;:!?)\]\"'”*_`]*$|[.,;!?)\]*])",
        rf'(?i:"verdict"\s*:\s*"({_DECIDED})")',
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


def parse_verdict(text: str) -> Verdict:
    """Returns the verdict that a reply states, or "unparsed".

    What every judge replies, model or proxy, goes through this. The reply ends in the line
    ``VERDICT: A``, ``VERDICT: B`` or ``VERDICT: tie``, in any case, or in a JSON object
    ``{"verdict": …}`` with one of the three. A reply that states another verdict anywhere outside
    reasoning, in either form, is unparsed.
    """
    return _one_of(DECISIONS, _stated(text, _VERDICT)) or "unparsed"


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
    lines = [line for line in _lines(text) if line]
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


def parse_odd(text: str, n: int) -> tuple[int, ...] | None:
    """Returns which of ``n`` items are odd, from 0 and rising, at most :data:`MOST_ODD` of them.

    The last line is ``ODD: 3, 7`` or ``ODD: none``, or the reply is ``{"odd": [3, 7]}``.
    """
    places = _places(text, "ODD", n)
    return None if places is None or len(places) > MOST_ODD else tuple(sorted(places))


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


# Does a feature's label match a document?

_MATCH = _Form("MATCH", "|".join(MATCHES), json="alone", any_case=True)


def parse_match(text: str) -> Match | Literal["unparsed"]:
    """Returns what a reply says, "unparsed" if it says nothing clear.

    It ends in ``MATCH: yes``, ``no`` or ``unsure``, in any case, or in a JSON object
    ``{"match": …}``; no other line says another thing.
    """
    return _one_of(MATCHES, _stated(text, _MATCH)) or "unparsed"


# What published studies asked people (ProxAnn, Hoyle et al. 2021) and models (AxBench).

# int() refuses numbers of more than 4300 digits.
_DIGITS = r"\d{1,99}"
_AXBENCH = _Form("RATING", "[012]", int, (r"(?i:rating):[ \t]*([0-9]+)",), json="never")


def parse_level(text: str, name: str, highest: float, lowest: float = 1) -> float | None:
    """Returns the level that a reply's last line states, ``NAME: 3``, or None.

    A fraction is a level too: judges that weigh their answers state one. A level outside
    ``lowest`` to ``highest``, and a reply that states another level elsewhere, is no answer.
    """
    level = _stated(text, _line_alone(name, r"\d+(?:\.\d+)?", float))
    return level if level is not None and lowest <= level <= highest else None


def parse_ranking(text: str, n: int) -> tuple[int, ...] | None:
    """Returns the rank of each of n documents, the best highest (n to 1), or None.

    The last line must name every document once, ``RANKING: 2, 1, 3``, the best first.
    """
    form = _line_alone("RANKING", rf"{_DIGITS}(?:\s*,\s*{_DIGITS})*", _numbers)
    places = _stated(text, form)
    if places is None or sorted(places) != list(range(1, n + 1)):
        return None
    return tuple(n - places.index(document) for document in range(1, n + 1))


def parse_hoyle_intruder(text: str, n: int) -> int | None:
    """Returns the place, from 0, that a reply's last line names, ``INTRUDER: 4``, or None."""
    place = _stated(text, _line_alone("INTRUDER", _DIGITS, int))
    return place - 1 if place is not None and 1 <= place <= n else None


def parse_axbench_rating(text: str) -> int | None:
    """Returns the rating that a reply ends in, or None if it is unparsed.

    The last line is ``RATING: 0``, ``RATING: 1`` or ``RATING: 2``; a reply that states another
    rating elsewhere is unparsed.
    """
    rating: int | None = _stated(text, _AXBENCH)
    return rating


# What the grammars share.


def _one_of(values: tuple[_V, ...], stated: object) -> _V | None:
    """Returns which of the values a text states, whatever its case."""
    said = stated.strip().lower() if isinstance(stated, str) else None
    return next((value for value in values if value.lower() == said), None)


def _line_alone(name: str, value: str, read: Callable[[str], object]) -> _Form:
    """A form for last lines alone; what begins like it anywhere is another statement."""
    return _Form(name, value, read, (rf"\b{name}:[ \t]*({value})",), json="never")


def _whole(text: str, name: str, lowest: int, highest: int) -> int | None:
    number = _stated(text, _Form(name, "[0-9]{1,4}", int))
    return number if type(number) is int and lowest <= number <= highest else None


def _places(text: str, name: str, n: int) -> list[int] | None:
    """The places, from 0, of ``NAME: 2, 5`` or ``NAME: none``: of 1 to ``n``, none twice."""
    value = r"none|[0-9]{1,4}(?:[ \t]*,[ \t]*[0-9]{1,4})*"
    numbers = _stated(text, _Form(name, value, _numbers))
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        return None
    if len(set(numbers)) != len(numbers) or not all(1 <= number <= n for number in numbers):
        return None
    return [number - 1 for number in numbers]


def _numbers(listed: str) -> list[int]:
    return [] if listed == "none" else [int(part) for part in listed.split(",")]


def _words(text: str, name: str) -> str:
    """The words after ``NAME:``, single-spaced and without quotation marks; "" if none are."""
    stated = _stated(text, _Form(name, r"\S.*", words=True))
    words = " ".join(stated.split()) if isinstance(stated, str) else ""
    if len(words) > 1 and words[0] in "\"'“" and words[-1] in "\"'”":
        words = words[1:-1].strip()
    return words


def _proper(words: str, max_characters: int) -> str | None:
    # A placeholder copied from the prompt is no answer, nor is a mark of label files a label.
    if len(words) > max_characters or not re.search(r"\w", words) or words.startswith("("):
        return None
    return words
