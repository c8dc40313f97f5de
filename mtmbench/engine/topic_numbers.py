"""How many topics are asked for on a corpus: numbers as given, of gold labels, or capped."""

from __future__ import annotations

from mtmbench.core.arrays import memory
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.specs import capped

_THETA_BYTES = 8

_MIN_TOPICS_FOR_LABELS = 20
"""``k = "labels"`` means the number of gold labels, but at least this."""

_LEAST_TOPICS = 2
"""``documents_per_topic`` leaves so many."""


def numbers_of_topics(
    suite: Suite, corpus: str, documents: int, labels: int
) -> list[tuple[int, int | str]]:
    """Returns each K that is played on a corpus, once, with what was asked for.

    Args:
        suite: the suite.
        corpus: name of the corpus.
        documents: how many documents it has.
        labels: how many gold labels it has.

    Raises:
        InputError: there are no labels whose number K could be, or θ of so many topics does not
            fit into memory.
    """
    found: list[tuple[int, int | str]] = []
    plain = set(suite.k_of(corpus))
    for asked in suite.k_of(corpus):
        if asked == "labels" and labels == 0:
            raise InputError(
                f"k = 'labels', but corpus {corpus!r} has no gold labels; give a number of topics"
            )
        k = max(_MIN_TOPICS_FOR_LABELS, labels) if asked == "labels" else asked
        k_spec: int | str = asked
        if suite.documents_per_topic is not None:
            most = max(_LEAST_TOPICS, documents // suite.documents_per_topic)
            if k > most:
                k, k_spec = most, capped(asked, suite.documents_per_topic)
                if k in plain or any(k == other for other, _ in found):
                    continue
        if asked != "labels" and k * documents * _THETA_BYTES > memory():
            raise InputError(
                f"k = {k}: the weights of so many topics in the {documents} documents of "
                f"corpus {corpus!r} do not fit into memory ({memory() / 1e9:,.0f} GB); give a "
                "smaller number of topics"
            )
        found.append((k, k_spec))
    return found
