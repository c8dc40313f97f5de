"""Topics as lists of words, in the forms in which tools and people leave them in files."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, parse_json, read_bytes
from mtmbench.core.text_files import decode_text, is_number
from mtmbench.core.word_tables import printed, topics_of_table

_FORMS = (
    'a JSON list of topics (or {"topics": …}), each a list of words or of word-weight pairs, or '
    "one topic a line"
)
_WORDS_KEYS = ("words", "items", "Representation")
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_WEIGHTED = re.compile(rf'({_NUMBER})\s?\*\s?"([^"]*)"', re.IGNORECASE)
_WEIGHTED_PLAIN = re.compile(rf"({_NUMBER})\s?\*\s?([^\s\"+*]+)(?:\s*\+\s*|$)", re.IGNORECASE)
_WORD_WEIGHT = re.compile(r"(.*[^\s:=(])\s*[:=(]\s*(\d*\.?\d+(?:e[+-]?\d+)?)\)?", re.IGNORECASE)
_BULLET = re.compile(r"[-*•]\s+")
_SEPARATORS = ("\t", ",", ";", "|", "，", "、", "；", "،", "؛")
_NUMBERED = re.compile(
    r"(?:topic(?:[_-]|\s*#?)(-?\d+)\s*(?:[:.|\t ]|$)"
    r"|#?(-?\d+)\s*(?:\([^)]*\)\s*)?[:.|)](?:\s|$))\s*",
    re.IGNORECASE,
)


def read_word_lists(path: Path) -> list[list[str]]:
    """Returns the topics that a file holds, as lists of words, best first.

    JSON holds a list of topics, or an object with such a list under ``"topics"``, or one that maps
    topic numbers to topics (a negative number, BERTopic's outliers, is none); or each line is the
    JSON of a topic. A topic is a list of words, or of word-weight pairs in either order, or an
    object of words and weights, or one that has them under ``"words"`` or ``"items"``, or gensim's
    ``[number, topic]`` or ``0.1*"word" + …``. Weighted words are put in the order of their weights.

    Other files hold one topic a line: words separated by tabs, commas, semicolons, bars or else
    spaces, perhaps with their weights, after the topic's number where there is one; or its words
    stand in the lines under its number; or they are tables with a header
    (:func:`~mtmbench.core.word_tables.topics_of_table`), MALLET's ``--output-topic-keys`` or
    ``--topic-word-weights-file``, or what tomotopy's ``summary`` prints. A negative number is none
    of a topic there, either. Lists as Python prints them are read as JSON.

    Raises:
        InputError: the file cannot be read, or holds something else; the message names the topic or
            the line.
    """
    text = decode_text(read_bytes(path), path)
    lines = [(n, line.strip()) for n, line in enumerate(lines_of(text), start=1) if line.strip()]
    if path.suffix == ".json" or text.lstrip().startswith(("[", "{")):
        topics = _topics_of_json(_json(text, lines, path), path)
    else:
        try:
            table = topics_of_table(text)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        topics = _topics_of_lines(lines, path) if table is None else table
    if not topics:
        raise InputError(f"{path} must hold {_FORMS}; it has no topic")
    return topics


def _json(text: str, lines: Sequence[tuple[int, str]], path: Path) -> object:
    """Returns the JSON of the file, or what Python printed, or of its lines each a whole topic."""

    def parsed(part: str, where: str) -> object:
        try:
            return parse_json(part, where, ": not JSON")
        except InputError:
            if (listed := printed(part)) is None:
                raise
            return listed

    where = f"cannot read {path}"
    try:
        return parsed(text, where)
    except InputError:
        if len(lines) < 2 or not all(line[0] + line[-1] in ("[]", "{}") for _, line in lines):
            raise
    return [parsed(line, f"{where}, line {n}") for n, line in lines]


def _topics_of_json(data: object, path: Path) -> list[list[str]]:
    if isinstance(data, Mapping):
        data = next((data[key] for key in ("topic_representations", "topics") if key in data), data)
    if isinstance(data, Mapping):
        numbers = {
            key: re.fullmatch(r"(?:topic[\s_-]*)?(-?\d+)", key, re.IGNORECASE) for key in data
        }
        if not all(numbers.values()):
            raise InputError(f"{path} must hold {_FORMS}, not the keys {', '.join(list(data)[:5])}")
        ordered = sorted((int(found[1]), key) for key, found in numbers.items() if found)
        data = [data[key] for number, key in ordered if number >= 0]
    if not isinstance(data, list):
        raise InputError(f"{path} must hold {_FORMS}, not {data!r:.60}")
    topics = [topic for topic in data if not _is_outlier(topic)]
    return [_words(topic, f"{path}, topic {k}") for k, topic in enumerate(topics)]


def _is_outlier(topic: object) -> bool:
    """Whether a topic says that its number is negative."""
    number: Any = None
    if isinstance(topic, Mapping):
        number = next((topic[key] for key in ("topic", "Topic") if key in topic), None)
    elif isinstance(topic, list) and len(topic) == 2 and not _is_pair(topic):
        number = topic[0]
    return _is_number(number) and bool(number < 0)


def _words(topic: object, where: str) -> list[str]:
    if isinstance(topic, str) and (found := _WEIGHTED.findall(topic)):
        return _by_weight([(word, float(weight)) for weight, word in found])
    if isinstance(topic, Mapping):
        listed = next((topic[key] for key in _WORDS_KEYS if isinstance(topic.get(key), list)), None)
        topic = [list(pair) for pair in topic.items()] if listed is None else listed
    if isinstance(topic, list) and len(topic) == 2 and _is_number(topic[0]):
        words = topic[1]  # gensim's show_topics: the topic's number, then its words
        if isinstance(words, list) or (isinstance(words, str) and _WEIGHTED.search(words)):
            return _words(words, where)
    if isinstance(topic, list) and all(isinstance(word, str) for word in topic):
        return topic
    if isinstance(topic, list) and all(map(_is_pair, topic)):
        return _by_weight([(a, b) if isinstance(a, str) else (b, a) for a, b in topic])
    raise InputError(f"{where}: {topic!r:.60} must be a list of words or of word-weight pairs")


def _by_weight(pairs: Sequence[tuple[str, float]]) -> list[str]:
    return [word for word, _ in sorted(pairs, key=lambda pair: -pair[1])]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _is_pair(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return any(
        isinstance(word, str) and _is_number(weight) for word, weight in (value, value[::-1])
    )


def _topics_of_lines(numbered: Sequence[tuple[int, str]], path: Path) -> list[list[str]]:
    lines = [line for _, line in numbered]
    rows = [line.split("\t") for line in lines]
    if rows and all(len(row) == 3 and row[0].isdecimal() for row in rows):
        if all(is_number(row[2]) for row in rows):
            return _topics_of_weights(rows)
        # MALLET's topic keys: number, α (in some countries with a comma), words
        if all(is_number(row[1].replace(",", ".")) for row in rows):
            return [row[2].split() for row in rows]
    if "<Topics>" in lines:  # tomotopy's summary
        after = numbered[lines.index("<Topics>") + 1 :]
        numbered = [(n, line[1:].strip()) for n, line in after if line.startswith("| #")]
    topics: list[list[str]] = []
    is_outlier = under_number = False
    for n, line in ((n, _BULLET.sub("", line).replace("**", "")) for n, line in numbered):
        found = _NUMBERED.match(line)
        words = _words_of_line(line[found.end() :] if found else line)
        if found:
            is_outlier = int(found[1] or found[2]) < 0
            under_number = not words
        if is_outlier:
            continue
        if under_number and not found:
            topics[-1] += words
        else:
            topics.append(words)
        if not (words or found):
            raise InputError(f"{path}, line {n}: {line!r:.60} has no words; give {_FORMS}")
    if not all(topics):
        raise InputError(f"{path}: topic {topics.index([])} has no words; give {_FORMS}")
    firsts = [topic[0] for topic in topics]
    running = len(firsts) > 1 and any(
        firsts == [str(start + k) for k in range(len(topics))] for start in (0, 1)
    )
    return [topic[1:] for topic in topics] if running else topics


def _words_of_line(line: str) -> list[str]:
    if found := _WEIGHTED.findall(line):
        return _by_weight([(word, float(weight)) for weight, word in found])
    if _WEIGHTED_PLAIN.sub("", line) == "" and (found := _WEIGHTED_PLAIN.findall(line)):
        return _by_weight([(word, float(weight)) for weight, word in found])
    separator = next((mark for mark in _SEPARATORS if mark in line), None)
    if separator is None:
        return _without_weights(line.split())
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    words = [word.strip() for word in cells if word.strip()]
    if separator == "\t" and len(words) == 2 and words[0].isdecimal():
        return [words[0], *words[1].split()]  # a number, a tab, and the words
    return _without_weights(words)


def _without_weights(words: list[str]) -> list[str]:
    """Returns the words of ``word:0.5`` or ``word (0.5)`` by weight, where all are of that form."""
    found = [_WORD_WEIGHT.fullmatch(word) for word in words]
    pairs = [(match[1], float(match[2])) for match in found if match]
    return _by_weight(pairs) if len(pairs) == len(words) else words


def _topics_of_weights(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the words of MALLET's topic-word weights; what never occurs has the least of them."""
    weights: dict[int, list[tuple[str, float]]] = {}
    for topic, word, weight in rows:
        weights.setdefault(int(topic), []).append((word, float(weight)))
    least = min(weight for pairs in weights.values() for _, weight in pairs)
    return [
        _by_weight([pair for pair in pairs if pair[1] > least] or pairs)
        for _, pairs in sorted(weights.items())
    ]
