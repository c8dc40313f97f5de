"""Top2Vec: planted clusters, vectors and merging by brute force, nearest words, other documents."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from support.planted import counts_to_views

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.top2vec import Top2Vec, mean_vectors, merge_smallest, nearest_words


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def blobs(n_docs=150, n_topics=5, n_items=40, seed=0, size=12, noise=0.12):
    """Documents and words near one of K axes."""
    rng = np.random.default_rng(seed)
    own, of_word = np.arange(n_docs) % n_topics, np.arange(n_items) % n_topics
    axes = np.eye(size)
    documents = unit(axes[own] + rng.normal(scale=noise, size=(n_docs, size)))
    words = unit(axes[of_word] + rng.normal(scale=noise, size=(n_items, size)))
    matrix = rng.poisson(0.2 + 2.0 * (own[:, None] == of_word))
    views = counts_to_views(matrix, matrix.sum(axis=1))
    return (
        Views(
            views.corpus,
            words=views.words,
            embeddings=documents.astype(np.float32),
            word_embeddings=words.astype(np.float32),
        ),
        own,
        of_word,
    )


@pytest.fixture(scope="module")
def fitted():
    views, own, of_word = blobs()
    model = Top2Vec(n_topics=5, n_words=8)
    return model, model.fit(views, seed=1), views, own, of_word


@pytest.mark.slow
def test_planted_clusters_are_found_and_called_by_their_words(fitted):
    model, result, views, own, of_word = fitted
    found = result.doc_topic.argmax(axis=1)
    assert adjusted_rand_score(own, found) > 0.98
    assert set(np.unique(result.doc_topic)) == {0, 1}
    for topic, words in enumerate(result.top_items(8)):
        assert set(of_word[words]) == {own[found == topic][0]}
    # A topic's vector is near the mean of its documents, and θ is nearest to it.
    for topic in range(5):
        mean = unit(views.embeddings[found == topic].mean(axis=0)[None])[0]
        assert mean @ model.topic_vectors_[topic] > 0.99
    np.testing.assert_array_equal((views.embeddings @ model.topic_vectors_.T).argmax(axis=1), found)
    assert Top2Vec(n_topics=5, n_words=8).fit(views, seed=1).revision == result.revision


@pytest.mark.slow
def test_many_clusters_are_merged_to_k_and_few_stay_few():
    views, own, _ = blobs(n_topics=8, n_docs=240)
    result = Top2Vec(n_topics=3).fit(views, seed=0)
    assert (result.info["asked"], result.info["found"], result.n_topics) == (3, 3, 3)
    assert result.info["clusters_before_merging"] >= 8
    # No planted cluster is torn apart.
    found = result.doc_topic.argmax(axis=1)
    assert all(np.bincount(found[own == k]).max() >= 28 for k in range(8))
    more = Top2Vec(n_topics=60, min_cluster_size=10).fit(views, seed=0)
    assert more.n_topics == more.info["found"] == more.info["clusters_before_merging"] < 60


def test_topic_vectors_are_means_of_clusters():
    rng = np.random.default_rng(0)
    rows, labels = unit(rng.normal(size=(9, 4))), np.array([0, 1, -1, 1, 2, 0, 0, -1, 2])
    for k, vector in enumerate(mean_vectors(rows, labels, 3)):
        total = sum(rows[d] for d in range(9) if labels[d] == k)
        np.testing.assert_allclose(vector, total / np.linalg.norm(total))


@pytest.mark.parametrize("seed", range(3))
def test_merging_is_the_paper_step_by_step(seed):
    """Smallest into the most similar, weighted by documents, which are counted anew each time."""
    rng = np.random.default_rng(seed)
    rows, topics = unit(rng.normal(size=(60, 5))), unit(rng.normal(size=(9, 5)))
    left = list(topics)
    while len(left) > 4:
        sizes = [0] * len(left)
        for row in rows:
            sizes[max(range(len(left)), key=lambda k, row=row: row @ left[k])] += 1
        small = min(range(len(left)), key=lambda k: sizes[k])
        near = max((k for k in range(len(left)) if k != small), key=lambda k: left[k] @ left[small])
        merged = sizes[small] * left[small] + sizes[near] * left[near]
        left = [left[k] for k in range(len(left)) if k not in (small, near)]
        left.append(merged / np.linalg.norm(merged))
    np.testing.assert_allclose(merge_smallest(topics, rows, 4), left)


def test_topics_that_are_nearest_to_no_document_merge_all_the_same():
    rows = unit(np.array([[1.0, 0.1], [1.0, 0.0]]))
    topics = unit(np.array([[-1.0, 0.2], [-1.0, -0.2], [1.0, 0.0]]))
    merged = merge_smallest(topics, rows, 2)
    np.testing.assert_allclose(merged, [[1, 0], [-1, 0]], atol=1e-12)


def test_words_are_the_nearest_without_negative_ones():
    topics = np.array([[1.0, 0.0], [0.0, 1.0]])
    words = unit(np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.1], [0.5, -1.0]]))
    half = 0.5**0.5
    expected = [[1, half, 0, 0], [0, half, words[2, 1], 0]]
    np.testing.assert_allclose(nearest_words(topics, words, 2), expected)
    np.testing.assert_allclose(nearest_words(topics, words, 4)[0], [1, half, 0, words[3, 0]])


@pytest.mark.slow
def test_other_documents_go_to_the_nearest_topic_and_one_without_a_vector_to_none(fitted):
    model, result, views, _, _ = fitted
    vectors = views.embeddings.copy()
    vectors[4] = 0
    given = Views(views.corpus, words=views.words, embeddings=vectors)
    theta = model.transform(given)
    assert not theta[4].any()
    np.testing.assert_array_equal(np.delete(theta, 4, 0), np.delete(result.doc_topic, 4, 0))
    with pytest.raises(InputError, match="fitted on vectors of 12 dimensions, not 5"):
        model.transform(Views(views.corpus, words=views.words, embeddings=vectors[:, :5]))


def test_what_cannot_be_fitted_says_why():
    views, _, _ = blobs(n_docs=30)
    corpus, words, vectors = views.corpus, views.words, views.embeddings
    with pytest.raises(InputError, match="n_words must be a whole number of at least 1, not 0"):
        Top2Vec(n_words=0).fit(views, seed=0)
    with pytest.raises(InputError, match="'top2vec' needs the word_embeddings view"):
        Top2Vec().fit(Views(corpus, words=words, embeddings=vectors), seed=0)
    wide = Views(corpus, words=words, embeddings=vectors, word_embeddings=np.ones((40, 7)))
    with pytest.raises(InputError, match="words have vectors of 7 dimensions, documents of 12"):
        Top2Vec().fit(wide, seed=0)
    with pytest.raises(InputError, match="needs at least 80 documents with a vector"):
        Top2Vec(min_cluster_size=40).fit(views, seed=0)
