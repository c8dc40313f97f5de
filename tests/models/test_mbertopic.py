from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus, Counts, Views
from mtmbench.models.clustering import cluster_tfidf
from mtmbench.models.mbertopic import MBERTopic, document_vectors

pytestmark = pytest.mark.slow

RECOVERY = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "recovery_clusters.py"))


def make_views(matrix: Any, directions: Any = None, activation: Any = None) -> Views:
    matrix = csr_matrix(matrix, dtype=np.int32)
    n_docs, n_items = matrix.shape
    if directions is None:
        directions = np.eye(n_items, dtype=np.float32)
    ids = tuple(map(str, range(n_items)))
    n_tokens = np.asarray(matrix.sum(axis=1)).ravel() // 2
    features = Counts(
        "features",
        matrix,
        n_tokens,
        ids,
        tuple(f"feature {i}" for i in ids),
        {"sae": "made"},
        directions=directions,
        activation=activation,
    )
    corpus = Corpus("made", tuple(map(str, range(n_docs))), tuple("x" for _ in range(n_docs)))
    return Views(corpus, features=features)


@pytest.fixture(scope="module")
def planted() -> Any:
    return RECOVERY["planted_features"](400, 0)


def test_document_vectors_are_equation_14() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.poisson(1.0, size=(6, 5))
    matrix[2] = 0
    directions = rng.normal(size=(5, 3)).astype(np.float32)
    n_tokens = [7, 3, 9, 1, 4, 12]
    brute = np.zeros((6, 3))
    for d in range(6):
        for i in range(5):
            brute[d] += matrix[d, i] * directions[i] / n_tokens[d]
    ids = tuple("abcde")
    counts = Counts(
        "features", csr_matrix(matrix), np.array(n_tokens), ids, ids, directions=directions
    )
    np.testing.assert_allclose(document_vectors(counts), brute, rtol=1e-5, atol=1e-6)
    assert np.all(document_vectors(counts)[2] == 0)


def test_document_vectors_from_mean_activations() -> None:
    rng = np.random.default_rng(1)
    activation = csr_matrix(rng.random((6, 5)).astype(np.float32))
    directions = rng.normal(size=(5, 3)).astype(np.float32)
    counts = make_views(np.ones((6, 5)), directions, activation).features
    assert counts is not None
    np.testing.assert_allclose(
        document_vectors(counts, "activations"), activation.toarray() @ directions, rtol=1e-5
    )


@pytest.mark.parametrize("seed", range(3))
def test_recovers_planted_clusters(seed: int) -> None:
    planted = RECOVERY["planted_features"](1000, seed)
    assert 0.95 <= planted.oracle <= 0.98
    result = MBERTopic(n_topics=10).fit(planted.views, seed=seed)
    assert RECOVERY["recovered"](planted, result.outlier, result.doc_topic) >= 0.9
    assert result.n_topics == 10


def test_topics_are_class_tfidf_over_features(planted: Any) -> None:
    model = MBERTopic(n_topics=8)
    result = model.fit(planted.views, seed=1)
    matrix = planted.views.features.matrix
    labels = np.array(model._library.topics_)
    np.testing.assert_array_equal(result.outlier, labels < 0)
    weights = cluster_tfidf(matrix, labels, 8)
    np.testing.assert_allclose(
        result.topic_item, weights / weights.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-8
    )
    assert result.items == planted.views.features.items
    assert (result.n_topics, result.info["found"], result.info["asked"]) == (8, 8, 8)


def test_same_seed_same_bits(planted: Any) -> None:
    first, second = (MBERTopic(n_topics=8).fit(planted.views, seed=2) for _ in range(2))
    assert first.revision == second.revision
    assert first.doc_topic.tobytes() == second.doc_topic.tobytes()


def test_embedding_chooses_the_vectors(planted: Any) -> None:
    features = planted.views.features
    rng = np.random.default_rng(0)
    activation = features.matrix.astype(np.float32).tocsr()
    activation.data = activation.data * rng.random(activation.nnz).astype(np.float32)
    views = make_views(features.matrix, features.directions, activation)
    by_counts = MBERTopic(n_topics=8).fit(views, seed=0)
    by_activations = MBERTopic(n_topics=8, embedding="activations").fit(views, seed=0)
    assert by_counts.revision != by_activations.revision
    assert by_activations.params_given == {"n_topics": 8, "embedding": "activations"}


@pytest.mark.parametrize("k", [5, 20, 100])
def test_fits_with_any_number_of_topics(planted: Any, k: int) -> None:
    result = MBERTopic(n_topics=k).fit(planted.views, seed=0)
    assert result.info["found"] == result.n_topics == min(k, result.info["clusters_before_merging"])


def test_documents_without_features_are_outliers_without_mass(planted: Any) -> None:
    features = planted.views.features
    matrix = features.matrix.toarray()
    matrix[[0, 7]] = 0
    result = MBERTopic(n_topics=5).fit(make_views(matrix, features.directions), seed=0)
    assert result.outlier is not None
    assert result.outlier[[0, 7]].all()
    assert np.all(result.doc_topic[[0, 7]] == 0)
    assert result.info["without_vector"] == 2


@pytest.mark.parametrize(
    ("views", "params", "message"),
    [
        (make_views([[3, 1]]), {}, "at least 7 documents.*there are 1"),
        (make_views(np.ones((50, 4))), {}, "all 50 documents have the same"),
        (make_views(np.ones((50, 1))), {}, "at least 2 different features.*1 of 1 occur"),
        (make_views(np.zeros((50, 4))), {}, "at least 7 documents.*there are 0"),
        (make_views(np.eye(50)), {"embedding": "mean"}, "'counts' or 'activations', not 'mean'"),
        (make_views(np.eye(50)), {"embedding": "activations"}, "no continuous activations"),
    ],
)
def test_what_cannot_be_clustered_is_a_clear_error(
    views: Views, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        MBERTopic(**params).fit(views, seed=0)


def test_words_in_the_place_of_features_are_a_clear_error() -> None:
    counts = Counts("words", csr_matrix(np.eye(9)), np.ones(9, int), *[tuple("abcdefghi")] * 2)
    corpus = Corpus("made", tuple("abcdefghi"), tuple("abcdefghi"))
    with pytest.raises(InputError, match="no directions"):
        MBERTopic().fit(Views(corpus, features=counts), seed=0)


def test_transform_places_held_out_documents(planted: Any) -> None:
    train = planted.views.select_docs(range(340))
    held_out = planted.views.select_docs(range(340, 400))
    model = MBERTopic(n_topics=10)
    result = model.fit(train, seed=0)
    theta = model.transform(held_out)
    assert theta.shape == (60, result.n_topics)
    found, truth = result.doc_topic.argmax(axis=1), planted.labels[:340]
    topic_of = [np.bincount(found[truth == k]).argmax() for k in range(10)]
    known = planted.labels[340:] >= 0
    expected = np.array(topic_of)[planted.labels[340:][known]]
    assert np.mean(theta.argmax(axis=1)[known] == expected) > 0.85
