"""A proxy judge: sentence-embedding cosine of the document with each topic's description.

It answers questions on a scale too (:mod:`mtmbench.judges.clients.cosine_scales`). It is no
language model. Models that cluster with the same encoder have an advantage with it, which boards
flag by ``encoder``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.specs import DEFAULT_ENCODER
from mtmbench.core.types import Corpus, Float64Array, FloatArray
from mtmbench.judges.base import (
    EMPTY_TOPIC,
    Completion,
    Option,
    Question,
    judged_mark,
)
from mtmbench.judges.clients.cosine_scales import scale_reply
from mtmbench.judges.clients.encoding import EncodingJudge
from mtmbench.judges.clients.scores import renormalised_shares, score_verdict
from mtmbench.judges.replies import verdict_line

_TIES_BELOW = {1: 0.01, 2: 0.009}
"""Widths by version; under that of 2 a refit ties as often as under that of 1.

Two fits that differ in their seed alone tied on 28 % of the documents under both: LDA, mLDA and
BERTopic on samples of 20 Newsgroups, AG News, bills and Lee, five seeds, 300 documents a corpus.
"""


@dataclass(frozen=True)
class _Judged:
    """The judged documents of a corpus: unit vectors by text, and their mean."""

    vectors: Mapping[str, Float64Array]
    mean: Float64Array


class EmbeddingJudge(EncodingJudge):
    """Rules by the θ-weighted mean cosine of the document with the shown topics.

    The score of an option is ``Σ_k s_k · c(document, description_k)`` with the shares ``s_k``
    renormalised over the topics shown; a topic that has nothing to show counts with c = 0. The
    higher score wins; a difference below ``tie_below`` is a tie. The verdict cannot depend on the
    order of the options. In version 1 ``c`` is the cosine. In version 2 it is centred,

        ``c(d, t) = cos(d, t) − mean of cos(d′, t) over the judged documents d′``,

    so that a description gains nothing by being close to everything. The judged documents are all
    that the league's matches judge, drawn before any match (:meth:`prepare_documents`), each as
    often as it stands among them; and each description is encoded by itself. So a verdict depends
    on the question and on these documents, and on nothing that was played before or beside it.

    Of two texts (kind "steer") the score is in both versions the cosine with the topic's
    description, whose mean is the same for both texts. How other questions are answered says
    :func:`~mtmbench.judges.clients.cosine_scales.scale_reply`.

    Args:
        tie_below: differences of scores below this are ties; by default as the version has it,
            such that a model refitted under another seed ties as often in both.
        description_words: descriptions are cut to this many words, separated by white space, so
            that no model gains from longer labels.
        version: 1, plain cosines, or 2, centred ones.
        exemplars: in questions of kind "fit" and "rank" the documents that exemplify the topic
            stand for it, by the mean of their unit vectors, in place of its description.
        encoder: what embeds texts; see :class:`~mtmbench.judges.clients.encoding.EncodingJudge`.
        embed: texts → (N, E) embeddings, in place of the encoder.

    Raises:
        InputError: a parameter is out of its range.
    """

    name: ClassVar[str] = "embedding"
    version: ClassVar[int] = 2
    order_free: ClassVar[bool] = True

    def __init__(
        self,
        tie_below: float | None = None,
        description_words: int = 32,
        version: int = version,
        exemplars: bool = False,
        encoder: str = DEFAULT_ENCODER,
        embed: Callable[[Sequence[str]], FloatArray] | None = None,
    ) -> None:
        super().__init__(encoder, embed)
        self.version_of({"version": version})
        tie_below = _TIES_BELOW[version] if tie_below is None else tie_below
        if not 0 <= tie_below <= 2:
            raise InputError(f"tie_below must lie between 0 and 2, not {tie_below!r}")
        if description_words < 1:
            raise InputError(f"description_words must be at least 1, not {description_words!r}")
        # Its class has the version that rules where a card names none.
        self.version = version  # type: ignore[misc]
        self.tie_below = tie_below
        self.description_words = description_words
        self.exemplars = exemplars
        self._batches: dict[tuple[str, ...], dict[str, Float64Array]] = {}
        self._documents: Mapping[str, Float64Array] = {}
        self._judged: dict[tuple[str, str], _Judged] = {}
        self._topics: dict[str, dict[str, Float64Array]] = {}
        self._compared: dict[str, Float64Array] = {}

    @classmethod
    def version_of(cls, params: Mapping[str, Any]) -> int:
        """Returns the version that a card's parameters name.

        Raises:
            InputError: there is no such version.
        """
        version = params.get("version", cls.version)
        if version not in tuple(_TIES_BELOW):
            raise InputError(f"version of the embedding judge must be 1 or 2, not {version!r}")
        return int(version)

    def prepare_documents(self, corpus: Corpus, rows: Sequence[int]) -> None:
        """Encodes the judged documents in one batch and averages them, for version 2."""
        if self.version == 1:
            return
        texts = [corpus.texts[row] for row in rows]
        vectors = self._batch(list(dict.fromkeys(texts)))
        mean = np.mean([vectors[text] for text in texts], axis=0)
        told = _Judged(vectors, mean)
        self._judged[corpus.name, judged_mark(corpus, rows)] = told
        self._judged[corpus.name, ""] = told

    def prepare(self, corpus: Corpus, options: Sequence[Option], rows: Sequence[int]) -> None:
        """Encodes the match's documents in one batch, each competitor's topics in another.

        That is version 1; version 2 knows its documents, and encodes each description by itself, or
        as its own encoder would: that one puts the same vector into the cache from any batch.
        """
        if self.version > 1:
            if self._keeps:
                texts = {text for option in options for text in self._descriptions_of(option)}
                if new := sorted(text for text in texts if (text,) not in self._batches):
                    self._embed(new)
            return
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
        """Rules on one question; texts that it was not told of are encoded now.

        Raises:
            InputError: cosines with documents are to be centred, and :meth:`prepare_documents` was
                not told which documents of the corpus are judged.
        """
        revision = f"{self.encoder}, version {self.version}"
        if question.kind not in ("match", "steer"):
            described = [" ".join(self._descriptions_of(option)) for option in question.options]
            centred = self.version > 1 and question.kind in ("fit", "rank")
            centre = self._judged_of(question).mean if centred else None
            examples = question.context.get("exemplars", ()) if self.exemplars else ()
            reply = scale_reply(
                question, described, lambda texts: [*self._batch(texts).values()], centre, examples
            )
            return Completion(reply, model_revision=revision)
        text = str(question.context["text"])
        first: float | None
        second: float | None
        if question.kind == "steer":
            cut = self._cut(text)
            topic = self._batch([cut])[cut]
            first, second = (self._nearness(topic, option) for option in question.options)
        else:
            document = self._document(question)
            first, second = (self._score(document, option) for option in question.options)
        return Completion(
            verdict_line(score_verdict(first, second, self.tie_below)),
            model_revision=revision,
        )

    def sees(self, option: Option) -> Hashable:
        """Shares, and descriptions as far as they are read."""
        shares = [topic.share for topic in option.topics]
        return tuple(zip(shares, self._descriptions_of(option), strict=True))

    def _document(self, question: Question) -> Float64Array:
        """Returns the vector whose products with descriptions are their, maybe centred, cosines."""
        text = str(question.context["text"])
        judged = None if self.version == 1 else self._judged_of(question)
        vector = (self._documents if judged is None else judged.vectors).get(text)
        if vector is None:
            vector = self._batch([text])[text]
        # (d − mean of d′) · t = d · t − mean of d′ · t
        return vector if judged is None else vector - judged.mean

    def _judged_of(self, question: Question) -> _Judged:
        corpus = question.context["corpus"]
        if (corpus, question.judged) not in self._judged:
            raise InputError(
                f"version {self.version} of the embedding judge centres cosines, and was not told "
                f"which documents of {corpus!r} are judged: prepare_documents(corpus, rows) says it"
            )
        return self._judged[corpus, question.judged]

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
