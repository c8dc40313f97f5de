"""Models of the library ``topica`` behind :class:`TopicModel`, an extra of this package.

The library is given the counts of the words view as documents of column numbers, in the order of
the columns, over a fixed vocabulary, and embeddings of the views where a model takes some. What it
takes as parameters, and their defaults, are its own: they are read from its signatures.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, Float64Array, FloatArray, IntArray, ItemKind, Views
from mtmbench.models.base import TopicModel, normalise_rows

if TYPE_CHECKING:
    from mtmbench.models.topica_models import TopicaSpec

_OURS = ("num_topics", "seed", "num_threads")
"""Parameters of the library that K, the seed and one thread stand for."""


class TopicaModel(TopicModel):
    """A model of topica, on counts and, where it takes some, embeddings of the views.

    Documents without words, or without a vector where the model reads vectors of documents, are
    kept from the library and have a row of zeros. ``info`` has what the library warns of.

    Args:
        n_topics: K.
        params: the library's parameters of its constructor and, some, of its ``fit``.
    """

    spec: ClassVar[TopicaSpec]
    item_view: ClassVar[ItemKind] = "words"

    item_ids_: tuple[str, ...]
    _library: Any

    def __init__(self, n_topics: int = 20, **params: object) -> None:
        # A class of its own for each model has its parameters as signature; see topica_model.
        bound = inspect.signature(type(self).__init__).bind(self, n_topics, **params)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            setattr(self, name, value)

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits the library's model to the views.

        Raises:
            InputError: a view is missing or not of these documents or words, no document has any
                word, or the library refuses a parameter or the corpus.
        """
        self._check_n_topics()
        counts = self._counts_to_fit(views)
        rows, vectors = self._read(views, counts)
        if not len(rows):
            raise InputError(f"model {self.name!r} needs documents with a vector; all are zero")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            self._library = self._fit_library(_documents(counts, rows), vectors, len(rows), seed)
        self.item_ids_, self._seed = counts.item_ids, seed
        topics = np.asarray(self._library.topic_word, dtype=np.float64)
        phi = np.zeros((len(topics), len(counts.item_ids)))
        # A model may leave words out of its vocabulary.
        phi[:, [int(word) for word in self._library.vocabulary]] = topics
        theta = np.zeros((len(views.corpus), len(topics)))
        theta[rows] = self._library.doc_topic
        info: dict[str, object] = {
            "library": f"topica {version('topica')}",
            "left_out": len(theta) - len(rows),
        }
        if getattr(self, "convergence_tol", 0.0):
            info["converged"] = bool(self._library.converged)
        if warned:
            info["warnings"] = sorted({str(each.message) for each in warned})
        return self._result(
            views,
            counts,
            seed=seed,
            doc_topic=normalise_rows(theta),
            topic_item=normalise_rows(phi),
            info=info,
        )

    def _fit_library(
        self, documents: Any, vectors: Sequence[object], n_docs: int, seed: int
    ) -> Any:
        """Returns the library's model, fitted."""
        import topica

        theirs = getattr(topica, self.spec.library)
        params = self.get_params(deep=False)
        own = {name: params[name] for name in _own_parameters(theirs)}
        options = {name: params[name] for name in self.spec.fit_options}
        if self.spec.no_covariates:
            # One constant column: the same expected shares of topics in all documents.
            options["prevalence"] = np.ones((n_docs, 1))
        try:
            library = theirs(self.n_topics, seed=seed, **own, **_one_thread(theirs))
            fitted = library.fit(documents, *vectors, **options, **_quietly(theirs.fit))
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise InputError(f"model {self.name!r}: topica refuses: {error}") from error
        # With restarts STM returns the best of its fits, and keeps the last.
        return library if fitted is None else fitted

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) by the library's own inference; zero for a document that is left out.

        Raises:
            InputError: the model is not fitted, the items differ from those of the fit, or the
                vectors are not of these documents.
        """
        counts = self._fitted_counts(views)
        rows, vectors = self._read(views, counts, fitting=False)
        theta = np.zeros((len(views.corpus), len(self._library.topic_word)))
        if len(rows):
            seeded = "seed" in _parameters(self._library.transform)
            theta[rows] = self._library.transform(
                _documents(counts, rows), *vectors, **({"seed": self._seed} if seeded else {})
            )
        return normalise_rows(theta)

    def _read(
        self, views: Views, counts: Counts, fitting: bool = True
    ) -> tuple[IntArray, list[object]]:
        """Returns the rows that the library is given, and what it is given beside their words."""
        has_words = np.asarray(counts.matrix.sum(axis=1)).ravel() > 0
        view = self.spec.vectors
        if view == "embeddings":
            vectors = self._vectors(views.require(view, self.name), len(has_words), view)
            rows = np.flatnonzero(has_words & vectors.any(axis=1))
            return rows, [vectors[rows]]
        rows = np.flatnonzero(has_words)
        if view == "word_embeddings" and fitting:
            vectors = self._vectors(views.require(view, self.name), len(counts.item_ids), view)
            return rows, [vectors, _names(counts)]
        return rows, []

    def _vectors(self, given: FloatArray, n: int, view: str) -> Float64Array:
        vectors = np.asarray(given, dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
            raise InputError(
                f"model {self.name!r} expects {n} rows of finite numbers as the {view} view, not "
                f"an array of shape {vectors.shape}"
            )
        return vectors


@cache
def topica_model(name: str, spec: TopicaSpec) -> type[TopicaModel]:
    """Returns the class of a model, ``topica:NAME``, with the library's parameters and defaults."""
    import topica

    theirs = getattr(topica, spec.library)
    options = {name: _parameters(theirs.fit)[name] for name in spec.fit_options}
    params = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=parameter.default)
        for name, parameter in {**options, **_own_parameters(theirs)}.items()
    ]
    first = list(inspect.signature(TopicaModel.__init__).parameters.values())[:2]

    def store(self: TopicaModel, n_topics: int = 20, **params: object) -> None:
        TopicaModel.__init__(self, n_topics, **params)

    store.__signature__ = inspect.Signature([*first, *params])  # type: ignore[attr-defined]
    return type(
        spec.library,
        (TopicaModel,),
        {
            "__init__": store,
            "__module__": __name__,
            "__doc__": f"topica's {spec.library}; parameters and defaults are the library's.",
            "name": f"topica:{name}",
            "spec": spec,
            "needs": ("words", spec.vectors) if spec.vectors else ("words",),
            "has_perplexity": spec.mixture,
        },
    )


def _parameters(callable_: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(callable_).parameters)


def _own_parameters(theirs: Any) -> dict[str, inspect.Parameter]:
    """Returns the constructor's parameters that can be set; a default that it hides is its own."""
    return {
        name: parameter
        for name, parameter in _parameters(theirs).items()
        if name not in _OURS and parameter.default not in (inspect.Parameter.empty, ...)
    }


def _one_thread(callable_: Any) -> dict[str, int]:
    return {"num_threads": 1} if "num_threads" in _parameters(callable_) else {}


def _quietly(fit: Any) -> dict[str, object]:
    """Returns what keeps ``fit`` to one thread, and from drawing a bar."""
    progress = {"progress": False} if "progress" in _parameters(fit) else {}
    return {**progress, **_one_thread(fit)}


def _names(counts: Counts) -> list[str]:
    """Returns what the library knows items by: their columns, whatever they are called."""
    return [str(v) for v in range(len(counts.item_ids))]


def _documents(counts: Counts, rows: IntArray) -> Any:
    """Returns documents that have words as the library's corpus."""
    import topica

    matrix, names = counts.matrix.tocsr()[rows], _names(counts)
    spelled = np.array(names, dtype=object)
    documents = [
        np.repeat(spelled[row.indices], row.data).tolist()
        for row in (matrix[d] for d in range(matrix.shape[0]))
    ]
    return topica.Corpus.from_documents(documents, vocabulary=names)
