"""A proxy judge of steered texts: a regression from words to θ, trained on the topics' own corpus.

It has no encoder and reads no description: a text is about topic k as far as its words are those of
documents that the topic model gives a high θ_k. What it learned of each topic is checked on
documents held out, so that a topic that words do not tell is known as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Corpus, Float64Array, FloatArray
from mtmbench.judges.base import Completion, JudgeClient, Option, Question
from mtmbench.judges.clients.scores import score_verdict
from mtmbench.judges.replies import verdict_line

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_FOLDS = 5


class RegressionJudge(JudgeClient):
    """Rules by θ_k as a ridge regression predicts it from a text's TF-IDF vector.

    Words are weighted by ``(1 + ln count) · idf`` and vectors have length one, so that a text's
    length does not matter. The higher prediction wins; a difference below ``tie_below`` is a tie.
    The verdict cannot depend on the order. Rules on texts (kind "steer") only.

    Args:
        tie_below: differences of predicted shares below this are ties.
        alpha: ridge penalty.
        min_df: documents that a word must be in.
    """

    name: ClassVar[str] = "regression"
    version: ClassVar[int] = 1
    order_free: ClassVar[bool] = True

    def __init__(self, tie_below: float = 0.0, alpha: float = 1.0, min_df: int = 2) -> None:
        if not 0 <= tie_below <= 1:
            raise InputError(f"tie_below must lie between 0 and 1, not {tie_below!r}")
        if not alpha > 0:
            raise InputError(f"alpha must be above 0, not {alpha!r}")
        if min_df < 1:
            raise InputError(f"min_df must be at least 1, not {min_df!r}")
        self.tie_below = tie_below
        self.alpha = alpha
        self.min_df = min_df
        self.held_out_correlation: tuple[float | None, ...] = ()
        """Of each topic: correlation of θ_k with predictions for documents held out (five folds);
        None where θ_k does not vary."""
        self._trained: str | None = None
        self._model: Pipeline | None = None
        self._predicted: dict[str, Float64Array] = {}

    def prepare_texts(
        self, corpus: Corpus, doc_topic: FloatArray, options: Sequence[Option]
    ) -> None:
        """Trains on the corpus, once for the same topics, and reads the texts in one batch.

        Raises:
            InputError: θ is of another corpus, or there are fewer documents than folds.
        """
        if len(corpus) != len(doc_topic):
            raise InputError(
                f"θ of {len(doc_topic)} documents for the {len(corpus)} of {corpus.name!r}"
            )
        if len(corpus) < _FOLDS:
            raise InputError(
                f"the regression judge learns from {_FOLDS} documents at least; {corpus.name!r} "
                f"has {len(corpus)}"
            )
        key = content_hash(corpus.revision, doc_topic)
        if key != self._trained:
            self._train(corpus, np.asarray(doc_topic, np.float64))
            self._trained = key
            self._predicted = {}
        self._predict({str(option.text) for option in options})

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Rules on two texts.

        Raises:
            InputError: the question is not about texts, or :meth:`prepare_texts` was not called.
        """
        if question.kind != "steer":
            raise InputError(
                f"the regression judge compares texts (kind 'steer'), not a {question.kind!r}"
            )
        if self._model is None:
            raise InputError("the regression judge needs prepare_texts(corpus, θ, …) first")
        topic = int(question.context["topic"])
        texts = [str(option.text) for option in question.options]
        self._predict(set(texts))
        first, second = (float(self._predicted[text][topic]) for text in texts)
        return Completion(
            verdict_line(score_verdict(first, second, self.tie_below)),
            model_revision=f"{self.name}, version {self.version}",
        )

    def _train(self, corpus: Corpus, doc_topic: Float64Array) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import KFold, cross_val_predict
        from sklearn.pipeline import make_pipeline

        self._model = make_pipeline(
            TfidfVectorizer(min_df=self.min_df, sublinear_tf=True),
            Ridge(alpha=self.alpha, solver="sparse_cg", tol=1e-6),
        )
        # Documents may lie sorted by subject, so that folds are drawn.
        folds = KFold(_FOLDS, shuffle=True, random_state=0)
        held_out = cross_val_predict(self._model, list(corpus.texts), doc_topic, cv=folds)
        self.held_out_correlation = tuple(
            _correlation(doc_topic[:, k], held_out[:, k]) for k in range(doc_topic.shape[1])
        )
        self._model.fit(list(corpus.texts), doc_topic)

    def _predict(self, texts: set[str]) -> None:
        new = sorted(texts - self._predicted.keys())
        if new:
            assert self._model is not None
            self._predicted.update(zip(new, self._model.predict(new), strict=True))


def _correlation(x: Float64Array, y: Float64Array) -> float | None:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])
