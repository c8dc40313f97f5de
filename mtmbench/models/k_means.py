"""k-means over words or SAE features: the baseline that any topic model should stand against."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import FloatArray, IntArray, ItemKind, ViewName, Views
from mtmbench.models.base import TopicModel
from mtmbench.models.clustering import cluster_tfidf
from mtmbench.models.clusters import one_hot

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.cluster import KMeans as Library
    from sklearn.feature_extraction.text import TfidfTransformer

WEIGHTINGS = ("tfidf", "counts")


class KMeans(TopicModel):
    """k-means of documents as unit vectors of weighted word counts.

    Lloyd's algorithm from greedy k-means++ starts (Arthur and Vassilvitskii 2007), by
    ``sklearn.cluster.KMeans``: of several starts the clustering with the least sum of squared
    distances is kept. Document vectors are those of scikit-learn's text clustering, TF-IDF with a
    smoothed idf, ``c_di (log((1 + D) / (1 + D_i)) + 1)`` with D_i the documents that hold item i,
    scaled to length one, on which squared distances rank documents as cosines do.

    θ is one at a document's cluster: k-means has no mixtures. Documents without items are outliers
    with a row of zeros. ``topic_item`` is :func:`~mtmbench.models.clustering.cluster_tfidf`. Where
    fewer than K documents differ there are fewer topics: ``info`` has "asked" and "found".

    Args:
        n_topics: K.
        weighting: "tfidf", or "counts" for unit vectors of the bare counts.
        starts: starts of which the best is kept.
        iterations: most rounds of a start, which ends when no document changes its cluster;
            ``info["converged"]`` says whether the best one did.
    """

    name: ClassVar[str] = "k_means"
    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"

    _library: Library
    _weights: TfidfTransformer
    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        weighting: Literal["tfidf", "counts"] = "tfidf",
        starts: int = 10,
        iterations: int = 300,
    ) -> None:
        self.n_topics = n_topics
        self.weighting = weighting
        self.starts = starts
        self.iterations = iterations

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Clusters the documents; see :class:`TopicModel`.

        Raises:
            InputError: a parameter is out of range, the view is missing, or fewer than K documents
                have any item.
        """
        from sklearn.cluster import KMeans as Library
        from sklearn.feature_extraction.text import TfidfTransformer
        from threadpoolctl import threadpool_limits

        self._check_parameters()
        counts = self._counts_to_fit(views)
        matrix = counts.mass.tocsr()
        used = _with_items(matrix)
        if len(used) < self.n_topics:
            raise InputError(
                f"model {self.name!r} needs at least n_topics = {self.n_topics} documents with "
                f"{counts.kind}; there are {len(used)}"
            )
        self._weights = TfidfTransformer(use_idf=self.weighting == "tfidf")
        self._library = Library(
            self.n_topics, n_init=self.starts, max_iter=self.iterations, tol=0.0,
            algorithm="lloyd", random_state=seed,
        )  # fmt: skip
        # Threads add their documents to a centre in the order in which they finish. The library
        # warns where fewer than K documents differ, which is told in "found".
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._library.fit(self._weights.fit_transform(matrix[used]))
        clusters, labels = np.unique(self._library.labels_, return_inverse=True)
        self._library.cluster_centers_ = self._library.cluster_centers_[clusters]
        self.item_ids_ = counts.item_ids
        assigned = np.full(matrix.shape[0], -1, dtype=np.int64)
        assigned[used] = labels
        return self._result(
            views,
            counts,
            seed=seed,
            doc_topic=one_hot(assigned, len(clusters)),
            topic_item=cluster_tfidf(counts.matrix.tocsr(), assigned, len(clusters)),
            outlier=assigned < 0,
            info={
                "asked": self.n_topics,
                "found": len(clusters),
                "inertia": round(float(self._library.inertia_), 6),
                "iterations": int(self._library.n_iter_),
                "converged": bool(self._library.n_iter_ < self.iterations),
            },
        )

    def transform(self, views: Views) -> FloatArray:
        """Returns one at the nearest centre of each document, under the idf of the fit.

        Weights of firings, where there are some, are those of the documents given
        (:mod:`mtmbench.features.weighting`).

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        from threadpoolctl import threadpool_limits

        matrix = self._fitted_counts(views).mass.tocsr()
        used = _with_items(matrix)
        nearest = np.full(matrix.shape[0], -1, dtype=np.int64)
        if len(used):
            with threadpool_limits(limits=1):
                nearest[used] = self._library.predict(self._weights.transform(matrix[used]))
        return one_hot(nearest, len(self._library.cluster_centers_))

    def _check_parameters(self) -> None:
        self._check_n_topics()
        if self.weighting not in WEIGHTINGS:
            raise InputError(
                f"unknown weighting {self.weighting!r}"
                f"{did_you_mean(str(self.weighting), WEIGHTINGS)}"
            )
        for name in ("starts", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)!r}")


class MKMeans(KMeans):
    """The same k-means on SAE feature counts, features in place of words.

    Under a feature setting that weighs firings, document vectors are of the weights; an idf of that
    setting multiplies the model's own, which ``weighting="counts"`` leaves out.
    """

    name: ClassVar[str] = "mk_means"
    needs: ClassVar[tuple[ViewName, ...]] = ("features",)
    item_view: ClassVar[ItemKind] = "features"


def _with_items(matrix: csr_matrix) -> IntArray:
    """Returns the rows that hold anything."""
    return np.flatnonzero(np.asarray(matrix.sum(axis=1)).ravel() > 0)
