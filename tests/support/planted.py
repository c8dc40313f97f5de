"""Generated corpora with known topics, for recovery tests of topic models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmbench.core.types import (
    Corpus,
    Counts,
    EncoderParams,
    Float64Array,
    FloatArray,
    IntArray,
    ItemKind,
    Views,
)


@dataclass(frozen=True)
class Planted:
    """A generated corpus and the truth behind it.

    Attributes:
        views: word or feature counts of the corpus.
        doc_topic: (D, K) true θ.
        topic_item: (K, V) true topics; for :func:`plant_metm` the firing probabilities π.
    """

    views: Views
    doc_topic: Float64Array
    topic_item: Float64Array


def plant_lda(
    seed: int,
    *,
    n_docs: int = 1000,
    n_topics: int = 10,
    n_items: int = 1000,
    doc_length: int = 100,
    alpha: float = 0.1,
    beta: float = 0.05,
    kind: ItemKind = "words",
) -> Planted:
    """Generates counts by LDA's own process.

    Args:
        seed: seed of every draw.
        n_docs: D.
        n_topics: K.
        n_items: V.
        doc_length: items in every document.
        alpha: Dirichlet parameter of each document's topics, per topic.
        beta: Dirichlet parameter of each topic's items, per item.
        kind: the view that holds the counts.
    """
    rng = np.random.default_rng(seed)
    topic_item = rng.dirichlet(np.full(n_items, beta), n_topics)
    doc_topic = rng.dirichlet(np.full(n_topics, alpha), n_docs)
    matrix = np.array([rng.multinomial(doc_length, theta @ topic_item) for theta in doc_topic])
    n_tokens = np.full(n_docs, doc_length)
    return Planted(counts_to_views(matrix, n_tokens, kind=kind), doc_topic, topic_item)


def plant_metm(
    seed: int,
    encoder: EncoderParams,
    *,
    n_docs: int = 1000,
    n_topics: int = 10,
    doc_length: int = 100,
    alpha: float = 0.1,
    spread: float = 2.0,
    rate: float = 0.05,
) -> Planted:
    """Generates SAE counts by mETM's own process from random topic vectors.

    Topic vectors t_k are normal, long enough that the pre-activations of a feature differ between
    topics with standard deviation ``spread`` · T; T is 1, or more where the encoder's constant
    part alone varies more than that; o makes features fire on ``rate`` of the tokens.

    Args:
        seed: seed of every draw.
        encoder: the SAE's pre-activation.
        n_docs: D.
        n_topics: K.
        doc_length: tokens in every document.
        alpha: Dirichlet parameter of each document's topics, per topic.
        spread: standard deviation of logits between topics.
        rate: mean firing probability of a feature.
    """
    rng = np.random.default_rng(seed)
    weight = encoder.weight.astype(np.float64)
    constant = encoder.bias - encoder.subtract @ weight
    temperature = max(1.0, float(constant.std()) / spread)
    signal = rng.standard_normal((n_topics, weight.shape[0])) @ weight
    signal *= spread * temperature / signal.std(axis=0).mean()
    logits = (signal + constant) / temperature
    probability = _sigmoid(logits - _offset(logits, rate))
    doc_topic = rng.dirichlet(np.full(n_topics, alpha), n_docs)
    matrix = rng.binomial(doc_length, doc_topic @ probability)
    n_tokens = np.full(n_docs, doc_length)
    views = counts_to_views(matrix, n_tokens, kind="features", encoder=encoder)
    return Planted(views, doc_topic, probability)


def random_encoder(seed: int, n_inputs: int = 64, n_features: int = 512) -> EncoderParams:
    """Returns an encoder of random unit columns, small biases and no input centring."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((n_inputs, n_features))
    weight /= np.linalg.norm(weight, axis=0)
    bias = 0.1 * rng.standard_normal(n_features)
    return EncoderParams(
        weight.astype(np.float32), bias.astype(np.float32), np.zeros(n_inputs, np.float32)
    )


def counts_to_views(
    matrix: IntArray,
    n_tokens: IntArray,
    *,
    kind: ItemKind = "words",
    encoder: EncoderParams | None = None,
) -> Views:
    """Wraps a dense (D, V) array of counts into the views of a corpus with placeholder texts."""
    from scipy.sparse import csr_matrix

    n_docs, n_items = matrix.shape
    names = tuple(f"{kind[:-1]}{i}" for i in range(n_items))
    counts = Counts(
        kind,
        csr_matrix(matrix.astype(np.int32)),
        np.asarray(n_tokens, dtype=np.int64),
        names,
        names,
        source={"generated": True},
        encoder=encoder,
    )
    ids = tuple(str(d) for d in range(n_docs))
    corpus = Corpus("planted", ids, tuple(f"document {d}" for d in ids))
    return Views(corpus, words=counts) if kind == "words" else Views(corpus, features=counts)


def matched_cosine(found: FloatArray | Float64Array, truth: Float64Array) -> Float64Array:
    """Returns the cosine of every true row to the found row that it is matched with (K,).

    The matching is one-to-one and maximises the sum of cosines (Hungarian algorithm); a true row
    without a partner, where fewer were found, scores 0.
    """
    from scipy.optimize import linear_sum_assignment

    cosine = _unit(truth) @ _unit(np.asarray(found, dtype=np.float64)).T
    rows, columns = linear_sum_assignment(-cosine)
    scores = np.zeros(len(truth))
    scores[rows] = cosine[rows, columns]
    return scores


def _unit(rows: Float64Array) -> Float64Array:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))


def _sigmoid(x: Float64Array) -> Float64Array:
    from scipy.special import expit

    return np.asarray(expit(x))


def _offset(logits: Float64Array, rate: float) -> float:
    """The offset at which the mean of σ(logits − offset) is ``rate``."""
    from scipy.optimize import brentq

    low, high = float(logits.min()) - 50, float(logits.max()) + 50
    return float(brentq(lambda o: _sigmoid(logits - o).mean() - rate, low, high))
