"""Projected words: any topics, over words or features, told in the words of their documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts
from mtmbench.models.clusters import class_tfidf

TopicWords = tuple[Sequence[Sequence[str]], Sequence[Sequence[float]]]
"""Words of every topic and their weights, both strongest first."""


def projected_words(
    doc_topic: ArrayLike, word_counts: Counts, n: int = 10, min_df: int = 5
) -> TopicWords:
    """Returns the words that best tell each topic apart, strongest first.

    With tf_kv = Σ_d θ_dk n_dv, f_v = Σ_k tf_kv and A = Σ_v f_v / K, word v weighs
    (tf_kv / Σ_v tf_kv) · log(1 + A / f_v) in topic k: class-based TF-IDF (mTM paper, eq. 15) with
    soft in place of hard clusters.

    Args:
        doc_topic: (D, K) θ; all-zero rows take no part.
        word_counts: counts of the same D documents.
        n: words a topic at most; only words of weight above zero are returned.
        min_df: documents that a word must occur in.

    Returns:
        Words per topic and their weights; ties are broken by column. Both are empty for a topic
        without mass.

    Raises:
        InputError: the two have different numbers of documents.
    """
    theta = np.asarray(doc_topic, dtype=np.float64)
    matrix = word_counts.matrix.tocsr()
    if theta.shape[0] != matrix.shape[0]:
        raise InputError(f"θ has {theta.shape[0]} documents but the word counts {matrix.shape[0]}")
    weights = class_tfidf(np.asarray(matrix.T @ theta, dtype=np.float64).T)
    document_frequency = np.bincount(matrix.indices[matrix.data > 0], minlength=matrix.shape[1])
    weights[:, document_frequency < min_df] = 0.0
    words, values = [], []
    for row in weights:
        best = [int(i) for i in np.argsort(-row, kind="stable")[:n] if row[i] > 0]
        words.append([word_counts.item_ids[i] for i in best])
        values.append([float(row[i]) for i in best])
    return words, values


def crossed_projection(
    doc_topic: ArrayLike, word_counts: Counts, halves: str, n: int = 10, min_df: int = 5
) -> tuple[TopicWords, TopicWords]:
    """Returns projected words from either half of the documents, to be shown beside the other.

    Args:
        doc_topic: (D, K) θ.
        word_counts: counts of the same D documents.
        halves: one character a document, "0" or "1": the half that it is in.
        n: words a topic at most.
        min_df: documents that a word must occur in, of all; half as many, rounded up, of a half.

    Returns:
        Words and weights of half "0", and of half "1", each as :func:`projected_words` has them.

    Raises:
        InputError: the three have different numbers of documents.
    """
    theta = np.asarray(doc_topic)
    if len(halves) != len(theta):
        raise InputError(f"halves of {len(halves)} documents, but θ has {len(theta)}")
    first, second = (
        projected_words(theta[rows], word_counts.select_docs(rows), n, (min_df + 1) // 2)
        for half in "01"
        for rows in [np.array([i for i, each in enumerate(halves) if each == half], np.int64)]
    )
    return first, second
