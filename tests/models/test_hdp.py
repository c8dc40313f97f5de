"""HDP: planted topics and how many, against the library called by hand, folding in, errors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support.planted import counts_to_views, matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.models.hdp import HDP


@pytest.fixture(scope="module")
def planted():
    return plant_lda(0, n_docs=200, n_topics=5, n_items=150, doc_length=50)


@pytest.fixture(scope="module")
def fitted(planted):
    model = HDP(n_topics=12, iterations=200, alpha=1.0, gamma=1.0, beta=0.05)
    return model, model.fit(planted.views, seed=2)


@pytest.mark.slow
def test_planted_topics_are_found_without_their_number(planted, fitted):
    _, result = fitted
    assert matched_cosine(result.topic_item, planted.topic_item).min() > 0.95
    assert matched_cosine(result.doc_topic.T, planted.doc_topic.T).min() > 0.9
    assert result.info["asked"] == 12
    assert result.n_topics == result.info["found"] == min(12, result.info["inferred"])
    # What is more than planted holds little.
    assert np.sort(result.shares)[::-1][:5].sum() > 0.85


@pytest.mark.slow
def test_is_the_library_called_by_hand_cut_to_its_largest_topics(planted):
    import tomotopy

    result = HDP(n_topics=3, iterations=40, initial_topics=8, alpha=1.0, beta=0.05).fit(
        planted.views, seed=4
    )
    matrix = planted.views.words.matrix.toarray()
    by_hand = tomotopy.HDPModel(initial_k=8, alpha=1.0, gamma=0.1, eta=0.05, seed=4)
    for row in matrix:
        by_hand.add_doc([str(i) for i in range(len(row)) for _ in range(row[i])])
    by_hand.train(40, workers=1)
    assigned = [
        [(w, z) for w, z in zip(doc.words, doc.topics, strict=True)] for doc in by_hand.docs
    ]
    counts = np.zeros((by_hand.k, matrix.shape[1]))
    in_doc = np.zeros((len(matrix), by_hand.k))
    for d, doc in enumerate(assigned):
        for word, topic in doc:
            counts[topic, int(by_hand.vocabs[word])] += 1
            in_doc[d, topic] += 1
    totals = counts.sum(axis=1)
    kept = np.argsort(-totals, kind="stable")[:3]
    phi = (counts[kept] + 0.05) / (totals[kept] + 0.05 * matrix.shape[1])[:, None]
    np.testing.assert_allclose(result.topic_item, phi, rtol=1e-3, atol=1e-7)
    theta = in_doc[:, kept] + by_hand.alpha * totals[kept] / totals.sum()
    np.testing.assert_allclose(
        result.doc_topic, theta / theta.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    assert result.info["inferred"] == np.sum(totals > 0) > 3
    assert result.info["kept"] == pytest.approx(totals[kept].sum() / matrix.sum(), abs=1e-4)


def test_the_same_seed_gives_the_same_bits(planted):
    first = HDP(n_topics=6, iterations=20).fit(planted.views, seed=1)
    assert HDP(n_topics=6, iterations=20).fit(planted.views, seed=1).revision == first.revision
    assert HDP(n_topics=6, iterations=20).fit(planted.views, seed=3).revision != first.revision


@pytest.mark.slow
def test_other_documents_are_folded_in_under_the_fitted_topics(planted, fitted):
    model, result = fitted
    theta = model.transform(planted.views)
    assert matched_cosine(theta.T, planted.doc_topic.T).min() > 0.9
    assert np.abs(theta - result.doc_topic).mean() < 0.02


def test_documents_without_words_have_a_row_of_zeros():
    matrix = np.array([[3, 1, 0, 2], [0, 0, 0, 0], [1, 0, 4, 1]])
    given = counts_to_views(matrix, matrix.sum(axis=1))
    model = HDP(n_topics=1, iterations=5)
    result = model.fit(given, seed=0)
    np.testing.assert_allclose(result.doc_topic, [[1], [0], [1]], atol=1e-6)
    np.testing.assert_allclose(model.transform(given), [[1], [0], [1]], atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": 0.0}, "alpha must be above zero"),
        ({"gamma": -1.0}, "gamma must be above zero"),
        ({"beta": 0.0}, "beta must be above zero"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"initial_topics": 1}, "initial_topics must be at least 2"),
    ],
)
def test_wrong_parameters_are_named(planted, params, message):
    with pytest.raises(InputError, match=message):
        HDP(**params).fit(planted.views, seed=0)


def test_without_the_library_the_extra_is_named(planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomotopy", None)
    with pytest.raises(InputError, match=r"'hdp' needs a package .* pip install 'mtmbench\[tomo"):
        HDP().fit(planted.views, seed=0)
