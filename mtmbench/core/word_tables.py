"""Topics in tables with a header: BERTopic's topic information, a word a row, a topic a column."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence

_TOPIC_HEADS = ("topic", "topics", "topic_id", "topic_number", "topic_num", "id", "index", "")
_LIST_HEADS = (
    "representation", "words", "top_words", "topic_words", "terms", "top_terms", "keywords",
)  # fmt: skip
_WORD_HEADS = ("word", "term", "feature", "item", "token", "keyword")
_WEIGHT_HEADS = ("weight", "beta", "phi", "probability", "prob", "score", "value")
_NUMBER = re.compile(r"(topic[\s_#-]*)?-?\d+(\.0)?", re.IGNORECASE)
_TOPIC_COLUMN = re.compile(r"topic[\s_#-]*\d+", re.IGNORECASE)
_RANK_COLUMN = re.compile(r"(word|term|top|rank|item|keyword|w)[\s_#-]*\d+", re.IGNORECASE)


def topics_of_table(text: str) -> list[list[str]] | None:
    """Returns the topics of a table, best words first; None where the text is no such table.

    Its first line says what it is: a column of lists of words, alone or with the topics' numbers,
    as BERTopic's ``get_topic_info().to_csv`` has it; columns of topic and word, with weights where
    there are some; a column a topic; or a column a rank. A topic with a negative number, BERTopic's
    outliers, is none.

    Raises:
        ValueError: columns are numbered, so that they may be topics or ranks; or a cell or a
            weight is none.
    """
    first = text.split("\n", 1)[0]
    separator = next((mark for mark in ("\t", ",", ";") if mark in first), ",")
    try:
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
    numbered = topic is not None and all(_NUMBER.fullmatch(row[topic].strip()) for row in body)
    if topic is not None and numbered and words is not None:
        return [_listed(row[words]) for row in body if not _is_outlier(row[topic])]
    if topic is not None and numbered and word is not None:
        return _grouped(body, topic, word, column)
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


def printed(text: str) -> object:
    """Returns the lists, objects and numbers that Python printed; None where it is none of them.

    Texts without a comma between them are none: numpy prints so, and Python would join them.
    """
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
    body: Sequence[Sequence[str]], topic: int, word: int, column: Mapping[str, int]
) -> list[list[str]]:
    """Returns the words of a table of one word a row, by weight where every row has one."""
    weight = next((column[head] for head in _WEIGHT_HEADS if head in column), None)
    topics: dict[str, list[tuple[float, str]]] = {}
    for row in body:
        if not _is_outlier(row[topic]):
            value = 0.0 if weight is None else float(row[weight])
            topics.setdefault(row[topic], []).append((-value, row[word]))
    return [
        [name for _, name in sorted(pairs, key=lambda pair: pair[0])] for pairs in topics.values()
    ]


def _is_outlier(number: str) -> bool:
    return re.fullmatch(r"-\d+(\.0)?", number.strip()) is not None
