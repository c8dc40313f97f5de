"""LDA and mLDA: recovery of planted topics, engines, degenerate corpora, fold-in."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import clone
from support.planted import counts_to_views, matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.gibbs import sampled_topics
from mtmbench.models.lda import LDA, MLDA


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cvb0", "memoised"])
@pytest.mark.parametrize("model", [LDA, MLDA])
@pytest.mark.parametrize("seed", range(5))
def test_planted_topics_are_recovered(model, seed, engine):
    planted = plant_lda(seed, n_docs=400, n_items=500, kind=model.item_view)
    result = model(n_topics=10, engine=engine).fit(planted.views, seed=seed)
    scores = matched_cosine(result.topic_item, planted.topic_item)
    assert scores.mean() >= 0.9
    assert scores.min() >= 0.7
    assert result.items.kind == model.item_view
    found = matched_cosine(result.doc_topic.T, planted.doc_topic.T)
    assert found.mean() >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["gensim", "tomotopy"])
def test_other_engines_find_the_same_topics(engine):
    pytest.importorskip(engine)
    planted = plant_lda(0, n_docs=150, n_items=150, n_topics=4)
    model = LDA(n_topics=4, engine=engine, iterations=10)
    first = model.fit(planted.views, seed=1)
    assert matched_cosine(first.topic_item, planted.topic_item).min() > 0.95
    assert clone(model).fit(planted.views, seed=1).revision == first.revision
    np.testing.assert_allclose(
        matched_cosine(model.transform(planted.views).T, first.doc_topic.T), 1, atol=0.02
    )
    assert len(first.info["alpha"]) == 4


def test_the_engine_is_chosen_by_size_and_stands_on_record():
    views = plant_lda(0, n_docs=200, n_items=20, doc_length=60).views
    small = LDA(n_topics=5, iterations=20).fit(views, seed=0)
    assert small.info["engine"] == small.params["engine"] == "cvb0"
    assert "engine" not in small.params_given
    assert small.revision == LDA(5, "cvb0", iterations=20).fit(views, seed=0).revision
    # Of 800 numbers a topic, which is less than there are counts, documents and items need 600.
    assert views.words.matrix.nnz > 800
    large = LDA(n_topics=5, iterations=20, max_memory_gb=4 * 5 * 800 / 2**30)
    result = large.fit(views, seed=0)
    assert result.info["engine"] == result.params["engine"] == "memoised"
    assert result.info["start"] == "clusters"
    np.testing.assert_allclose(large.transform(views).sum(axis=1), 1, atol=1e-5)


def test_a_key_knows_auto_as_the_engine_that_it_was():
    chosen, named = (LDA(engine=e).get_params() for e in ("auto", "cvb0"))
    assert LDA.params_in_key(chosen) == named
    # What refuses where the other takes another engine is not the same.
    assert LDA.params_in_key(named) != named
    other = LDA(engine="memoised").get_params()
    assert LDA.params_in_key(other) == other


def test_the_same_seed_gives_the_same_bits():
    planted = plant_lda(3, n_docs=100, n_items=100)
    first, second, other = (LDA(n_topics=10).fit(planted.views, seed=s) for s in (7, 7, 8))
    assert first.revision == second.revision
    assert first.revision != other.revision


def test_transform_of_the_training_documents_is_close_to_the_fit():
    planted = plant_lda(2, n_docs=200, n_items=300)
    model = LDA(n_topics=10)
    result = model.fit(planted.views, seed=0)
    theta = model.transform(planted.views)
    assert theta.dtype == np.float32
    assert np.abs(theta - result.doc_topic).mean() < 0.01
    subset = model.transform(planted.views.select_docs([5, 3]))
    np.testing.assert_array_equal(subset, theta[[5, 3]])


@pytest.mark.parametrize("n_topics", [5, 20, 100])
def test_any_number_of_topics_fits(n_topics):
    planted = plant_lda(0, n_docs=60, n_items=80, doc_length=30)
    result = LDA(n_topics=n_topics, iterations=20).fit(planted.views, seed=0)
    assert result.doc_topic.shape == (60, n_topics)
    np.testing.assert_allclose(result.topic_item.sum(axis=1), 1, atol=1e-5)


def test_one_document():
    result = LDA(n_topics=3).fit(views([[3, 1, 0, 2]]), seed=0)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), 1, atol=1e-6)
    mixture = result.doc_topic[0] @ result.topic_item
    np.testing.assert_allclose(mixture, np.array([3, 1, 0, 2]) / 6, atol=0.1)


def test_one_item():
    result = LDA(n_topics=3).fit(views([[3], [1], [2]]), seed=0)
    np.testing.assert_allclose(result.topic_item, 1)


def test_identical_documents_get_identical_mixtures():
    result = LDA(n_topics=4).fit(views([[3, 1, 0, 2]] * 30), seed=0)
    mixtures = result.doc_topic @ result.topic_item
    np.testing.assert_allclose(mixtures, [np.array([3, 1, 0, 2]) / 6] * 30, atol=0.02)


def test_a_document_without_items_has_a_row_of_zeros():
    result = LDA(n_topics=2).fit(views([[3, 1], [0, 0], [1, 4]]), seed=0)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), [1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("engine", ["gensim", "tomotopy"])
def test_other_engines_keep_rows_of_zeros_and_unused_items(engine):
    pytest.importorskip(engine)
    given = views([[3, 1, 0], [0, 0, 0], [1, 4, 0]])
    result = LDA(n_topics=2, engine=engine, iterations=5).fit(given, seed=0)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), [1, 0, 1], atol=1e-5)
    assert result.topic_item.shape == (2, 3)


@pytest.mark.parametrize("engine", ["cvb0", "tomotopy"])
def test_one_topic_is_the_smoothed_shares_of_all_items(engine):
    if engine != "cvb0":
        pytest.importorskip(engine)
    given = views([[3, 1, 0, 0], [0, 4, 0, 2]])
    result = LDA(n_topics=1, engine=engine, beta=0.5, iterations=3).fit(given, seed=0)
    # Item 2 occurs nowhere, and has its β all the same.
    np.testing.assert_allclose(result.topic_item[0], np.array([3.5, 5.5, 0.5, 2.5]) / 12, rtol=1e-6)


def test_tomotopys_topics_are_its_own_counts_smoothed_over_all_items():
    tomotopy = pytest.importorskip("tomotopy")
    planted = plant_lda(1, n_docs=40, n_items=60, n_topics=3)
    lda = tomotopy.LDAModel(k=3, eta=0.1, seed=2)
    for row in planted.views.words.matrix.toarray():
        lda.add_doc([str(i + 10) for i, n in enumerate(row) for _ in range(n)])
    lda.train(30, workers=1)
    counts = np.zeros((3, 75))
    for doc in lda.docs:
        np.add.at(counts, (doc.topics, [int(lda.vocabs[word]) for word in doc.words]), 1)
    expected = (counts + 0.1) / (counts.sum(axis=1, keepdims=True) + 75 * 0.1)
    np.testing.assert_allclose(sampled_topics(lda, range(lda.k), 0.1, 75), expected, rtol=1e-4)


def test_engines_have_versions_of_their_own():
    assert [LDA.version_of(LDA(engine=e).get_params()) for e in ("cvb0", "gensim", "tomotopy")] == [
        LDA.version, LDA.version, LDA.version + 1,
    ]  # fmt: skip
    assert MLDA.version_of({"engine": "tomotopy"}) == MLDA.version + 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be a whole number"),
        ({"engine": "atuo"}, "did you mean 'auto'"),
        ({"engine": "gensin"}, "did you mean 'gensim'"),
        ({"alpha": 0.0}, "alpha must be above zero"),
        ({"beta": -1.0}, "beta must be above zero"),
        ({"iterations": 0}, "iterations must be at least 1"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(InputError, match=message):
        LDA(**params).fit(views([[1, 2]]), seed=0)


def test_what_cannot_be_fitted_or_transformed_says_why():
    with pytest.raises(InputError, match="has any words"):
        LDA().fit(views([[0, 0], [0, 0]]), seed=0)
    with pytest.raises(InputError, match="needs the features view"):
        MLDA().fit(views([[1, 2]]), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        LDA().transform(views([[1, 2]]))
    model = LDA(n_topics=2)
    model.fit(views([[1, 2]]), seed=0)
    with pytest.raises(InputError, match="other items"):
        model.transform(views([[1, 2, 3]]))


def test_a_missing_engine_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tomotopy", None)
    with pytest.raises(InputError, match=r"mtmbench\[tomotopy\]"):
        LDA(engine="tomotopy").fit(views([[1, 2]]), seed=0)


def test_results_record_given_and_resolved_parameters():
    result = LDA(n_topics=2, beta=0.02).fit(views([[1, 2], [2, 1]]), seed=4)
    assert result.params_given == {"n_topics": 2, "beta": 0.02}
    assert result.params["engine"] == "cvb0"
    assert result.seed == 4
    assert len(result.info["alpha"]) == 2


def views(rows: list[list[int]]) -> Views:
    matrix = np.array(rows)
    return counts_to_views(matrix, matrix.sum(axis=1))
