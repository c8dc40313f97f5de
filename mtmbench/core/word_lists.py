"""Topics as lists of words, in the forms in which tools and people leave them in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, parse_json, read_text
from mtmbench.core.topic_lines import FORMS, WEIGHTED, by_weight, topics_of_lines
from mtmbench.core.word_tables import printed, topic_number, topics_of_table

_WORDS_KEYS = ("words", "items", "Representation")


def read_word_lists(path: Path) -> list[list[str]]:
    """Returns the topics that a file holds, as lists of words, best first.

    JSON holds a list of topics, or an object with such a list under ``"topics"``, or one that maps
    topic numbers to topics (a negative number, BERTopic's outliers, is none); or each line is the
    JSON of a topic. A topic is a list of words, or of word-weight pairs in either order, or an
    object of words and weights, or one that has them under ``"words"`` or ``"items"``, or gensim's
    ``[number, topic]``, ``[topic, coherence]`` or ``0.1*"word" + …``. Weighted words are put in the
    order of their weights. Lists and tuples as Python prints them are read as JSON.

    Other files hold one topic a line (:func:`~mtmbench.core.topic_lines.topics_of_lines`), or are
    tables with a header (:func:`~mtmbench.core.word_tables.topics_of_table`).

    Raises:
        InputError: the file cannot be read, or holds something else; the message names the topic or
            the line.
    """
    text = read_text(path)
    lines = [(n, line.strip()) for n, line in enumerate(lines_of(text), start=1) if line.strip()]
    if path.suffix == ".json" or text.lstrip().startswith(("[", "{")):
        topics = _topics_of_json(_json(text, lines, path), path)
    elif (tuples := _tuples(text, lines)) is not None:
        topics = _topics_of_json(tuples, path)
    else:
        try:
            table = topics_of_table(text)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        topics = topics_of_lines(lines, str(path)) if table is None else table
    if not topics:
        raise InputError(f"{path} must hold {FORMS}; it has no topic")
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


def _tuples(text: str, lines: Sequence[tuple[int, str]]) -> object:
    """Returns what Python printed in round brackets: a topic a line, or all in one."""
    if not text.lstrip().startswith("("):
        return None
    each = [printed(line.rstrip(",")) if line.startswith("(") else None for _, line in lines]
    return each if all(isinstance(topic, list) for topic in each) else printed(text)


def _topics_of_json(data: object, path: Path) -> list[list[str]]:
    if isinstance(data, Mapping):
        data = next((data[key] for key in ("topic_representations", "topics") if key in data), data)
    if isinstance(data, Mapping):
        numbers = [(topic_number(key, str(path)), key) for key in data]
        ordered = sorted((number, key) for number, key in numbers if number is not None)
        if len(ordered) < len(numbers):
            keys = ", ".join(f"{key:.40}" for key in list(data)[:5])
            raise InputError(f"{path} must hold {FORMS}, not the keys {keys}")
        data = [data[key] for number, key in ordered if number >= 0]
    if not isinstance(data, list):
        raise InputError(f"{path} must hold {FORMS}, not {data!r:.60}")
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
    if isinstance(topic, str) and (found := WEIGHTED.findall(topic)):
        return by_weight([(word, float(weight)) for weight, word in found])
    if isinstance(topic, Mapping):
        listed = next((topic[key] for key in _WORDS_KEYS if isinstance(topic.get(key), list)), None)
        topic = [list(pair) for pair in topic.items()] if listed is None else listed
    if isinstance(topic, list) and len(topic) == 2 and any(map(_is_number, topic)):
        # gensim: show_topics has the topic's number first, top_topics its coherence last
        words = topic[1] if _is_number(topic[0]) else topic[0]
        if isinstance(words, list) or (isinstance(words, str) and WEIGHTED.search(words)):
            return _words(words, where)
    if isinstance(topic, list) and all(isinstance(word, str) for word in topic):
        return topic
    if isinstance(topic, list) and all(map(_is_pair, topic)):
        return by_weight([(a, b) if isinstance(a, str) else (b, a) for a, b in topic])
    raise InputError(f"{where}: {topic!r:.60} must be a list of words or of word-weight pairs")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _is_pair(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return any(
        isinstance(word, str) and _is_number(weight) for word, weight in (value, value[::-1])
    )
