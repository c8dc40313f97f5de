"""The interface of every topic model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    BoolArray,
    Counts,
    Float64Array,
    FloatArray,
    IntArray,
    ItemKind,
    ItemSpace,
    ViewName,
    Views,
)


class TopicModel(BaseEstimator, ABC):  # type: ignore[misc]
    """A topic model: ``__init__`` stores parameters, ``fit`` learns, learned state ends in ``_``.

    Subclasses follow scikit-learn's rule (every ``__init__`` argument is stored under its own name
    and nothing else happens there), so ``get_params`` and ``clone`` work.

    Attributes:
        name: the registry name, repeated in results.
        version: raised whenever the same input may give another result; part of every fit's key.
        needs: the views that ``fit`` reads.
        item_view: the view whose items the topics are distributions over.
        has_perplexity: whether ``transform`` together with ``topic_item`` defines a held-out
            likelihood (mixtures of item distributions do; clusterings do not).
        warms: what a first fit in a process loads or compiles; fits that share it go to one worker.
        asks: whether it asks a judge, which views then bring (``Views.require_writer``); its
            parameter ``judge`` names the card, and :meth:`questions` says how much is asked.
        later: parameters that came after there were fits on record, with the value at which they
            change nothing.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"
    has_perplexity: ClassVar[bool] = False
    warms: ClassVar[str] = ""
    asks: ClassVar[bool] = False
    later: ClassVar[Mapping[str, object]] = {}

    n_topics: int

    @classmethod
    def version_of(cls, params: Mapping[str, object], n_docs: int = 0) -> int:
        """Returns the version that a fit's key holds, :attr:`version` but for what is given.

        Args:
            params: all parameters, defaults among them.
            n_docs: documents of the corpus; 0 stands for a few.
        """
        del params, n_docs
        return cls.version

    @classmethod
    def params_in_key(cls, params: Mapping[str, object]) -> dict[str, object]:
        """Returns the parameters that a fit's key holds: all but :attr:`later` ones not in use.

        Args:
            params: all parameters, defaults among them.
        """
        unused = {name for name, value in cls.later.items() if _same(params.get(name), value)}
        return {name: value for name, value in params.items() if name not in unused}

    @classmethod
    def questions(
        cls,
        params: Mapping[str, object],  # noqa: ARG003
        n_docs: int,  # noqa: ARG003
    ) -> Mapping[str, int]:
        """Returns how many questions of each task a fit asks at most; none by default.

        Args:
            params: all parameters, defaults among them.
            n_docs: documents of the corpus.
        """
        return {}

    @abstractmethod
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits the model; the same views and seed give the same result on the same machine.

        Args:
            views: the corpus and the views named in ``needs``.
            seed: seed of every random choice.

        Raises:
            InputError: a view is missing, or the corpus cannot carry the model (no items, fewer
                documents than the method needs); the message says what would be right.
        """

    @abstractmethod
    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) f32 for documents over the items of the fit; rows sum to 1 or are zero.

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """

    def _result(
        self,
        views: Views,
        counts: Counts | ItemSpace,
        *,
        seed: int,
        doc_topic: FloatArray,
        topic_item: FloatArray,
        outlier: BoolArray | None = None,
        shown_item: FloatArray | None = None,
        info: Mapping[str, object] | None = None,
    ) -> TopicResult:
        """Packs a fit into a result; rows with mass are normalised to sum to one.

        ``info`` is what the fit says of itself. Boards tell of "converged" where it is False, and
        of "start" where it is "clusters".
        """
        defaults = type(self)().get_params(deep=False)
        params = self.get_params(deep=False)
        return TopicResult(
            model=self.name,
            params=params,
            params_given={k: v for k, v in params.items() if not _same(v, defaults[k])},
            seed=seed,
            doc_topic=normalise_rows(doc_topic),
            topic_item=normalise_rows(topic_item),
            items=counts if isinstance(counts, ItemSpace) else counts.items,
            corpus={"name": views.corpus.name, "revision": views.corpus.revision},
            outlier=outlier,
            shown_item=None if shown_item is None else np.asarray(shown_item, dtype=np.float32),
            info=info or {},
        )

    def _fitted_counts(self, views: Views) -> Counts:
        """Returns the counts to fold in; their items must be those of the fit, ``item_ids_``."""
        fitted: tuple[str, ...] | None = getattr(self, "item_ids_", None)
        if fitted is None:
            raise InputError(f"model {self.name!r} is not fitted; call fit first")
        counts = views.require(self.item_view, self.name)
        if counts.item_ids != fitted:
            raise InputError(
                f"model {self.name!r} was fitted on {len(fitted)} other items than the "
                f"{len(counts.item_ids)} given"
            )
        return counts

    def _counts_to_fit(self, views: Views) -> Counts:
        """Returns the counts of ``item_view``; it is an error if no document has any item."""
        counts = views.require(self.item_view, self.name)
        if counts.matrix.nnz == 0 or not counts.matrix.data.any():
            raise InputError(
                f"model {self.name!r}: none of the {counts.matrix.shape[0]} documents of corpus "
                f"{views.corpus.name!r} has any {counts.kind}; loosen the item filters"
            )
        return counts

    def _document_embeddings(self, views: Views, fitted_size: int | None = None) -> FloatArray:
        """Returns the documents' embeddings (D, E), checked, E against that of the fit.

        Raises:
            InputError: the view is missing, not of these documents, not finite, or of another size.
        """
        vectors = checked_vectors(views.require("embeddings", self.name), len(views.corpus))
        if fitted_size is not None and vectors.shape[1] != fitted_size:
            raise InputError(
                f"model {self.name!r} was fitted on vectors of {fitted_size} dimensions, not "
                f"{vectors.shape[1]}"
            )
        return vectors

    def _document_vectors(
        self, views: Views, fitted_size: int | None = None
    ) -> tuple[Float64Array, IntArray]:
        """Returns :meth:`_document_embeddings` as f64, and the rows that have one."""
        vectors = self._document_embeddings(views, fitted_size).astype(np.float64)
        return vectors, np.flatnonzero(vectors.any(axis=1))

    def _word_vectors(self, views: Views, size: int) -> FloatArray:
        """Returns the embeddings of the items of ``words`` (V, E), checked, E against ``size``.

        Raises:
            InputError: the view is missing, not of these words, not finite, or of another size than
                the documents' embeddings.
        """
        words = views.require("words", self.name)
        given = views.require("word_embeddings", self.name)
        vectors = checked_vectors(given, len(words.item_ids), "word")
        if vectors.shape[1] != size:
            raise InputError(
                f"model {self.name!r} needs words and documents in one space: words have vectors "
                f"of {vectors.shape[1]} dimensions, documents of {size}"
            )
        return vectors

    def _check_n_topics(self) -> None:
        if (
            isinstance(self.n_topics, bool)
            or int(self.n_topics) != self.n_topics
            or self.n_topics < 1
        ):
            raise InputError(
                f"n_topics must be a whole number of at least 1, not {self.n_topics!r}"
            )


def _same(value: object, default: object) -> bool:
    if isinstance(value, np.ndarray) or isinstance(default, np.ndarray):
        return value is default or bool(np.array_equal(np.asarray(value), np.asarray(default)))
    return bool(value == default)


def normalise_rows(array: ArrayLike) -> FloatArray:
    """Returns ``array`` as f32 with rows that sum to one; all-zero rows stay zero."""
    dense = np.asarray(array, dtype=np.float64)
    sums = dense.sum(axis=1, keepdims=True)
    normalised = np.zeros(dense.shape, np.float32)
    np.divide(dense, sums, out=normalised, where=sums > 0)
    return normalised


def checked_vectors(vectors: ArrayLike, n: int, what: str = "document") -> FloatArray:
    """Returns the vectors of ``n`` documents, or words, (n, E) as f32.

    Raises:
        InputError: there is not one row for each, or a value is not finite.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or len(rows) != n:
        raise InputError(
            f"{what} vectors have shape {rows.shape}; expected one row for each of the {n} {what}s"
        )
    if not np.isfinite(rows).all():
        bad = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise InputError(f"the vector of {what} {bad} holds non-finite values")
    return rows
