"""Other weights for the directions of topics: plain frequencies in place of what a model gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts
from mtmbench.models.base import normalise_rows
from mtmbench.models.clusters import cluster_totals


def with_frequencies(result: TopicResult, counts: Counts) -> TopicResult:
    """Returns topics whose items weigh as often as they occur, without class-based TF-IDF.

    ``topic_item`` becomes each item's share of the occurrences in the documents of a hard cluster
    (``tf_ki`` of eq. 15): those whose strongest topic it is, outliers left out. θ stays.

    Args:
        result: the topics.
        counts: what they were fitted on.

    Raises:
        InputError: the counts are of other documents or items.
    """
    if counts.matrix.shape != (len(result.doc_topic), len(result.items)):
        raise InputError(
            f"counts of shape {counts.matrix.shape} for {len(result.doc_topic)} documents and "
            f"{len(result.items)} items"
        )
    assigned = result.doc_topic.sum(axis=1) > 0
    if result.outlier is not None:
        assigned &= ~result.outlier
    rows = np.flatnonzero(assigned)
    strongest = result.doc_topic[rows].argmax(axis=1)
    totals = cluster_totals(counts.matrix[rows], strongest, result.n_topics)
    return replace(result, topic_item=normalise_rows(totals), shown_item=None)
