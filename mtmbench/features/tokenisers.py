"""Tokenisers: what cuts texts into words, by name.

``unicode`` is the rule of :mod:`mtmbench.features.words`, ``whitespace`` takes texts that somebody
has cut before, ``jieba`` cuts Chinese. Others register themselves.
"""

from __future__ import annotations

import logging
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any, ClassVar

from mtmbench.core.errors import InputError
from mtmbench.core.registry import Registry
from mtmbench.core.specs import WordSpec
from mtmbench.features.cache import cache_dir
from mtmbench.features.unicode_text import (
    cut_apostrophes,
    fold,
    folded_words,
    has_ideograph,
    is_unspaced,
    is_word,
    parts_at_apostrophes,
    share_unspaced,
    spelled,
    written_words,
)

WordSpan = tuple[int, int, str]
"""A word's first character in its text, the one behind its last, and the word."""


class Tokeniser(ABC):
    """Cuts texts into words, stop words among them.

    Args:
        language: name of the texts' language, in lower case.

    Attributes:
        name: its registry name.
        version: raised whenever the same text may give other words.
        needs_spaces: words are told apart by the spaces between them, so that texts of scripts
            without any are refused.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs_spaces: ClassVar[bool] = False

    def __init__(self, language: str = "english") -> None:
        self.language = language

    @abstractmethod
    def spans(self, text: str) -> Sequence[WordSpan]:
        """Returns the words of a text, in order, with where they stand in it.

        The word itself may be another spelling, or a lemma, of what stands there.
        """

    def words(self, text: str) -> list[str]:
        """Returns the words of a text, in order."""
        return [word for _, _, word in self.spans(text)]

    def describe(self) -> dict[str, object]:
        """Returns, as JSON values, all that its words depend on beside the text."""
        return {"name": self.name, "version": self.version}

    def check(self, texts: Sequence[str]) -> None:  # noqa: B027
        """Says what a corpus's texts have that it cannot cut.

        Raises:
            InputError: it would make words of what are none.
        """


TOKENISERS: Registry[type[Tokeniser]] = Registry("tokeniser", "mtmbench.tokenisers")

register_tokeniser = TOKENISERS.register


def tokeniser_of(words: WordSpec) -> Tokeniser:
    """Returns the tokeniser that word settings name.

    Raises:
        UnknownNameError: none has this name.
        InputError: it needs a package that is not here.
    """
    return _made(TOKENISERS.get(words.tokeniser), words.language)


@lru_cache(maxsize=64)
def _made(kind: type[Tokeniser], language: str) -> Tokeniser:
    return kind(language)


class UnicodeTokeniser(Tokeniser):
    """Runs of letters, digits and marks, folded: the rule of :mod:`mtmbench.features.words`."""

    name: ClassVar[str] = "unicode"
    needs_spaces: ClassVar[bool] = True

    def spans(self, text: str) -> list[WordSpan]:
        """Returns the words with where they stand; see :func:`word_spans`."""
        return word_spans(text, english=self._english)

    def words(self, text: str) -> list[str]:
        """Returns the words, which takes less time without their places."""
        return split_words(text, english=self._english)

    @property
    def _english(self) -> bool:
        return self.language == "english"


class WhitespaceTokeniser(Tokeniser):
    """What stands between white space, as it is: punctuation and capitals among it."""

    name: ClassVar[str] = "whitespace"
    needs_spaces: ClassVar[bool] = True

    def spans(self, text: str) -> list[WordSpan]:
        """Returns what stands between white space."""
        return [(*match.span(), match.group()) for match in re.finditer(r"\S+", text)]


class JiebaTokeniser(UnicodeTokeniser):
    """Chinese by package jieba's dictionary and hidden Markov model; all else by ``unicode``.

    Words of one character count, and what has no letter does not.
    """

    name: ClassVar[str] = "jieba"
    version: ClassVar[int] = 1
    needs_spaces: ClassVar[bool] = False

    def __init__(self, language: str = "chinese") -> None:
        super().__init__(language)
        try:
            self._package = version("jieba")
        except PackageNotFoundError:
            raise InputError(
                'tokeniser "jieba" is a package that is not here: pip install "mtmbench[languages]"'
            ) from None

    def spans(self, text: str) -> list[WordSpan]:
        """Returns the words with where they stand."""
        return list(self._spans(text))

    def words(self, text: str) -> list[str]:
        """Returns the words."""
        return [word for _, _, word in self._spans(text)]

    def describe(self) -> dict[str, object]:
        """Returns name and version, and those of the package, which has the dictionary."""
        return {**super().describe(), "package": f"jieba {self._package}"}

    def check(self, texts: Sequence[str]) -> None:
        """Refuses other scripts without spaces, of which jieba makes single letters."""
        if share_unspaced(texts) >= _MOST_OTHER:
            raise InputError(
                'tokeniser "jieba" cuts Chinese, and the texts are of another script without '
                "spaces between words (kana, Thai, Lao, Khmer, Burmese); give lists of words, or "
                "register a tokeniser of that language"
            )

    def _spans(self, text: str) -> Iterator[WordSpan]:
        for start, end in written_words(text):
            run = text[start:end]
            if not has_ideograph(run):
                yield from self._moved(run, start)
                continue
            pieces = _jieba().tokenize(run)
            for chinese, group in groupby(pieces, key=lambda piece: has_ideograph(piece[0])):
                if chinese:
                    words = ((start + low, start + high, fold(piece)) for piece, low, high in group)
                    yield from (word for word in words if is_word(word[2]))
                else:
                    # It cuts words of other scripts at every letter that it does not know.
                    (_, low, high), *more = group
                    high = more[-1][2] if more else high
                    yield from self._moved(run[low:high], start + low)

    def _moved(self, text: str, by: int) -> Iterator[WordSpan]:
        for low, high, word in super().spans(text):
            if not is_unspaced(word):
                yield by + low, by + high, word


_MOST_OTHER = 0.1
"""Below this share of all characters, other scripts are names and quotations, and left out."""


@cache
def _jieba() -> Any:
    with warnings.catch_warnings():
        # Of its regular expressions and of pkg_resources.
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.WARNING)
    made = jieba.Tokenizer()
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return made
    # It unmarshals what it kept, which must not be anybody's file in a folder for all.
    made.tmp_dir = str(folder)
    return made


def split_words(text: str, *, english: bool = True) -> list[str]:
    """Returns the words of one text by the rule ``unicode``, stop words included.

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


def word_spans(text: str, *, english: bool = True) -> list[WordSpan]:
    """Returns the words of one text with where they stand in it, stop words included.

    The words are those of :func:`split_words`, in its order; what English cuts off at an
    apostrophe ("'s") stands inside its word.
    """
    found: list[WordSpan] = []
    for start, end in written_words(text):
        words = list(_split(text[start:end], english))
        if len(words) < 2:
            found += [(start, end, word) for word in words]
            continue
        for low, high in parts_at_apostrophes(text, start, end):
            if words and _split(text[low:high], english) == (words[0],):
                found.append((low, high, words.pop(0)))
    return found


@lru_cache(maxsize=200_000)
def _split(text: str, english: bool) -> tuple[str, ...]:
    return tuple(split_words(text, english=english))
