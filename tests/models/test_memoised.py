"""LDA without stored responsibilities: against a slow reference that stores them, and CVB0."""

from __future__ import annotations

from itertools import pairwise
from mmap import mmap

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from support.planted import matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.features.counts_on_disk import open_counts, write_counts
from mtmbench.models import memoised
from mtmbench.models.clusters import cluster_documents
from mtmbench.models.cvb0 import fit_cvb0
from mtmbench.testing.models import check_topic_model


def small_counts(seed: int = 0, n_docs: int = 12, n_items: int = 15) -> csr_matrix:
    rng = np.random.default_rng(seed)
    return csr_matrix(rng.poisson(0.7, (n_docs, n_items)).astype(np.int32))


def fit(matrix, n_topics, passes, **changed):
    settings = {
        "alpha": np.linspace(0.1, 0.9, n_topics), "beta": 0.05, "tolerance": 0.0,
        "optimise_alpha_every": 0, "seed": 5,
    }  # fmt: skip
    return memoised.fit_memoised(matrix, n_topics, passes=passes, **{**settings, **changed})


def reference(matrix, n_topics, passes, alpha, beta, seed, n_batches):
    """Incremental EM in f64 with a responsibility for every count; also the bound after each."""
    n_docs, n_items = matrix.shape
    cuts = np.linspace(0, n_docs, n_batches + 1).astype(int)
    clusters = cluster_documents(matrix, n_topics, seed=seed)
    theta, kept = memoised._start(matrix, clusters, n_topics, cuts, seed)
    doc_counts, shares = theta.astype(np.float64), [each.astype(np.float64) for each in kept]
    dense = matrix.toarray().astype(np.float64)
    gamma = np.zeros((n_docs, n_items, n_topics))
    bounds = []
    for _ in range(passes):
        for batch, (first, last) in enumerate(pairwise(cuts)):
            topics = sum(shares) + beta
            phi = topics / topics.sum(axis=0)
            for _round in range(memoised.ROUNDS):
                weights = (doc_counts[first:last] + alpha)[:, None, :] * phi
                gamma[first:last] = weights / weights.sum(axis=2, keepdims=True)
                counted = dense[first:last, :, None] * gamma[first:last]
                doc_counts[first:last] = counted.sum(axis=1)
            shares[batch] = counted.sum(axis=0)
            if gamma.any(axis=2).all():
                bounds.append(bound(dense, gamma, doc_counts + alpha, sum(shares), alpha, beta))
    return doc_counts, sum(shares), bounds


def bound(dense, gamma, theta, item_counts, alpha, beta):
    theta = theta / theta.sum(axis=1, keepdims=True)
    phi = (item_counts + beta) / (item_counts + beta).sum(axis=0)
    gain = np.log(theta[:, None, :] * phi / gamma)
    return (
        (dense[:, :, None] * gamma * gain).sum()
        + (alpha * np.log(theta)).sum()
        + beta * np.log(phi).sum()
    )


@pytest.mark.parametrize("n_batches", [1, 3])
def test_visits_are_em_with_stored_responsibilities(n_batches, monkeypatch):
    monkeypatch.setattr(memoised, "MOST_BATCHES", n_batches)
    matrix, alpha = small_counts(), np.linspace(0.1, 0.9, 3)
    found = fit(matrix, 3, 7)
    doc_counts, item_counts, bounds = reference(matrix, 3, 7, alpha, 0.05, 5, n_batches)
    np.testing.assert_allclose(found.doc_counts, doc_counts, atol=1e-4)
    np.testing.assert_allclose(found.item_counts, item_counts, atol=1e-4)
    assert len(bounds) > 6 * n_batches
    assert (np.diff(bounds) > -1e-9).all()
    assert bounds[-1] > bounds[0] + 0.1


def test_with_one_batch_every_pass_raises_the_posterior(monkeypatch):
    monkeypatch.setattr(memoised, "MOST_BATCHES", 1)
    matrix, alpha = small_counts(3, 40, 30), np.full(4, 0.5)
    dense = matrix.toarray()

    def log_posterior(passes):
        found = fit(matrix, 4, passes, alpha=alpha)
        theta, phi = found.doc_topic(), found.topic_item()
        likelihood = (dense * np.log(theta @ phi)).sum()
        return likelihood + (alpha * np.log(theta)).sum() + 0.05 * np.log(phi).sum()

    values = [log_posterior(passes) for passes in range(1, 30)]
    assert (np.diff(values) > -1e-3).all()
    assert values[-1] > values[0] + 1


def test_one_topic_is_the_smoothed_share_of_each_item():
    matrix = small_counts()
    found = fit(matrix, 1, 3, alpha=np.array([5.0]), beta=0.01)
    totals = np.asarray(matrix.sum(axis=0)).ravel() + 0.01
    np.testing.assert_allclose(found.topic_item()[0], totals / totals.sum(), rtol=1e-5)


def test_no_count_is_lost_and_documents_without_tokens_have_no_mass():
    dense = small_counts(n_docs=40).toarray()
    dense[7] = 0
    found = fit(csr_matrix(dense), 7, 30, optimise_alpha_every=10)
    np.testing.assert_allclose(found.doc_counts.sum(axis=1), dense.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.item_counts.sum(axis=1), dense.sum(axis=0), rtol=1e-5)
    assert (found.doc_topic()[7] == 0).all()


def test_the_same_bits_on_any_number_of_threads():
    matrix = plant_lda(0, n_docs=300, n_items=50).views.words.matrix
    assert matrix.nnz / memoised.MOST_BATCHES > 2 * 2 * matrix.shape[1]  # several blocks
    first, *others = (
        fit(matrix, 5, 12, optimise_alpha_every=10, n_threads=n) for n in (1, 2, 3, None)
    )
    for other in others:
        np.testing.assert_array_equal(other.doc_counts, first.doc_counts)
        np.testing.assert_array_equal(other.item_counts, first.item_counts)
        np.testing.assert_array_equal(other.alpha, first.alpha)


def test_counts_on_disk_are_fitted_as_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("mtmbench.models.clusters.BLOCK", 500)
    matrix = plant_lda(1, n_docs=120, n_items=80).views.words.matrix
    on_disk = write_counts(tmp_path / "counts", (matrix[i : i + 50] for i in range(0, 120, 50)))
    assert all(lies_on_disk(part) for part in (on_disk.data, on_disk.indices))
    assert (open_counts(tmp_path / "counts") != matrix).nnz == 0
    found, expected = fit(on_disk, 4, 15), fit(matrix, 4, 15)
    np.testing.assert_array_equal(found.item_counts, expected.item_counts)
    np.testing.assert_array_equal(found.doc_counts, expected.doc_counts)


def lies_on_disk(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap)


def test_a_folder_without_counts_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no counts"):
        open_counts(tmp_path)
    with pytest.raises(InputError, match="no counts to write"):
        write_counts(tmp_path, [])
    with pytest.raises(InputError, match="15 and 9 items"):
        write_counts(tmp_path, [small_counts(), small_counts(n_items=9)])
    with pytest.raises(InputError, match=r"[0-9.]+ cannot be written"):
        write_counts(tmp_path / "shares", [small_counts() * 1.5])
    write_counts(tmp_path / "whole", [small_counts()])
    with pytest.raises(InputError, match="holds counts; give another folder"):
        write_counts(tmp_path / "whole", [small_counts()])


def test_it_stops_by_itself_and_says_how_much_ten_passes_still_gained():
    matrix = plant_lda(2, n_docs=300, n_items=200).views.words.matrix
    found = fit(matrix, 10, 500, tolerance=1e-3, optimise_alpha_every=10)
    assert found.converged
    assert found.sweeps < 500
    assert 0 <= found.change < 1e-3
    short = fit(matrix, 10, 10, tolerance=1e-3)
    assert (short.converged, short.change) == (False, None)


def test_weights_count_as_fractions_of_tokens_and_clusters_read_the_tokens():
    matrix = small_counts(n_docs=30)
    halved = matrix.astype(np.float64) / 2
    weighted = fit(halved, 3, 5, tokens=matrix)
    whole = fit(matrix, 3, 5, alpha=2 * np.linspace(0.1, 0.9, 3), beta=0.1)
    np.testing.assert_allclose(2 * weighted.item_counts, whole.item_counts, rtol=1e-3, atol=1e-3)


def test_it_ends_where_cvb0_does():
    planted = plant_lda(4, n_docs=400, n_items=300)
    matrix = planted.views.words.matrix
    found = fit(matrix, 10, 100, tolerance=1e-3, optimise_alpha_every=10, alpha=np.full(10, 0.5))
    cvb0 = fit_cvb0(
        matrix, 10, alpha=np.full(10, 0.5), beta=0.05, sweeps=100, tolerance=1e-3,
        optimise_alpha_every=10, seed=5,
    )  # fmt: skip
    assert matched_cosine(found.topic_item(), cvb0.topic_item()).min() > 0.97
    assert matched_cosine(found.topic_item(), planted.topic_item).min() > 0.9


def test_fewer_batches_where_their_counts_would_not_fit(monkeypatch):
    assert len(memoised._batches(20_000, 16_384, 100)) == 21
    assert len(memoised._batches(20_000, 1_000_000, 100)) == 2
    assert len(memoised._batches(3, 10, 2)) == 4
    with pytest.raises(InputError, match=r"12 documents and 15 items: 0.0 GiB, more than max_mem"):
        fit(small_counts(), 3, 1, max_memory_gb=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LDA", "MLDA"])
def test_it_keeps_the_contract_of_models(name):
    from mtmbench.models import lda

    check_topic_model(getattr(lda, name)(n_topics=4, engine="memoised"))
