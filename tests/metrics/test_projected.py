"""Projected words against the formula written out, and against class TF-IDF over hard clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts
from mtmbench.metrics.projected import crossed_projection, projected_words


def word_matrix(dense: Any) -> Counts:
    dense = np.asarray(dense, dtype=np.int32)
    words = tuple(f"w{i}" for i in range(dense.shape[1]))
    return Counts("words", csr_matrix(dense), dense.sum(axis=1).astype(np.int64), words, words)


def test_weights_follow_the_formula() -> None:
    rng = np.random.default_rng(0)
    n = rng.poisson(0.7, (40, 12))
    n[:, 3] = 0
    n[:4, 3] = 2
    theta = rng.dirichlet(np.full(3, 0.4), 40)
    theta[5] = 0
    words, weights = projected_words(theta, word_matrix(n), n=6, min_df=5)
    tf = [[sum(theta[d, k] * n[d, v] for d in range(40)) for v in range(12)] for k in range(3)]
    f = [sum(tf[k][v] for k in range(3)) for v in range(12)]
    mean_total = sum(f) / 3
    for k in range(3):
        expected = {
            f"w{v}": tf[k][v] / sum(tf[k]) * math.log(1 + mean_total / f[v])
            for v in range(12)
            if (n[:, v] > 0).sum() >= 5
        }
        ranked = sorted(expected, key=lambda word: -expected[word])[:6]
        assert words[k] == ranked
        assert weights[k] == pytest.approx([expected[word] for word in ranked], abs=1e-9)
        assert "w3" not in words[k]


@pytest.mark.slow
def test_hard_clusters_give_bertopics_class_tfidf() -> None:
    from bertopic.vectorizers import ClassTfidfTransformer

    rng = np.random.default_rng(1)
    n = rng.poisson(1.0, (60, 10))
    clusters = rng.integers(0, 4, 60)
    per_class = np.array([n[clusters == k].sum(axis=0) for k in range(4)])
    theirs = ClassTfidfTransformer().fit_transform(csr_matrix(per_class)).toarray()
    words, weights = projected_words(np.eye(4)[clusters], word_matrix(n), n=10, min_df=1)
    for k in range(4):
        ours = dict(zip(words[k], weights[k], strict=True))
        # BERTopic rounds the mean total down to a whole number.
        assert [ours[f"w{v}"] for v in range(10)] == pytest.approx(theirs[k], rel=0.01)


def test_ties_go_by_column_and_zero_weights_are_not_shown() -> None:
    n = [[1, 1, 0, 0]] * 5 + [[0, 0, 1, 1]] * 5
    theta = [[1.0, 0, 0]] * 5 + [[0, 1.0, 0]] * 5
    words, weights = projected_words(theta, word_matrix(n))
    assert words == [["w0", "w1"], ["w2", "w3"], []]
    assert weights[0][0] == weights[0][1]
    assert weights[2] == []


def test_other_documents_are_an_error() -> None:
    with pytest.raises(InputError, match="3 documents but the word counts 2"):
        projected_words(np.ones((3, 1)), word_matrix([[1], [1]]))


def test_a_half_is_told_by_its_own_documents() -> None:
    rng = np.random.default_rng(3)
    n = rng.poisson(0.5, (60, 9))
    theta = rng.dirichlet(np.full(3, 0.4), 60)
    halves = "".join(rng.choice(list("01"), 60))
    crossed = crossed_projection(theta, word_matrix(n), halves, n=5, min_df=5)
    for half, found in zip("01", crossed, strict=True):
        rows = [i for i in range(60) if halves[i] == half]
        assert found == projected_words(theta[rows], word_matrix(n[rows]), n=5, min_df=3)
    # A word of fewer documents than three of a half tells nothing there.
    n[:, 0] = [half == "0" for half in halves]
    n[[halves.index("1"), halves.rindex("1")], 0] = 50
    first, second = crossed_projection(theta, word_matrix(n), halves, n=9, min_df=5)
    assert any("w0" in words for words in first[0])
    assert not any("w0" in words for words in second[0])
    with pytest.raises(InputError, match="halves of 2 documents, but θ has 60"):
        crossed_projection(theta, word_matrix(n), "01")


def test_a_half_without_documents_tells_nothing() -> None:
    first, second = crossed_projection(np.ones((6, 1)), word_matrix([[1]] * 6), "000000")
    assert (first[0], second[0]) == ([["w0"]], [[]])


def test_context_gives_prefixes_of_one_projection(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    texts = ["a a b", "a b", "a b c", "a b c d", "a b c d e"] * 3
    theta = np.random.default_rng(0).dirichlet([1, 1], 15)
    result = result_of([["a"], ["b"]], theta)
    context = context_of(corpus_of(texts))
    words, _ = projected_words(result.doc_topic, context.counts["words"], 3, 5)
    assert context.projected_words(result, 3) == words
    assert context.projected_words(result, 1) == [row[:1] for row in words]
    with pytest.raises(InputError, match="1 documents but corpus 'made' has 15"):
        context.projected_words(result_of([["a"]], [[1]]), 3)
