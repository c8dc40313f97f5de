"""KeyNMF and S³: the contract, planted topics, the library called by hand, formulas, errors.

turftopic lies in the second environment alone, where `.ci/wheel check` runs these tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import NMF, FastICA
from support.planted import counts_to_views, matched_cosine, plant_lda

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.registry import load_model_card
from mtmbench.models.turftopic import S3, KeyNMF
from mtmbench.testing import check_topic_model

pytest.importorskip("turftopic", reason="turftopic is installed in the second environment alone")

pytestmark = [pytest.mark.second, pytest.mark.slow]

K, V, SIZE = 5, 60, 24


def clusters(seed: int = 0, n_docs: int = 150) -> tuple[Views, Any, Any]:
    """Documents near one of K directions, with nine in ten words from one of K lists of words."""
    rng = np.random.default_rng(seed)
    lists = np.arange(V) % K == np.arange(K)[:, None]
    topics = 0.9 * lists * K / V + 0.1 / V
    own = np.arange(n_docs) % K
    matrix = np.array([rng.multinomial(40, topics[k]) for k in own])
    views = counts_to_views(matrix, matrix.sum(axis=1))

    def near(centres: Any) -> Any:
        vectors = np.eye(SIZE)[centres] + rng.normal(scale=0.1, size=(len(centres), SIZE))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return (
        Views(
            views.corpus,
            words=views.words,
            embeddings=near(own),
            word_embeddings=near(np.arange(V) % K),
        ),
        topics,
        own,
    )


def signals(seed: int = 0, n_docs: int = 1000) -> tuple[Views, Any, Any]:
    """Embeddings that are mixed of K independent, skewed signals, as S³ takes them to be."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(K, SIZE))
    of_docs = rng.exponential(size=(n_docs, K))
    of_words = rng.exponential(size=(V, K)) ** 2
    views = plant_lda(seed, n_docs=n_docs, n_topics=K, n_items=V, doc_length=30).views
    noise = rng.normal(scale=0.01, size=(n_docs + V, SIZE))
    vectors = (np.vstack([of_docs, of_words]) @ mixing + noise).astype(np.float32)
    return (
        Views(
            views.corpus,
            words=views.words,
            embeddings=vectors[:n_docs],
            word_embeddings=vectors[n_docs:],
        ),
        of_docs,
        of_words,
    )


@pytest.mark.parametrize("model", [KeyNMF(n_topics=4), S3(n_topics=4)])
def test_keeps_the_contract(model: Any) -> None:
    check_topic_model(model)


def test_keynmf_recovers_planted_topics() -> None:
    views, topics, own = clusters()
    result = KeyNMF(n_topics=K).fit(views, seed=0)
    assert matched_cosine(result.topic_item, topics).min() >= 0.9
    found = result.doc_topic.argmax(axis=1)
    assert len(set(zip(found, own, strict=True))) == len(set(found)) == K


@pytest.mark.parametrize("seed", range(3))
def test_s3_recovers_planted_signals_with_their_signs(seed: int) -> None:
    views, of_docs, of_words = signals(seed)
    model = S3(n_topics=K, importance="axial")
    result = model.fit(views, seed=seed)
    centred = of_docs - of_docs.mean(axis=0)
    truth = np.maximum(centred / centred.std(axis=0), 0)
    truth /= np.maximum(truth.sum(axis=1, keepdims=True), 1e-12)
    assert matched_cosine(result.doc_topic.T, truth.T).min() >= 0.95
    words = np.maximum((of_words - of_docs.mean(axis=0)).T, 0)
    assert matched_cosine(result.topic_item, words).min() >= 0.95
    # Without being turned, some axes point the other way.
    as_found = S3(n_topics=K, importance="axial", oriented=False).fit(views, seed=seed)
    assert result.info["turned"] > 0
    assert matched_cosine(as_found.topic_item, words).min() < 0.9


def test_keynmf_is_the_factors_of_its_formula() -> None:
    """Cosines, keywords and NMF by hand."""
    views, _, _ = clusters(n_docs=60)
    assert views.words is not None
    assert views.embeddings is not None
    assert views.word_embeddings is not None
    counts = views.words.matrix.toarray()
    cosines = views.embeddings.astype(float) @ views.word_embeddings.T.astype(float)
    keywords = np.zeros(counts.shape)
    for d, row in enumerate(counts):
        present = np.flatnonzero(row)
        nearest = present[np.argsort(-cosines[d, present])][: min(8, len(present) - 1)]
        keywords[d, nearest] = np.maximum(cosines[d, nearest], 0)
    result = KeyNMF(n_topics=K, top_n=8).fit(views, seed=4)
    # NMF's start depends on the order of columns a little: what it comes to does not.
    nmf = NMF(K, random_state=4, tol=1e-8, max_iter=5000)
    weights = nmf.fit_transform(keywords)
    assert matched_cosine(result.topic_item, nmf.components_).min() >= 0.999
    shares = weights * nmf.components_.sum(axis=1)
    assert (
        matched_cosine(result.doc_topic.T, (shares / shares.sum(axis=1)[:, None]).T).min() > 0.999
    )
    assert result.info["keywords"] == np.count_nonzero(keywords.any(axis=0))


def test_keynmf_is_the_library_called_by_hand() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from turftopic import KeyNMF as Library

    from mtmbench.models.turftopic import WordVectors

    views, _, _ = clusters(n_docs=60)
    assert views.words is not None
    assert views.word_embeddings is not None
    names = views.words.item_ids
    texts = [" ".join(np.repeat(names, row)) for row in views.words.matrix.toarray()]
    theirs = Library(
        K,
        encoder=WordVectors(names, views.word_embeddings),
        vectorizer=CountVectorizer(vocabulary=list(names)),
        top_n=10,
        random_state=3,
    )
    theirs.fit_transform(texts, embeddings=views.embeddings)
    result = KeyNMF(n_topics=K, top_n=10).fit(views, seed=3)
    columns = [names.index(word) for word in theirs.model.index_to_key]
    expected = theirs.components_ / theirs.components_.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.topic_item[:, columns], expected, atol=1e-5)


@pytest.mark.parametrize("importance", ["axial", "angular", "combined"])
def test_s3_is_its_formula(importance: Any) -> None:
    views, _, _ = signals()
    assert views.embeddings is not None
    assert views.word_embeddings is not None
    model = S3(n_topics=K, importance=importance)
    result = model.fit(views, seed=2)
    ica = FastICA(K, max_iter=200, random_state=2)
    of_docs = ica.fit_transform(views.embeddings.astype(float)) * model.signs_
    of_words = ica.transform(views.word_embeddings.astype(float)) * model.signs_
    assert ((of_docs**3).mean(axis=0) > 0).all()
    cosine = of_words / np.linalg.norm(of_words, axis=1, keepdims=True)
    weight = {"axial": of_words, "angular": cosine, "combined": of_words**2 * cosine}[importance]
    topics = np.maximum(weight, 0).T
    np.testing.assert_allclose(
        result.topic_item, topics / topics.sum(axis=1, keepdims=True), atol=1e-5
    )
    theta = np.maximum(of_docs, 0)
    sums = theta.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        result.doc_topic, np.divide(theta, sums, out=theta, where=sums > 0), atol=1e-5
    )


@pytest.mark.parametrize("model", [KeyNMF(n_topics=3), S3(n_topics=3)])
def test_documents_without_words_or_vector(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    views, _, _ = clusters(n_docs=40)
    assert views.words is not None
    assert views.embeddings is not None
    matrix, vectors = views.words.matrix.toarray(), views.embeddings.copy()
    matrix[4], vectors[7] = 0, 0
    matrix[5] = np.eye(V)[0]
    words = counts_to_views(matrix, matrix.sum(axis=1)).words
    given = Views(views.corpus, words, embeddings=vectors, word_embeddings=views.word_embeddings)
    fitted = clone(model)
    result = fitted.fit(given, seed=0)
    sums = result.doc_topic.sum(axis=1)
    assert sums[7] == 0
    if isinstance(model, KeyNMF):
        assert sums[4] == sums[5] == 0
    assert result.info["without_vector"] == 1
    assert result.info["library"].startswith("turftopic ")
    np.testing.assert_allclose(fitted.transform(given), result.doc_topic)
    # The library draws a bar and logs its steps.
    assert capsys.readouterr().out == ""


def test_what_cannot_be_fitted_says_why() -> None:
    views, _, _ = clusters(n_docs=20)
    corpus, words, vectors = views.corpus, views.words, views.embeddings
    assert vectors is not None
    with pytest.raises(InputError, match="top_n must be a whole number of at least 1, not 0"):
        KeyNMF(n_topics=3, top_n=0).fit(views, seed=0)
    with pytest.raises(InputError, match="importance cannot be 'axail'; did you mean 'axial'"):
        S3(n_topics=3, importance="axail").fit(views, seed=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"with a vector \(20\) and dimensions \(24\), not 21"):
        S3(n_topics=21).fit(views, seed=0)
    with pytest.raises(InputError, match="needs the word_embeddings view"):
        KeyNMF(n_topics=3).fit(Views(corpus, words=words, embeddings=vectors), seed=0)
    other = Views(corpus, words, embeddings=vectors, word_embeddings=np.ones((V, 3), np.float32))
    with pytest.raises(
        InputError, match="in one space: words have vectors of 3 dimensions, documents of 24"
    ):
        KeyNMF(n_topics=3).fit(other, seed=0)
    model = S3(n_topics=3)
    model.fit(views, seed=0)
    with pytest.raises(InputError, match="fitted on vectors of 24 dimensions, not 5"):
        model.transform(Views(corpus, words, embeddings=vectors[:, :5]))
    with pytest.raises(InputError, match="all are zero"):
        KeyNMF(n_topics=3).fit(
            Views(corpus, words, embeddings=vectors * 0, word_embeddings=views.word_embeddings),
            seed=0,
        )


@pytest.mark.parametrize("model", [KeyNMF, S3])
def test_what_the_cards_search_can_be_fitted(model: Any) -> None:
    views, _, _ = clusters(n_docs=20)
    for parameter, values in load_model_card(model.name).search.items():
        for value in values:
            model(n_topics=3, **{parameter: value}).fit(views, seed=0)
