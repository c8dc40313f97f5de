"""Lists of stop words: scikit-learn's English one, those of stopwords-iso, a suite's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mtmbench.core.errors import InputError
from mtmbench.core.languages import LANGUAGES, language_named
from mtmbench.core.serialise import content_hash
from mtmbench.features.unicode_text import cut_apostrophes, fold, is_word, spelled

StopWords = bool | str | Sequence[str]
"""Whether the English list is taken; or a language; or the words themselves."""


def stop_words_of(
    setting: StopWords, language: str = "english"
) -> tuple[frozenset[str], str | None]:
    """Returns the stop words of a setting, folded as texts are, and what records say of them.

    Args:
        setting: which.
        language: the texts', by which listed words are cut at apostrophes as texts are.

    Raises:
        InputError: no language has this name, or its list needs a package that is not here.
    """
    if setting is False:
        return frozenset(), None
    if isinstance(setting, bool) or is_default(setting):
        english = english_stop_words()
        return english, f"scikit-learn english ({len(english)})"
    if isinstance(setting, str):
        words = _folded(tuple(sorted(_stopwords_iso(language_named(setting)))), english=False)
        return words, f"stopwords-iso {language_named(setting)} ({len(words)})"
    words = _folded(tuple(setting), english=language == "english")
    return words, f"listed ({len(words)}, hash {content_hash(sorted(words))[:8]})"


def is_default(setting: StopWords) -> bool:
    """Whether no other list than the English one is asked for."""
    return isinstance(setting, bool) or (
        isinstance(setting, str) and language_named(setting) == "english"
    )


def speaks(setting: StopWords, language: str) -> str:
    """Returns the language of texts: that of a list that is named, else ``language``."""
    return language_named(setting) if isinstance(setting, str) else language


@cache
def english_stop_words() -> frozenset[str]:
    """Returns scikit-learn's English stop words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


@cache
def _folded(words: tuple[str, ...], english: bool) -> frozenset[str]:
    """Returns words folded, and what is left of them in texts, which are cut at apostrophes."""
    folded = [fold(word.strip()) for word in words]
    cut = (part for word in folded if "'" in word for part in cut_apostrophes(word, english))
    return frozenset(map(spelled, (*folded, *filter(is_word, cut)))) - {""}


def _stopwords_iso(language: str) -> frozenset[str]:
    try:
        import stopwordsiso
    except ImportError:
        raise InputError(
            f"the stop words of {language} are those of the package stopwordsiso, which is not "
            'here: pip install "mtmbench[languages]", or give stop_words a list or a file'
        ) from None
    found = frozenset(stopwordsiso.stopwords(LANGUAGES[language]))
    if not found:
        raise InputError(f"stopwordsiso has no stop words of {language}; give a list or a file")
    return found
