"""Non-negative matrix factorisation over words, by scikit-learn."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, Float64Array, FloatArray, ItemKind, ViewName, Views
from mtmbench.models.base import TopicModel, normalise_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import NMF as Library  # noqa: N811
    from sklearn.feature_extraction.text import TfidfTransformer

WEIGHTINGS = ("tfidf", "counts")
SOLVERS = {"frobenius": "cd", "kullback-leibler": "mu"}
"""The losses, and scikit-learn's solver of each: coordinate descent, multiplicative updates."""


class NMF(TopicModel):
    """NMF: documents × words as a product W H of non-negative factors (Lee and Seung 1999).

    ``sklearn.decomposition.NMF`` in f64 on one thread, from its start for sparse data where K is at
    most D and V ("nndsvda", Boutsidis and Gallopoulos 2008), else from a random one. That start is
    a singular value decomposition, so that seeds hardly differ.

    β_k is H_k normalised, and θ_dk ∝ W_dk Σ_i H_ki: the share of what W H says of document d that
    topic k contributes, which does not depend on how scale is divided between W and H. A document
    of which no topic says anything has a row of zeros.

    Args:
        n_topics: K.
        weighting: "tfidf", unit vectors of TF-IDF as in
            :class:`~mtmbench.models.k_means.KMeans`; or "counts".
        loss: "frobenius", squared errors; or "kullback-leibler", with which counts are fitted as by
            PLSA (Gaussier and Goutte 2005).
        iterations: most iterations; ``info["converged"]`` says whether fewer sufficed.
        tolerance: it stops at a smaller change, relative to that of the first iteration.
    """

    name: ClassVar[str] = "nmf"
    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"

    _library: Library
    _weights: TfidfTransformer
    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        weighting: Literal["tfidf", "counts"] = "tfidf",
        loss: Literal["frobenius", "kullback-leibler"] = "frobenius",
        iterations: int = 200,
        tolerance: float = 1e-4,
    ) -> None:
        self.n_topics = n_topics
        self.weighting = weighting
        self.loss = loss
        self.iterations = iterations
        self.tolerance = tolerance

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Factorises the weighted counts; see :class:`TopicModel`.

        Raises:
            InputError: a parameter is wrong, the view is missing, or no document has any word.
        """
        from sklearn.decomposition import NMF as Library  # noqa: N811
        from sklearn.feature_extraction.text import TfidfTransformer
        from threadpoolctl import threadpool_limits

        self._check_parameters()
        counts = self._counts_to_fit(views)
        self._weights = TfidfTransformer().fit(counts.matrix)
        self._library = Library(
            self.n_topics, solver=SOLVERS[self.loss], beta_loss=self.loss, tol=self.tolerance,
            max_iter=self.iterations, random_state=seed,
        )  # fmt: skip
        # The library warns where iterations did not suffice, which is told in "converged".
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = self._library.fit_transform(self._weighted(counts))
        self.item_ids_ = counts.item_ids
        return self._result(
            views,
            counts,
            seed=seed,
            doc_topic=self._theta(shares),
            topic_item=self._library.components_,
            info={
                "iterations": int(self._library.n_iter_),
                "converged": bool(self._library.n_iter_ < self.iterations),
                "error": round(float(self._library.reconstruction_err_), 6),
            },
        )

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) of documents with H, and the idf of the fit, as they are.

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        from threadpoolctl import threadpool_limits

        weighted = self._weighted(self._fitted_counts(views))
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._theta(self._library.transform(weighted))

    def _weighted(self, counts: Counts) -> csr_matrix:
        matrix = counts.matrix.tocsr().astype(np.float64)
        return matrix if self.weighting == "counts" else self._weights.transform(matrix)

    def _theta(self, shares: Float64Array) -> FloatArray:
        return normalise_rows(shares * self._library.components_.sum(axis=1))

    def _check_parameters(self) -> None:
        self._check_n_topics()
        for what, known in (("weighting", WEIGHTINGS), ("loss", tuple(SOLVERS))):
            value = getattr(self, what)
            if value not in known:
                raise InputError(f"unknown {what} {value!r}{did_you_mean(str(value), known)}")
        if self.iterations < 1:
            raise InputError(f"iterations must be at least 1, not {self.iterations!r}")
        if self.tolerance < 0:
            raise InputError(f"tolerance must be at least 0, not {self.tolerance!r}")
