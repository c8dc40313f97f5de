from __future__ import annotations

import random
import runpy
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus, Counts, Views
from mtmbench.engine.results import cautions
from mtmbench.models.bertopic import BERTopic
from mtmbench.models.clustering import (
    LAYOUT_GRID,
    RowCounts,
    cluster_tfidf,
    fill_missing_membership,
    start_layout,
)

pytestmark = pytest.mark.slow

RECOVERY = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "recovery_clusters.py"))


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_views(embeddings: Any, matrix: Any, words: tuple[str, ...] | None = None) -> Views:
    matrix = csr_matrix(np.asarray(matrix, dtype=np.int32))
    n_docs, n_items = matrix.shape
    words = words or tuple(f"w{i}" for i in range(n_items))
    texts = tuple(f"text {i}" for i in range(n_docs))
    corpus = Corpus("made", tuple(map(str, range(n_docs))), texts)
    n_tokens = np.asarray(matrix.sum(axis=1)).ravel().astype(np.int64)
    counts = Counts("words", matrix, n_tokens, words, words)
    return Views(corpus, words=counts, embeddings=np.asarray(embeddings, dtype=np.float32))


def blobs(n_docs: int, n_blobs: int, seed: int = 0, scatter: float = 0.45) -> Views:
    """Clusters in 12 dimensions, each with words of its own."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_blobs, size=n_docs)
    centres = rng.normal(size=(n_blobs, 12))
    embeddings = unit(centres[truth] + scatter * rng.normal(size=(n_docs, 12)))
    words = rng.dirichlet(np.full(60, 0.1), size=n_blobs)
    matrix = np.stack([rng.multinomial(30, words[k]) for k in truth])
    return make_views(embeddings, matrix)


def without_structure(n_docs: int, n_items: int = 30) -> Views:
    rng = np.random.default_rng(n_docs)
    embeddings = unit(rng.normal(size=(n_docs, 16)))
    return make_views(embeddings, rng.poisson(1.0, size=(n_docs, n_items)))


@pytest.fixture(scope="module")
def views() -> Views:
    return blobs(240, 12, scatter=0.8)


@pytest.fixture(scope="module")
def fitted(views: Views) -> tuple[BERTopic, Any]:
    model = BERTopic(n_topics=5, min_cluster_size=5)
    return model, model.fit(views, seed=3)


@pytest.mark.parametrize("count_outliers", [False, True])
def test_is_the_library_on_the_same_texts(
    views: Views, fitted: tuple[BERTopic, Any], count_outliers: bool
) -> None:
    """The library, given the words as texts, clusters, merges and weighs alike.

    Its ``nr_topics`` counts the outlier cluster, so that it is K where ours does too.
    """
    from bertopic import BERTopic as Library
    from hdbscan import HDBSCAN
    from sklearn.feature_extraction.text import CountVectorizer
    from umap import UMAP
    from umap.umap_ import find_ab_params

    matrix = views.words.matrix.toarray()
    words = views.words.item_ids
    texts = [" ".join(np.repeat(words, row)) for row in matrix]
    shape = np.round(find_ab_params(1.0, 0.0), 6)
    umap = UMAP(
        15, n_components=5, min_dist=0.0, metric="cosine", random_state=3, n_jobs=1,
        init=start_layout(views.embeddings, 5, 3), a=shape[0], b=shape[1],
    )  # fmt: skip
    library = Library(
        umap_model=umap,
        hdbscan_model=HDBSCAN(min_cluster_size=5, prediction_data=True),
        vectorizer_model=CountVectorizer(vocabulary=words, analyzer=str.split),
        calculate_probabilities=True,
        nr_topics=5 if count_outliers else 6,
    )
    # Nor does the order of equal distances differ.
    stable = SimpleNamespace(**{**vars(np), "argsort": partial(np.argsort, kind="stable")})
    with patch("hdbscan.hdbscan_.np", stable):
        topics, membership = library.fit_transform(texts, embeddings=views.embeddings)
    _, result = fitted
    if count_outliers:
        result = BERTopic(5, min_cluster_size=5, count_outliers=True).fit(views, seed=3)
    assert min(topics) == -1, "the data were made to have outliers"
    assert result.info["clusters_before_merging"] > 5
    assert result.info.get("outlier_counted", False) is count_outliers
    assert result.n_topics == max(topics) + 1 == 5 - count_outliers
    assert "found" not in cautions(result, 5)
    np.testing.assert_array_equal(result.outlier, np.array(topics) < 0)
    expected = membership / membership.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.doc_topic, expected, atol=1e-6)
    # The library's c-TF-IDF has the outliers as a class and cuts A to a whole number.
    with_outliers = cluster_tfidf(views.words.matrix, np.array(topics) + 1, 6 - count_outliers)
    np.testing.assert_allclose(with_outliers, library.c_tf_idf_.toarray(), rtol=1e-3)


def test_k_counts_real_topics_where_no_document_is_an_outlier() -> None:
    """The library's own ``nr_topics = K + 1`` would give K + 1 topics here."""
    result = BERTopic(n_topics=5, min_cluster_size=5).fit(blobs(240, 12), seed=3)
    assert result.info["clusters_before_merging"] == 12
    assert not result.outlier.any()
    assert result.n_topics == 5
    counting = BERTopic(5, min_cluster_size=5, count_outliers=True).fit(blobs(240, 12), seed=3)
    assert "outlier_counted" not in counting.info
    np.testing.assert_array_equal(counting.doc_topic, result.doc_topic)


def one_large_and_two_small() -> tuple[Views, Any]:
    """Six neighbouring blobs, joined by a haze, that excess of mass takes for one; two far away."""
    rng = np.random.default_rng(0)
    near = np.zeros((6, 12))
    near[:, 0] = 6.0
    near[np.arange(6), 1 + np.arange(6)] = 1.2
    far = np.eye(12)[[10, 11]] * 6.0
    truth = np.repeat(np.arange(8), [60] * 6 + [20, 20])
    embeddings = np.vstack([near, far])[truth] + 0.45 * rng.normal(size=(len(truth), 12))
    words = rng.dirichlet(np.full(80, 0.1), size=8)
    return make_views(unit(embeddings), [rng.multinomial(30, words[k]) for k in truth]), truth


def test_leaves_are_clusters_where_one_would_hold_nearly_everything() -> None:
    views, truth = one_large_and_two_small()
    published = BERTopic(n_topics=8, leaf_above=1).fit(views, seed=0)
    assert published.info["selection"] == "eom"
    share = published.info["largest_cluster"]
    assert share > 0.8
    result = BERTopic(n_topics=8).fit(views, seed=0)
    assert result.info["selection"] == "leaf"
    assert result.info["largest_cluster"] == share
    assert result.n_topics > published.n_topics
    score = [
        normalized_mutual_info_score(truth, fit.doc_topic.argmax(axis=1))
        for fit in (published, result)
    ]
    assert score[1] > score[0] + 0.1


def test_where_no_cluster_dominates_nothing_changes(
    views: Views, fitted: tuple[BERTopic, Any]
) -> None:
    _, result = fitted
    assert result.info["selection"] == "eom"
    assert result.info["largest_cluster"] <= 0.8
    without = BERTopic(n_topics=5, min_cluster_size=5, leaf_above=1).fit(views, seed=3)
    assert without.revision == result.revision


def test_merged_membership_is_the_sum_over_the_merged_clusters(
    fitted: tuple[BERTopic, Any],
) -> None:
    import hdbscan

    model, result = fitted
    clusterer = model._library.hdbscan_model
    soft = hdbscan.all_points_membership_vectors(clusterer)
    final = np.array(model._library.topics_)
    expected = np.zeros((len(final), result.n_topics))
    for cluster in range(soft.shape[1]):
        (topic,) = set(final[clusterer.labels_ == cluster])
        expected[:, topic] += soft[:, cluster]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.doc_topic, expected, atol=1e-6)


def test_topic_item_is_class_tfidf_of_the_clusters_without_the_outliers(
    views: Views, fitted: tuple[BERTopic, Any]
) -> None:
    model, result = fitted
    topics = np.array(model._library.topics_)
    counters = [Counter[int]() for _ in range(5)]
    for row, topic in zip(views.words.matrix.toarray(), topics, strict=True):
        if topic >= 0:
            counters[topic].update({i: int(n) for i, n in enumerate(row) if n})
    mean_total = sum(c.total() for c in counters) / 5
    everywhere = sum(counters, Counter[int]())
    brute = np.zeros((5, 60))
    for topic, counter in enumerate(counters):
        for item, n in counter.items():
            idf = np.log(1 + mean_total / everywhere[item])
            brute[topic, item] = n / counter.total() * idf
    np.testing.assert_allclose(result.topic_item, unit_sum(brute), rtol=1e-5)


def test_class_tfidf_is_the_librarys_transformer_where_the_mean_total_is_whole() -> None:
    from bertopic.vectorizers import ClassTfidfTransformer

    totals = np.array([[4, 2, 0, 6], [1, 1, 9, 1], [3, 0, 2, 7]])
    assert totals.sum() / 3 == 12
    labels = np.array([0, 1, 2])
    theirs = ClassTfidfTransformer().fit_transform(csr_matrix(totals)).toarray()
    np.testing.assert_allclose(cluster_tfidf(csr_matrix(totals), labels, 3), theirs, rtol=1e-6)


def test_class_tfidf_gives_zero_to_items_and_topics_without_occurrences() -> None:
    matrix = csr_matrix(np.array([[2, 0, 0], [0, 1, 0], [0, 0, 5]]))
    weights = cluster_tfidf(matrix, np.array([0, 0, -1]), 2)
    assert weights[0, 2] == 0
    assert np.all(weights[1] == 0)
    np.testing.assert_allclose(weights[0, :2], [2 / 3 * np.log(1.75), 1 / 3 * np.log(2.5)])


@pytest.mark.parametrize("seed", range(3))
def test_recovers_planted_clusters(seed: int) -> None:
    planted = RECOVERY["planted_embeddings"](1000, seed)
    assert 0.95 <= planted.oracle <= 0.98
    result = BERTopic(n_topics=10).fit(planted.views, seed=seed)
    assert RECOVERY["recovered"](planted, result.outlier, result.doc_topic) >= 0.9
    assert result.n_topics == 10


def test_same_seed_same_bits_and_nothing_else_moves(
    views: Views, fitted: tuple[BERTopic, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    np.random.seed(11)
    random.seed(11)
    before = np.random.get_state()[1].tolist(), random.getstate()
    again = BERTopic(n_topics=5, min_cluster_size=5).fit(views, seed=3)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before
    assert again.revision == fitted[1].revision
    assert again.doc_topic.tobytes() == fitted[1].doc_topic.tobytes()
    assert again.topic_item.tobytes() == fitted[1].topic_item.tobytes()
    assert BERTopic(n_topics=5, min_cluster_size=5).fit(views, seed=4).revision != again.revision
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("k", [5, 20, 100])
def test_fits_with_any_number_of_topics(views: Views, k: int) -> None:
    result = BERTopic(n_topics=k).fit(views, seed=0)
    assert result.info["asked"] == k
    assert result.info["found"] == result.n_topics == min(k, result.info["clusters_before_merging"])
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(result.topic_item.sum(axis=1), 1, atol=1e-5)
    assert result.items.ids == views.words.item_ids


def test_parameters_are_stated_as_resolved(views: Views) -> None:
    assert clone(BERTopic(n_topics=7, min_dist=0.1)).get_params()["n_topics"] == 7
    result = BERTopic(n_topics=12).fit(views, seed=0)
    assert result.params["min_cluster_size"] == result.params["min_samples"] == 4  # 240 // (5 · 12)
    assert result.params_given == {"n_topics": 12}
    assert BERTopic(n_topics=5)._resolve(100_000)["min_cluster_size"] == 10
    assert BERTopic(n_topics=100)._resolve(300)["min_cluster_size"] == 3
    assert BERTopic()._resolve(9)["n_neighbors"] == 8


@pytest.mark.parametrize(
    ("views", "params", "message"),
    [
        (without_structure(1), {}, "at least 7 documents.*there are 1"),
        (without_structure(6), {"min_cluster_size": 2}, "at least 7 documents.*there are 6"),
        (without_structure(7), {}, "no cluster among D = 7 documents with min_cluster_size = 3"),
        (without_structure(50, n_items=1), {}, "at least 2 different words.*1 of 1 occur"),
        (make_views(unit(np.eye(50)), np.zeros((50, 3))), {}, "0 of 3 occur"),
        (make_views(np.ones((50, 8)) / 3, np.ones((50, 3))), {}, "all 50 documents have the same"),
        (make_views(np.full((50, 8), np.nan), np.ones((50, 3))), {}, "document 0 holds non-finite"),
        (make_views(np.ones((49, 8)), np.ones((50, 3))), {}, "the 50 documents"),
        (without_structure(50), {"n_topics": 0}, "n_topics must be"),
        (without_structure(50), {"min_cluster_size": 1}, "min_cluster_size must be.*not 1"),
        (without_structure(50), {"min_cluster_size": "small"}, "or 'auto', not 'small'"),
        (without_structure(50), {"min_samples": 40}, "at least 80 documents"),
        (without_structure(50), {"n_neighbors": 1}, "n_neighbors must be"),
        (without_structure(50), {"min_dist": 2}, "min_dist must be"),
        (without_structure(50), {"leaf_above": 80}, "leaf_above must be between 0 and 1, not 80"),
        (without_structure(50), {"count_outliers": "yes"}, "must be true or false, not 'yes'"),
        (without_structure(50), {"n_topics": 1, "count_outliers": True}, "at least 2, .* not 1"),
    ],
)
def test_what_cannot_be_clustered_is_a_clear_error(
    views: Views, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        BERTopic(**params).fit(views, seed=0)


def test_needs_its_views(views: Views) -> None:
    with pytest.raises(InputError, match="'bertopic' needs the embeddings view"):
        BERTopic().fit(Views(views.corpus, words=views.words), seed=0)


def test_duplicated_documents_share_a_topic() -> None:
    rng = np.random.default_rng(0)
    three = np.repeat(unit(rng.normal(size=(3, 8))), 40, axis=0)
    matrix = np.repeat(np.eye(3, dtype=int), 40, axis=0)
    result = BERTopic(n_topics=5).fit(make_views(three, matrix), seed=0)
    assert result.n_topics == 3
    strongest = result.doc_topic.argmax(axis=1)
    assert [len(set(strongest[i : i + 40])) for i in (0, 40, 80)] == [1, 1, 1]
    assert sorted(result.topic_item.argmax(axis=1)) == [0, 1, 2]


def test_coinciding_documents_without_membership_take_their_label() -> None:
    soft = np.array([[0.2, 0.3], [np.nan, np.nan], [0.0, 0.0], [0.0, 0.0]])
    filled, n_hard = fill_missing_membership(soft, [0, 1, 0, -1])
    assert n_hard == 2
    np.testing.assert_array_equal(filled, [[0.2, 0.3], [0, 1], [1, 0], [0, 0]])


def test_documents_without_a_vector_are_outliers_without_mass(views: Views) -> None:
    embeddings = views.embeddings.copy()
    embeddings[[4, 9]] = 0
    result = BERTopic(n_topics=5).fit(Views(views.corpus, views.words, None, embeddings), seed=0)
    assert result.outlier[[4, 9]].all()
    assert np.all(result.doc_topic[[4, 9]] == 0)
    assert result.info["without_vector"] == 2


def test_row_counts_sums_the_rows_that_it_is_named() -> None:
    matrix = csr_matrix(np.array([[1, 0], [2, 3], [0, 5]]))
    rows = RowCounts(matrix, ["é", "a-b"])
    np.testing.assert_array_equal(rows.transform(["0 2", "1"]).toarray(), [[1, 5], [2, 3]])
    assert list(rows.get_feature_names_out()) == ["é", "a-b"]


def test_transform_places_held_out_documents() -> None:
    everything = blobs(300, 4, seed=5)
    train, held_out = everything.select_docs(range(240)), everything.select_docs(range(240, 300))
    model = BERTopic(n_topics=4)
    result = model.fit(train, seed=0)
    theta = model.transform(held_out)
    assert theta.shape == (60, 4)
    np.testing.assert_allclose(theta.sum(axis=1), 1, atol=1e-5)
    nearest = (held_out.embeddings @ train.embeddings.T).argmax(axis=1)
    same = theta.argmax(axis=1) == result.doc_topic[nearest].argmax(axis=1)
    assert same.mean() > 0.9
    np.testing.assert_array_equal(model.transform(held_out), theta)
    seen = model.transform(train).argmax(axis=1) == result.doc_topic.argmax(axis=1)
    assert seen.mean() > 0.9
    with pytest.raises(InputError, match="other items"):
        model.transform(without_structure(20))


def test_transform_before_fit_is_an_error(views: Views) -> None:
    with pytest.raises(InputError, match="not fitted"):
        BERTopic().transform(views)


def unit_sum(rows: Any) -> Any:
    return rows / rows.sum(axis=1, keepdims=True)


def test_the_start_is_the_principal_components_however_the_last_bits_fall() -> None:
    rng = np.random.default_rng(5)
    vectors = unit(rng.normal(size=(80, 12)) * np.linspace(3, 1, 12) + 1)
    layout = start_layout(vectors, 4, seed=0)
    expected = PCA(4, svd_solver="full").fit_transform(vectors)
    expected *= 10 / np.abs(expected).max()
    signs = np.sign(np.sum(expected * layout, axis=0))
    np.testing.assert_allclose(layout, expected * signs, atol=LAYOUT_GRID)
    for _ in range(5):
        moved = vectors + rng.normal(size=vectors.shape) * 1e-14
        np.testing.assert_array_equal(start_layout(moved[:, :], 4, seed=0), layout)
    order = rng.permutation(80)
    np.testing.assert_array_equal(start_layout(vectors[order], 4, seed=0), layout[order])


def test_a_start_without_spread_is_drawn() -> None:
    line = unit(np.stack([np.ones(9), np.arange(9.0), np.zeros(9)], axis=1))
    # Equal vectors have no spread at all, whatever rounding says.
    alike = start_layout(np.full((5, 8), 0.1, np.float32), 2, seed=3)
    np.testing.assert_array_equal(alike, start_layout(np.eye(1, 8).repeat(5, axis=0), 2, seed=3))
    layout = start_layout(line, 4, seed=3)
    assert (np.ptp(layout, axis=0) > 0).all()
    np.testing.assert_array_equal(layout, start_layout(line, 4, seed=3))
    assert (layout[:, 3] != start_layout(line, 4, seed=4)[:, 3]).all()
