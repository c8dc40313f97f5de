"""A model fitted elsewhere, which plays like any other."""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.names import check_name, check_path
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import FloatArray, ViewName, Views
from mtmbench.models.base import TopicModel
from mtmbench.models.importers import import_result

__all__ = ["External", "import_result"]


class External(TopicModel):
    """Topics from a file: ``fit`` reads them and checks them against the corpus.

    The number of topics is the file's; ``info`` has "asked" and "found".

    Args:
        n_topics: the number asked for by the suite, which fills ``{k}``.
        path: a saved :class:`TopicResult` (as ``mtmbench import`` writes it), or anything that
            :func:`~mtmbench.models.importers.import_result` reads. ``{corpus}``, ``{k}`` and
            ``{seed}`` in it are filled in, so that one card can name the files of a whole suite.
        format: the file's format; see :func:`~mtmbench.models.importers.import_result`.
        normalise: accept rows that do not sum to one, and normalise them.
        trust: never true here: a card or suite cannot ask for pickles to be read, which can run
            any code. ``mtmbench import FILE --trust`` reads them once and makes a plain file.
        revision: the result's revision, if it is to be this one and no other.
    """

    name: ClassVar[str] = "external"
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[ViewName, ...]] = ()

    _doc_ids: tuple[str, ...]
    _doc_topic: FloatArray

    def __init__(
        self,
        n_topics: int | None = None,
        path: str = "",
        format: str = "auto",
        normalise: bool = False,
        trust: bool = False,
        revision: str | None = None,
    ) -> None:
        if trust or format == "gensim":
            asked = "trust" if trust else 'format = "gensim"'
            raise InputError(
                f"model 'external': {asked} would read pickles, which can run any code, and no "
                "suite or card can ask for that; if the file is yours, import it once: mtmbench "
                "import FILE --trust --corpus CORPUS --name NAME, and play the card that this makes"
            )
        self.n_topics = n_topics  # type: ignore[assignment]
        self.path = path
        self.format = format
        self.normalise = normalise
        self.trust = trust
        self.revision = revision

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Reads the topics; see :class:`TopicModel`.

        Raises:
            InputError: there is no such file, it is not of this corpus, it does not hold topics,
                or it is of another revision.
        """
        path = self._filled_path(views, seed)
        result = import_result(
            path,
            corpus=views.corpus,
            name=None,
            format=self.format,
            normalise=self.normalise,
            seed=seed,
        )
        if self.revision is not None and result.revision != self.revision:
            raise InputError(
                f"{path} holds topics of revision {result.revision}; the card asks for "
                f"{self.revision}: import them again"
            )
        self._doc_ids, self._doc_topic = views.corpus.doc_ids, result.doc_topic
        info = {**result.info, "asked": self.n_topics, "found": result.n_topics}
        return replace(result, seed=seed, info=info)

    def transform(self, views: Views) -> FloatArray:
        """Returns the stored θ of documents of the fitted corpus, found by their ids.

        Raises:
            InputError: the model is not fitted, or a document is not of that corpus.
        """
        if not hasattr(self, "_doc_ids"):
            raise InputError("model 'external' is not fitted: call fit before transform")
        row_of = {doc_id: row for row, doc_id in enumerate(self._doc_ids)}
        unknown = [doc_id for doc_id in views.corpus.doc_ids if doc_id not in row_of]
        if unknown:
            raise InputError(
                f"topics fitted elsewhere are known for their own documents only; {unknown[0]!r} "
                "is not among them"
            )
        rows = np.array([row_of[doc_id] for doc_id in views.corpus.doc_ids])
        theta: FloatArray = self._doc_topic[rows]
        return theta

    def _filled_path(self, views: Views, seed: int) -> Path:
        if not self.path:
            raise InputError(
                "model 'external' needs path=: the file of its topics; its card has none for "
                f"corpus {views.corpus.name!r} (mtmbench import FILE --corpus "
                f"{views.corpus.name} under the same --name adds it)"
            )
        check_path(self.path, "path")
        if "{corpus" in self.path:
            check_name(views.corpus.name, "a corpus whose name is part of a path")
        try:
            # Only these, and no width of a million: a card is not to format what it likes.
            for _, name, width, _ in string.Formatter().parse(self.path):
                if name not in (None, "corpus", "k", "seed") or len(width or "") > 3:
                    raise ValueError(name)
            filled = self.path.format(corpus=views.corpus.name, k=self.n_topics, seed=seed)
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"path {self.path!r}: only {{corpus}}, {{k}} and {{seed}} are filled in"
            ) from error
        return Path(filled)
