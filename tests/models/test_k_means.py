"""k-means, against scikit-learn on a matrix weighted by hand, and against the rule itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans as Library
from sklearn.metrics import adjusted_rand_score

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus, Counts, Views
from mtmbench.models.clustering import cluster_tfidf
from mtmbench.models.k_means import KMeans, MKMeans


def views_of(matrix: Any, kind: Any = "words") -> Views:
    matrix = csr_matrix(np.asarray(matrix, dtype=np.int32))
    names = [
        tuple(f"{what}{i}" for i in range(n)) for what, n in zip("dw", matrix.shape, strict=True)
    ]
    corpus = Corpus("made", names[0], names[0])
    n_tokens = np.asarray(matrix.sum(axis=1)).ravel().astype(np.int64)
    counts = Counts(kind, matrix, n_tokens, names[1], names[1])
    return Views(corpus, **{kind: counts})


def planted(n_docs: int, n_clusters: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(120, 0.05), n_clusters)
    labels = rng.integers(n_clusters, size=n_docs)
    return np.array([rng.multinomial(30, topics[k]) for k in labels]), labels


def weighted(counts: Any, weighting: str) -> Any:
    """TF-IDF as the docstring has it, one number at a time."""
    n_docs = len(counts)
    rows = counts.astype(float)
    if weighting == "tfidf":
        for i in range(counts.shape[1]):
            rows[:, i] *= np.log((1 + n_docs) / (1 + np.sum(counts[:, i] > 0))) + 1
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("weighting", ["tfidf", "counts"])
def test_is_scikit_learn_on_the_same_matrix(weighting: Any) -> None:
    counts, _ = planted(150, 6)
    model = KMeans(n_topics=8, weighting=weighting, starts=4)
    result = model.fit(views_of(counts), seed=3)
    dense = weighted(counts, weighting)
    theirs = Library(8, n_init=4, tol=0, random_state=3).fit(dense)
    ours = result.doc_topic.argmax(axis=1)
    np.testing.assert_array_equal(ours, theirs.labels_)
    assert result.info["inertia"] == pytest.approx(theirs.inertia_, abs=1e-6)
    # Where it stopped, every document is nearest to the mean of its own cluster.
    centres = np.stack([dense[ours == k].mean(axis=0) for k in range(8)])
    gaps = ((dense[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(gaps.argmin(axis=1), ours)
    assert result.info["inertia"] == pytest.approx(gaps.min(axis=1).sum(), abs=1e-5)
    assert result.info["converged"] is True


def test_planted_clusters_are_found_and_described_by_their_items() -> None:
    counts, labels = planted(300, 8)
    result = KMeans(n_topics=8).fit(views_of(counts), seed=1)
    found = result.doc_topic.argmax(axis=1)
    assert adjusted_rand_score(labels, found) > 0.98
    assert set(np.unique(result.doc_topic)) == {0, 1}
    weights = cluster_tfidf(csr_matrix(counts), found, 8)
    np.testing.assert_allclose(
        result.topic_item, weights / weights.sum(axis=1, keepdims=True), rtol=1e-5
    )


def test_features_are_clustered_as_words_are() -> None:
    counts, _ = planted(100, 4)
    words = KMeans(n_topics=4).fit(views_of(counts), seed=0)
    features = MKMeans(n_topics=4).fit(views_of(counts, "features"), seed=0)
    np.testing.assert_array_equal(words.doc_topic, features.doc_topic)
    assert features.items.kind == "features"
    with pytest.raises(InputError, match="'mk_means' needs the features view"):
        MKMeans(n_topics=4).fit(views_of(counts), seed=0)


def test_the_best_of_several_starts_is_kept_and_a_seed_gives_the_same_bits() -> None:
    counts, _ = planted(200, 12)
    views = views_of(counts)
    one = [KMeans(n_topics=12, starts=1).fit(views, seed=s).info["inertia"] for s in range(5)]
    ten = KMeans(n_topics=12).fit(views, seed=0)
    assert len(set(one)) > 1
    assert ten.info["inertia"] <= min(one) + 1e-6
    assert KMeans(n_topics=12).fit(views, seed=0).revision == ten.revision


def test_one_round_has_not_converged() -> None:
    counts, _ = planted(200, 12)
    result = KMeans(n_topics=12, starts=1, iterations=1).fit(views_of(counts), seed=0)
    assert result.info["converged"] is False


def test_documents_without_items_are_outliers_and_copies_leave_fewer_topics() -> None:
    counts = np.repeat(np.eye(3, dtype=int) * 4, 5, axis=0)
    counts = np.vstack([counts, np.zeros((1, 3), dtype=int)])
    model = KMeans(n_topics=5)
    result = model.fit(views_of(counts), seed=0)
    assert (result.info["asked"], result.info["found"], result.n_topics) == (5, 3, 3)
    np.testing.assert_array_equal(np.flatnonzero(result.outlier), [15])
    assert not result.doc_topic[15].any()
    np.testing.assert_array_equal(model.transform(views_of(counts)), result.doc_topic)


def test_other_documents_go_to_the_nearest_centre_under_the_idf_of_the_fit() -> None:
    counts, _ = planted(260, 5)
    model = KMeans(n_topics=5)
    result = model.fit(views_of(counts[:200]), seed=0)
    rows = counts.astype(float)
    rows *= np.log(201 / (1 + (counts[:200] > 0).sum(axis=0))) + 1
    rows /= np.sqrt((rows**2).sum(axis=1, keepdims=True))
    own = result.doc_topic.argmax(axis=1)
    centres = np.stack([rows[:200][own == k].mean(axis=0) for k in range(5)])
    nearest = ((rows[200:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(model.transform(views_of(counts[200:])).argmax(axis=1), nearest)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be"),
        ({"n_topics": 21}, "at least n_topics = 21 documents with words; there are 20"),
        ({"weighting": "tfdif"}, "unknown weighting 'tfdif'; did you mean 'tfidf'"),
        ({"starts": 0}, "starts must be at least 1, not 0"),
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_clustered_is_a_clear_error(params: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMeans(**params).fit(views_of(planted(20, 3)[0]), seed=0)
