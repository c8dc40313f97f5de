"""A proxy judge: TF-IDF cosine of the document with the projected words of the topics.

It has no encoder and reads no item labels, only the words that a topic's documents use, so word
and feature models meet it on the same ground.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus
from mtmbench.judges.base import Completion, JudgeClient, Option, Question
from mtmbench.judges.clients.scores import renormalised_shares, score_verdict
from mtmbench.judges.replies import verdict_line

if TYPE_CHECKING:
    from mtmbench.features.words import Tokens


class LexicalJudge(JudgeClient):
    """Rules by the cosine of two TF-IDF vectors: the document's, and that of the shown topics.

    ``idf(w) = ln((1 + D) / (1 + df_w)) + 1`` over the whole corpus. The document's entry for w is
    its count times idf. An option's is ``idf(w) · Σ_k s_k · p_kw``, with the shares ``s_k``
    renormalised over the topics shown and ``p_k`` the weights of topic k's projected words
    divided by their sum. Words that the corpus does not have are left out. The higher cosine wins;
    a difference below ``tie_below`` is a tie. The verdict cannot depend on the order.

    Args:
        tie_below: differences of cosines below this are ties.
        tokenise: corpus → token sequences; the default is the corpus's own, as of word models.
    """

    name: ClassVar[str] = "lexical"
    version: ClassVar[int] = 1
    order_free: ClassVar[bool] = True
    reads_words: ClassVar[bool] = True

    def __init__(
        self, tie_below: float = 0.01, tokenise: Callable[[Corpus], Tokens] | None = None
    ) -> None:
        if not 0 <= tie_below <= 1:
            raise InputError(f"tie_below must lie between 0 and 1, not {tie_below!r}")
        self.tie_below = tie_below
        self._tokenise = tokenise or _words
        self._indexes: dict[tuple[str, WordSpec], _Index] = {}
        self._index: _Index | None = None

    def prepare(
        self,
        corpus: Corpus,
        options: Sequence[Option],  # noqa: ARG002
        rows: Sequence[int],  # noqa: ARG002
    ) -> None:
        """Counts the corpus's document frequencies, once a corpus."""
        key = corpus.revision, corpus.words
        if key not in self._indexes:
            self._indexes[key] = _Index(corpus, self._tokenise(corpus))
        self._index = self._indexes[key]

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Rules on one question about a document of the prepared corpus.

        Raises:
            InputError: the question is of another kind than "match", or came before ``prepare``.
        """
        if question.kind != "match":
            raise InputError(f"the lexical judge rules on matches only, not on {question.kind!r}")
        if self._index is None:
            raise InputError("the lexical judge needs prepare(corpus, …) first, for its idf")
        document = self._index.document(str(question.context["doc_id"]))
        first, second = (self._score(document, option) for option in question.options)
        return Completion(
            verdict_line(score_verdict(first, second, self.tie_below)),
            model_revision=f"{self.name}, version {self.version}",
        )

    def sees(self, option: Option) -> Hashable:
        """Shares and projected words with their weights."""
        return tuple((topic.share, topic.words, topic.word_weights) for topic in option.topics)

    def _score(self, document: Mapping[str, float], option: Option) -> float | None:
        if not option.topics:
            return None
        assert self._index is not None
        vector = self._index.option(option)
        norm = math.sqrt(sum(weight * weight for weight in vector.values()))
        if norm == 0:
            return 0.0
        return sum(document.get(word, 0.0) * weight for word, weight in vector.items()) / norm


class _Index:
    """A corpus's document frequencies, and its documents as TF-IDF vectors when asked for."""

    def __init__(self, corpus: Corpus, tokens: Tokens) -> None:
        self._vocabulary = tokens.vocabulary
        self._sequences = tokens.sequences
        self._rows = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}
        frequency = np.zeros(len(tokens.vocabulary), dtype=np.int64)
        for sequence in tokens.sequences:
            frequency[np.unique(sequence)] += 1
        idf = np.log((1 + len(corpus)) / (1 + frequency)) + 1
        self._idf = dict(zip(tokens.vocabulary, idf.tolist(), strict=True))
        self._documents: dict[str, dict[str, float]] = {}
        self._name = corpus.name

    def document(self, doc_id: str) -> dict[str, float]:
        """Returns a document's unit TF-IDF vector; empty for a document without a word."""
        if doc_id not in self._rows:
            raise InputError(f"document {doc_id!r} is not in corpus {self._name!r}")
        if doc_id not in self._documents:
            counts = Counter(self._sequences[self._rows[doc_id]].tolist())
            words = {self._vocabulary[i]: count for i, count in sorted(counts.items())}
            vector = {word: count * self._idf[word] for word, count in words.items()}
            norm = math.sqrt(sum(weight * weight for weight in vector.values()))
            self._documents[doc_id] = {word: weight / norm for word, weight in vector.items()}
        return self._documents[doc_id]

    def option(self, option: Option) -> dict[str, float]:
        """Returns an option's TF-IDF vector, of any length."""
        vector: dict[str, float] = {}
        for share, topic in zip(renormalised_shares(option), option.topics, strict=True):
            if len(topic.word_weights) != len(topic.words):
                raise InputError(
                    f"option {option.name!r}: {len(topic.words)} projected words with "
                    f"{len(topic.word_weights)} weights"
                )
            total = sum(topic.word_weights)
            for word, weight in zip(topic.words, topic.word_weights, strict=True):
                if word in self._idf and weight > 0:
                    entry = self._idf[word] * share * weight / total
                    vector[word] = vector.get(word, 0.0) + entry
        return vector


def _words(corpus: Corpus) -> Tokens:
    from mtmbench.features.words import tokenise

    return tokenise(corpus)
