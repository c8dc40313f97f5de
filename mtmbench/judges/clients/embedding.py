"""A proxy judge: sentence-embedding cosine of the document with each topic's description.

It answers questions on a scale too (:mod:`mtmbench.judges.clients.cosine_scales`). It is no
language model. Models that cluster with the same encoder have an advantage with it, which boards
flag by ``encoder``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus, Float64Array, FloatArray
from mtmbench.judges.base import EMPTY_TOPIC, Completion, JudgeClient, Option, Question
from mtmbench.judges.clients.cosine_scales import scale_reply
from mtmbench.judges.clients.scores import renormalised_shares, score_verdict
from mtmbench.judges.replies import verdict_line


class EmbeddingJudge(JudgeClient):
    """Rules by the θ-weighted mean cosine of the document with the shown topics.

    The score of an option is ``Σ_k s_k · cos(document, description_k)`` with the shares ``s_k``
    renormalised over the topics shown; a topic that has nothing to show counts with cosine 0. The
    higher score wins; a difference below ``tie_below`` is a tie. The verdict cannot depend on the
    order of the options. Of two texts (kind "steer") the score is the cosine with the topic's
    description.

    Args:
        tie_below: differences of scores below this are ties.
        description_words: descriptions are cut to this many words, separated by white space, so
            that no model gains from longer labels.
        embed: texts → (N, E) embeddings; the default is all-MiniLM-L6-v2, which reads the first
            256 word pieces of a document.
    """

    name: ClassVar[str] = "embedding"
    version: ClassVar[int] = 1
    order_free: ClassVar[bool] = True
    encoder: ClassVar[str | None] = "all-MiniLM-L6-v2"

    def __init__(
        self,
        tie_below: float = 0.01,
        description_words: int = 32,
        embed: Callable[[Sequence[str]], FloatArray] | None = None,
    ) -> None:
        if not 0 <= tie_below <= 2:
            raise InputError(f"tie_below must lie between 0 and 2, not {tie_below!r}")
        if description_words < 1:
            raise InputError(f"description_words must be at least 1, not {description_words!r}")
        self.tie_below = tie_below
        self.description_words = description_words
        self._embed = embed or _minilm
        self._batches: dict[tuple[str, ...], dict[str, Float64Array]] = {}
        self._documents: dict[str, Float64Array] = {}
        self._topics: dict[str, dict[str, Float64Array]] = {}
        self._compared: dict[str, Float64Array] = {}

    def prepare(self, corpus: Corpus, options: Sequence[Option], rows: Sequence[int]) -> None:
        """Encodes the judged documents in one batch, and each competitor's topics in another."""
        self._documents = self._batch(list(dict.fromkeys(corpus.texts[row] for row in rows)))
        described: dict[str, set[str]] = {}
        for option in options:
            described.setdefault(option.name, set()).update(self._descriptions_of(option))
        # One batch a competitor: an encoder's last bits depend on what else is in a batch, and a
        # verdict must not depend on who else plays or on what a resumed run has left to do.
        for name, texts in described.items():
            self._topics[name] = self._batch(sorted(texts))

    def prepare_texts(
        self,
        corpus: Corpus,  # noqa: ARG002
        doc_topic: FloatArray,  # noqa: ARG002
        options: Sequence[Option],
    ) -> None:
        """Encodes the texts in a batch a side: the unsteered ones are the same for many others."""
        sides: dict[str, set[str]] = {}
        for option in options:
            sides.setdefault(option.name, set()).add(str(option.text))
        self._compared = {}
        for texts in sides.values():
            self._compared.update(self._batch(sorted(texts)))

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Rules on one question; texts that :meth:`prepare` was not told of are encoded now."""
        revision = f"{self.encoder}, version {self.version}"
        if question.kind not in ("match", "steer"):
            described = [" ".join(self._descriptions_of(option)) for option in question.options]
            reply = scale_reply(question, described, lambda texts: [*self._batch(texts).values()])
            return Completion(reply, model_revision=revision)
        text = str(question.context["text"])
        first: float | None
        second: float | None
        if question.kind == "steer":
            cut = self._cut(text)
            topic = self._batch([cut])[cut]
            first, second = (self._nearness(topic, option) for option in question.options)
        else:
            document = self._documents.get(text)
            if document is None:
                document = self._batch([text])[text]
            first, second = (self._score(document, option) for option in question.options)
        return Completion(
            verdict_line(score_verdict(first, second, self.tie_below)),
            model_revision=revision,
        )

    def sees(self, option: Option) -> Hashable:
        """Shares, and descriptions as far as they are read."""
        shares = [topic.share for topic in option.topics]
        return tuple(zip(shares, self._descriptions_of(option), strict=True))

    def _nearness(self, topic: Float64Array, option: Option) -> float:
        text = str(option.text)
        vector = self._compared.get(text)
        if vector is None:
            vector = self._batch([text])[text]
        return float(topic @ vector)

    def _score(self, document: Float64Array, option: Option) -> float | None:
        if not option.topics:
            return None
        known = self._topics.get(option.name, {})
        score = 0.0
        for share, text in zip(
            renormalised_shares(option), self._descriptions_of(option), strict=True
        ):
            if text == EMPTY_TOPIC:
                continue
            vector = known.get(text)
            if vector is None:
                vector = self._batch([text])[text]
            score += share * float(document @ vector)
        return score

    def _descriptions_of(self, option: Option) -> list[str]:
        return [self._cut(topic.description) for topic in option.topics]

    def _batch(self, texts: Sequence[str]) -> dict[str, Float64Array]:
        key = tuple(texts)
        if key not in self._batches:
            embedded = self._embed(key) if key else ()
            vectors = [_unit(np.asarray(row, dtype=np.float64)) for row in embedded]
            self._batches[key] = dict(zip(key, vectors, strict=True))
        return self._batches[key]

    def _cut(self, description: str) -> str:
        if description == EMPTY_TOPIC:
            return EMPTY_TOPIC
        return " ".join(description.split()[: self.description_words]).rstrip(",")


def _unit(vector: Float64Array) -> Float64Array:
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 0 else vector


def _minilm(texts: Sequence[str]) -> FloatArray:
    from mtmbench.features.embeddings import embed_texts

    return embed_texts(texts, model="minilm")
