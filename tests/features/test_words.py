"""Words against hand-written sequences and scikit-learn's CountVectorizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.cards import WordSpec
from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.features.words import split_words, tokenise, word_counts


def corpus_of(*texts: str, pretokenised: bool = False) -> Corpus:
    return Corpus("toy", tuple(str(i) for i in range(len(texts))), texts, pretokenised=pretokenised)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's 3 MP3 players don't won", ["the", "cat", "mp3", "players", "won"]),
        ("They’ll see O'Brien's snake_case", ["they", "see", "brien", "snake", "case"]),
        ("École, cafe\u0301 NAÏVE", ["école", "café", "naïve"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("1999 a 42 -- ''", []),
        ("state-of-the-art C++", ["state", "of", "the", "art"]),
        ("rock 'n' roll, the students' books", ["rock", "roll", "the", "students", "books"]),
    ],
)
def test_split_words(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


def test_tokens_keep_document_order_and_drop_stop_words() -> None:
    tokens = tokenise(corpus_of("The zebra and the apple zebra", "of the", "Apple"))
    assert tokens.vocabulary == ("apple", "zebra")
    assert [tokens.words(i) for i in range(3)] == [["zebra", "apple", "zebra"], [], ["apple"]]
    assert all(sequence.dtype == np.int32 for sequence in tokens.sequences)
    assert tokens.n_tokens == 4
    assert tokens.revision == tokenise(corpus_of("Zebra, apple; zebra", "", "apple")).revision
    assert tokens.revision != tokenise(corpus_of("Zebra", "apple; zebra", "apple")).revision
    with_stop_words = tokenise(corpus_of("The zebra"), stop_words=False)
    assert with_stop_words.words(0) == ["the", "zebra"]


def test_pretokenised_text_is_only_split_on_spaces() -> None:
    corpus = corpus_of("The 3 don't_x  the", "The The", pretokenised=True)
    tokens = tokenise(corpus)
    assert tokens.words(0) == ["The", "3", "don't_x", "the"]
    counts = word_counts(corpus, WordSpec(min_df=2, max_df=0.5))
    assert counts.item_ids == ("3", "The", "don't_x", "the")
    assert counts.matrix.toarray().tolist() == [[1, 1, 1, 1], [0, 2, 0, 0]]


def test_counts_equal_scikit_learns(shared_data: Path) -> None:
    import gzip
    import json

    from sklearn.feature_extraction.text import CountVectorizer

    file = shared_data / "wikipedia" / "dbpedia14_sample.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    spec = WordSpec(min_df=3, max_df=0.1)
    counts = word_counts(corpus_of(*texts), spec)
    from mtmbench.features.words import english_stop_words

    peer = CountVectorizer(
        tokenizer=lambda text: [w for w in split_words(text) if w not in english_stop_words()],
        token_pattern=None, lowercase=False, min_df=3, max_df=0.1,
    )  # fmt: skip
    expected = peer.fit_transform(texts)
    assert counts.item_ids == tuple(peer.get_feature_names_out())
    assert (counts.matrix != expected).nnz == 0
    assert counts.matrix.dtype == np.int32
    assert counts.n_tokens.sum() > counts.matrix.sum()


def test_filters_are_recorded() -> None:
    corpus = corpus_of("apple banana cherry", "apple banana", "apple fig fig fig", "apple fig")
    counts = word_counts(corpus, WordSpec(min_df=2, max_df=0.75, max_vocabulary=1))
    assert counts.item_ids == ("fig",)
    assert counts.matrix.toarray().ravel().tolist() == [0, 0, 3, 1]
    assert counts.n_tokens.tolist() == [3, 2, 4, 2]
    filters = counts.source["filters"]
    assert filters["items"] == 4
    assert filters["min_df"] == {"limit": 2, "dropped": 1}
    assert filters["max_df"] == {"limit": 0.75, "dropped": 1}
    assert filters["max_vocabulary"] == {"limit": 1, "dropped": 1}
    assert filters["kept"] == 1


def test_a_filter_that_leaves_nothing_is_named() -> None:
    with pytest.raises(InputError, match="min_df=2 drops 2"):
        word_counts(corpus_of("apple banana"))
    with pytest.raises(InputError, match=r"max_df=0\.5 drops 2"):
        word_counts(corpus_of(*["apple banana"] * 5))
    with pytest.raises(InputError, match="no words"):
        word_counts(corpus_of("the of 12"))
    assert word_counts(corpus_of("apple"), WordSpec(min_df=1, max_df=1.0)).item_ids == ("apple",)


def test_foreign_tokens_are_refused() -> None:
    corpus = corpus_of("the apple", "apple")
    with pytest.raises(InputError, match="1 documents given for the 2"):
        word_counts(corpus, tokens=tokenise(corpus_of("apple")))
    with pytest.raises(InputError, match="stop_words=False"):
        word_counts(corpus, tokens=tokenise(corpus, stop_words=False))
