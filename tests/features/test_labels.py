"""Label classes: marks, word lists, and what must stay outside of them."""

from __future__ import annotations

import pytest

from mtmbench.core.errors import UnknownNameError
from mtmbench.features.labels import CLASSES, class_words, in_class

EXAMPLES = {
    "programming": ["function, compiler, javascript, boolean", "api, json"],
    "mathematics": ["theorem, polynomial, integers", "algebra, geometry, Galois"],
    "grammar": ["verb, noun, suffix, Latin", "plural, singular"],
    "formatting": ["footnote, heading, italics", "(punctuation)", "(numbers)"],
    "stop words": ["(stop words) the, of", "also, however, may", "which, whose"],
    "punctuation": ["(punctuation)"],
    "numbers": ["(numbers)"],
}
TOPICAL = [
    "hockey, goalie, playoffs, NHL", "budget, tax, congress, function", "protein, cells, biology",
    "Homer, baseball, hydrogen, Iliad", "real, estate, mortgage, square", "(dead)",
    "(stop words) bill", "interest", "fire, call",
]  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_examples_belong_and_topics_do_not(name: str) -> None:
    assert in_class(EXAMPLES[name], name).tolist() == [True] * len(EXAMPLES[name])
    assert not in_class(TOPICAL, name).any()


def test_half_of_the_words_are_enough_and_less_is_not() -> None:
    labels = ["theorem, Euler", "theorem, Euler, Basel", "Theorem", ""]
    assert in_class(labels, "mathematics").tolist() == [True, False, True, False]


def test_names_may_keep_their_brackets() -> None:
    assert in_class(["(stop words) of", "(numbers)"], "(stop words)").tolist() == [True, False]
    with pytest.raises(UnknownNameError, match="did you mean 'grammar'"):
        in_class(["a"], "gramar")


def test_word_lists_hold_single_lower_case_words() -> None:
    for name in CLASSES:
        assert all(word == word.lower() for word in class_words(name))
