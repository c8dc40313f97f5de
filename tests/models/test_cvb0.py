"""CVB0 against a slow reference, closed forms, a numerical optimiser and Gibbs sampling."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import digamma, gammaln
from support.planted import plant_lda

from mtmbench.core.errors import InputError
from mtmbench.models import cvb0


def small_counts(seed: int = 0, n_docs: int = 12, n_items: int = 15) -> csr_matrix:
    rng = np.random.default_rng(seed)
    return csr_matrix(rng.poisson(0.7, (n_docs, n_items)).astype(np.int32))


def reference_sweeps(matrix, gamma, alpha, beta, sweeps, weights=None):
    """CVB0 with every token of its own: all counts summed afresh for each single update.

    A token of item v counts ``weights[v]`` times wherever it is counted.
    """
    weights = np.ones(matrix.shape[1]) if weights is None else weights
    entries = [
        (d, int(v), int(c) * weights[v])
        for d in range(matrix.shape[0])
        for v, c in zip(matrix[d].indices, matrix[d].data, strict=True)
    ]
    gamma = gamma.astype(np.float64)
    for _ in range(sweeps):
        for n, (d, v, _count) in enumerate(entries):
            in_doc = in_topic = in_all = -weights[v] * gamma[n]
            for m, (e, w, count) in enumerate(entries):
                in_all = in_all + count * gamma[m]
                if e == d:
                    in_doc = in_doc + count * gamma[m]
                if w == v:
                    in_topic = in_topic + count * gamma[m]
            fresh = (in_doc + alpha) * (in_topic + beta) / (in_all + matrix.shape[1] * beta)
            gamma[n] = fresh / fresh.sum()
    doc_counts = np.zeros((matrix.shape[0], len(alpha)))
    item_counts = np.zeros((matrix.shape[1], len(alpha)))
    for n, (d, v, count) in enumerate(entries):
        doc_counts[d] += count * gamma[n]
        item_counts[v] += count * gamma[n]
    return doc_counts, item_counts


@pytest.mark.parametrize("sweeps", [1, 3])
def test_sweeps_equal_a_reference_that_recounts_for_every_update(sweeps):
    matrix, alpha = small_counts(), np.array([0.3, 0.1, 0.7])
    start = cvb0._start(matrix, 3, seed=5)
    expected = reference_sweeps(matrix, start, alpha, 0.05, sweeps)
    fit = cvb0.fit_cvb0(
        matrix, 3, alpha=alpha, beta=0.05, sweeps=sweeps, tolerance=0.0,
        optimise_alpha_every=0, seed=5,
    )  # fmt: skip
    np.testing.assert_allclose(fit.doc_counts, expected[0], atol=2e-6)
    np.testing.assert_allclose(fit.item_counts, expected[1], atol=2e-6)


@pytest.mark.parametrize("sweeps", [1, 3])
def test_tokens_that_weigh_other_than_one_leave_out_their_own_weight(sweeps):
    matrix, alpha = small_counts(), np.array([0.3, 0.1, 0.7])
    weights = np.random.default_rng(1).uniform(0.05, 2.5, matrix.shape[1])
    weighted = matrix.astype(np.float64)
    weighted.data *= weights[weighted.indices]
    start = cvb0._start(matrix, 3, seed=5)
    expected = reference_sweeps(matrix, start, alpha, 0.05, sweeps, weights)
    fit = cvb0.fit_cvb0(
        weighted, 3, alpha=alpha, beta=0.05, sweeps=sweeps, tolerance=0.0,
        optimise_alpha_every=0, seed=5, tokens=matrix,
    )  # fmt: skip
    np.testing.assert_allclose(fit.doc_counts, expected[0], atol=2e-6)
    np.testing.assert_allclose(fit.item_counts, expected[1], atol=2e-6)


def test_fold_in_of_one_weighted_token_is_exact():
    phi = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    alpha = np.array([0.4, 1.6])
    theta = cvb0.fold_in(
        csr_matrix(np.array([[0, 0, 2.5]])), phi, alpha, tokens=csr_matrix(np.array([[0, 0, 1]]))
    )
    posterior = alpha * phi[:, 2] / (alpha @ phi[:, 2])
    np.testing.assert_allclose(theta[0], (2.5 * posterior + alpha) / (2.5 + alpha.sum()), rtol=1e-6)


def test_one_topic_is_the_smoothed_share_of_each_item():
    matrix = small_counts()
    fit = cvb0.fit_cvb0(
        matrix, 1, alpha=np.array([5.0]), beta=0.01, sweeps=5, tolerance=0.0,
        optimise_alpha_every=0, seed=0,
    )  # fmt: skip
    totals = np.asarray(matrix.sum(axis=0)).ravel() + 0.01
    np.testing.assert_allclose(fit.topic_item()[0], totals / totals.sum(), rtol=1e-6)
    np.testing.assert_allclose(fit.doc_topic(), 1.0)


def test_no_count_is_lost():
    matrix = small_counts(n_docs=40)
    fit = cvb0.fit_cvb0(
        matrix, 7, alpha=np.full(7, 0.1), beta=0.01, sweeps=30, tolerance=0.0,
        optimise_alpha_every=10, seed=0,
    )  # fmt: skip
    np.testing.assert_allclose(
        fit.doc_counts.sum(axis=1), np.asarray(matrix.sum(axis=1)).ravel(), rtol=1e-5
    )
    np.testing.assert_allclose(
        fit.item_counts.sum(axis=1), np.asarray(matrix.sum(axis=0)).ravel(), rtol=1e-5
    )


def test_minka_alpha_is_the_maximum_of_the_dirichlet_multinomial_likelihood():
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 1.0, 3.0])
    counts = np.array([rng.multinomial(40, rng.dirichlet(truth)) for _ in range(400)], float)

    def negative_log_likelihood(log_alpha):
        alpha = np.exp(log_alpha)
        rows = gammaln(counts + alpha).sum(axis=1) - gammaln(alpha).sum()
        return -(rows + gammaln(alpha.sum()) - gammaln(counts.sum(axis=1) + alpha.sum())).sum()

    best = np.exp(minimize(negative_log_likelihood, np.zeros(3), tol=1e-10).x)
    with_empty = np.vstack([counts, np.zeros((5, 3))])
    found = cvb0.minka_alpha(with_empty, np.ones(3), steps=500)
    np.testing.assert_allclose(found, best, rtol=1e-3)


@pytest.mark.parametrize("n_topics", [2, 7])
def test_blocks_of_documents_give_the_bits_of_the_whole(monkeypatch, n_topics):
    rng = np.random.default_rng(4)
    drawn = rng.poisson(0.4, (300, 40)).astype(np.int32)
    drawn[17:29] = 0
    matrix = csr_matrix(drawn)
    weighted = matrix.astype(np.float64).multiply(rng.uniform(0.5, 2, 40)).tocsr()
    phi = rng.dirichlet(np.full(40, 0.3), n_topics)
    counts = (rng.gamma(0.3, 5, (300, n_topics)) * (rng.random((300, 1)) > 0.1)).astype(np.float32)
    alpha = rng.uniform(0.1, 1, n_topics)

    def all_of():
        return (
            cvb0.minka_alpha(counts, alpha, steps=5),
            cvb0.posterior_mean(counts, alpha),
            cvb0.fold_in(matrix, phi, alpha),
            cvb0.fold_in(weighted, phi, alpha, tokens=matrix),
        )

    whole = all_of()
    # As they were defined before there were blocks.
    used = counts.sum(axis=1) > 0
    kept = counts[used].astype(np.float64)
    by_hand = alpha
    for _ in range(5):
        upper = (digamma(kept + by_hand) - digamma(by_hand)).sum(axis=0)
        total = by_hand.sum()
        lower = (digamma(kept.sum(axis=1) + total) - digamma(total)).sum()
        by_hand = np.maximum(by_hand * upper / lower, cvb0.SMALLEST_ALPHA)
    np.testing.assert_array_equal(whole[0], by_hand)
    for cells in (1, 50, 1000):
        monkeypatch.setattr(cvb0, "BLOCK_CELLS", cells)
        for one, other in zip(whole, all_of(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_large_fits_are_re_estimated_and_folded_in_little_memory():
    """Beyond what is given and returned, less than half of θ in f64."""
    n_docs, n_topics = 200_000, 100
    counts = np.full((n_docs, n_topics), 0.5, dtype=np.float32)
    matrix = csr_matrix(
        (np.ones(n_docs, np.int32), np.arange(n_docs) % 30, np.arange(n_docs + 1)), (n_docs, 30)
    )
    phi, alpha = np.full((n_topics, 30), 1 / 30), np.full(n_topics, 0.05)
    theta = 8 * n_docs * n_topics
    for work, returned in (
        (lambda: cvb0.minka_alpha(counts, alpha, steps=1), 0),
        (lambda: cvb0.posterior_mean(counts, alpha), theta),
        (lambda: cvb0.fold_in(matrix, phi, alpha, sweeps=1), theta),
    ):
        tracemalloc.start()
        work()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < returned + 0.5 * theta


def test_fold_in_of_one_token_is_exact():
    phi = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    alpha = np.array([0.4, 1.6])
    theta = cvb0.fold_in(csr_matrix(np.array([[0, 0, 1]])), phi, alpha)
    posterior = alpha * phi[:, 2] / (alpha @ phi[:, 2])
    np.testing.assert_allclose(theta[0], (posterior + alpha) / (1 + alpha.sum()), rtol=1e-6)


def test_fold_in_ends_at_a_fixed_point():
    rng = np.random.default_rng(3)
    phi, alpha = rng.dirichlet(np.full(15, 0.3), 4), np.array([0.1, 0.2, 0.3, 0.4])
    document = np.array([3, 0, 1, 2, 0, 0, 1, 4, 0, 0, 1, 0, 0, 2, 0])
    theta = cvb0.fold_in(csr_matrix(document[None]), phi, alpha, sweeps=2000, tolerance=1e-9)
    used = np.flatnonzero(document)
    gamma = np.full((len(used), 4), 0.25)
    for _ in range(2000):
        for n, v in enumerate(used):
            rest = document[used] @ gamma - gamma[n]
            fresh = (rest + alpha) * phi[:, v]
            gamma[n] = fresh / fresh.sum()
    expected = (document[used] @ gamma + alpha) / (document.sum() + alpha.sum())
    np.testing.assert_allclose(theta[0], expected, atol=1e-5)


def test_documents_without_tokens_have_no_mass():
    matrix = csr_matrix(np.array([[2, 1, 0], [0, 0, 0], [0, 1, 3]]))
    fit = cvb0.fit_cvb0(
        matrix, 2, alpha=np.ones(2), beta=0.1, sweeps=10, tolerance=0.0,
        optimise_alpha_every=5, seed=0,
    )  # fmt: skip
    assert (fit.doc_topic()[1] == 0).all()
    np.testing.assert_allclose(fit.doc_topic()[[0, 2]].sum(axis=1), 1)
    assert (cvb0.fold_in(matrix, fit.topic_item(), fit.alpha)[1] == 0).all()


def test_held_out_perplexity_is_that_of_gibbs_sampling():
    tomotopy = pytest.importorskip("tomotopy")
    planted = plant_lda(1, n_docs=500, n_items=400, doc_length=80, alpha=0.2)
    assert planted.views.words is not None
    matrix = planted.views.words.matrix
    train, observed, held = matrix[:400], *halves(matrix[400:])
    fit = cvb0.fit_cvb0(
        train, 10, alpha=np.full(10, 0.5), beta=0.01, sweeps=100, tolerance=1e-3,
        optimise_alpha_every=10, seed=0,
    )  # fmt: skip
    gibbs = tomotopy.LDAModel(k=10, alpha=0.5, eta=0.01, seed=0)
    gibbs.optim_interval = 10
    for row in train.toarray():
        gibbs.add_doc([str(v) for v in np.repeat(np.arange(len(row)), row)])
    gibbs.train(150, workers=1)
    phi = np.full((10, matrix.shape[1]), 1e-6)
    columns = [int(word) for word in gibbs.used_vocabs]
    phi[:, columns] = [gibbs.get_topic_word_dist(k) for k in range(10)]
    ours = perplexity(cvb0.fold_in(observed, fit.topic_item(), fit.alpha), fit.topic_item(), held)
    theirs = perplexity(cvb0.fold_in(observed, phi, np.asarray(gibbs.alpha, float)), phi, held)
    assert ours < 1.02 * theirs
    truth = perplexity(planted.doc_topic[400:], planted.topic_item, held)
    assert truth < ours < 1.15 * truth


def test_too_many_responsibilities_are_refused_with_their_size():
    with pytest.raises(InputError, match=r"GiB, more than max_memory_gb = 1e-06"):
        cvb0.fit_cvb0(
            small_counts(), 5, alpha=np.ones(5), beta=0.1, sweeps=1, tolerance=0.0,
            optimise_alpha_every=0, seed=0, max_memory_gb=1e-6,
        )  # fmt: skip


def halves(matrix):
    observed = matrix.copy()
    observed.data = np.random.default_rng(0).binomial(matrix.data, 0.5).astype(np.int32)
    return observed, matrix - observed


def perplexity(theta, phi, held):
    held = held.tocoo()
    probability = (theta[held.row] * phi.T[held.col]).sum(axis=1)
    return float(np.exp(-(held.data * np.log(probability)).sum() / held.data.sum()))
