"""Words against hand-written sequences and scikit-learn's CountVectorizer."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus
from mtmbench.features.words import (
    all_tokens,
    split_item,
    split_words,
    tokenise,
    word_counts,
    word_spans,
)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Format characters are no boundaries; a joiner stays where a script spells with it.
        ("Donau\u00addampf\u00adschiff Auf\u200clage", ["donaudampfschiff", "auflage"]),
        ("word\u2060joiner \ufeffmark left\u200eright", ["wordjoiner", "mark", "leftright"]),
        ("می\u200cخواهم\u200c، क्\u200dया", ["می\u200cخواهم", "क्\u200dया"]),
        ("zero\u200bwidth 葛\U000e0100城", ["zero", "width", "葛城"]),
        # Ligatures, presentation and width forms; other compatibility characters stay.
        ("of\ufb01ce \ufb00oat \ufefb ĳs", ["office", "ffoat", "لا", "ijs"]),
        ("ＡＢＣ １２ｂ ﾃﾞｰﾀ 𝓽𝓸𝓹𝓲𝓬", ["abc", "12b", "データ", "topic"]),
        ("x² 5µm brand™ ½cup น้ำ", ["x²", "5µm", "brand", "½cup", "น้ำ"]),
        ("İzmir I", ["izmir"]),
        ("İSTANBUL i\u0307stanbul I\u0307stanbul", ["istanbul"] * 3),
        ("كـــتاب كتاب", ["كتاب"] * 2),
        # An apostrophe is a letter in Cyrillic and Hebrew, however it is typed.
        ("об'єкт об’єкт обʼєкт об`єкт 'об'", [*["об'єкт"] * 4, "об"]),
        ("ג'ירפה l'été d'un", ["ג'ירפה", "été", "un"]),
        # One character is a word in some scripts, in others it is none.
        ("牛 在 田 。 ก 물 カ", ["牛", "在", "田", "ก", "물", "カ"]),
        ("a я α é º ㄌ 5", []),
    ],
)
def test_words_of_other_scripts(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


def test_contractions_are_undone_in_english_alone() -> None:
    assert split_words("in't huis, they'll") == ["huis", "they"]
    assert split_words("in't huis, they'll", english=False) == ["in", "huis", "they", "ll"]
    assert split_item("don't_stop, O'Brien 3") == ["don", "t", "stop", "o", "brien", "3"]


def test_text_without_spaces_is_refused_with_the_way_out() -> None:
    clause = "牛在牧场吃草，羊看见拖拉机。"
    for words in (tokenise, word_counts):
        with pytest.raises(InputError, match=r"'toy' has no spaces .* 6\.0 letters .*\"tokens\""):
            words(corpus_of(clause, "农民喜欢牛奶"))
    tokens = tokenise(corpus_of("牛 在 牧场 吃 草 ， 羊 看见 拖拉机 。"))
    assert tokens.words(0) == ["牛", "在", "牧场", "吃", "草", "羊", "看见", "拖拉机"]
    given = tokenise(corpus_of(clause, pretokenised=True))
    assert given.words(0) == [clause]


def test_a_geresh_is_one_letter_however_it_is_typed() -> None:
    typed = ["ג׳ירפה צ׳יפס ז׳קט", "ג'ירפה צ'יפס ז'קט", "ג’ירפה צ’יפס ז’קט", "גʼירפה צʼיפס זʼקט"]
    for text in typed:
        assert split_words(text) == split_item(text) == ["ג'ירפה", "צ'יפס", "ז'קט"]
    assert split_words("רח׳ הרצל") == split_words("רח' הרצל") == ["רח", "הרצל"]


@pytest.mark.parametrize("item", ["c++", "C#", "c ++", "r*", "f&"])
def test_a_letter_with_symbols_is_not_the_letter(item: str) -> None:
    assert split_item(item) == [item]
    assert set(all_tokens(corpus_of(f"{item} code", item)).vocabulary) == {item[0].lower(), "code"}


@pytest.mark.parametrize(
    ("item", "runs"), [("c", ["c"]), ("c.", ["c"]), ("c++11", ["c", "11"]), ("f-", ["f"]),
                       ("at&t", ["at", "t"]), ("go!", ["go"]), ("ab+", ["ab"])],
)  # fmt: skip
def test_other_marks_are_none_of_an_item(item: str, runs: list[str]) -> None:
    assert split_item(item) == runs


def test_the_fewer_documents_without_spaces_have_no_words() -> None:
    chinese = "中国政治经济发展足球比赛电影音乐" * 8
    english = "The government has decided on a new school near the river"
    corpus = corpus_of(english, chinese, english, chinese + " river school")
    with pytest.warns(UserWarning, match="2 of its 4 documents have no spaces between words"):
        tokens = tokenise(corpus)
    expected = ["government", "decided", "new", "school", "near", "river"]
    assert [tokens.words(row) for row in range(4)] == [
        expected, [], expected, ["river", "school"],
    ]  # fmt: skip
    assert tokens.source["documents_without_spaces"] == 2
    with pytest.raises(InputError, match="has no spaces between words"):
        tokenise(corpus_of(english, chinese, chinese))


def test_all_tokens_leave_nothing_out() -> None:
    tokens = all_tokens(corpus_of("The cow's 2 cows", "Don't"))
    assert [tokens.words(i) for i in (0, 1)] == [["the", "cow", "s", "2", "cows"], ["don", "t"]]


def test_stop_words_may_be_listed() -> None:
    corpus = corpus_of("Die Kuh und DAS Ｓchaf", "the cow")
    tokens = tokenise(corpus, stop_words=["die", "Und", "das "])
    assert [tokens.words(i) for i in (0, 1)] == [["kuh", "schaf"], ["the", "cow"]]
    assert str(tokens.source["stop_words"]).startswith("listed (3, hash ")
    assert tokens.source != tokenise(corpus, stop_words=["die"]).source
    spec = WordSpec(min_df=1, max_df=1, stop_words=["die", "und", "das"])
    assert word_counts(corpus, spec, tokens).item_ids == ("cow", "kuh", "schaf", "the")
    with pytest.raises(InputError, match=r"stop_words is True .* stop_words=listed"):
        word_counts(corpus, WordSpec(min_df=1, max_df=1), tokens)
    # English by default is no order to take words out of tokens that are given.
    given = corpus_of("the Cow 和 牛", pretokenised=True)
    assert tokenise(given).words(0) == ["the", "Cow", "和", "牛"]
    assert tokenise(given, stop_words="english").revision == tokenise(given).revision
    assert tokenise(given, stop_words=["和", "cow"]).words(0) == ["the", "牛"]


def test_stop_words_are_cut_at_apostrophes_as_texts_are() -> None:
    corpus = corpus_of("Aujourd'hui qu'il pleut, Don", "l'été d'un")
    listed = tokenise(corpus, stop_words=["l'", "qu'", "aujourd’hui", "don't", "IT'S"])
    assert listed.vocabulary == ("don", "il", "pleut", "un", "été")
    assert tokenise(corpus_of("it's ours"), stop_words=["it's"]).vocabulary == ("ours",)


def test_stop_words_of_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of("Het schaf is in't huis")
    monkeypatch.setitem(sys.modules, "stopwordsiso", None)
    with pytest.raises(InputError, match=r"stop words of dutch .*mtmbench\[languages\]"):
        tokenise(corpus, stop_words="dutch")
    lists = {"nl": {"het", "IS", "in"}}
    package = SimpleNamespace(stopwords=lambda code: lists.get(code, set()))
    monkeypatch.setitem(sys.modules, "stopwordsiso", package)
    tokens = tokenise(corpus, stop_words="nl")
    assert tokens.words(0) == ["schaf", "huis"]
    assert tokens.source["stop_words"] == "stopwords-iso dutch (3)"
    assert tokens.source["contractions"] is None
    with pytest.raises(InputError, match=r"no language is called .welsh."):
        tokenise(corpus, stop_words="welsh")
    with pytest.raises(InputError, match="no stop words of thai"):
        tokenise(corpus, stop_words="thai")


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


@pytest.mark.parametrize("english", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "Mr Arafat's men don't say rock'n'roll o'clock l'homme qu'il",
        "у нас п'ять об’єкт ג'ירפה ג׳ירפה צ׳יפס׳",
        "ﬁne soft­ware zero​width نمی‌خواهم",
        "हिन्दी भाषा ไทย 北 ２０ ＡＢＣ＇ｓ 𝐀𝐁 don`t café İstanbul",
        "a_b c-d 42 3rd x " * 2,
        "",
    ],
)
def test_words_stand_where_they_are_said_to(text: str, english: bool) -> None:
    found = word_spans(text, english=english)
    assert [word for _, _, word in found] == split_words(text, english=english)
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    for start, end, word in found:
        assert split_words(text[start:end], english=english) == [word]


def test_the_words_of_a_real_text_stand_where_they_are_said_to() -> None:
    from mtmbench.corpora.load import load_corpus

    for text in load_corpus("lee").texts:
        assert [word for _, _, word in word_spans(text)] == split_words(text)
