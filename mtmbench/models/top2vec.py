"""Top2Vec: topics as mean vectors of dense clusters, words and documents in one space.

Angelov, "Top2Vec: Distributed representations of topics" (2020, arXiv:2008.09470).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    Counts,
    Float64Array,
    FloatArray,
    IntArray,
    ItemKind,
    ViewName,
    Views,
)
from mtmbench.models.clusters import members_of, one_hot
from mtmbench.models.density import (
    DensityModel,
    Selection,
    check_whole,
    density_clusters,
    largest_share,
    no_cluster,
    quiet_single_thread,
)


class Top2Vec(DensityModel):
    """Top2Vec: what a topic is called are the words whose vectors are nearest to its own.

    Document vectors are reduced by UMAP and clustered by HDBSCAN; a topic's vector is the mean of
    its cluster's document vectors, noise left out. Every document belongs to the topic with the
    nearest vector by cosine, noise too: θ is one there, and zero for a document without a vector,
    which is an outlier. Where there are more than K topics, the one of the fewest documents is
    merged with the one nearest to it, both vectors weighted by their documents, and documents are
    assigned anew, until K are left. Where HDBSCAN finds fewer, there are fewer: ``info`` has
    "asked" and "found". β holds the cosines of a topic's nearest words, normalised, without
    negative ones.

    Vectors of words are those of the documents' own encoder (``views.word_embeddings``).

    Args:
        n_topics: K.
        min_cluster_size: HDBSCAN's smallest cluster, in documents; "auto" as for ``bertopic``.
        n_neighbors: UMAP's neighbourhood; in smaller corpora, all other documents.
        n_components: dimensions that UMAP reduces to.
        leaf_above: where one cluster by excess of mass holds a larger share of the documents,
            topics are HDBSCAN's leaf clusters, as for ``bertopic``.
        n_words: words of a topic, the published code's 50.

    After ``fit``: ``topic_vectors_`` (K, E), of length one.
    """

    name: ClassVar[str] = "top2vec"
    needs: ClassVar[tuple[ViewName, ...]] = ("words", "embeddings", "word_embeddings")
    item_view: ClassVar[ItemKind] = "words"

    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        min_cluster_size: int | Literal["auto"] = "auto",
        n_neighbors: int = 15,
        n_components: int = 5,
        leaf_above: float = 0.8,
        n_words: int = 50,
    ) -> None:
        self.n_topics = n_topics
        self.min_cluster_size = min_cluster_size
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.leaf_above = leaf_above
        self.n_words = n_words

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Clusters the documents; see :class:`TopicModel`.

        Raises:
            InputError: a view is missing; a parameter is out of range; words and documents have
                vectors of different sizes; the corpus has too few documents, no items, or only
                identical document vectors; or HDBSCAN finds no cluster at all.
        """
        self._check_n_topics()
        check_whole("n_words", self.n_words, 1)
        counts, vectors, kept = self._read(views)
        words = _unit(self._word_vectors(views, vectors.shape[1]))
        resolved = self._resolve(len(kept))
        self._check_corpus(vectors[kept], counts, resolved)
        labels, about = self._clusters(vectors[kept], resolved, seed)
        found = int(labels.max()) + 1
        rows = _unit(vectors[kept])
        with quiet_single_thread():
            topics = merge_smallest(mean_vectors(rows, labels, found), rows, self.n_topics)
            weights = nearest_words(topics, words, self.n_words)
        self.topic_vectors_: FloatArray = topics.astype(np.float32)
        self.item_ids_ = counts.item_ids
        theta = self.transform(views)
        result = self._result(
            views,
            counts,
            seed=seed,
            doc_topic=theta,
            topic_item=weights.astype(np.float32),
            outlier=theta.sum(axis=1) == 0,
            info={
                "asked": self.n_topics,
                "found": len(topics),
                **about,
                "clusters_before_merging": found,
                "noise": int(np.sum(labels < 0)),
                "without_vector": len(vectors) - len(kept),
            },
        )
        return replace(result, params={**result.params, **resolved})

    def transform(self, views: Views) -> FloatArray:
        """Returns one at the topic whose vector is nearest; zeros for a document without a vector.

        Raises:
            InputError: the model is not fitted, the items differ from those of the fit, or the
                vectors are of another size.
        """
        self._fitted_counts(views)
        self._document_embeddings(views, self.topic_vectors_.shape[1])
        _, vectors, kept = self._read(views)
        nearest = np.full(len(vectors), -1, dtype=np.int64)
        with quiet_single_thread():
            nearest[kept] = (_unit(vectors[kept]) @ _unit(self.topic_vectors_).T).argmax(axis=1)
        return one_hot(nearest, len(self.topic_vectors_))

    def _vectors(self, views: Views, counts: Counts) -> FloatArray:  # noqa: ARG002
        return views.require("embeddings", self.name)

    def _clusters(
        self, vectors: FloatArray, resolved: dict[str, int], seed: int
    ) -> tuple[IntArray, dict[str, object]]:
        """Returns HDBSCAN's cluster of each document, −1 for noise, and what to record of it."""
        layout = self._reduce(vectors, resolved, seed).fit_transform(vectors)

        def clustered(selection: Selection) -> IntArray:
            with quiet_single_thread():
                labels = density_clusters(resolved, selection).fit(layout).labels_
            if labels.max() < 0:
                raise no_cluster(len(vectors), resolved["min_cluster_size"])
            return np.asarray(labels, dtype=np.int64)

        selection: Selection = "eom"
        labels = clustered(selection)
        largest = largest_share(labels)
        if largest > self.leaf_above:
            selection = "leaf"
            labels = clustered(selection)
        return labels, {"selection": selection, "largest_cluster": round(largest, 4)}


def mean_vectors(rows: Float64Array, labels: IntArray, n_clusters: int) -> Float64Array:
    """Returns the mean of each cluster's rows (C, E), scaled to length one.

    Args:
        rows: (N, E) document vectors.
        labels: (N,) their cluster, −1 for none.
        n_clusters: C.
    """
    inside = np.flatnonzero(labels >= 0)
    return _unit(members_of(labels[inside], n_clusters) @ rows[inside])


def merge_smallest(topics: Float64Array, rows: Float64Array, n_topics: int) -> Float64Array:
    """Merges topics until at most ``n_topics`` are left (Angelov 2020, hierarchical reduction).

    Args:
        topics: (C, E) topic vectors of length one.
        rows: (N, E) document vectors of length one.
        n_topics: K.

    Returns:
        (min(C, K), E) topic vectors of length one; a merged one is the last.
    """
    cosines = rows @ topics.T
    while len(topics) > n_topics:
        sizes = np.bincount(cosines.argmax(axis=1), minlength=len(topics)).astype(np.float64)
        smallest = int(sizes.argmin())
        near = topics @ topics[smallest]
        near[smallest] = -np.inf
        pair = [smallest, int(near.argmax())]
        # A topic that is nearest to no document does not move the other one.
        weights = sizes[pair] if sizes[pair].any() else np.ones(2)
        merged = _unit((weights @ topics[pair])[None])
        topics = np.vstack([np.delete(topics, pair, axis=0), merged])
        cosines = np.hstack([np.delete(cosines, pair, axis=1), rows @ merged.T])
    return topics


def nearest_words(topics: Float64Array, words: Float64Array, n_words: int) -> Float64Array:
    """Returns (K, V) cosines of each topic's nearest words, zero for all others.

    Args:
        topics: (K, E) topic vectors of length one.
        words: (V, E) word vectors of length one.
        n_words: words of a topic; of equal ones, the first.
    """
    cosines = topics @ words.T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :n_words]
    weights = np.zeros_like(cosines)
    np.put_along_axis(weights, nearest, np.take_along_axis(cosines, nearest, axis=1), axis=1)
    return np.maximum(weights, 0.0)


def _unit(vectors: FloatArray | Float64Array) -> Float64Array:
    rows = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float64Array = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return unit
