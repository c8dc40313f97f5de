"""The one tokenisation of every word model, and the word counts made from it.

The rule, stated in every record: texts are brought to Unicode form NFC and lower-cased; a token is
a run of letters, digits and combining marks, with inner apostrophes; "n't" contractions are dropped
(each is an auxiliary verb with a negation), the endings 's 're 've 'll 'd 'm are cut off, and what
else an apostrophe joins is split; a token has at least two characters, one of them a letter; stop
words are scikit-learn's English list. Document order is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.cards import WordSpec
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Corpus, Counts, Int32Array, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOKENISATION_VERSION = 1
DEFAULT_WORDS = WordSpec()

_CUT_ENDINGS = frozenset({"s", "re", "ve", "ll", "d", "m"})


@dataclass(frozen=True)
class Tokens:
    """A corpus as word sequences, before any document-frequency filter.

    Attributes:
        vocabulary: V distinct words, sorted.
        sequences: D int32 arrays of columns of ``vocabulary``, in document order.
        source: the tokenisation, as JSON values.
    """

    vocabulary: tuple[str, ...]
    sequences: tuple[Int32Array, ...]
    source: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def revision(self) -> str:
        """Content hash of vocabulary, sequences and tokenisation."""
        lengths = np.array([len(sequence) for sequence in self.sequences], np.int64)
        flat = np.concatenate([np.empty(0, np.int32), *self.sequences])
        return content_hash(list(self.vocabulary), lengths, flat, self.source)

    @property
    def n_tokens(self) -> int:
        """Tokens of the whole corpus."""
        return sum(len(sequence) for sequence in self.sequences)

    def words(self, row: int) -> list[str]:
        """Returns document ``row`` as words."""
        return [self.vocabulary[i] for i in self.sequences[row]]


def tokenise(corpus: Corpus, *, stop_words: bool = True) -> Tokens:
    """Cuts a corpus into words by the rule at the top of this module.

    A pre-tokenised corpus is split on single spaces and nothing else is done to it.

    Args:
        corpus: the documents; one without any word has an empty sequence.
        stop_words: whether English stop words are removed.
    """
    if corpus.pretokenised:
        texts = [[token for token in text.split(" ") if token] for text in corpus.texts]
        source: dict[str, object] = {
            "tokenisation": "pretokenised",
            "version": TOKENISATION_VERSION,
        }
    else:
        drop = english_stop_words() if stop_words else frozenset()
        texts = [[word for word in split_words(text) if word not in drop] for text in corpus.texts]
        source = {
            "tokenisation": "unicode words, NFC, lower case, two characters, one letter",
            "contractions": "n't words dropped; 's 're 've 'll 'd 'm cut off",
            "stop_words": f"scikit-learn english ({len(drop)})" if stop_words else None,
            "version": TOKENISATION_VERSION,
        }
    vocabulary = sorted({word for words in texts for word in words})
    column = {word: i for i, word in enumerate(vocabulary)}
    return Tokens(
        tuple(vocabulary),
        tuple(np.array([column[word] for word in words], np.int32) for words in texts),
        source,
    )


def split_words(text: str) -> list[str]:
    """Returns the words of one text, stop words included."""
    found: list[str] = []
    folded = unicodedata.normalize("NFC", text).lower().replace("’", "'")
    for token in _word_pattern().findall(folded):
        for part in _undo_contraction(token) if "'" in token else (token,):
            if len(part) >= 2 and any(character.isalpha() for character in part):
                found.append(part)
    return found


def word_counts(
    corpus: Corpus, spec: WordSpec = DEFAULT_WORDS, tokens: Tokens | None = None
) -> Counts:
    """Counts words; the document-frequency filters are recorded under ``source["filters"]``.

    A document may be left without any count. ``n_tokens`` are the tokens before these filters. A
    pre-tokenised corpus is taken as it is: no filter applies.

    Args:
        corpus: the documents.
        spec: minimum and maximum document frequency, stop words, size of the vocabulary.
        tokens: the corpus's own tokens where they are at hand.

    Raises:
        InputError: the corpus has no words, a filter leaves none, or ``tokens`` belong to another
            corpus or another choice of stop words.
    """
    tokens = tokenise(corpus, stop_words=spec.stop_words) if tokens is None else tokens
    _check_tokens(tokens, corpus, spec)
    if not tokens.vocabulary:
        raise InputError(f"corpus {corpus.name!r} has no words (rule: {tokens.source})")
    matrix = _count(tokens)
    columns = np.arange(len(tokens.vocabulary), dtype=np.int64)
    filters: dict[str, object] = {}
    if not corpus.pretokenised:
        columns, filters = _filter(matrix, spec, corpus.name)
    return Counts(
        kind="words",
        matrix=matrix[:, columns],
        n_tokens=np.array([len(sequence) for sequence in tokens.sequences], np.int64),
        item_ids=tuple(tokens.vocabulary[i] for i in columns),
        item_labels=tuple(tokens.vocabulary[i] for i in columns),
        source={**tokens.source, "filters": filters},
    )


@cache
def english_stop_words() -> frozenset[str]:
    """Returns scikit-learn's English stop words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


@cache
def _word_pattern() -> re.Pattern[str]:
    # Python's \w leaves out combining marks, without which Indic and other scripts fall apart.
    marks = "".join(chr(i) for i in range(0x300, 0x10000) if unicodedata.category(chr(i))[0] == "M")
    letter = rf"(?:[^\W_]|[{marks}])"
    return re.compile(rf"[^\W_]{letter}*(?:'{letter}+)*")


def _undo_contraction(token: str) -> Sequence[str]:
    if token.endswith("n't"):
        return ()
    head, _, ending = token.rpartition("'")
    return (head if ending in _CUT_ENDINGS else token).split("'")


def _check_tokens(tokens: Tokens, corpus: Corpus, spec: WordSpec) -> None:
    if len(tokens.sequences) != len(corpus):
        raise InputError(
            f"tokens of {len(tokens.sequences)} documents given for the {len(corpus)} documents of "
            f"corpus {corpus.name!r}"
        )
    removed = tokens.source.get("stop_words") is not None
    if not corpus.pretokenised and removed != spec.stop_words:
        raise InputError(
            f"stop_words is {spec.stop_words} in the word settings, but the tokens were made with "
            f"stop_words={removed}"
        )


def _count(tokens: Tokens) -> csr_matrix:
    from scipy.sparse import csr_matrix

    lengths = [len(sequence) for sequence in tokens.sequences]
    columns = np.concatenate([np.empty(0, np.int32), *tokens.sequences])
    matrix = csr_matrix(
        (np.ones(len(columns), np.int32), columns, np.concatenate([[0], np.cumsum(lengths)])),
        shape=(len(lengths), len(tokens.vocabulary)),
    )
    matrix.sum_duplicates()
    return matrix


def _filter(matrix: csr_matrix, spec: WordSpec, corpus: str) -> tuple[IntArray, dict[str, object]]:
    n_docs, n_words = matrix.shape
    frequency = np.bincount(matrix.indices, minlength=n_words)
    rare = frequency < spec.min_df
    common = frequency > spec.max_df * n_docs
    columns = np.flatnonzero(~rare & ~common)
    if not len(columns):
        raise InputError(
            f"no word of corpus {corpus!r} is left: min_df={spec.min_df} drops {int(rare.sum())} "
            f"and max_df={spec.max_df} drops {int(common.sum())} of {n_words} "
            f"({n_docs} documents); lower min_df or raise max_df"
        )
    filters: dict[str, object] = {
        "items": n_words,
        "min_df": {"limit": spec.min_df, "dropped": int(rare.sum())},
        "max_df": {"limit": spec.max_df, "dropped": int(common.sum())},
    }
    if spec.max_vocabulary is not None:
        totals = np.bincount(matrix.indices, weights=matrix.data, minlength=n_words)[columns]
        kept = np.sort(np.argsort(-totals, kind="stable")[: spec.max_vocabulary])
        filters["max_vocabulary"] = {
            "limit": spec.max_vocabulary,
            "dropped": len(columns) - len(kept),
        }
        columns = columns[kept]
    filters["kept"] = len(columns)
    return columns, filters
