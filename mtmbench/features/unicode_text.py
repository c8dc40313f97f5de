"""Unicode as the tokenisation reads it: folding, words, scripts without spaces between words."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

_ONE_CHARACTER_WORDS = frozenset({
    "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "YI", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN",
    "JAVANESE", "BALINESE", "ETHIOPIC", "TAI",
})  # fmt: skip
"""Scripts whose single characters are words, as Unicode names begin."""

# An apostrophe between letters of these scripts (Cyrillic; Hebrew, where it is a geresh, which has
# a character of its own too) is a letter. It is U+02BC while words are cut, and the typewriter's
# apostrophe in what comes out. The gershayim is no letter: typed as a quotation mark, it is one.
_SPELLS_APOSTROPHES = "\u0400-\u052f\u0590-\u05ff\u1c80-\u1c8f\ua640-\ua69f"
_TYPED_APOSTROPHES = "'`´‘\u02bc\u05f3"
_LETTER_APOSTROPHE = re.compile(
    rf"[{_TYPED_APOSTROPHES}](?<=[{_SPELLS_APOSTROPHES}\u0300-\u036f].)"
    rf"(?=[{_SPELLS_APOSTROPHES}])"
)
_KEPT_APOSTROPHE = re.compile(rf"(?<=[{_SPELLS_APOSTROPHES}\u0300-\u036f])\u02bc")

# In these scripts a joiner only tells the typesetter which ligature to use; elsewhere it spells.
_TYPESET_JOINER = re.compile("[\u200c\u200d](?<=[\u0000-\u05ff\u10a0-\u10ff\u1e00-\u1fff].)")

_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_SOUTH_EAST_ASIAN = "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u104f\u1780-\u17d3\u1950-\u19df\u1a20-\u1a7f"


class _Unspaced(NamedTuple):
    """Scripts without spaces between words.

    Attributes:
        languages: what is written so.
        letters: the letters, as of a regular expression's class.
        counted: those of them that tell whether words are separated.
        most: letters that separated words have at most, on average.
    """

    languages: str
    letters: str
    counted: str
    most: float


# Separated words have 1.5 to 3 letters in Chinese and Japanese, but for foreign words in katakana,
# and 4 to 7 in the others; between two spaces of text without them stand clauses.
_UNSPACED = (
    _Unspaced(
        "Chinese or Japanese", _IDEOGRAPHS + _HIRAGANA + _KATAKANA, _IDEOGRAPHS + _HIRAGANA, 4.0
    ),
    _Unspaced("Thai, Lao, Khmer or Burmese", _SOUTH_EAST_ASIAN, _SOUTH_EAST_ASIAN, 10.0),
)

_WRITTEN_APOSTROPHES = _TYPED_APOSTROPHES + "’\uff07"
"""All that is an apostrophe in some script between letters, or folded to one, as it is written."""

_CUT_ENDINGS = frozenset({"s", "re", "ve", "ll", "d", "m"})

_LEAST_SHARE = 0.1
"""Below this share of all characters, such text is quotations and names in another language's."""


def fold(text: str) -> str:
    """Returns a text in one spelling, in lower case.

    Ligatures, presentation forms, full- and half-width forms and mathematical alphabets become
    plain letters (NFKC), all else is brought to NFC: superscripts, fractions and the like are no
    spellings of words. Format characters (soft hyphen, word joiner, marks of direction),
    variation selectors and the Arabic tatweel go; a zero-width space stays, which does separate
    words, and so do joiners where a script spells with them. Apostrophes are
    typewriter's, or U+02BC where they are letters.
    """
    if text.isascii():
        return text.lower()
    # To look for what most texts lack takes far less time than to replace it.
    if any(characters.search(text) for characters in _folded_characters()):
        text = text.translate(_plain_forms())
    text = _TYPESET_JOINER.sub("", unicodedata.normalize("NFC", text))
    # "İ".lower() leaves a combining dot behind, as it does in words that others lowered.
    folded = text.lower().replace("i\u0307", "i").replace("’", "'")
    return _LETTER_APOSTROPHE.sub("\u02bc", folded)


def folded_words(text: str) -> list[str]:
    """Returns the runs of letters, digits and marks of a folded text, with inner apostrophes."""
    return _word_pattern().findall(text)


def written_words(text: str) -> list[tuple[int, int]]:
    """Returns where the runs of :func:`folded_words` stand in a text as it is written."""
    return [match.span() for match in _written_pattern().finditer(text)]


def parts_at_apostrophes(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Returns where the parts of a written word stand that apostrophes join."""
    ends = (start + m.end() for m in re.finditer(f"[{_WRITTEN_APOSTROPHES}]", text[start:end]))
    bounds = [start, *ends]
    return [
        (low, high if high == end else high - 1)
        for low, high in itertools.pairwise([*bounds, end])
        if low < high
    ]


def spelled(word: str) -> str:
    """Returns a word of a folded text as it is spelled."""
    return _KEPT_APOSTROPHE.sub("'", word) if "\u02bc" in word else word


def cut_apostrophes(token: str, english: bool) -> Sequence[str]:
    """Cuts a folded token at its apostrophes; English contractions lose what is no word."""
    if "'" not in token:
        return (token,)
    if not english:
        return token.split("'")
    if token.endswith("n't"):
        return ()
    head, _, ending = token.rpartition("'")
    return (head if ending in _CUT_ENDINGS else token).split("'")


def is_word(part: str) -> bool:
    """Whether letters are long enough for a word: two, or one where a script's letters are words.

    One of them has to be a letter.
    """
    if len(part) == 1:
        return not part.isascii() and _script(part) in _ONE_CHARACTER_WORDS
    return part[:1].isalpha() or any(character.isalpha() for character in part)


def unspaced(texts: Sequence[str]) -> str | None:
    """Says in which script texts have no spaces between words, and how long their "words" are.

    Returns None for all others: languages that separate words, and texts whose words somebody has
    separated.
    """
    written = [text for text in texts if not text.isascii()]
    for script in _UNSPACED:
        runs = [run for text in written for run in re.findall(f"[{script.letters}]+", text)]
        if not runs or sum(map(len, runs)) < _LEAST_SHARE * sum(map(len, texts)):
            continue
        counted = re.compile(f"[{script.counted}]")
        chunks = (chunk for text in written for chunk in re.split("[\\s\u200b]+", text))
        n_letters = [n for chunk in chunks if (n := len(counted.findall(chunk)))]
        if sum(n_letters) > script.most * len(n_letters):
            mean = sum(map(len, runs)) / len(runs)
            return f"a mean word of {mean:.1f} letters in {script.languages}"
    return None


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that has no spaces between words."""
    return not word.isascii() and _unspaced_letter().search(word) is not None


def has_ideograph(text: str) -> bool:
    """Whether a text has a Chinese character."""
    return not text.isascii() and _IDEOGRAPH.search(text) is not None


def share_unspaced(texts: Sequence[str]) -> float:
    """Returns which share of all characters is of scripts without spaces other than Chinese."""
    total = sum(map(len, texts))
    found = sum(len(_OTHER_UNSPACED.findall(text)) for text in texts if not text.isascii())
    return found / max(total, 1)


_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")
_OTHER_UNSPACED = re.compile(f"[{_HIRAGANA}{_KATAKANA}{_SOUTH_EAST_ASIAN}]")


@cache
def _unspaced_letter() -> re.Pattern[str]:
    return re.compile(f"[{''.join(script.letters for script in _UNSPACED)}]")


@cache
def _plain_forms() -> dict[int, str | None]:
    """Maps characters to what they are folded to; None where they go."""
    # Selectors of variants of a character's shape, and what draws Arabic words out.
    forms: dict[int, str | None] = dict.fromkeys(
        (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x640)
    )
    for code in (*range(0xA0, 0x10000), *range(0x1D400, 0x1D800)):
        character = chr(code)
        if unicodedata.category(character) == "Cf":
            if code not in (0x200B, 0x200C, 0x200D):
                forms[code] = None
            continue
        form = unicodedata.decomposition(character).split(" ", 1)[0]
        if form in ("<wide>", "<narrow>", "<font>", "<initial>", "<medial>", "<final>",
                    "<isolated>") or (form == "<compat>" and _is_ligature(code)):  # fmt: skip
            plain = unicodedata.normalize("NFKC", character)
            # A spacing mark would cut a word in two.
            if not plain.startswith(" "):
                forms[code] = plain
    return forms


@cache
def _folded_characters() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Finds what is folded; a class of ``re`` that goes beyond U+FFFF is no table, and slow."""
    low = "".join(chr(code) for code in _plain_forms() if code < 0x10000)
    return re.compile(f"[{low}]"), re.compile("[\U0001d400-\U0001d7ff\U000e0100-\U000e01ef]")


def _is_ligature(code: int) -> bool:
    """Whether a character is a ligature, a digraph, a long s or a radical, by its block.

    The rest of the kind are letters of their own: Thai vowels, Hangul jamo, Armenian ew, micro.
    """
    return (
        code in (0x132, 0x133, 0x17F)
        or 0x1C4 <= code <= 0x1CC
        or 0x1F1 <= code <= 0x1F3
        or 0x2E80 <= code <= 0x2FDF
        or 0xFB00 <= code <= 0xFB4F
    )


@cache
def _word_pattern() -> re.Pattern[str]:
    # Python's \w leaves out combining marks, without which Indic and other scripts fall apart.
    marks = "".join(chr(i) for i in range(0x300, 0x10000) if unicodedata.category(chr(i))[0] == "M")
    # Persian, Hindi and others spell with joiners, which stand between letters.
    inner = rf"(?:[^\W_]+|[{marks}]|[\u200c\u200d](?=[^\W_]|[{marks}]))"
    return re.compile(rf"[^\W_]{inner}*(?:'{inner}+)*")


@cache
def _written_pattern() -> re.Pattern[str]:
    """Runs of what folding makes letters of, or takes out of words."""
    gone = {code for code, form in _plain_forms().items() if form is None}
    marks = {i for i in range(0x300, 0x10000) if unicodedata.category(chr(i))[0] == "M"}
    inner = "".join(map(chr, sorted(gone | marks | {0x200C, 0x200D})))
    letter = rf"(?:[^\W_]|[{re.escape(inner)}])"
    return re.compile(rf"[^\W_]{letter}*(?:[{_WRITTEN_APOSTROPHES}]{letter}+)*")


@cache
def _script(character: str) -> str:
    return unicodedata.name(character, "").replace("-", " ").split(" ", 1)[0]
