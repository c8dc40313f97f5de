"""Collapsed variational Bayes for LDA on sparse counts (CVB0), compiled by numba.

Asuncion, Welling, Smyth and Teh, "On smoothing and inference for topic models" (UAI 2009), eq. 13.
All tokens of one item in one document share a responsibility vector γ, so that the state is one
K-vector per non-zero count. Documents and, within them, items are visited in storage order and one
thread does all the work: equal input gives equal output, bit for bit.

Where tokens weigh other than one (Wilson and Chew, "Term weighting schemes for latent Dirichlet
allocation", NAACL 2010), one that leaves takes its own weight out of the counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array, FloatArray, Int32Array, IntArray
from mtmbench.models.clusters import cluster_documents
from mtmbench.models.compiled import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SMALLEST_ALPHA = 1e-4
"""Floor of an α_k, so that an unused topic keeps a finite digamma."""

ALPHA_TOLERANCE = 0.01
"""α has settled when a re-estimation moves it by less than this share of its sum (L1)."""

BLOCK_CELLS = 2**20
"""Numbers of a block of documents that is worked on at once: 8 MiB in f64."""

SMALLEST_WEIGHT = 1e-280
"""Floor of an unnormalised responsibility, which rounding could otherwise turn negative."""


@dataclass(frozen=True)
class LDAFit:
    """Statistics of a fitted LDA.

    Attributes:
        doc_counts: (D, K) expected tokens of each document in each topic, N_dk; f32 or f64.
        item_counts: (V, K) expected tokens of each item in each topic, N_vk.
        alpha: (K,) document prior after the last re-estimation.
        beta: topic prior of every item.
        sweeps: sweeps done.
        change: what the stopping rule holds against the tolerance: of CVB0 the mean over tokens of
            ‖γ_new − γ_old‖₁ in the last sweep.
        converged: the stopping rule was met before the sweeps ran out.
    """

    doc_counts: FloatArray | Float64Array
    item_counts: Float64Array
    alpha: Float64Array
    beta: float
    sweeps: int
    change: float | None
    converged: bool

    def topic_item(self) -> Float64Array:
        """Returns φ (K, V), the posterior mean of every topic; rows sum to one."""
        smoothed = self.item_counts.T + self.beta
        return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))

    def doc_topic(self) -> Float64Array:
        """Returns θ (D, K), the posterior mean of every document; all zero without tokens."""
        return posterior_mean(self.doc_counts, self.alpha)


def fit_cvb0(
    matrix: csr_matrix,
    n_topics: int,
    *,
    alpha: Float64Array,
    beta: float,
    sweeps: int,
    tolerance: float,
    optimise_alpha_every: int,
    seed: int,
    max_memory_gb: float = 8.0,
    tokens: csr_matrix | None = None,
) -> LDAFit:
    """Fits LDA to counts.

    Args:
        matrix: csr (D, V) of non-negative counts, or of what they weigh.
        n_topics: K.
        alpha: (K,) document prior to start from.
        beta: topic prior of every item.
        sweeps: most sweeps over the non-zero counts.
        tolerance: stop once the mean over tokens of ‖γ_new − γ_old‖₁ in a sweep is below it and
            the last re-estimation moved α by less than :data:`ALPHA_TOLERANCE` of its sum.
        optimise_alpha_every: sweeps between re-estimations of α (Minka's fixed point, five steps
            each); 0 keeps α.
        seed: seed of the responsibilities to start from (clusters of documents, and noise); the
            only random choice.
        max_memory_gb: most memory, in GiB, for the responsibilities (4 · non-zeros · K bytes).
        tokens: csr (D, V) of whole counts with the entries of ``matrix``, where that holds their
            weights; None where it holds counts.

    Raises:
        InputError: the responsibilities would not fit; the message gives their size.
    """
    indptr, indices, counts = _parts(matrix)
    each = _weight_of_one(matrix, tokens)
    size_gb = responsibilities_gb(matrix, n_topics)
    if size_gb > max_memory_gb:
        raise InputError(
            f"CVB0 keeps one number per non-zero count and topic: {len(indices):,} x {n_topics} "
            f"x 4 bytes = {size_gb:.1f} GiB, more than max_memory_gb = {max_memory_gb:g}; raise "
            "it, drop rare items, or use engine='memoised', which does not keep them"
        )
    n_docs, n_items = matrix.shape
    # The start's clusters weigh items by an idf of their own.
    responsibilities = _start(matrix if tokens is None else tokens, n_topics, seed)
    doc_counts = np.zeros((n_docs, n_topics))
    item_counts = np.zeros((n_items, n_topics))
    prior = np.array(alpha, dtype=np.float64)
    total = max(float(counts.sum()), 1.0)
    _recount(indptr, indices, counts, responsibilities, doc_counts, item_counts)
    change, done, settled = 0.0, 0, not optimise_alpha_every
    for done in range(1, sweeps + 1):
        change = _sweep(
            indptr, indices, counts, each, responsibilities, doc_counts, item_counts, prior, beta
        )
        change /= total
        if optimise_alpha_every and done % optimise_alpha_every == 0:
            before, prior = prior, minka_alpha(doc_counts, prior, steps=5)
            settled = bool(np.abs(prior - before).sum() < ALPHA_TOLERANCE * before.sum())
        if change < tolerance and settled:
            break
    # Leave out the rounding error that the sweeps' additions and subtractions add up.
    _recount(indptr, indices, counts, responsibilities, doc_counts, item_counts)
    return LDAFit(
        doc_counts,
        item_counts,
        prior,
        beta,
        done,
        float(change),
        bool(change < tolerance and settled),
    )


def responsibilities_gb(matrix: csr_matrix, n_topics: int) -> float:
    """Returns the size, in GiB, of the responsibilities that :func:`fit_cvb0` keeps."""
    return 4 * int(matrix.nnz) * n_topics / 2**30


def fold_in(
    matrix: csr_matrix,
    topic_item: Float64Array,
    alpha: Float64Array,
    *,
    sweeps: int = 100,
    tolerance: float = 1e-4,
    tokens: csr_matrix | None = None,
) -> Float64Array:
    """Returns θ (D, K) of documents under fixed topics; all zero without tokens.

    CVB0 with φ fixed, from responsibilities proportional to α_k φ_kv; every document stops by
    itself when its mean ‖γ_new − γ_old‖₁ falls below ``tolerance``, or after ``sweeps``. Documents
    are read block by block, so that the counts may lie on disk.

    Args:
        matrix: csr (D, V) of counts, or of what they weigh.
        topic_item: (K, V) φ.
        alpha: (K,) document prior.
        sweeps: most sweeps over a document.
        tolerance: see above.
        tokens: as for :func:`fit_cvb0`.
    """
    n_topics = len(alpha)
    item_topic = np.ascontiguousarray(topic_item.T, dtype=np.float64)
    prior = np.asarray(alpha, dtype=np.float64)
    theta = np.zeros((matrix.shape[0], n_topics))
    longest = int(np.diff(matrix.indptr).max(initial=0))
    scratch = np.zeros((longest, n_topics), dtype=np.float32)
    for rows in _blocks(matrix.indptr + n_topics * np.arange(len(matrix.indptr))):
        block = matrix[rows]
        each = _weight_of_one(block, None if tokens is None else tokens[rows])
        _fold(*_parts(block), each, scratch, theta[rows], item_topic, prior, sweeps, tolerance)
        theta[rows] = posterior_mean(theta[rows], prior)
    return theta


def minka_alpha(
    doc_counts: FloatArray | Float64Array, alpha: Float64Array, *, steps: int
) -> Float64Array:
    """Re-estimates an asymmetric α from expected counts (Minka 2000, eq. 55).

    ``α_k ← α_k Σ_d [ψ(N_dk + α_k) − ψ(α_k)] / Σ_d [ψ(N_d + α₀) − ψ(α₀)]``, over documents with
    tokens, floored at :data:`SMALLEST_ALPHA`.

    Args:
        doc_counts: (D, K) N_dk.
        alpha: (K,) value to start from.
        steps: fixed-point steps.
    """
    n_topics = doc_counts.shape[1]
    blocks = list(_blocks(n_topics * np.arange(len(doc_counts) + 1)))
    lengths = np.zeros(len(doc_counts))
    for rows in blocks:
        lengths[rows] = doc_counts[rows].astype(np.float64).sum(axis=1)
    used = lengths > 0
    lengths = lengths[used]
    if not len(lengths):
        return alpha
    for _ in range(steps):
        total = alpha.sum()
        upper = np.zeros(n_topics)
        for rows in blocks:
            counts = doc_counts[rows][used[rows]].astype(np.float64)
            terms = digamma(counts + alpha) - digamma(alpha)
            # Onto the first row, so that all is added up in the order of one sum.
            terms[:1] += upper
            if len(terms):
                upper = terms.sum(axis=0)
        lower = (digamma(lengths + total) - digamma(total)).sum()
        alpha = np.maximum(alpha * upper / lower, SMALLEST_ALPHA)
    return alpha


def posterior_mean(doc_counts: FloatArray | Float64Array, alpha: Float64Array) -> Float64Array:
    """Returns (N_dk + α_k) / (N_d + α₀); the row of a document without tokens is all zero."""
    theta = np.zeros(doc_counts.shape)
    for rows in _blocks(len(alpha) * np.arange(len(theta) + 1)):
        counts = doc_counts[rows].astype(np.float64)
        lengths = counts.sum(axis=1, keepdims=True)
        np.divide(counts + alpha, lengths + alpha.sum(), out=theta[rows], where=lengths > 0)
    return theta


def _blocks(ends: IntArray) -> Iterator[slice]:
    """Cuts documents into runs of :data:`BLOCK_CELLS` numbers, or one document.

    Args:
        ends: (D + 1,) numbers of all documents before each, and of all.
    """
    first = 0
    while first < len(ends) - 1:
        last = int(np.searchsorted(ends, ends[first] + BLOCK_CELLS, side="right")) - 1
        yield slice(first, max(last, first + 1))
        first = max(last, first + 1)


def _parts(matrix: csr_matrix) -> tuple[IntArray, Int32Array, Float64Array]:
    return (
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data.astype(np.float64),
    )


def _weight_of_one(matrix: csr_matrix, tokens: csr_matrix | None) -> Float64Array | None:
    """What one token of each entry weighs; None where all weigh one."""
    return None if tokens is None else np.asarray(matrix.data / tokens.data, np.float64)


def _start(matrix: csr_matrix, n_topics: int, seed: int) -> FloatArray:
    """Responsibilities to start from, one row per non-zero count.

    Half of each is uniform on the simplex, half is the cluster of its document. From random rows
    alone CVB0 merged two of ten planted topics in 12 of 60 generated corpora, from these in none.
    """
    cluster = cluster_documents(matrix, n_topics, seed=seed)
    start = np.random.default_rng(seed).standard_exponential(
        (matrix.nnz, n_topics), dtype=np.float32
    )
    start += np.float32(1e-6)
    start /= 2 * start.sum(axis=1, keepdims=True)
    start[np.arange(matrix.nnz), np.repeat(cluster, np.diff(matrix.indptr))] += np.float32(0.5)
    return start


@compiled
def _recount(
    indptr: IntArray,
    indices: Int32Array,
    counts: Float64Array,
    responsibilities: FloatArray,
    doc_counts: Float64Array,
    item_counts: Float64Array,
) -> None:
    doc_counts[:] = 0.0
    item_counts[:] = 0.0
    for d in range(len(indptr) - 1):
        in_doc = doc_counts[d]
        for n in range(indptr[d], indptr[d + 1]):
            in_topic, shares = item_counts[indices[n]], responsibilities[n]
            for k in range(len(shares)):
                weight = counts[n] * shares[k]
                in_doc[k] += weight
                in_topic[k] += weight


@compiled
def _sweep(
    indptr: IntArray,
    indices: Int32Array,
    counts: Float64Array,
    each: Float64Array | None,
    responsibilities: FloatArray,
    doc_counts: Float64Array,
    item_counts: Float64Array,
    alpha: Float64Array,
    beta: float,
) -> float:
    n_topics = len(alpha)
    topic_counts = item_counts.sum(axis=0)
    beta_total = item_counts.shape[0] * beta
    fresh = np.empty(n_topics)
    change = 0.0
    for d in range(len(indptr) - 1):
        in_doc = doc_counts[d]
        for n in range(indptr[d], indptr[d + 1]):
            in_topic, shares = item_counts[indices[n]], responsibilities[n]
            norm = 0.0
            for k in range(n_topics):
                # One token leaves its own counts (the "¬ij" of the paper). The branch is resolved
                # when it is compiled: without weights there is no multiplication.
                old = shares[k] if each is None else each[n] * shares[k]
                value = (
                    (in_doc[k] - old + alpha[k])
                    * (in_topic[k] - old + beta)
                    / (topic_counts[k] - old + beta_total)
                )
                value = max(value, SMALLEST_WEIGHT)
                fresh[k] = value
                norm += value
            scale = 1.0 / norm
            moved = 0.0
            for k in range(n_topics):
                new = np.float32(fresh[k] * scale)
                delta = counts[n] * (new - shares[k])
                shares[k] = new
                in_doc[k] += delta
                in_topic[k] += delta
                topic_counts[k] += delta
                moved += abs(delta)
            change += moved
    return change


@compiled
def _fold(
    indptr: IntArray,
    indices: Int32Array,
    counts: Float64Array,
    each: Float64Array | None,
    scratch: FloatArray,
    doc_counts: Float64Array,
    item_topic: Float64Array,
    alpha: Float64Array,
    sweeps: int,
    tolerance: float,
) -> None:
    n_topics = len(alpha)
    fresh = np.empty(n_topics)
    for d in range(len(indptr) - 1):
        first, in_doc, length = indptr[d], doc_counts[d], 0.0
        for n in range(first, indptr[d + 1]):
            weights, shares = item_topic[indices[n]], scratch[n - first]
            norm = 0.0
            for k in range(n_topics):
                fresh[k] = max(alpha[k] * weights[k], SMALLEST_WEIGHT)
                norm += fresh[k]
            for k in range(n_topics):
                shares[k] = np.float32(fresh[k] / norm)
                in_doc[k] += counts[n] * shares[k]
            length += counts[n]
        for _ in range(sweeps):
            change = 0.0
            for n in range(first, indptr[d + 1]):
                weights, shares = item_topic[indices[n]], scratch[n - first]
                norm = 0.0
                for k in range(n_topics):
                    old = shares[k] if each is None else each[n] * shares[k]
                    value = (in_doc[k] - old + alpha[k]) * weights[k]
                    fresh[k] = max(value, SMALLEST_WEIGHT)
                    norm += fresh[k]
                scale = 1.0 / norm
                for k in range(n_topics):
                    new = np.float32(fresh[k] * scale)
                    delta = counts[n] * (new - shares[k])
                    shares[k] = new
                    in_doc[k] += delta
                    change += abs(delta)
            if change <= tolerance * length:
                break
