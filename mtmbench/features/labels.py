"""Classes of feature labels that the paper's filter drops, by stated word lists and no model.

A label is a few words joined by commas, or a mark in brackets and maybe words after it, such as
``(stop words) the``. It belongs to a class if its mark says so or if at least half of its words
are in the class's list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from mtmbench.core.errors import UnknownNameError
from mtmbench.core.types import BoolArray

_PROGRAMMING = """
algorithm algorithms api array arrays async backend bool boolean bug bugs bytecode callback char
cli cmd code codebase coding compile compiled compiler compilers config const constructor cpp css
debug debugger debugging def enum exe executable filename float frontend func function functions
github html http https ide int integer integers iterator java javascript json lambda linker
localhost loop loops malloc metadata middleware mutex mysql namespace null opcode parameter
parameters parse parser php plugin pointer pointers printf programmer programmers programming
python query recursion refactor regex repository runtime sdk source sql src stderr stdin stdlib
stdout str string strings struct subroutine syntax tcp tuple typedef url urls utf variable
variables void xml
"""

_MATHEMATICS = """
addition algebra algebraic angle arithmetic asymptotic axiom axioms bijection calculus cardinality
coefficient coefficients combinatorics computation computed conjecture convex coordinates
corollary cosine decimal denominator derivative derivatives determinant diagonal differential
digit digits divided divisor eigenvalue eigenvalues eigenvector ellipse equal equals equation
equations euclidean exponent exponential factorial finite formula formulas fraction fractions
function functions geometric geometry hyperbolic hypotenuse inequality infinite infinity integer
integers integral integrals invertible isomorphism lemma linear logarithm manifold math
mathematical mathematician mathematicians mathematics maths matrices matrix maximum minimum minus
modulo multiplication multiplied multiply multiplying numerator numeric numerical optimum parabola
percentage plus polygon polynomial polynomials primes probability proof proofs quadratic quotient
radians radius ratio rectangle scalar sequence sine sqrt squared subset subtract subtraction sum
summation sums symmetric tangent theorem theorems topology triangle trigonometry variable
variables vector vectors vertex vertices zero
"""

_GRAMMAR = """
accusative adjective adjectives adverb adverbial adverbs apostrophe auxiliary clause clauses comma
commas conjugation conjunction conjunctions consonant consonants dative declension determiner
determiners ellipsis genitive gerund grammar grammatical hyphen idiom imperative infinitive
inflected inflection interjection interrogative intransitive lexical modal modifier morphology
neuter nominative noun nouns participle participles phoneme phonemes phrase phrases plural
possessive predicate prefix prefixes preposition prepositions pronoun pronouns pronunciation
punctuation sentence sentences singular subjunctive suffix suffixes superlative syllable syllables
syntactic syntax tenses transitive verb verbs vowel vowels word words
"""

_FORMATTING = """
abbreviation align bold bracket brackets bullet bullets capitalised capitalized caption captions
colon dash dashes delimiter endnote font fonts footer footnote footnotes formatted formatting
header headers heading headings hyperlink indent indentation italic italics layout linebreak
lowercase markdown markup newline newlines newpage numbering padding page pages paragraph
paragraphs parentheses parenthesis pdf placeholder quotation quote quotes semicolon separator
spacing strikethrough subheading subsection subtitle superscript titles typeface underline
underscore uppercase whitespace
"""

_STOP_WORDS_TOO = """
also can cannot could did didn does doesn doing don done else ever having however just like may
might mr mrs much must never ought quite rather really said say says shall should still such than
therefore though thus too upon very whether would yes yet
"""

_CONTENT_WORDS = """
amount bill bottom call computer cry describe detail empty fill find fire found front full interest
mill mine move name part serious show side sincere system thick thin top
"""

_NO_STOP_WORDS = frozenset(_CONTENT_WORDS.split())
"""Words with a meaning of their own that scikit-learn's list of stop words holds."""

_MARKS: Mapping[str, frozenset[str]] = {
    "programming": frozenset(),
    "mathematics": frozenset(),
    "grammar": frozenset(),
    "formatting": frozenset({"punctuation", "numbers"}),
    "stop words": frozenset({"stop words"}),
    "punctuation": frozenset({"punctuation"}),
    "numbers": frozenset({"numbers"}),
}

CLASSES = tuple(_MARKS)
"""Class names; "formatting" takes in "punctuation" and "numbers"."""

DEFAULT_CLASSES = ("formatting", "stop words")
"""Dropped by the setting "default" of a folder with labels."""

PAPER_CLASSES = ("formatting", "grammar", "mathematics", "programming", "stop words")
"""Dropped by the setting "paper"."""

_LISTS = {
    "programming": frozenset(_PROGRAMMING.split()),
    "mathematics": frozenset(_MATHEMATICS.split()),
    "grammar": frozenset(_GRAMMAR.split()),
    "formatting": frozenset(_FORMATTING.split()),
}

_MARK = re.compile(r"\s*\(([^)]*)\)\s*")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def class_words(name: str) -> frozenset[str]:
    """Returns the word list of a class; those of "punctuation" and "numbers" are empty.

    Raises:
        UnknownNameError: there is no such class.
    """
    name = class_name(name)
    if name == "stop words":
        from mtmbench.features.words import english_stop_words

        return (english_stop_words() - _NO_STOP_WORDS) | frozenset(_STOP_WORDS_TOO.split())
    return _LISTS.get(name, frozenset())


def class_name(name: str) -> str:
    """Returns the plain name of a class; the brackets of a label's mark may be left on.

    Raises:
        UnknownNameError: there is no such class.
    """
    plain = name.strip().removeprefix("(").removesuffix(")")
    if plain not in CLASSES:
        raise UnknownNameError("label class", name, CLASSES)
    return plain


def in_class(labels: Sequence[str], name: str) -> BoolArray:
    """Tells for each label whether it belongs to a class.

    Raises:
        UnknownNameError: there is no such class.
    """
    name = class_name(name)
    words = class_words(name)
    return np.array([_belongs(label, _MARKS[name], words) for label in labels], dtype=np.bool_)


def _belongs(label: str, marks: frozenset[str], words: frozenset[str]) -> bool:
    mark = _MARK.match(label)
    found = [word.lower() for word in _WORD.findall(label[mark.end() :] if mark else label)]
    if mark is not None:
        return mark.group(1) in marks and not (found and _NO_STOP_WORDS.issuperset(found))
    return bool(found) and 2 * sum(word in words for word in found) >= len(found)


NO_CLASS = "none"
"""The class of labels that belong to no class of the filter."""


NO_LABEL = "(none)"
"""A judge's word for contexts that share nothing it can name."""
