"""Tokenisers by name: against jieba itself, against scikit-learn, and a plug-in's."""

from __future__ import annotations

import pytest
from support.worded_source import WordedFeatures

from mtmbench.core.card_reading import parse_card
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus
from mtmbench.corpora.load import load_corpus
from mtmbench.features import tokenisers
from mtmbench.features.corpus_labels import label_plan
from mtmbench.features.tokenisers import TOKENISERS, Tokeniser, WordSpan, tokeniser_of
from mtmbench.features.words import (
    all_tokens,
    identity_of,
    item_splitter,
    tokenise,
    why_no_words,
    word_counts,
)

CHINESE = "牛和羊今天在牧场吃干草，农民看见了拖拉机。"


def corpus_of(*texts: str, **words: object) -> Corpus:
    spec = parse_card(words, WordSpec, "here")
    return Corpus("toy", tuple(f"d{i}" for i in range(len(texts))), texts).with_words(spec)


class Pairs(Tokeniser):
    """Cuts a text into pairs of its characters, which it names in capitals."""

    name = "pairs"
    version = 3

    def spans(self, text: str) -> list[WordSpan]:
        return [(i, i + 2, text[i : i + 2].upper()) for i in range(0, len(text) - 1, 2)]


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOKENISERS._targets, "pairs", Pairs)


def test_whitespace_takes_what_stands_there() -> None:
    text = " The\tcow, isn't \n new_york"
    tokens = tokenise(corpus_of(text, tokeniser="whitespace", stop_words=False))
    assert tokens.words(0) == text.split()
    assert tokens.source["tokenisation"] == {"name": "whitespace", "version": 1}
    # Stop words go in any spelling.
    assert tokenise(corpus_of(text, tokeniser="whitespace")).words(0) == [
        "cow,",
        "isn't",
        "new_york",
    ]
    unspaced = corpus_of(CHINESE, tokeniser="whitespace")
    assert 'tokeniser = "jieba"' in str(why_no_words(unspaced))


@pytest.mark.slow
def test_jieba_cuts_chinese_as_the_package_does() -> None:
    found = tokenise(corpus_of(CHINESE, tokeniser="jieba", stop_words=False)).words(0)
    assert found == [word for word in tokenisers._jieba().lcut(CHINESE) if word not in "，。"]
    text = "Müller 用Ｐｙｔｈｏｎ3 学习, T恤 isn't 3.5%的"
    spans = tokeniser_of(WordSpec(tokeniser="jieba", language="zh")).spans(text)
    assert [(text[low:high], word) for low, high, word in spans] == [
        ("Müller", "müller"), ("用", "用"), ("Ｐｙｔｈｏｎ3", "python3"), ("学习", "学习"),
        ("T恤", "t恤"), ("isn't", "isn"), ("的", "的"),
    ]  # fmt: skip
    stopped = corpus_of(CHINESE, tokeniser="jieba", language="chinese")
    assert set(found) - set(tokenise(stopped).vocabulary) == {"和", "在", "了"}
    assert why_no_words(stopped) is None
    assert item_splitter(stopped)("牧场干草") == ["牧场", "干草"]
    with pytest.raises(InputError, match="cuts Chinese, and the texts are of another script"):
        tokenise(corpus_of("วันนี้อากาศดีมาก", tokeniser="jieba"))


def test_without_the_package_jieba_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise tokenisers.PackageNotFoundError(name)

    monkeypatch.setattr(tokenisers, "version", absent)
    tokenisers._made.cache_clear()
    with pytest.raises(InputError, match=r"not here: pip install \"mtmbench\[languages\]\""):
        tokenise(corpus_of("a text", tokeniser="jieba"))


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(UnknownNameError, match="unknown tokeniser 'jieva'; did you mean 'jieba'"):
        tokenise(corpus_of("a text", tokeniser="jieva"))


def test_a_plug_ins_words_are_counted_as_they_are(pairs: None) -> None:
    corpus = corpus_of("abcdab", "cdcd", tokeniser="pairs", min_df=1, max_df=1.0, stop_words=["CD"])
    counts = word_counts(corpus)
    assert (counts.item_ids, counts.matrix.toarray().tolist()) == (("AB",), [[2], [0]])
    assert all_tokens(corpus).vocabulary == ("AB", "CD")
    with pytest.raises(InputError, match=r"tokeniser is unicode .* made with tokenisation \{'name"):
        word_counts(corpus.with_words(WordSpec()), tokens=tokenise(corpus))


def test_features_are_labelled_by_the_words_that_the_tokeniser_finds(pairs: None) -> None:
    corpus = corpus_of("abcdabcd", tokeniser="pairs", stop_words=False)
    plan = label_plan(WordedFeatures(), "corpus", words=corpus.words)
    assert plan is not None
    assert plan.described["tokeniser"] == {"name": "pairs", "version": 3}
    # Features a, d and c fire at "abc", "dab" and "cd", which end in CD, AB and CD.
    assert plan.make(corpus).whole == {0: "CD", 3: "AB", 2: "CD"}


def test_a_word_that_is_none_is_told(pairs: None) -> None:
    with pytest.raises(InputError, match="tokeniser 'pairs' gave the word ' A'; a word is a text"):
        tokenise(corpus_of("ab abc", tokeniser="pairs"))


def test_what_a_tokeniser_is_counts_in_keys_where_it_is_named(pairs: None) -> None:
    assert identity_of(WordSpec()) == WordSpec().model_dump()
    assert "tokeniser" not in identity_of(WordSpec(tokeniser="unicode", language="en"))
    assert identity_of(WordSpec(tokeniser="pairs"))["tokeniser"] == {"name": "pairs", "version": 3}


def test_a_language_says_stop_words_and_whether_contractions_are_english() -> None:
    german = corpus_of("Die Kuh isst in't Haus", language="de")
    assert tokenise(german).words(0) == ["kuh", "isst", "haus"]
    assert german.words == WordSpec(stop_words="german")
    none = corpus_of("die Kuh in't Haus", language="de", stop_words=False)
    assert tokenise(none).words(0) == ["die", "kuh", "in", "haus"]
    assert tokenise(none, stop_words=["KUH"]).words(0) == ["die", "in", "haus"]
    english = corpus_of("die Kuh in't Haus", stop_words=False)
    assert tokenise(english).words(0) == ["die", "kuh", "haus"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"language": "german", "stop_words": "english"}, "stop_words are those of english, and"),
        ({"language": "germn"}, "no language is called 'germn'; did you mean 'german'"),
        ({"language": 3}, "language: .*valid string"),
    ],
)
def test_languages_that_do_not_go_together_are_named(words: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        corpus_of("a text", **words)


def test_a_corpus_is_loaded_with_its_words() -> None:
    corpus = load_corpus(["die Kuh", "das Haus"], language="de", tokeniser="whitespace")
    assert corpus.words == WordSpec(language="german", tokeniser="whitespace")
    assert corpus.revision == load_corpus(["die Kuh", "das Haus"]).revision
    assert tokenise(corpus).vocabulary == ("Haus", "Kuh")
    assert corpus.select([1]).words == corpus.words
