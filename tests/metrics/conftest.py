"""Small corpora, results and contexts for metric tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts, ItemSpace
from mtmbench.features.words import tokenise, word_counts
from mtmbench.metrics.context import MetricContext


def make_corpus(texts: Sequence[str], labels: Sequence[str | None] | None = None) -> Corpus:
    """A pre-tokenised corpus; its documents are split on spaces."""
    return Corpus(
        "made",
        tuple(str(i) for i in range(len(texts))),
        tuple(texts),
        labels=None if labels is None else tuple(labels),
        pretokenised=True,
    )


def make_result(topics: Sequence[Sequence[str]], theta: Any, **more: Any) -> TopicResult:
    """Topics that list their items in the given order."""
    items = sorted({item for topic in topics for item in topic})
    beta = np.zeros((len(topics), len(items)), dtype=np.float32)
    for k, topic in enumerate(topics):
        for rank, item in enumerate(topic):
            beta[k, items.index(item)] = len(topic) - rank
    beta /= np.maximum(beta.sum(axis=1, keepdims=True), 1)
    kind = more.pop("kind", "words")
    source = more.pop("source", {})
    return TopicResult(
        model=more.pop("model", "made"),
        params={},
        params_given={},
        seed=more.pop("seed", 0),
        doc_topic=np.asarray(theta, dtype=np.float32),
        topic_item=beta,
        items=ItemSpace(kind, tuple(items), tuple(items), source),
        corpus={"name": "made", "revision": "made"},
        **more,
    )


def make_context(corpus: Corpus, **more: Any) -> MetricContext:
    """A context with the corpus's tokens and word counts."""
    counts = {"words": word_counts(corpus), **more.pop("counts", {})}
    return MetricContext(corpus, tokens=tokenise(corpus), counts=counts, **more)


def make_features(matrix: Any, **source: Any) -> Counts:
    """Feature counts f0, f1, …"""
    dense = np.asarray(matrix, dtype=np.int32)
    names = tuple(f"f{i}" for i in range(dense.shape[1]))
    return Counts("features", csr_matrix(dense), dense.sum(axis=1).astype(np.int64), names, names,
                  source)  # fmt: skip


@pytest.fixture
def corpus_of() -> Callable[..., Corpus]:
    return make_corpus


@pytest.fixture
def result_of() -> Callable[..., TopicResult]:
    return make_result


@pytest.fixture
def context_of() -> Callable[..., MetricContext]:
    return make_context


@pytest.fixture
def features_of() -> Callable[..., Counts]:
    return make_features


@pytest.fixture
def random_texts() -> Callable[..., list[list[str]]]:
    """Texts over few words, so that windows repeat them; some are short, some empty."""

    def make(seed: int, n: int = 30, n_words: int = 12, longest: int = 40) -> list[list[str]]:
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(np.full(n_words, 0.5))
        lengths = rng.integers(0, longest, n)
        return [[f"w{i}" for i in rng.choice(n_words, size, p=weights)] for size in lengths]

    return make
