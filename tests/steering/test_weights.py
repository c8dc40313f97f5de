"""Frequencies in place of TF-IDF: against a loop, and against the model's own TF-IDF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts
from mtmbench.models.clustering import cluster_tfidf
from mtmbench.steering.weights import with_frequencies


@pytest.fixture
def counts(result):
    generator = np.random.default_rng(0)
    matrix = csr_matrix(generator.poisson(0.7, size=(60, 20)))
    ids = result.items.ids
    return Counts("features", matrix, np.full(60, 30), ids, ids, source={})


def test_shares_of_hard_clusters(result, counts):
    outlier = np.arange(60) % 7 == 0
    found = with_frequencies(replace(result, outlier=outlier), counts)
    matrix = counts.matrix.toarray()
    labels = np.where(outlier, -1, result.doc_topic.argmax(axis=1))
    for k in range(5):
        total = matrix[labels == k].sum(axis=0)
        np.testing.assert_allclose(found.topic_item[k], total / max(total.sum(), 1), atol=1e-6)
    np.testing.assert_array_equal(found.doc_topic, result.doc_topic)
    # The weights that a model gives are these times the inverse document frequency.
    frequency = np.array([matrix[labels == k].sum(axis=0) for k in range(5)])
    idf = np.log1p(frequency.sum() / 5 / frequency.sum(axis=0))
    np.testing.assert_allclose(
        found.topic_item * idf, cluster_tfidf(counts.matrix, labels, 5), atol=1e-6
    )


def test_counts_of_others_are_refused(result, counts):
    with pytest.raises(InputError, match=r"counts of shape \(60, 19\) for 60 documents and 20"):
        with_frequencies(result, replace(counts, matrix=counts.matrix[:, 1:],
                                         item_ids=counts.item_ids[1:],
                                         item_labels=counts.item_labels[1:]))  # fmt: skip
