"""A summariser without a language model: phrases out of the documents that load on a topic.

It rules on nothing. What is judged by its summaries are other documents than those it reads
(:func:`mtmbench.matches.schedule.summary_halves`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json
from mtmbench.core.specs import DEFAULT_ENCODER
from mtmbench.core.types import Corpus, Float64Array, FloatArray
from mtmbench.features.tokenisers import tokeniser_of
from mtmbench.features.words import check_spaces
from mtmbench.judges.base import Completion, Question
from mtmbench.judges.clients.encoding import EncodingJudge
from mtmbench.judges.prompt import sentences

_DIGITS = 4
"""Cosines are rounded to so many before they are compared: last bits depend on the batch."""

_LEAST_WORDS = 4
"""Shorter sentences go with the next one: most are abbreviations and interjections."""

_LONGEST_WORD = 40
"""Longer ones are addresses and code."""

_QUOTES = ' "“”«»'

_CLAUSE_END = re.compile(r"(?<=[,;:、，；：])\s+|\s+[–—-]+\s+")


class ExtractiveSummariser(EncodingJudge):
    """Takes from a topic's strongest documents what is nearest to the topic's centroid.

    The centroid is the θ-weighted mean of the embeddings of all documents that may be read. What
    can be taken are the sentences of the ``documents`` strongest ones, the first ``sentences`` of
    each; of longer ones the first clauses. Of these it takes, one after the other, what has the
    largest ``(1 − diversity) · cos(piece, centroid) − diversity · max cos(piece, taken)`` (maximal
    marginal relevance, Carbonell and Goldstein 1998), as long as there are no more than ``words``
    words and ``pieces`` pieces, and their cosine with the centroid is at least ``nearness`` of that
    of the first. Ties go to the stronger document and the earlier sentence.

    Args:
        documents: so many of a topic's documents are read.
        sentences: so many sentences from the beginning of each, which says what it is about.
        words: words of a summary, at most: separated by white space, or by the corpus's tokeniser
            where it cuts texts without any.
        pieces: sentences or phrases of a summary, at most.
        diversity: weight of the likeness to what was taken already, in [0, 1].
        nearness: in [0, 1]; without it, whatever is short would be put in to fill the words.
        encoder: what embeds texts; see :class:`~mtmbench.judges.clients.encoding.EncodingJudge`.
        embed: texts → (N, E) embeddings, in place of the encoder.
    """

    name: ClassVar[str] = "extractive"
    version: ClassVar[int] = 1
    order_free: ClassVar[bool] = True
    extracts: ClassVar[bool] = True

    def __init__(
        self,
        documents: int = 10,
        sentences: int = 12,
        words: int = 25,
        pieces: int = 3,
        diversity: float = 0.3,
        nearness: float = 0.7,
        encoder: str = DEFAULT_ENCODER,
        embed: Callable[[Sequence[str]], FloatArray] | None = None,
    ) -> None:
        super().__init__(encoder, embed)
        for name, value, least in (
            ("documents", documents, 1), ("sentences", sentences, 1),
            ("words", words, _LEAST_WORDS), ("pieces", pieces, 1),
        ):  # fmt: skip
            if value < least:
                raise InputError(f"{name} must be at least {least}, not {value!r}")
        for name, weight in (("diversity", diversity), ("nearness", nearness)):
            if not 0 <= weight <= 1:
                raise InputError(f"{name} must lie between 0 and 1, not {weight!r}")
        self.documents = documents
        self.sentences = sentences
        self.words = words
        self.pieces = pieces
        self.diversity = diversity
        self.nearness = nearness
        self._corpus: Corpus | None = None
        self._row: dict[str, int] = {}
        self._vectors = np.empty((0, 0))
        self._doc_topic: FloatArray = np.empty((0, 0), np.float32)
        self._pieces: dict[int, list[_Piece]] = {}

    def prepare_summaries(self, corpus: Corpus, doc_topic: FloatArray) -> None:
        """Encodes the corpus, once.

        Raises:
            InputError: its texts have no spaces between words, so that none can be counted.
        """
        self._doc_topic = doc_topic
        if self._corpus is not None and self._corpus.revision == corpus.revision:
            return
        check_spaces(corpus)
        # As the embeddings view asks for them, so that they lie in the cache where it was made.
        self._vectors = np.asarray(self._embed(corpus.texts), dtype=np.float64)
        self._corpus, self._pieces = corpus, {}
        self._row = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Returns the summary of one topic; it is empty if no document has a word.

        Raises:
            InputError: the question is of another kind than "summary", names no documents, or came
                before ``prepare_summaries``.
        """
        ids = question.context.get("documents")
        if question.kind != "summary" or ids is None:
            raise InputError(
                f"the extractive summariser takes summaries from documents and answers no question "
                f"of kind {question.kind!r}; name it as summariser"
            )
        if self._corpus is None:
            raise InputError("the extractive summariser needs prepare_summaries(corpus, …) first")
        rows = [self._row[doc_id] for doc_id in ids]
        shares = np.asarray(self._doc_topic[rows, question.context["topic"]], dtype=np.float64)
        centroid = shares @ self._vectors[rows]
        found = [piece for row in rows[: self.documents] for piece in self._pieces_of(row)]
        taken = [found[i] for i in self._choose(found, centroid)]
        reply = {
            "summary": joined([piece.text for piece in taken]),
            "documents": list(dict.fromkeys(self._corpus.doc_ids[piece.row] for piece in taken)),
        }
        return Completion(
            canonical_json(reply), model_revision=f"{self.encoder}, version {self.version}"
        )

    def _pieces_of(self, row: int) -> list[_Piece]:
        """Returns a document's pieces; each document is encoded by itself, once."""
        if row not in self._pieces:
            assert self._corpus is not None
            spaced = with_spaces(self._corpus, self._corpus.texts[row])
            pieces = pieces_of(spaced, self.words)[: self.sentences]
            texts = [without_spaces(piece) for piece in pieces]
            vectors = _unit(np.asarray(self._embed(texts), dtype=np.float64)) if texts else ()
            self._pieces[row] = [
                _Piece(row, text, vector, len(piece.split()))
                for piece, text, vector in zip(pieces, texts, vectors, strict=True)
            ]
        return self._pieces[row]

    def _choose(self, found: Sequence[_Piece], centroid: Float64Array) -> list[int]:
        """Returns which pieces are taken, in the order in which they are."""
        if not found:
            return []
        vectors = np.stack([piece.vector for piece in found])
        near = np.round(vectors @ _unit(centroid[None])[0], _DIGITS)
        alike = np.zeros(len(found))  # nothing is taken yet
        left, taken = self.words, list[int]()
        while len(taken) < self.pieces:
            least = self.nearness * near[taken[0]] if taken else -1.0
            fits = [
                i
                for i, piece in enumerate(found)
                if piece.n_words <= left and near[i] >= least and i not in taken
            ]
            if not fits:
                break
            gain = np.round((1 - self.diversity) * near - self.diversity * alike, _DIGITS + 2)
            best = max(fits, key=lambda i: (gain[i], -i))
            to_best = np.round(vectors @ vectors[best], _DIGITS)
            alike = np.maximum(alike, to_best) if taken else to_best
            taken.append(best)
            left -= found[best].n_words
        return taken


@dataclass(frozen=True)
class _Piece:
    """A sentence or phrase of the document in ``row``, and its unit embedding."""

    row: int
    text: str
    vector: Float64Array
    n_words: int


def pieces_of(text: str, most_words: int) -> list[str]:
    """Returns the sentences of a text, of those of more words the first clauses, or words.

    What comes after them would begin in mid-sentence; only a text that is one sentence, or has no
    ends of sentences, is cut into all of its parts. Pieces below four words are left out, unless
    the text has no longer one.
    """
    whole: list[str] = []
    short: list[str] = []
    for sentence in sentences(text):
        short += [word for word in sentence.split() if len(word) <= _LONGEST_WORD]
        if len(short) >= _LEAST_WORDS:
            whole.append(" ".join(short))
            short = []
    if short:
        whole.append(" ".join(short))
    parts = [_cut(sentence, most_words) for sentence in whole]
    found = parts[0] if len(parts) == 1 else [runs[0] for runs in parts]
    long = [piece for piece in found if len(piece.split()) >= _LEAST_WORDS]
    return long or found


def with_spaces(corpus: Corpus, text: str) -> str:
    """Returns a text with a space before every word of a script that has none."""
    tokeniser = tokeniser_of(corpus.words)
    if tokeniser.needs_spaces or corpus.pretokenised:
        return text
    starts = [start for start, _, _ in tokeniser.spans(text) if start]
    parts = (text[begin:end] for begin, end in pairwise([0, *starts, len(text)]))
    return _JOINT.join(parts)


def without_spaces(text: str) -> str:
    """Returns a part of a text without the spaces, and the comma, that :func:`with_spaces` left."""
    if _MARK not in text:
        return text
    return text.replace(_JOINT, "").lstrip(_JOINT).rstrip("、，；：")


_MARK = "\ufdd0"
"""Tells spaces that are not the text's: Unicode reserves it, so that no text has it."""
_JOINT = f" {_MARK}"


def joined(pieces: Sequence[str]) -> str:
    """Returns one piece as it stands, several as phrases between semicolons."""
    if len(pieces) == 1:
        return pieces[0]
    return "; ".join(piece.rstrip(" .,;:") for piece in pieces)


def _cut(sentence: str, most_words: int) -> list[str]:
    """Cuts a sentence at clauses, each piece as long as it may be; one of the size is whole."""
    pieces: list[list[str]] = []
    clauses = [sentence] if len(sentence.split()) <= most_words else _CLAUSE_END.split(sentence)
    for clause in clauses:
        words = clause.split()
        if pieces and len(pieces[-1]) + len(words) <= most_words:
            pieces[-1] += words
            continue
        pieces += [words[i : i + most_words] for i in range(0, len(words), most_words)]
    return [" ".join(piece).strip(_QUOTES).rstrip(" ,;:") for piece in pieces]


def _unit(vectors: Float64Array) -> Float64Array:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1.0)
