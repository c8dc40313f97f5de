"""The clustering at which mixtures start."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score

from mtmbench.models.clusters import LARGEST_SAMPLE, cluster_documents, cluster_totals


def planted(n_docs: int, n_clusters: int, seed: int = 0) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(200, 0.05), n_clusters)
    labels = rng.integers(n_clusters, size=n_docs)
    return csr_matrix(np.array([rng.multinomial(40, topics[k]) for k in labels])), labels


@pytest.mark.parametrize("n_docs", [300, LARGEST_SAMPLE + 500])
def test_planted_clusters_are_found(n_docs):
    matrix, labels = planted(n_docs, 8)
    found = cluster_documents(matrix, 8, seed=1)
    assert adjusted_rand_score(labels, found) > 0.98


def test_items_in_every_document_do_not_matter():
    matrix, labels = planted(300, 5)
    dense = matrix.toarray()
    dense[:, :40] += 30
    assert adjusted_rand_score(labels, cluster_documents(csr_matrix(dense), 5, seed=0)) > 0.95


@pytest.mark.parametrize("n_clusters", [1, 3, 50])
def test_any_number_of_clusters(n_clusters):
    matrix, _ = planted(20, 3)
    found = cluster_documents(matrix, n_clusters, seed=0)
    assert found.shape == (20,)
    assert found.min() >= 0
    assert found.max() < n_clusters


def test_empty_and_identical_documents_are_no_obstacle():
    matrix = csr_matrix(np.array([[1, 2], [1, 2], [0, 0], [1, 2]]))
    assert cluster_documents(matrix, 3, seed=0).shape == (4,)


def test_totals_are_sums_over_members():
    matrix, _ = planted(30, 3)
    clusters = np.random.default_rng(0).integers(4, size=30)
    expected = np.stack([matrix.toarray()[clusters == k].sum(axis=0) for k in range(4)])
    np.testing.assert_array_equal(cluster_totals(matrix, clusters, 4), expected)
