"""KeyNMF and S³ by the library ``turftopic`` (Kardos et al.), an extra of this package.

The library is given the same views as every other model: documents are row numbers whose words are
looked up in the counts, and its encoder looks up the embeddings of words. It embeds and tokenises
nothing, and runs on one thread.
"""

from __future__ import annotations

import io
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    BoolArray,
    Counts,
    Float64Array,
    FloatArray,
    ItemKind,
    ViewName,
    Views,
)
from mtmbench.models.base import TopicModel, normalise_rows
from mtmbench.models.clustering import RowCounts

Importance = Literal["axial", "angular", "combined"]


class TurftopicModel(TopicModel):
    """What both models share: views, the library's silence, documents without words or vector."""

    needs: ClassVar[tuple[ViewName, ...]] = ("words", "embeddings", "word_embeddings")
    item_view: ClassVar[ItemKind] = "words"
    # θ comes from embeddings of whole texts: it cannot be inferred from half of a document's words.
    has_perplexity: ClassVar[bool] = False
    warms: ClassVar[str] = "turftopic"

    item_ids_: tuple[str, ...]
    _library: Any

    @abstractmethod
    def _learn(self, encoder: WordVectors, rows: RowCounts, vectors: FloatArray, seed: int) -> None:
        """Fits the library to documents that all have a vector, and keeps it as ``_library``."""

    @abstractmethod
    def _weights(self, rows: RowCounts, vectors: FloatArray) -> Float64Array:
        """Returns non-negative weights (D, K) of topics in documents that all have a vector."""

    @abstractmethod
    def _topics(self) -> Float64Array:
        """Returns non-negative weights (K, V) of words in topics."""

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits the library to the views.

        Raises:
            InputError: turftopic is not installed, a parameter is wrong, a view is missing or not
                of these documents or words, or the corpus is too small for so many topics.
        """
        self._check_n_topics()
        self._check_parameters()
        counts = self._counts_to_fit(views)
        vectors = self._document_embeddings(views)
        words = self._word_vectors(views, vectors.shape[1])
        used = np.asarray(vectors.any(axis=1))
        kept = np.flatnonzero(used)
        self._check_size(len(kept), vectors.shape[1])
        encoder = WordVectors(counts.item_ids, words)
        with quiet_library(self.name):
            self._learn(encoder, _rows(counts, used), vectors[used], seed)
        self.item_ids_, self._size = counts.item_ids, vectors.shape[1]
        return self._result(
            views,
            counts,
            seed=seed,
            doc_topic=self.transform(views),
            topic_item=normalise_rows(self._topics()),
            info=self._info(len(vectors) - len(kept)),
        )

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K); zero for a document without a vector, or without any topic.

        Raises:
            InputError: the model is not fitted, the items differ from those of the fit, or the
                vectors are not of these documents.
        """
        counts = self._fitted_counts(views)
        vectors = self._document_embeddings(views, self._size)
        used = np.asarray(vectors.any(axis=1))
        theta = np.zeros((len(vectors), self.n_topics))
        if used.any():
            with quiet_library(self.name):
                theta[used] = self._weights(_rows(counts, used), vectors[used])
        return normalise_rows(theta)

    def _info(self, without_vector: int) -> dict[str, object]:
        return {"library": f"turftopic {version('turftopic')}", "without_vector": without_vector}

    def _check_parameters(self) -> None:
        """Raises an error about what a subclass takes besides ``n_topics``."""

    def _check_size(self, n_docs: int, n_dimensions: int) -> None:
        """Raises an error where so few documents cannot carry the model."""
        del n_dimensions
        if not n_docs:
            raise InputError(f"model {self.name!r} needs documents with a vector; all are zero")


class KeyNMF(TurftopicModel):
    """KeyNMF: non-negative factors of how near documents are to their keywords.

    Kristensen-McLachlan, Hicke, Kardos and Thunø, "Context is Key(NMF)" (arXiv:2410.12791). A
    document's keywords are the ``top_n`` of its own words that are nearest to it by cosine; with
    M_dv that cosine where it is positive, and zero elsewhere, M ≈ W H is factored by
    scikit-learn's NMF. φ is H, rows normalised; θ_dk ∝ W_dk Σ_v H_kv, so that θ φ reconstructs M up
    to each document's mass, whatever the scales of W and H.

    Documents are embedded as whole texts; what they have as words decides which can be keywords. A
    document without keywords has a row of zeros. As the library has it, the least near word of a
    document with ``top_n`` words or fewer is no keyword, so one of a single word has none.

    Args:
        n_topics: K.
        top_n: most keywords of a document.

    After ``fit``: ``item_ids_``.
    """

    name: ClassVar[str] = "keynmf"

    def __init__(self, n_topics: int = 20, top_n: int = 25) -> None:
        self.n_topics = n_topics
        self.top_n = top_n

    def _learn(self, encoder: WordVectors, rows: RowCounts, vectors: FloatArray, seed: int) -> None:
        from turftopic import KeyNMF as Library

        library = Library(
            self.n_topics, encoder=encoder, vectorizer=rows, top_n=self.top_n, random_state=seed
        )
        library.fit_transform(row_names(rows), embeddings=vectors)
        self._library = library

    def _weights(self, rows: RowCounts, vectors: FloatArray) -> Float64Array:
        library = self._library
        library.extractor.vectorizer = rows
        keywords = library.extract_keywords(row_names(rows), embeddings=vectors, fitting=False)
        weights = np.asarray(library.model.transform(keywords), dtype=np.float64)
        weights[[not found for found in keywords]] = 0.0
        return np.asarray(weights * np.asarray(library.components_).sum(axis=1))

    def _topics(self) -> Float64Array:
        # The library numbers keywords as it meets them; a word that is nobody's has no column.
        column = {word: v for v, word in enumerate(self.item_ids_)}
        topics = np.zeros((self.n_topics, len(column)))
        topics[:, [column[word] for word in self._library.model.index_to_key]] = (
            self._library.components_
        )
        return topics

    def _info(self, without_vector: int) -> dict[str, object]:
        n_keywords = len(self._library.model.index_to_key)
        return {**super()._info(without_vector), "keywords": n_keywords}

    def _check_parameters(self) -> None:
        if isinstance(self.top_n, bool) or int(self.top_n) != self.top_n or self.top_n < 1:
            raise InputError(f"top_n must be a whole number of at least 1, not {self.top_n!r}")


class S3(TurftopicModel):
    """Semantic signal separation, S³: topics are independent axes of the documents' embeddings.

    Kardos, Kostkan, Enevoldsen, Vermillet, Nielbo and Rocca (ACL 2025, arXiv:2406.09556). FastICA
    separates the document embeddings X into K independent signals, S = (X − mean) Wᵀ; the same map
    takes the embeddings of words to their strengths. A word's importance for an axis is that
    strength ("axial"), the cosine of its vector of strengths with the axis ("angular"), or the
    former squared times the latter ("combined", the library's default).

    Axes are signed, and the sign that FastICA finds is arbitrary; θ and φ are not negative. Each
    axis is turned so that the signals of the documents are skewed to the right: the topic is the
    end at which few documents are far out. φ_k is the importances there, θ_d the signals, both cut
    off at zero and normalised; the other end is left out, and a document on the other end of every
    axis has a row of zeros. With ``oriented`` False signs are as FastICA has them.

    Args:
        n_topics: K; no more than documents or dimensions of the embeddings.
        importance: "axial", "angular" or "combined".
        iterations: most iterations of FastICA.
        oriented: whether axes are turned.

    After ``fit``: ``signs_`` (K,), −1 for an axis that was turned.
    """

    name: ClassVar[str] = "s3"

    def __init__(
        self,
        n_topics: int = 20,
        importance: Importance = "combined",
        iterations: int = 200,
        oriented: bool = True,
    ) -> None:
        self.n_topics = n_topics
        self.importance = importance
        self.iterations = iterations
        self.oriented = oriented

    def _learn(self, encoder: WordVectors, rows: RowCounts, vectors: FloatArray, seed: int) -> None:
        from scipy.stats import skew
        from turftopic import SemanticSignalSeparation

        library = SemanticSignalSeparation(
            self.n_topics,
            encoder=encoder,
            vectorizer=rows,
            max_iter=self.iterations,
            feature_importance=self.importance,
            random_state=seed,
        )
        signals = library.fit_transform(row_names(rows), embeddings=vectors.astype(np.float64))
        signs = np.where(skew(signals, axis=0) < 0, -1.0, 1.0)
        self._library = library
        self.signs_: Float64Array = signs if self.oriented else np.ones(self.n_topics)

    def _weights(self, rows: RowCounts, vectors: FloatArray) -> Float64Array:
        del rows
        signals = self._library.decomposition.transform(vectors.astype(np.float64))
        return np.asarray(np.maximum(signals * self.signs_, 0.0))

    def _topics(self) -> Float64Array:
        signed = np.asarray(self._library.components_) * self.signs_[:, None]
        return np.asarray(np.maximum(signed, 0.0))

    def _info(self, without_vector: int) -> dict[str, object]:
        used = int(self._library.decomposition.n_iter_)
        return {
            **super()._info(without_vector),
            "iterations": used,
            "converged": used < self.iterations,
            "turned": int((self.signs_ < 0).sum()),
        }

    def _check_parameters(self) -> None:
        if self.importance not in get_args(Importance):
            hint = did_you_mean(str(self.importance), get_args(Importance))
            raise InputError(f"importance cannot be {self.importance!r}{hint}")
        if self.iterations < 1:
            raise InputError(f"iterations must be at least 1, not {self.iterations!r}")
        if self.oriented not in (True, False):
            raise InputError(f"oriented must be true or false, not {self.oriented!r}")

    def _check_size(self, n_docs: int, n_dimensions: int) -> None:
        if self.n_topics > min(n_docs, n_dimensions):
            raise InputError(
                f"model {self.name!r} separates at most as many topics as there are documents with "
                f"a vector ({n_docs}) and dimensions ({n_dimensions}), not {self.n_topics}"
            )


class WordVectors:
    """An encoder for the library that looks the vectors of words up.

    Args:
        words: V words.
        vectors: (V, E) their embeddings.
    """

    def __init__(self, words: Sequence[str], vectors: FloatArray) -> None:
        self._row = {word: v for v, word in enumerate(words)}
        self._vectors = vectors.astype(np.float64)

    def encode(self, texts: Iterable[str]) -> Float64Array:
        """Returns the vectors (N, E) of N words."""
        return np.asarray(self._vectors[[self._row[text] for text in texts]])


@contextmanager
def quiet_library(model: str) -> Iterator[None]:
    """Runs the library on one thread and lets it print nothing.

    Raises:
        InputError: it is not installed.
    """
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), threadpool_limits(limits=1):
        # That JAX is not there, and that FastICA or NMF did not converge, which `info` says.
        warnings.simplefilter("ignore")
        try:
            import turftopic  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"model {model!r} needs a package that is not installed, in an environment of its "
                "own: pip install 'mtmbench[turftopic]'"
            ) from error
        yield


def row_names(rows: RowCounts) -> list[str]:
    """Returns the documents that the library is given: their row numbers."""
    return [str(row) for row in range(rows.matrix.shape[0])]


def _rows(counts: Counts, used: BoolArray) -> RowCounts:
    return RowCounts(counts.matrix[used], counts.item_ids)
