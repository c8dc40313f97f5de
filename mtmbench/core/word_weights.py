"""Weights of words in topics, a line each: MALLET's ``--topic-word-weights-file`` and the like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtmbench.core.errors import InputError
from mtmbench.core.text_files import finite, whole

WordWeights = dict[int, dict[str, float]]
"""The words of each topic, by its number, with their weights."""


def word_weights(rows: Iterable[tuple[str, Sequence[str]]]) -> WordWeights:
    """Returns the weights of rows of topic, word and weight.

    Args:
        rows: each row's place, for messages, and its three cells.

    Raises:
        InputError: a number is none, or a word stands twice in a topic.
    """
    weights: WordWeights = {}
    for where, (topic, word, weight) in rows:
        words = weights.setdefault(whole(topic, where), {})
        if word in words:
            raise InputError(f"{where}: topic {topic} has the word {word!r:.60} twice")
        words[word] = finite(weight, where)
    return weights


def is_complete(weights: WordWeights) -> bool:
    """Whether topics 0 … K − 1 all have a weight for every word, as MALLET writes them."""
    n_words = len({word for words in weights.values() for word in words})
    return set(weights) == set(range(len(weights))) and all(
        len(words) == n_words for words in weights.values()
    )
