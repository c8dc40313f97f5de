"""NMF, against scikit-learn on a dense matrix weighted by hand, and on planted topics."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import NMF as Library  # noqa: N811
from sklearn.metrics import normalized_mutual_info_score
from support.planted import counts_to_views, matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.models.nmf import NMF


def views_of(rows):
    matrix = np.asarray(rows)
    return counts_to_views(matrix, matrix.sum(axis=1))


@pytest.fixture(scope="module")
def planted():
    return plant_lda(0, n_docs=300, n_topics=6, n_items=200, doc_length=80)


@pytest.mark.parametrize("weighting", ["tfidf", "counts"])
@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_is_scikit_learn_on_the_same_matrix(planted, weighting, loss):
    """θ is each topic's share of what W H says of a document, β the rows of H."""
    model = NMF(6, weighting, loss, iterations=40)
    result = model.fit(planted.views, seed=3)
    dense = planted.views.words.matrix.toarray().astype(float)
    if weighting == "tfidf":
        n_docs = len(dense)
        for i in range(dense.shape[1]):
            dense[:, i] *= np.log((1 + n_docs) / (1 + np.sum(dense[:, i] > 0))) + 1
        dense /= np.sqrt((dense**2).sum(axis=1, keepdims=True))
    solver = "cd" if loss == "frobenius" else "mu"
    theirs = Library(6, solver=solver, beta_loss=loss, max_iter=40, random_state=3, tol=1e-4)
    w = theirs.fit_transform(dense)
    h = theirs.components_
    parts = np.array([[(w[d, k] * h[k]).sum() for k in range(6)] for d in range(len(dense))])
    np.testing.assert_allclose(
        result.doc_topic, parts / parts.sum(axis=1, keepdims=True), atol=1e-5
    )
    np.testing.assert_allclose(result.topic_item, h / h.sum(axis=1, keepdims=True), atol=1e-6)
    assert result.info["iterations"] == theirs.n_iter_
    assert result.info["error"] == pytest.approx(theirs.reconstruction_err_, abs=1e-5)


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_planted_topics_are_recovered(planted, loss):
    result = NMF(6, "counts", loss).fit(planted.views, seed=0)
    assert matched_cosine(result.topic_item, planted.topic_item).min() > 0.95
    assert matched_cosine(result.doc_topic.T, planted.doc_topic.T).min() > 0.95
    truth = planted.doc_topic.argmax(axis=1)
    found = NMF(6, loss=loss).fit(planted.views, seed=0).doc_topic.argmax(axis=1)
    assert normalized_mutual_info_score(truth, found) > 0.7


def test_the_same_seed_gives_the_same_bits(planted):
    first = NMF(6).fit(planted.views, seed=1)
    assert NMF(6).fit(planted.views, seed=1).revision == first.revision


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_other_documents_are_told_by_the_fitted_topics(planted, loss):
    model = NMF(6, loss=loss)
    rows = np.arange(200)
    model.fit(planted.views.select_docs(rows), seed=0)
    theta = model.transform(planted.views.select_docs(np.arange(200, 300)))
    found = theta.argmax(axis=1)
    assert normalized_mutual_info_score(planted.doc_topic[200:].argmax(axis=1), found) > 0.7


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_a_document_without_words_and_more_topics_than_documents(loss):
    given = views_of([[3, 1, 0], [0, 0, 0], [0, 1, 4]])
    model = NMF(5, loss=loss)
    result = model.fit(given, seed=0)
    assert result.topic_item.shape == (5, 3)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(model.transform(given).sum(axis=1), [1, 0, 1], atol=1e-6)


def test_one_iteration_has_not_converged(planted):
    assert NMF(6, iterations=1).fit(planted.views, seed=0).info["converged"] is False


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weighting": "tfdif"}, "unknown weighting 'tfdif'; did you mean 'tfidf'"),
        ({"loss": "squared"}, "unknown loss 'squared'"),
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
        ({"tolerance": -1.0}, "tolerance must be at least 0, not -1.0"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(InputError, match=message):
        NMF(2, **params).fit(views_of([[1, 2], [2, 1]]), seed=0)
