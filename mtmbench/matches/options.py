"""What a model shows for a document: its top topics there, as a judge will see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.specs import JudgingSpec, Representation
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import FloatArray
from mtmbench.judges.base import Option, ShownTopic
from mtmbench.metrics.projected import TopicWords

PROJECTED_WORDS = 10
"""Of each topic, for judges that read them whatever is shown."""

_ROUNDING = 1e-6
"""Shares are f32, so 0.45 + 0.30 may fall short of 0.75 by a rounding error."""


@dataclass(frozen=True)
class Projected:
    """Projected words of every topic, for display beside documents that they were not taken from.

    Attributes:
        halves: one character a document, "0" or "1": the half that it is in.
        of_half: words from the documents of half "0", and from those of half "1".
    """

    halves: str
    of_half: tuple[TopicWords, TopicWords]

    def beside(self, row: int) -> TopicWords:
        """Returns the words that document ``row`` had no part in."""
        return self.of_half[1 - int(self.halves[row])]


def words_to_project(spec: JudgingSpec) -> int:
    """Returns how many projected words of a topic suffice for showing and for judging."""
    return max(spec.top_items, PROJECTED_WORDS)


def document_options(
    result: TopicResult,
    rows: Sequence[int],
    name: str,
    *,
    spec: JudgingSpec,
    representation: Representation,
    projected: Projected | None = None,
) -> list[Option]:
    """Returns what one model shows for each document, under labels that it has not entered.

    Args:
        result: the topics.
        rows: rows of ``result.doc_topic``.
        name: the competitor's id, which no judge is shown.
        spec: how many topics (``max_topics``, ``share``) of how many items (``top_items``).
        representation: "items", "projected" (words of ``projected`` stand for the items) or
            "summary".
        projected: the topics' projected words, to be shown or for judges that read them: beside
            each document those that it had no part in.

    Raises:
        InputError: a row is outside the result, the result has no summaries or projected words to
            show, or ``projected`` is for another number of topics.
    """
    n_docs = result.doc_topic.shape[0]
    for row in rows:
        if not 0 <= row < n_docs:
            raise InputError(f"{name}: row {row} of a result over {n_docs} documents")
    if projected is not None and len(projected.halves) != n_docs:
        raise InputError(
            f"{name}: projected words by halves of {len(projected.halves)} documents for a result "
            f"of {n_docs}"
        )
    shown: dict[tuple[tuple[str, ...], str], list[ShownTopic]] = {}
    options = []
    theta = result.doc_topic[list(rows)]
    orders = np.argsort(-theta, axis=1, kind="stable")[:, : spec.max_topics].tolist()
    for row, shares, order in zip(rows, theta.tolist(), orders, strict=True):
        labels = result.items.labels_beside(row)
        half = "" if projected is None else projected.halves[row]
        if (labels, half) not in shown:
            words = None if projected is None else projected.beside(row)
            topics = _topics(result, labels, name, spec.top_items, representation, words)
            shown[labels, half] = topics
        topics = shown[labels, half]
        chosen = _taken(shares, order, spec.max_topics, spec.share)
        options.append(Option(name, tuple(_with_share(topics[k], shares[k]) for k in chosen)))
    return options


def option_lengths(options: Sequence[Option]) -> list[int]:
    """Returns how many characters the descriptions of each option's topics have together."""
    return [sum(len(topic.description) for topic in option.topics) for option in options]


def top_topics(shares: FloatArray, *, max_topics: int, share: float) -> list[int]:
    """Returns a document's strongest topics, strongest first, ties by topic index.

    At most ``max_topics``, and no more once their cumulative share has reached ``share``; topics
    without mass are never among them.

    Args:
        shares: (K,) θ of the document.
        max_topics: how many at most.
        share: cumulative share in (0, 1] at which to stop.
    """
    order = np.argsort(-shares, kind="stable").tolist()
    return _taken(shares.tolist(), order, max_topics, share)


def _taken(
    shares: Sequence[float], order: Sequence[int], max_topics: int, share: float
) -> list[int]:
    chosen: list[int] = []
    total = 0.0
    for k in order[:max_topics]:
        if shares[k] <= 0:
            break
        chosen.append(k)
        total += shares[k]
        if total >= share - _ROUNDING:
            break
    return chosen


def _topics(
    result: TopicResult,
    labels: Sequence[str],
    name: str,
    top_items: int,
    representation: Representation,
    projected: TopicWords | None,
) -> list[ShownTopic]:
    if representation == "summary" and result.summaries is None:
        raise InputError(f"{name} has no topic summaries to show; write them, or show items")
    if representation == "projected" and projected is None:
        raise InputError(f"{name} has no projected words to show; give them, or show items")
    words, word_weights = projected if projected is not None else ((), ())
    if projected is not None and not len(words) == len(word_weights) == result.n_topics:
        raise InputError(
            f"{name}: projected words of {len(words)} topics and weights of {len(word_weights)} "
            f"for a result of {result.n_topics}"
        )
    shown = []
    for k, columns in enumerate(result.top_items(top_items)):
        summaries = result.summaries if representation == "summary" else None
        projected_words = tuple(words[k]) if words else ()
        weights = tuple(float(w) for w in word_weights[k]) if words else ()
        if representation == "projected":
            items, item_weights = projected_words[:top_items], weights[:top_items]
        else:
            items = tuple(labels[i] for i in columns)
            item_weights = tuple(float(result.item_weights[k, i]) for i in columns)
        shown.append(
            ShownTopic(
                share=0.0,
                items=items,
                item_weights=item_weights,
                words=projected_words[:PROJECTED_WORDS],
                word_weights=weights[:PROJECTED_WORDS],
                summary=None if summaries is None else summaries[k],
            )
        )
    return shown


def _with_share(topic: ShownTopic, share: float) -> ShownTopic:
    return ShownTopic(
        share, topic.items, topic.item_weights, topic.words, topic.word_weights, topic.summary
    )
