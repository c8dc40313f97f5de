r"""How a judge's reply states its answer: the engine under every grammar of replies.

A reply may reason, and ends in a line ``NAME: value``. Where a grammar says so it may also end in a
JSON object ``{"name": value}`` that begins a line, bare or in a code fence; other keys may stand
beside it. What stands between ``<think>`` and ``</think>`` says nothing, and a reply that breaks
off in there is none. The marks of Markdown around a line, its name or its value say nothing, nor
does a full stop at its end. Nothing else counts, and a reply that states two different things is
unparsed: never a tie, a zero or a guess. What it states beside its end is taken widely: a line that
begins so in any case, whatever follows, and any JSON object with the key, wherever it stands.

Lines end at ``\n``, ``\r\n`` and ``\r`` alone: a model may write U+2028 inside a sentence.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal

MARK = r"(?:\*{1,3}|_{1,3}|`)?"
"""Regular expression of the marks of Markdown that may stand around a name or a value."""
_MARKS = ("***", "**", "*", "___", "__", "_", "`")
_AROUND = (("[", "]"), ("(", ")"), ('"', '"'), ("'", "'"), ("“", "”"))

_TAG = re.compile(
    r"<(/?)(?:think|thinking|thought|reasoning|reflection|scratchpad)>", re.IGNORECASE
)
_END = re.compile(r"(?:<\|[\w-]{1,40}\|>|</s>|<eos>|<end_of_turn>)\Z")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_MOST_OBJECTS = 20
"""So many braces are tried for the beginning of a JSON object."""


@dataclass(frozen=True)
class Form:
    """How one kind of thing is stated.

    Attributes:
        name: what stands before the colon; in small letters it is the key of the JSON object.
        value: regular expression of what stands after it.
        read: makes of that what the JSON object would hold.
        elsewhere: regular expressions whose one group that matches is a value that is stated as
            well, wherever in the reply it stands; without any, whatever a line begins with is.
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
            value = rf"(?:{value}|{quoted}){MARK}[.。]?"
        return re.compile(f"{self._begun}{value}{MARK}", re.IGNORECASE if self.any_case else 0)

    @cached_property
    def line_begun(self) -> re.Pattern[str]:
        """The beginning of a line that states a value, in any case and whatever comes after it."""
        if self.words:
            return re.compile(f"{self._begun}({self.value})", re.IGNORECASE)
        opened = "".join(re.escape(a) for a, _ in _AROUND)
        value = rf"[{opened}]*{MARK}([0-9]{{1,9}}\.[0-9]{{1,9}}|{self.value})(?![^\W_])"
        return re.compile(f"{self._begun}{value}", re.IGNORECASE)

    @property
    def _begun(self) -> str:
        name = rf"(?:#{{1,6}}[ \t]+|>[ \t]*|[-*+][ \t]+)?{MARK}{self.name}{MARK}"
        return rf"{name}[ \t]*[:：]{MARK}[ \t]*{MARK}"

    def on(self, line: str) -> str | None:
        """Returns what a line states; None if it is not of this form."""
        return self._said(self.line.fullmatch(line), line)

    def begun_on(self, line: str) -> str | None:
        """Returns what a line begins by stating, in any case; None if it does not."""
        return self._said(self.line_begun.match(line), line)

    def _said(self, found: re.Match[str] | None, line: str) -> str | None:
        if found is None:
            return None
        said = next(group for group in found.groups() if group is not None)
        return _unmarked(said, line) if self.words else said


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


def stated_value(text: str, form: Form) -> Any:
    """Returns the value that a reply states, None if it is unparsed."""
    outside = outside_reasoning(text)
    if outside is None:
        return None
    reply = _trimmed(_INVISIBLE.sub("", outside))
    lines = lines_in(reply)
    found = form.on(lines[-1])
    stated = None if found is None else form.read(found)
    if form.json != "never" and (opening := _object_at_end(reply)) is not None:
        in_object = _in_object(opening, form)
        if in_object is not None or form.json == "alone":
            stated = in_object
    if stated is None:
        return None
    known = _compared(stated, form)
    return stated if all(_compared(x, form) == known for x in _said(reply, lines, form)) else None


def lines_in(reply: str) -> list[str]:
    """Returns the lines of a reply without the white space around them."""
    return [line.strip() for line in re.split(r"\r\n|\r|\n", reply)]


def _said(reply: str, lines: list[str], form: Form) -> Iterator[object]:
    """Yields all that a reply states, its end included."""
    on_line = form.on if form.elsewhere else form.begun_on
    said = [text for line in lines if (text := on_line(line))]
    plain = unicodedata.normalize("NFKC", reply)
    for pattern in form.elsewhere:
        said += [next(filter(None, m.groups())) for m in re.finditer(pattern, plain, re.M)]
    for text in dict.fromkeys(said):
        try:
            yield form.read(text)
        except ValueError:  # a fraction, where whole numbers are asked for
            yield text
    if form.json != "never":
        yield from _in_objects(reply, form.name.lower())


def _compared(value: object, form: Form) -> str:
    """Returns what two values have in common that say the same: true is not 1, nor "1"."""
    said = form.read(value) if form.words and isinstance(value, str) else value
    said = " ".join(said.split()) if isinstance(said, str) else said
    text = json.dumps(said, sort_keys=True)
    return text.lower() if form.any_case else text


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


def _in_object(reply: str, form: Form) -> object:
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


def _in_objects(reply: str, key: str) -> Iterator[object]:
    """Yields what every JSON object in a reply has under a key of its own, also under a second."""
    decoder = json.JSONDecoder(object_pairs_hook=_Keys)
    begin = reply.find("{")
    for _ in range(_MOST_OBJECTS):
        if begin < 0:
            return
        try:
            found, end = decoder.raw_decode(reply, begin)
        except (ValueError, RecursionError):
            end = begin + 1
        else:
            yield from (value for name, value in found.pairs if name.lower() == key)
        begin = reply.find("{", end)


class _Keys(dict[str, object]):
    """A JSON object that knows the keys that stand twice, too."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _unmarked(words: str, line: str) -> str:
    """Takes off the marks of Markdown that end with the line what they began in it."""
    for mark in _MARKS:
        begun = line[: len(line) - len(words)]
        if words.endswith(mark) and (mark in begun or words.startswith(mark)):
            words = words.removesuffix(mark).removeprefix(mark)
    return words.strip()
