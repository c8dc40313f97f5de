"""Topics as lists of words, in the forms in which tools and people leave them in files."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, parse_json, read_bytes
from mtmbench.core.text_files import decode_text

_FORMS = (
    'a JSON list of topics (or {"topics": …}), each a list of words or of word-weight pairs, or '
    "one topic a line"
)
_WORDS_KEYS = ("words", "items")
_WEIGHTED = re.compile(r'(-?[\d.]+(?:e-?\d+)?)\s?\*\s?"([^"]*)"')
_NUMBERED = re.compile(
    r"(topic\s*#?\d+\s*[:.|\t ]|#?-?\d+\s*(\([^)]*\)\s*)?[:.|]\s)\s*", re.IGNORECASE
)


def read_word_lists(path: Path) -> list[list[str]]:
    """Returns the topics that a file holds, as lists of words, best first.

    JSON holds a list of topics, or an object with such a list under ``"topics"``, or one that maps
    topic numbers to topics (a negative number, BERTopic's outliers, is none); or each line is the
    JSON of a topic. A topic is a list of words, or of word-weight pairs in either order, or an
    object of words and weights, or one that has them under ``"words"`` or ``"items"``, or gensim's
    ``[number, topic]`` or ``0.1*"word" + …``. Weighted words are put in the order of their weights.

    Other files hold one topic a line: words separated by tabs, commas, semicolons or else spaces,
    after the topic's number where there is one; or they are MALLET's ``--output-topic-keys`` or
    ``--topic-word-weights-file``, or what tomotopy's ``summary`` prints.

    Raises:
        InputError: the file cannot be read, or holds something else; the message names the topic or
            the line.
    """
    text = decode_text(read_bytes(path), path)
    lines = [(n, line.strip()) for n, line in enumerate(lines_of(text), start=1) if line.strip()]
    if path.suffix == ".json" or text.lstrip().startswith(("[", "{")):
        topics = _topics_of_json(_json(text, lines, path), path)
    else:
        topics = _topics_of_lines(lines)
        for (n, line), topic in zip(lines, topics, strict=False):
            if not topic:
                raise InputError(f"{path}, line {n}: {line!r:.60} has no words; give {_FORMS}")
    if not topics:
        raise InputError(f"{path} must hold {_FORMS}; it has no topic")
    return topics


def _json(text: str, lines: Sequence[tuple[int, str]], path: Path) -> object:
    """Returns the JSON of the file, or of its lines where each holds a whole topic."""
    several = len(lines) > 1 and all(line[0] + line[-1] in ("[]", "{}") for _, line in lines)
    if not several:
        return parse_json(text, f"cannot read {path}", ": not JSON")
    try:
        return parse_json(text, str(path))
    except InputError:
        return [
            parse_json(line, f"cannot read {path}, line {n}", ": not JSON") for n, line in lines
        ]


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
    return [_words(topic, f"{path}, topic {k}") for k, topic in enumerate(data)]


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


def _topics_of_lines(numbered: Sequence[tuple[int, str]]) -> list[list[str]]:
    lines = [line for _, line in numbered]
    rows = [line.split("\t") for line in lines]
    if rows and all(len(row) == 3 and row[0].isdecimal() for row in rows):
        if all(_is_float(row[2]) for row in rows):
            return _topics_of_weights(rows)
        if all(_is_float(row[1]) for row in rows):
            return [row[2].split() for row in rows]  # MALLET's topic keys: number, α, words
    if "<Topics>" in lines:  # tomotopy's summary
        after = lines[lines.index("<Topics>") + 1 :]
        lines = [line[1:].strip() for line in after if line.startswith("| #")]
    topics = [_words_of_line(_NUMBERED.sub("", line, count=1) if _NUMBERED.match(line) else line)
              for line in lines]  # fmt: skip
    firsts = [topic[0] for topic in topics if topic]
    running = len(firsts) > 1 and any(
        firsts == [str(start + k) for k in range(len(topics))] for start in (0, 1)
    )
    return [topic[1:] for topic in topics] if running else topics


def _words_of_line(line: str) -> list[str]:
    if found := _WEIGHTED.findall(line):
        return _by_weight([(word, float(weight)) for weight, word in found])
    separator = next((mark for mark in ("\t", ",", ";") if mark in line), None)
    if separator is None:
        return line.split()
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    words = [word.strip() for word in cells if word.strip()]
    if separator == "\t" and len(words) == 2 and words[0].isdecimal():
        return [words[0], *words[1].split()]  # a number, a tab, and the words
    return words


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


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
