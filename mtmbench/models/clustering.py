"""What the two BERTopics share: reduce, cluster, merge to K topics, class-based TF-IDF.

The `bertopic` library (Grootendorst 2022) does the reducing, clustering and merging, with its own
defaults: UMAP (15 neighbours, 5 components, minimal distance 0, cosine), HDBSCAN (excess of mass,
Euclidean), then average-linkage merging of topics by the cosine of their mean document vectors.
Excess of mass may put nearly all documents into one cluster; then the leaves of HDBSCAN's tree are
the clusters, and the result says so.
It is given document vectors and counts that were made before, so it embeds and tokenises nothing.
How UMAP is run says :mod:`mtmbench.models.reduction`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Float64Array, FloatArray, IntArray, Views
from mtmbench.models.base import normalise_rows
from mtmbench.models.clusters import class_tfidf, cluster_totals
from mtmbench.models.density import (
    DensityModel,
    Selection,
    density_clusters,
    largest_share,
    no_cluster,
    quiet_single_thread,
)
from mtmbench.models.reduction import FEWEST_APPROXIMATE, Reduction

if TYPE_CHECKING:
    from bertopic import BERTopic as Library
    from scipy.sparse import csr_matrix

THETA = (
    "HDBSCAN soft membership (all_points_membership_vectors), summed over merged clusters and "
    "renormalised over the real topics; documents of the outlier cluster have theirs too"
)


class ClusteringModel(DensityModel):
    """A topic model that clusters document vectors and describes the clusters by their items.

    A subclass says which vectors. θ is HDBSCAN's soft membership over the real topics; ``outlier``
    marks the documents of HDBSCAN's noise cluster and those without a vector (whose θ is zero).
    ``topic_item`` is :func:`cluster_tfidf` over the hard clusters without the outliers.

    Args:
        n_topics: number of real topics; HDBSCAN's clusters are merged down to it. Where it finds
            fewer, there are fewer: ``info`` has "asked" and "found".
        min_cluster_size: HDBSCAN's smallest cluster, in documents. "auto" is the library's 10, and
            less where a corpus is too small for it to leave room for ``n_topics`` clusters:
            ``max(3, min(10, D // (5 · n_topics)))``. The result's ``params`` have it as resolved.
        min_samples: HDBSCAN's neighbourhood; None is ``min_cluster_size``.
        n_neighbors: UMAP's neighbourhood; in smaller corpora, all other documents.
        n_components: dimensions that UMAP reduces to.
        min_dist: UMAP's least distance between points.
        leaf_above: where one cluster by excess of mass holds a larger share of the documents with
            a vector, topics are HDBSCAN's leaf clusters instead, which are merged down to K as
            well; 1 keeps excess of mass, as the library does. ``info`` has "selection" ("eom" or
            "leaf") and the largest cluster's share by excess of mass, "largest_cluster".
        count_outliers: whether ``n_topics`` counts the outlier cluster, where there is one, as the
            library's ``nr_topics`` does and the paper: then there is a real topic less, and
            ``info`` has "outlier_counted".
    """

    version: ClassVar[int] = 2
    later: ClassVar[Mapping[str, object]] = {"count_outliers": False}

    _library: Library
    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        min_cluster_size: int | Literal["auto"] = "auto",
        min_samples: int | None = None,
        n_neighbors: int = 15,
        n_components: int = 5,
        min_dist: float = 0.0,
        leaf_above: float = 0.8,
        count_outliers: bool = False,
    ) -> None:
        self.n_topics = n_topics
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.min_dist = min_dist
        self.leaf_above = leaf_above
        self.count_outliers = count_outliers

    @classmethod
    def version_of(cls, params: Mapping[str, object], n_docs: int = 0) -> int:
        """Version 3 where UMAP approximated neighbours under 2, most of which are exact now."""
        del params
        return cls.version + (n_docs >= FEWEST_APPROXIMATE)

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Clusters the documents; see :class:`TopicModel`.

        Raises:
            InputError: a view is missing; a parameter is out of range; the corpus has too few
                documents, no items, or only identical document vectors; or HDBSCAN finds no
                cluster at all (the message gives D and ``min_cluster_size``).
        """
        self._check_n_topics()
        counts, vectors, kept = self._read(views)
        resolved = self._resolve(len(kept))
        self._check_corpus(vectors[kept], counts, resolved)
        reduction = self._reduce(vectors[kept], resolved, seed)
        fit = partial(
            _fit_library,
            reduction,
            counts.matrix[kept],
            counts.item_ids,
            self.n_topics,
            self.count_outliers,
            resolved,
        )
        selection: Selection = "eom"
        library = fit(selection)
        largest = largest_share(library.hdbscan_model.labels_)
        if largest > self.leaf_above:
            selection = "leaf"
            library = fit(selection)
        clusters = int(library.hdbscan_model.labels_.max()) + 1
        labels = np.full(len(vectors), -1, dtype=np.int64)
        labels[kept] = library.topics_
        n_topics = int(labels.max()) + 1
        theta = np.zeros((len(vectors), n_topics))
        theta[kept], n_hard = fill_missing_membership(library.probabilities_, labels[kept])
        self._library, self.item_ids_ = library, counts.item_ids
        assigned = labels >= 0
        agreement = float(np.mean(theta[assigned].argmax(axis=1) == labels[assigned]))
        result = self._result(
            views,
            counts,
            seed=seed,
            doc_topic=normalise_rows(theta),
            topic_item=cluster_tfidf(counts.matrix, labels, n_topics),
            outlier=~assigned,
            info={
                "asked": self.n_topics,
                "found": n_topics,
                **self._counted(library),
                "selection": selection,
                "largest_cluster": round(largest, 4),
                "clusters_before_merging": clusters,
                "outliers": int(np.sum(~assigned)),
                "without_vector": len(vectors) - len(kept),
                "theta": THETA,
                "theta_from_hard_label": n_hard,
                "strongest_topic_is_cluster": round(agreement, 4),
            },
        )
        return replace(result, params={**result.params, **resolved})

    def transform(self, views: Views) -> FloatArray:
        """Returns θ of other documents, approximately: they are placed in the fitted UMAP space.

        HDBSCAN's ``membership_vector`` gives soft memberships there, merged and renormalised as in
        the fit; a document without a vector has a zero row.

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        self._fitted_counts(views)
        _, vectors, kept = self._read(views)
        n_topics = max(self._library.topics_) + 1
        theta = np.zeros((len(vectors), n_topics))
        if len(kept):
            theta[kept] = _predict_membership(self._library, vectors[kept])
        return normalise_rows(theta)

    def _resolve(self, n_docs: int) -> dict[str, int]:
        resolved = super()._resolve(n_docs)
        if self.count_outliers not in (True, False):
            raise InputError(f"count_outliers must be true or false, not {self.count_outliers!r}")
        if self.count_outliers and self.n_topics < 2:
            raise InputError(
                "count_outliers needs n_topics of at least 2, the outlier cluster and a topic, not "
                f"{self.n_topics}"
            )
        return resolved

    def _counted(self, library: Library) -> dict[str, bool]:
        counted = self.count_outliers and min(library.topics_) < 0
        return {"outlier_counted": True} if counted else {}


def cluster_tfidf(matrix: csr_matrix, labels: IntArray, n_topics: int) -> FloatArray:
    """Class-based TF-IDF of the items of hard clusters (:func:`class_tfidf`), not normalised.

    It differs from the library's ``ClassTfidfTransformer`` in two ways: A is not cut to a whole
    number, and documents of no topic (label −1) are not a class, so that they enter neither A nor
    f.

    Args:
        matrix: csr (D, V) item counts.
        labels: (D,) topic of each document, −1 for none.
        n_topics: K.

    Returns:
        (K, V) f32; an item that occurs in no topic has weight zero in all.
    """
    rows = np.flatnonzero(labels >= 0)
    return class_tfidf(cluster_totals(matrix[rows], labels[rows], n_topics)).astype(np.float32)


def fill_missing_membership(
    membership: ArrayLike, labels: Sequence[int] | IntArray
) -> tuple[Float64Array, int]:
    """Replaces rows without any soft membership by the hard label, where there is one.

    HDBSCAN gives NaN or zero rows to documents that coincide.

    Returns:
        The (D, K) memberships and how many rows came from their label.
    """
    filled = np.nan_to_num(np.asarray(membership, dtype=np.float64), posinf=0.0, neginf=0.0)
    hard = np.asarray(labels)
    empty = np.flatnonzero((filled.sum(axis=1) <= 0) & (hard >= 0))
    filled[empty] = 0.0
    filled[empty, hard[empty]] = 1.0
    return filled, len(empty)


class RowCounts:
    """A vectoriser for the library whose "documents" are row numbers of a count matrix.

    The library joins the documents of a cluster by spaces and counts their words. Given row
    numbers instead of texts, it gets the counts that were made before: exactly the given items,
    whatever characters they hold.
    """

    def __init__(self, matrix: csr_matrix, items: Sequence[str]) -> None:
        self.matrix = matrix
        self.items = np.asarray(items, dtype=object)

    def fit(self, documents: Sequence[str]) -> RowCounts:  # noqa: ARG002
        """Does nothing: the items are given."""
        return self

    def fit_transform(self, documents: Sequence[str]) -> csr_matrix:
        """Returns csr (N, V): the summed counts of the rows that each string names."""
        return self.transform(documents)

    def transform(self, documents: Sequence[str]) -> csr_matrix:
        """See :meth:`fit_transform`."""
        from scipy.sparse import csr_matrix

        rows = [np.array(document.split(), dtype=np.int64) for document in documents]
        owner = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        columns = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
        select = csr_matrix(
            (np.ones(len(columns)), (owner, columns)), shape=(len(rows), self.matrix.shape[0])
        )
        return csr_matrix(select @ self.matrix)

    def get_feature_names_out(self) -> NDArray[np.object_]:
        """Returns the item of each column."""
        return self.items


def _fit_library(
    reduction: Reduction,
    matrix: csr_matrix,
    items: Sequence[str],
    n_topics: int,
    count_outliers: bool,
    resolved: Mapping[str, int],
    selection: Selection,
) -> Library:
    """Returns a fitted ``bertopic.BERTopic`` with at most ``n_topics`` topics.

    These are real ones, unless ``count_outliers`` counts the outlier cluster among them.
    """
    # An item without any occurrence has an infinite weight in the library's idf.
    used = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() > 0)
    with quiet_single_thread():
        from bertopic import BERTopic as Library

        library = Library(
            umap_model=reduction,
            hdbscan_model=density_clusters(resolved, selection, memberships=True),
            vectorizer_model=RowCounts(matrix[:, used], [items[int(i)] for i in used]),
            calculate_probabilities=True,
        )
        vectors = reduction.vectors
        rows = [str(row) for row in range(len(vectors))]
        library.fit(rows, embeddings=vectors)
        if max(library.topics_) < 0:
            raise no_cluster(len(vectors), resolved["min_cluster_size"])
        # The library counts the outlier cluster, where there is one, among its topics.
        has_outliers = int(min(library.topics_) < 0)
        nr_topics = n_topics if count_outliers else n_topics + has_outliers
        if max(library.topics_) + 1 + has_outliers > nr_topics:
            library.reduce_topics(rows, nr_topics=nr_topics)
        return library


def _predict_membership(library: Library, vectors: FloatArray) -> FloatArray:
    with quiet_single_thread():
        rows = ["0"] * len(vectors)  # the library asks for texts; only the vectors are read
        labels, membership = library.transform(rows, embeddings=vectors)
    return normalise_rows(fill_missing_membership(membership, labels)[0])
