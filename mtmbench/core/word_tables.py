"""Topics in tables with a header: BERTopic's topic information, a word a row, a topic a column."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Sequence

from mtmbench.core.text_files import finite, is_number, long_cells, whole

_TOPIC_HEADS = ("topic", "topics", "topic_id", "topic_number", "topic_num", "id", "index", "")
_LIST_HEADS = (
    "representation", "words", "top_words", "topic_words", "terms", "top_terms", "keywords",
)  # fmt: skip
_WORD_HEADS = ("word", "term", "feature", "item", "token", "keyword")
_WEIGHT_HEADS = ("weight", "beta", "phi", "probability", "prob", "score", "value")
_NUMBER = re.compile(r"(?:topic(?:[_-]|\s*#?\s*))?(-?\d+)(?:\.0)?", re.IGNORECASE)
_OUTLIERS = re.compile(r"-\d+_.*")  # as BERTopic names them
_NUMPY_VALUE = re.compile(
    r"""\b(?:np|numpy)\.(?:float|u?int|str_)\d*\(('[^']*'|"[^"]*"|[-+.\de]*)\)"""
)
_TOPIC_COLUMN = re.compile(r"topic[\s_#-]*\d+", re.IGNORECASE)
_RANK_COLUMN = re.compile(r"(word|term|top|rank|item|keyword|w)[\s_#-]*\d+", re.IGNORECASE)


def topics_of_table(text: str) -> list[list[str]] | None:
    """Returns the topics of a table, best words first; None where the text is no such table.

    Its first line says what it is: a column of lists of words, alone or with the topics' numbers,
    as BERTopic's ``get_topic_info().to_csv`` has it; columns of topic and word, with weights where
    there are some; a column a topic; or a column a rank. Topics may have names in place of numbers
    where words have weights, or stand in lists. A topic with a negative number, BERTopic's
    outliers, is none.

    Raises:
        ValueError: columns are numbered, so that they may be topics or ranks; a cell or a weight is
            none; or topics have names, but only some of the lists are any.
    """
    first = text.split("\n", 1)[0]
    separator = next((mark for mark in ("\t", ",", ";") if mark in first), ",")
    try:
        with long_cells():
            rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except csv.Error:
        return None
    heads = ["_".join(cell.lower().split()) for cell in rows[0]] if rows else []
    body = [row for row in rows[1:] if len(row) == len(heads)]
    if not body or len(body) != len(rows) - 1:
        return None
    column = {head: i for i, head in reversed(list(enumerate(heads)))}
    topic = next((column[head] for head in _TOPIC_HEADS if head in column), None)
    words = next((column[head] for head in _LIST_HEADS if head in column), None)
    word = next((column[head] for head in _WORD_HEADS if head in column), None)
    # Words such as "topic" and "words" may be a topic's own.
    numbered = topic is not None and all(_number(row[topic]) is not None for row in body)
    if topic is not None and words is not None:
        lists = [row for row in body if re.search(r"[,;|\s]", row[words].strip())]
        if numbered or len(lists) == len(body):
            return [_listed(row[words]) for row in body if not _is_outlier(row[topic])]
        if lists:
            raise ValueError(
                f"the column {heads[topic] or 1!r} holds no numbers of topics, and not every cell "
                f"of {heads[words]!r} is a list of words; a line a topic needs no header"
            )
    if topic is not None and word is not None:
        weight = next((column[head] for head in _WEIGHT_HEADS if head in column), None)
        if numbered or (weight is not None and any(is_number(row[weight]) for row in body)):
            return _grouped(body, topic, word, weight)
    if words is not None and len(heads) == 1 and " " not in first.strip():
        return [_listed(row[words]) for row in body]
    if len(heads) < 2:
        return None
    start = 1 if heads[0] in _TOPIC_HEADS else 0
    if all(_TOPIC_COLUMN.fullmatch(head) for head in heads[start:]):
        return [[row[i] for row in body if row[i].strip()] for i in range(start, len(heads))]
    if all(_RANK_COLUMN.fullmatch(head) for head in heads[start:]):
        return [
            [cell for cell in row[start:] if cell.strip()]
            for row in body
            if not (start and _is_outlier(row[0]))
        ]
    if heads[start:] == [str(i) for i in range(len(heads) - start)]:
        raise ValueError(
            "its columns are numbered, which may be topics or ranks; write one topic a line "
            "without header and index (pandas: header=False, index=False)"
        )
    return None


def topic_number(text: str, where: str) -> int | None:
    """Returns the number of "3", "-1", "3.0", "topic_3" or "Topic #3"; None for other names.

    Raises:
        InputError: it has more digits than any number of a topic.
    """
    found = _NUMBER.fullmatch(text.strip())
    return whole(found[1], f"{where}: the number of a topic") if found else None


def printed(text: str) -> object:
    """Returns the lists, objects and numbers that Python printed; None where it is none of them.

    Texts without a comma between them are none: numpy prints so, and Python would join them.
    numpy's own numbers and texts (``np.float32(0.5)``) are read as Python's.
    """
    text = _NUMPY_VALUE.sub(r"\1", text)
    if re.search(r"""['"]\s+['"]""", text):
        return None
    try:
        # Tuples become lists, numbers as keys texts.
        content: object = json.loads(json.dumps(ast.literal_eval(text.strip())))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return content


def _listed(cell: str) -> list[str]:
    """Returns the words of a cell: a list as Python or JSON writes it, or separated words."""
    words = printed(cell)
    if words is None and cell.lstrip().startswith("["):
        raise ValueError(f"{cell!r:.60} is no list of words")
    if not isinstance(words, list):
        separator = next((mark for mark in (",", ";", "|") if mark in cell), None)
        words = cell.split(separator)
    firsts = [word[0] if isinstance(word, list) and word else word for word in words]
    return [str(word).strip() for word in firsts if str(word).strip()]


def _grouped(
    body: Sequence[Sequence[str]], topic: int, word: int, weight: int | None
) -> list[list[str]]:
    """Returns the words of a table of one word a row, by their weights where it has a column."""
    topics: dict[str, list[tuple[float, str]]] = {}
    for row in body:
        if not _is_outlier(row[topic]):
            value = 0.0 if weight is None else finite(row[weight], f"the weight of {row[word]!r}")
            topics.setdefault(row[topic], []).append((-value, row[word]))
    return [
        [name for _, name in sorted(pairs, key=lambda pair: pair[0])] for pairs in topics.values()
    ]


def _number(topic: str) -> int | None:
    return topic_number(topic, "the column of topics")


def _is_outlier(topic: str) -> bool:
    number = _number(topic)
    return _OUTLIERS.fullmatch(topic.strip()) is not None if number is None else number < 0
