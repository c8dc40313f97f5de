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

A corpus may name another tokeniser (:mod:`mtmbench.features.tokenisers`); its words are taken as
they are, less stop words.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import DEFAULT_TOKENISER, DEFAULT_WORDS, WordSpec
from mtmbench.core.types import Corpus, Counts, Int32Array, IntArray
from mtmbench.features.stop_words import (
    StopWords,
    english_stop_words,
    is_default,
    speaks,
    stop_words_of,
)
from mtmbench.features.tokenisers import Tokeniser, split_words, tokeniser_of, word_spans
from mtmbench.features.unicode_text import fold, folded_words, is_unspaced, spelled, unspaced

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "DEFAULT_WORDS", "TOKENISATION_VERSION", "Tokens", "all_tokens", "check_spaces",
    "english_stop_words", "identity_of", "item_splitter", "split_item", "split_words", "tokenise",
    "why_no_words", "word_counts", "word_spans",
]  # fmt: skip

TOKENISATION_VERSION = 3


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


def tokenise(corpus: Corpus, *, stop_words: StopWords | None = None) -> Tokens:
    """Cuts a corpus into words by its own settings, as the top of this module says.

    A pre-tokenised corpus is split on single spaces and nothing else is done to it, save that stop
    words go which are listed, or of a language other than English.

    Args:
        corpus: the documents; one without any word has an empty sequence.
        stop_words: whether stop words are removed, or which, as a list or a language; None takes
            the corpus's own setting.

    Raises:
        InputError: the texts have no spaces between words, or there is no such list of stop words.
        UnknownNameError: there is no such tokeniser.
    """
    setting = corpus.words.stop_words if stop_words is None else stop_words
    language = speaks(setting, corpus.words.language)
    drop, described = stop_words_of(setting, language)
    if corpus.pretokenised:
        source: dict[str, object] = {
            "tokenisation": "pretokenised",
            "version": TOKENISATION_VERSION,
        }
        texts = [_given_tokens(text) for text in corpus.texts]
        if not is_default(setting):
            source["stop_words"] = described
            texts = _without(texts, drop)
        return _tokens(texts, source)
    unspaced_rows = check_spaces(corpus)
    tokeniser = tokeniser_of(corpus.words.model_copy(update={"language": language}))
    found = [tokeniser.words(text) for text in corpus.texts]
    _check_words(found, tokeniser)
    texts = _without(found, drop)
    for row in unspaced_rows:
        texts[row] = [word for word in texts[row] if not is_unspaced(word)]
    source = {**_rule(tokeniser), "stop_words": described, "version": TOKENISATION_VERSION}
    if unspaced_rows:
        source["documents_without_spaces"] = len(unspaced_rows)
    return _tokens(texts, source)


def all_tokens(corpus: Corpus) -> Tokens:
    """Cuts a corpus into all of its runs of letters and digits, folded; nothing is left out.

    It knows what items made elsewhere may hold: numbers, single letters, what stands beside an
    apostrophe or a hyphen. What another tokeniser than the default leaves out is none of its words.
    """
    if corpus.words.tokeniser != DEFAULT_TOKENISER and not corpus.pretokenised:
        return tokenise(corpus, stop_words=False)
    source = {"tokenisation": "all runs of letters and digits", "version": TOKENISATION_VERSION}
    return _tokens([_runs(text) for text in corpus.texts], source)


def item_splitter(corpus: Corpus) -> Callable[[str], list[str]]:
    """Returns what cuts an item like "new_york" into words as the corpus's texts are cut."""
    if corpus.words.tokeniser == DEFAULT_TOKENISER or corpus.pretokenised:
        return split_item
    return tokeniser_of(corpus.words).words


def identity_of(words: WordSpec) -> dict[str, object]:
    """Returns, as JSON values, all that words depend on beside the texts, for keys."""
    told = words.model_dump()
    if "tokeniser" in told:
        told["tokeniser"] = tokeniser_of(words).describe()
    return told


def check_spaces(corpus: Corpus) -> list[int]:
    """Checks that the words of a corpus can be told apart.

    Returns:
        The documents, the fewer ones, in which they cannot; a warning counts them.

    Raises:
        InputError: most texts are of a script without spaces between words, and not tokenised; the
            message says what to do.
    """
    if corpus.pretokenised:
        return []
    tokeniser = tokeniser_of(corpus.words)
    tokeniser.check(corpus.texts)
    found = unspaced(corpus.texts) if tokeniser.needs_spaces else None
    if found is None:
        return []
    rows = [row for row, text in enumerate(corpus.texts) if unspaced([text]) is not None]
    if 2 * len(rows) > len(corpus):
        raise InputError(
            f"corpus {corpus.name!r} has no spaces between words ({found}); for Chinese set "
            'tokeniser = "jieba" under [words] (--tokeniser jieba), for others separate them with '
            "a segmenter of that language and give lists of words (JSON lines of "
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
    corpus: Corpus, spec: WordSpec | None = None, tokens: Tokens | None = None
) -> Counts:
    """Counts words; the document-frequency filters are recorded under ``source["filters"]``.

    A document may be left without any count. ``n_tokens`` are the tokens before these filters. A
    pre-tokenised corpus is taken as it is: no filter applies.

    Args:
        corpus: the documents.
        spec: how texts are cut into words, and which of them count; the corpus's own by default.
        tokens: the corpus's own tokens where they are at hand.

    Raises:
        InputError: the corpus has no words, a filter leaves none, or ``tokens`` belong to another
            corpus or another choice of stop words.
    """
    corpus = corpus if spec is None else corpus.with_words(spec)
    spec = corpus.words
    tokens = tokenise(corpus) if tokens is None else tokens
    _check_tokens(tokens, corpus)
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


def _rule(tokeniser: Tokeniser) -> dict[str, object]:
    """Returns what is on record of how texts are cut."""
    if tokeniser.name != DEFAULT_TOKENISER:
        return {"tokenisation": tokeniser.describe(), "language": tokeniser.language}
    return {
        "tokenisation": "unicode words, folded, lower case, two characters or one that is a word, "
        "one letter",
        "contractions": "n't words dropped; 's 're 've 'll 'd 'm cut off"
        if tokeniser.language == "english"
        else None,
    }


def _check_words(texts: Sequence[Sequence[str]], tokeniser: Tokeniser) -> None:
    for word in {word for words in texts for word in words}:
        if not isinstance(word, str) or not word or word != word.strip():
            raise InputError(
                f"tokeniser {tokeniser.name!r} gave the word {word!r:.60}; a word is a text "
                "without spaces around it"
            )


def _without(texts: Sequence[Sequence[str]], drop: frozenset[str]) -> list[list[str]]:
    """Returns the words of texts that are no stop words, in any spelling."""
    used = {word for words in texts for word in words}
    gone = {word for word in used if word in drop or fold(word) in drop}
    return [[word for word in words if word not in gone] for words in texts]


def _check_tokens(tokens: Tokens, corpus: Corpus) -> None:
    if len(tokens.sequences) != len(corpus):
        raise InputError(
            f"tokens of {len(tokens.sequences)} documents given for the {len(corpus)} documents of "
            f"corpus {corpus.name!r}"
        )
    if corpus.pretokenised:
        return
    spec = corpus.words
    rule = _rule(tokeniser_of(spec))
    if other := [name for name, value in rule.items() if tokens.source.get(name) != value]:
        raise InputError(
            f"tokeniser is {spec.tokeniser} and language {spec.language} in the word settings, but "
            f"the tokens were made with {other[0]} {tokens.source.get(other[0])}"
        )
    made = tokens.source.get("stop_words")
    if made != stop_words_of(spec.stop_words, spec.language)[1]:
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
