"""Topics in text, one a line or under its number, as libraries print them and people write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mtmbench.core.errors import InputError
from mtmbench.core.text_files import is_number, long_cells, whole
from mtmbench.core.word_weights import is_complete, word_weights

FORMS = (
    'a JSON list of topics (or {"topics": …}), each a list of words or of word-weight pairs, or '
    "one topic a line"
)
"""What files of topics may hold, for messages."""

_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
WEIGHTED = re.compile(rf'({_NUMBER})\s?\*\s?"([^"]*)"', re.IGNORECASE)
"""A weight and its word as gensim prints them."""

_WEIGHTED_PLAIN = re.compile(rf"({_NUMBER})\s?\*\s?([^\s\"+*]+)(?:\s*\+\s*|$)", re.IGNORECASE)
_WORD_WEIGHT = re.compile(
    r"(.*[^\s:=(])(?:\s*[:=(]\s*(\d*\.?\d+(?:e[+-]?\d+)?)\)?|\s(\d*\.\d+(?:e[+-]?\d+)?))",
    re.IGNORECASE,
)
_TUPLE = re.compile(rf"\(\s*([^(),]+?)\s*,\s*({_NUMBER})\s*\)(?:\s*[,;]?\s*|$)", re.IGNORECASE)
_WEIGHT_CELL = re.compile(rf"\(?({_NUMBER})\)?", re.IGNORECASE)
_LEFT_OF_PYTHON = re.compile(r"""\[\(|\(['"]|['"]\)""")

_BULLET = re.compile(r"^[-*•]\s+")
_SEPARATORS = ("\t", ",", ";", "|", "，", "、", "；", "،", "؛")
_NUMBERED = re.compile(
    r"(?:topic(?:[_-]|\s*#?)(-?\d+)\s*(?:[:.|\t ]|$)"
    r"|#?(-?\d+)\s*(?:\([^)]*\)\s*)?[:.|)](?:\s|$)"
    r"|(-?\d+)_[^:\t]*:\s)"  # BERTopic's names
    r"\s*",
    re.IGNORECASE,
)


@dataclass
class _Topic:
    """A topic as it is read: the cells of its lines, and the number of the first of them."""

    line: int
    cells: list[str] = field(default_factory=list)


def topics_of_lines(numbered: Sequence[tuple[int, str]], where: str) -> list[list[str]]:
    """Returns the topics of lines, as lists of words, best first.

    A line is a topic: words separated by tabs, commas, semicolons, bars or else spaces, after the
    topic's number where there is one; or a topic's words stand in the lines under its number.
    Numbers are told by a colon or the like, by the word "topic", or where the lines begin with
    0, 1, 2, … (or 1, 2, 3, …). A negative number is none of a topic, and its words are left out.
    Words may have weights, in every form in which these are printed, if all of a line have them;
    where weights stand in cells of their own (``cat 0.5 dog 0.3``), all lines have to be so. The
    lines may also be MALLET's ``--output-topic-keys`` or ``--topic-word-weights-file``, or what
    tomotopy's ``summary`` prints.

    Args:
        numbered: the lines that are not blank, stripped, with their numbers in the file.
        where: the file, for messages.

    Raises:
        InputError: a topic has no words, a number has too many digits, or a line is a Python value
            that cannot be read.
    """
    lines = [line for _, line in numbered]
    rows = [line.split("\t") for line in lines]
    if rows and all(len(row) == 3 and row[0].isdecimal() for row in rows):
        if all(is_number(row[2]) for row in rows):
            return _topics_of_weights(
                [(f"{where}, line {n}", row) for (n, _), row in zip(numbered, rows, strict=True)]
            )
        # MALLET's topic keys: number, α (in some countries with a comma), words
        if all(is_number(row[1].replace(",", ".")) for row in rows):
            return [row[2].split() for row in rows]
    if "<Topics>" in lines:  # tomotopy's summary
        after = numbered[lines.index("<Topics>") + 1 :]
        numbered = [(n, line[1:].strip()) for n, line in after if line.startswith("| #")]
    topics = _without_running_numbers(_gathered(numbered, where))
    for k, topic in enumerate(topics):
        if not topic.cells:
            raise InputError(f"{where}: topic {k} has no words; give {FORMS}")
        if any(map(_LEFT_OF_PYTHON.search, topic.cells)):
            shown = " ".join(topic.cells)
            raise InputError(
                f"{where}, line {topic.line}: {shown!r:.60} is no list that Python prints; give "
                f"{FORMS}"
            )
    paired = [_alternating(topic.cells) for topic in topics]
    if all(pairs is not None for pairs in paired):
        return [by_weight(pairs) for pairs in paired if pairs is not None]
    return [_without_weights(topic.cells) for topic in topics]


def by_weight(pairs: Sequence[tuple[str, float]]) -> list[str]:
    """Returns the words of pairs of word and weight, the heaviest first."""
    return [word for word, _ in sorted(pairs, key=lambda pair: -pair[1])]


def _gathered(numbered: Sequence[tuple[int, str]], where: str) -> list[_Topic]:
    """Returns a topic for each line, or each number with the lines under it."""
    topics: list[_Topic] = []
    is_outlier = under_number = False
    for n, line in numbered:
        here = f"{where}, line {n}"
        plain = _BULLET.sub("", line).replace("**", "")
        found = _NUMBERED.match(plain)
        rest = _BULLET.sub("", plain[found.end() :]) if found else plain
        cells = _cells(rest, here)
        if found:
            is_outlier = whole(found[1] or found[2] or found[3], here) < 0
            under_number = not cells
        if is_outlier:
            continue
        if under_number and not found:
            topics[-1].cells += cells
        else:
            topics.append(_Topic(n, cells))
        if not (cells or found):
            raise InputError(f"{here}: {line!r:.60} has no words; give {FORMS}")
    return topics


def _without_running_numbers(topics: list[_Topic]) -> list[_Topic]:
    """Returns the topics without the numbers that their lines begin with, from -1, 0 or 1 on."""
    firsts = [topic.cells[0] if topic.cells else "" for topic in topics]
    # A number alone may be a word, but for one that no word is.
    starts = (-1, 0, 1) if len(firsts) > 1 else (-1, 0)
    for start in starts:
        if firsts and firsts == [str(start + k) for k in range(len(topics))]:
            without = [_Topic(topic.line, topic.cells[1:]) for topic in topics]
            return without[max(0, -start) :]
    return topics


def _cells(line: str, where: str) -> list[str]:
    """Returns the cells of a line; words whose weights stand with them are in these' order."""
    if found := WEIGHTED.findall(line):
        return by_weight([(word, float(weight)) for weight, word in found])
    if _WEIGHTED_PLAIN.sub("", line) == "" and (found := _WEIGHTED_PLAIN.findall(line)):
        return by_weight([(word, float(weight)) for weight, word in found])
    if _TUPLE.sub("", line) == "" and (found := _TUPLE.findall(line)):
        return [cell for pair in found for cell in pair]
    if re.fullmatch(r"\([^()'\"]*\)", line):
        line = line[1:-1]
    separator = next((mark for mark in _SEPARATORS if mark in line), None)
    if separator is None:
        return line.split()
    try:
        with long_cells():
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error as error:
        raise InputError(f"{where}: {line!r:.60} cannot be read as cells: {error}") from error
    words = [word.strip() for word in cells if word.strip()]
    if separator == "\t" and len(words) == 2 and words[0].isdecimal():
        return [words[0], *words[1].split()]  # a number, a tab, and the words
    return words


def _alternating(cells: Sequence[str]) -> list[tuple[str, float]] | None:
    """Returns word and weight of cells that hold them in turn; None where they do not.

    Numbers alone are words, and so are years.
    """
    words, weights = cells[::2], [_WEIGHT_CELL.fullmatch(cell) for cell in cells[1::2]]
    if len(words) != len(weights) or all(map(_WEIGHT_CELL.fullmatch, words)):
        return None
    pairs = [(word, float(found[1])) for word, found in zip(words, weights, strict=True) if found]
    if len(pairs) < len(words) or all(re.fullmatch(r"(19|20)\d\d", cell) for cell in cells[1::2]):
        return None
    return pairs


def _without_weights(words: list[str]) -> list[str]:
    """Returns the words of ``word:0.5`` or ``word (0.5)`` by weight, where all are of that form."""
    found = [_WORD_WEIGHT.fullmatch(word) for word in words]
    pairs = [(match[1], float(match[2] or match[3])) for match in found if match]
    return by_weight(pairs) if len(pairs) == len(words) else words


def _topics_of_weights(rows: Sequence[tuple[str, Sequence[str]]]) -> list[list[str]]:
    """Returns the words of a line for each topic and word.

    MALLET writes one for every word of the corpus: those that never occur in a topic have the least
    weight of all, β, and are left out. Where there is but one topic, all words occur in it.
    """
    weights = word_weights(rows)
    least = min(weight for words in weights.values() for weight in words.values())
    if len(weights) == 1 or not is_complete(weights):
        least = -float("inf")
    return [
        by_weight([pair for pair in words.items() if pair[1] > least] or list(words.items()))
        for _, words in sorted(weights.items())
    ]
