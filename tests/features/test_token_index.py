"""Where items stand, against a search document by document."""

from __future__ import annotations

import numpy as np
import pytest

from mtmbench.features.token_index import TokenIndex
from mtmbench.features.words import split_item


def index_of(texts: list[list[str]]) -> TokenIndex:
    vocabulary = sorted({word for text in texts for word in text})
    sequences = [np.array([vocabulary.index(w) for w in text], dtype=np.int32) for text in texts]
    return TokenIndex(vocabulary, sequences, split_item)


def naive(texts: list[list[str]], words: list[str]) -> list[int]:
    places, offset = [], 0
    for text in texts:
        places += [offset + i for i in range(len(text)) if text[i : i + len(words)] == words]
        offset += len(text)
    return places


@pytest.mark.parametrize("words", [["a"], ["a", "b"], ["a", "a"], ["b", "a", "c"]])
@pytest.mark.parametrize("seed", range(3))
def test_ngrams_are_adjacent_words_of_one_document(words: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [[*rng.choice(list("abc"), size=n)] for n in rng.integers(0, 12, 30)]
    index = index_of(texts)
    for item in (" ".join(words), "_".join(words).upper()):
        found = index.find(item)
        assert found is not None
        assert index.positions(found).tolist() == naive(texts, words)


def test_an_item_is_found_as_it_stands_then_folded() -> None:
    index = index_of([["new_york", "New", "york"], ["new", "york"], ["york", "new"]])
    assert index.find("new_york") != index.find("New York")
    assert index.find("NEW york") == index.find("new-york")
    assert index.find("New") != index.find("NEW") == index.find("new")
    assert [index.find(item) for item in ("", "_", "york york", "new jersey", "newyork")] == [
        None
    ] * 5
    bare = TokenIndex(["a", "b"], [np.array([0], dtype=np.int32)])
    assert [bare.find(item) for item in ("a", "A", "b")] == [(0,), None, None]
