"""The one tokenisation of every word model, and the word counts made from it.

The rule, stated in every record: texts are folded (:func:`mtmbench.features.unicode_text.fold`:
ligatures and full-width forms as plain letters, Unicode form NFC, lower case, no format
characters); a token is a run of letters, digits and combining marks, with inner apostrophes, which
are letters in Cyrillic and Hebrew. "n't" contractions are dropped (each is an auxiliary verb with a
negation), the endings 's 're 've 'll 'd 'm are cut off, in English alone, and what else an
apostrophe joins is split; a token has at least two characters, one of them a letter, or one in
scripts whose characters are words (Chinese, Thai, Korean, …); stop words are scikit-learn's English
list, or what a suite says. Document order is kept.

Texts of scripts without spaces between words are refused unless their words are separated; where
they are the fewer documents of a corpus, what of them has no spaces is left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus, Counts, Int32Array, IntArray
from mtmbench.features.stop_words import (
    StopWords,
    english_stop_words,
    is_default,
    is_english,
    stop_words_of,
)
from mtmbench.features.unicode_text import (
    cut_apostrophes,
    fold,
    folded_words,
    is_unspaced,
    is_word,
    parts_at_apostrophes,
    spelled,
    unspaced,
    written_words,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "DEFAULT_WORDS", "TOKENISATION_VERSION", "Tokens", "all_tokens", "check_spaces",
    "english_stop_words", "split_item", "split_words", "tokenise", "why_no_words", "word_counts",
    "word_spans",
]  # fmt: skip

TOKENISATION_VERSION = 3
DEFAULT_WORDS = WordSpec()


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


def tokenise(corpus: Corpus, *, stop_words: StopWords = True) -> Tokens:
    """Cuts a corpus into words by the rule at the top of this module.

    A pre-tokenised corpus is split on single spaces and nothing else is done to it, save that stop
    words go which are listed, or of a language other than English.

    Args:
        corpus: the documents; one without any word has an empty sequence.
        stop_words: whether English stop words are removed; or which, as a list or a language.

    Raises:
        InputError: the texts have no spaces between words, or there is no such list of stop words.
    """
    drop, described = stop_words_of(stop_words)
    if corpus.pretokenised:
        source: dict[str, object] = {
            "tokenisation": "pretokenised",
            "version": TOKENISATION_VERSION,
        }
        texts = [_given_tokens(text) for text in corpus.texts]
        if not is_default(stop_words):
            source["stop_words"] = described
            texts = [
                [word for word in words if word not in drop and fold(word) not in drop]
                for words in texts
            ]
        return _tokens(texts, source)
    unspaced_rows = check_spaces(corpus)
    english = is_english(stop_words)
    texts = [
        [word for word in split_words(text, english=english) if word not in drop]
        for text in corpus.texts
    ]
    for row in unspaced_rows:
        texts[row] = [word for word in texts[row] if not is_unspaced(word)]
    source = {
        "tokenisation": "unicode words, folded, lower case, two characters or one that is a word, "
        "one letter",
        "contractions": "n't words dropped; 's 're 've 'll 'd 'm cut off" if english else None,
        "stop_words": described,
        "version": TOKENISATION_VERSION,
    }
    if unspaced_rows:
        source["documents_without_spaces"] = len(unspaced_rows)
    return _tokens(texts, source)


def all_tokens(corpus: Corpus) -> Tokens:
    """Cuts a corpus into all of its runs of letters and digits, folded; nothing is left out.

    It knows what items made elsewhere may hold: numbers, single letters, what stands beside an
    apostrophe or a hyphen.
    """
    source = {"tokenisation": "all runs of letters and digits", "version": TOKENISATION_VERSION}
    return _tokens([_runs(text) for text in corpus.texts], source)


def check_spaces(corpus: Corpus) -> list[int]:
    """Checks that the words of a corpus can be told apart.

    Returns:
        The documents, the fewer ones, in which they cannot; a warning counts them.

    Raises:
        InputError: most texts are of a script without spaces between words, and not tokenised; the
            message says what to do.
    """
    found = None if corpus.pretokenised else unspaced(corpus.texts)
    if found is None:
        return []
    rows = [row for row, text in enumerate(corpus.texts) if unspaced([text]) is not None]
    if 2 * len(rows) > len(corpus):
        raise InputError(
            f"corpus {corpus.name!r} has no spaces between words ({found}); separate them with a "
            "segmenter of that language and give lists of words (JSON lines of "
            '{"tokens": ["…", "…"]}, lists of lists in Python), an OCTIS folder, or texts with '
            "spaces between the words"
        )
    if rows:
        warnings.warn(
            f"corpus {corpus.name!r}: {len(rows)} of its {len(corpus)} documents have no spaces "
            f"between words ({found}); models of words see nothing of them",
            stacklevel=2,
        )
    return rows


def why_no_words(corpus: Corpus) -> str | None:
    """Returns why the words of a corpus cannot be told apart, or None where they can."""
    try:
        check_spaces(corpus)
    except InputError as error:
        return str(error)
    return None


def split_words(text: str, *, english: bool = True) -> list[str]:
    """Returns the words of one text, stop words included.

    Args:
        text: any text.
        english: whether English contractions are undone; what they join is split otherwise.
    """
    found: list[str] = []
    for token in folded_words(fold(text)):
        for part in cut_apostrophes(token, english):
            if is_word(part):
                found.append(spelled(part))
    return found


def word_spans(text: str, *, english: bool = True) -> list[tuple[int, int, str]]:
    """Returns the words of one text with where they stand in it, stop words included.

    The words are those of :func:`split_words`, in its order; what English cuts off at an
    apostrophe ("'s") stands inside its word.

    Returns:
        For each word its first character, the one behind its last, and the word.
    """
    found: list[tuple[int, int, str]] = []
    for start, end in written_words(text):
        words = list(_split(text[start:end], english))
        if len(words) < 2:
            found += [(start, end, word) for word in words]
            continue
        for low, high in parts_at_apostrophes(text, start, end):
            if words and _split(text[low:high], english) == (words[0],):
                found.append((low, high, words.pop(0)))
    return found


def split_item(text: str) -> list[str]:
    """Returns every run of letters and digits of an item like "new_york".

    An item such as "c++" or "c#" is more than its letter: it comes back whole, which no text has.
    """
    runs = _runs(text)
    alone = len(runs) == 1 and len(runs[0]) == 1
    return [text.strip()] if alone and _SYMBOLS_LAST.search(text) else runs


_SYMBOLS_LAST = re.compile(r"[+#*&@$%^=<>~|\\/]\s*$")


def _runs(text: str) -> list[str]:
    return [
        spelled(part) for token in folded_words(fold(text)) for part in token.split("'") if part
    ]


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


@lru_cache(maxsize=200_000)
def _split(text: str, english: bool) -> tuple[str, ...]:
    return tuple(split_words(text, english=english))


def _tokens(texts: Sequence[Sequence[str]], source: Mapping[str, object]) -> Tokens:
    vocabulary = sorted({word for words in texts for word in words})
    column = {word: i for i, word in enumerate(vocabulary)}
    return Tokens(
        tuple(vocabulary),
        tuple(np.array([column[word] for word in words], np.int32) for words in texts),
        source,
    )


def _given_tokens(text: str) -> list[str]:
    return [token for token in text.split(" ") if token]


def _check_tokens(tokens: Tokens, corpus: Corpus, spec: WordSpec) -> None:
    if len(tokens.sequences) != len(corpus):
        raise InputError(
            f"tokens of {len(tokens.sequences)} documents given for the {len(corpus)} documents of "
            f"corpus {corpus.name!r}"
        )
    if corpus.pretokenised:
        return
    made = tokens.source.get("stop_words")
    if made != stop_words_of(spec.stop_words)[1]:
        raise InputError(
            f"stop_words is {spec.stop_words} in the word settings, but the tokens were made with "
            f"stop_words={False if made is None else made}"
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
