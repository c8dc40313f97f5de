"""Labels of features from a corpus, against class-based TF-IDF by brute force and by hand."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.worded_source import N_FEATURES, WordedFeatures

from mtmbench.core.errors import InputError
from mtmbench.core.specs import WordSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, ItemSpace
from mtmbench.corpora.halves import halves_of
from mtmbench.features import corpus_labels
from mtmbench.features.base import FeatureSource, Firings
from mtmbench.features.cache import cache_dir
from mtmbench.features.corpus_labels import CorpusLabels, label_firings, label_plan
from mtmbench.features.views import make_views
from mtmbench.models.clusters import class_tfidf


def corpus_of(*texts: str, pretokenised: bool = False) -> Corpus:
    return Corpus(
        "toy", tuple(f"d{i}" for i in range(len(texts))), texts, pretokenised=pretokenised
    )


def firings_at(corpus: Corpus, *places: tuple[int, int, int, int]) -> list[Firings]:
    """Firings of (document, start, end, feature)."""
    columns = np.array(places, np.int64).reshape(-1, 4).T
    return [Firings(*columns, n_features=8)]


def at_words(corpus: Corpus, row: int, *words: str, feature: int = 0) -> list[tuple[int, ...]]:
    """A firing on each stated piece of a text, the first one that is there."""
    text = corpus.texts[row]
    return [(row, text.index(w), text.index(w) + len(w), feature) for w in words]


def labels_of(corpus: Corpus, *words: str, **more: object) -> CorpusLabels:
    places = [place for word in words for place in at_words(corpus, 0, word)]
    return label_firings(corpus, firings_at(corpus, *places), **more)  # type: ignore[arg-type]


def random_case(seed: int) -> tuple[Corpus, list[tuple[int, int, int, int]]]:
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{i}" for i in rng.zipf(1.6, 40) % 60) for _ in range(30)]
    corpus = corpus_of(*texts)
    places = []
    for row, text in enumerate(texts):
        for match in re.finditer(r"\S+", text):
            for feature in range(8):
                # Features like words of their own rest.
                if rng.random() < 0.1 + 0.6 * (int(match.group()[1:]) % 8 == feature):
                    places.append((row, *match.span(), feature))
    return corpus, places


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_the_strongest_words_by_class_based_tfidf(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_labels, "MOST_WORDS", 1)
    monkeypatch.setattr(corpus_labels, "_COMPANY", 2.0)
    corpus, places = random_case(seed)
    found = label_firings(corpus, firings_at(corpus, *places))
    halves = halves_of(corpus)
    for labels, kept in zip((found.whole, *found.of_half), ("01", "0", "1"), strict=True):
        totals: Counter[tuple[int, str]] = Counter()
        for row, start, end, feature in places:
            if halves[row] in kept:
                totals[feature, corpus.texts[row][start:end]] += 1
        words = sorted({word for _, word in totals})
        mean = sum(totals.values()) / 8
        everywhere = {word: sum(totals[other, word] for other in range(8)) for word in words}
        for feature in range(8):
            weights = [
                totals[feature, word] * math.log(1 + mean / everywhere[word]) for word in words
            ]
            assert labels[feature] == words[weights.index(max(weights))]
        # The same formula as that of clusters.
        table = np.array([[totals[f, w] for w in words] for f in range(8)], float)
        strongest = class_tfidf(table).argmax(axis=1)
        assert [labels[f] for f in range(8)] == [words[i] for i in strongest]


def test_no_word_of_a_document_enters_the_labels_beside_it() -> None:
    texts = [f"common shared unique{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    corpus = corpus_of(*texts)
    places = [
        (row, *match.span(), feature)
        for row, text in enumerate(texts)
        for match in re.finditer(r"unique\w+", text)
        for feature in (row % 8, (row + 1) % 8)
    ]
    found = label_firings(corpus, firings_at(corpus, *places))
    assert set(found.halves) == {"0", "1"}
    items = found.name_items(
        ItemSpace("features", tuple(map(str, range(8))), ("own",) * 8), {"source": "corpus"}
    )
    entered = 0
    for row, text in enumerate(texts):
        beside = " ".join(items.labels_beside(row))
        assert text.split()[-1] not in beside
        entered += text.split()[-1] in " ".join(items.labels)
        assert found.beside(row, 0) == items.labels_beside(row)[0]
    assert entered  # labels from the whole corpus do hold words of their documents


def test_a_document_is_in_the_half_of_its_ids_hash_and_copies_stay_together() -> None:
    corpus = corpus_of(*(f"text {i}" for i in range(400)))
    halves = halves_of(corpus)
    assert 150 < halves.count("1") < 250
    turned = corpus.select(list(range(399, -1, -1)))
    assert halves_of(turned) == halves[::-1]
    copies = corpus_of(*["the same"] * 20, "another")
    assert len(set(halves_of(copies)[:20])) == 1


def test_pieces_stand_for_their_whole_word_which_counts_once() -> None:
    corpus = corpus_of("unbelievable stories and stories")
    assert labels_of(corpus, "un", "believ", "able").whole == {0: "unbelievable"}
    # Three pieces of one word against two words of their own.
    second = corpus.texts[0].rindex("stories")
    places = [*at_words(corpus, 0, "un", "believ", "able", "stories"), (0, second, second + 3, 0)]
    assert label_firings(corpus, firings_at(corpus, *places)).whole == {0: "stories"}


@pytest.mark.parametrize(
    ("text", "pieces", "label"),
    [
        ("Mr Arafat's men met ARAFAT and Arafat", ["Arafat"], "Arafat"),
        ("Mr Arafat's men", ["'s"], "Arafat"),
        ("they don't know", ["don", "t"], None),
        ("of the people", ["the"], None),
        ("a café here", ["café"], "café"),
        ("a cafe\u0301 here", ["caf"], "cafe\u0301"),
        ("у нас п'ять книг", ["п", "ять"], "п'ять"),
        ("यह हिन्दी भाषा", ["हिन्"], "हिन्दी"),
        ("ΑΘΗΝΑ πόλη", ["ΑΘ"], "ΑΘΗΝΑ"),
        ("words , and marks", [","], None),
        ("soft\u00adware here", ["ware"], "soft\u00adware"),
    ],
)  # fmt: skip
def test_a_label_is_spelled_as_the_corpus_spells_it(
    text: str, pieces: list[str], label: str | None
) -> None:
    found = labels_of(corpus_of(text), *pieces)
    assert found.whole == ({} if label is None else {0: label})


def test_stop_words_are_the_suites() -> None:
    corpus = corpus_of("the people of Rome")
    assert labels_of(corpus, "the", "people", stop_words=("people",)).whole == {0: "the"}
    assert labels_of(corpus, "the", stop_words=False).whole == {0: "the"}
    given = corpus_of("the New_York 42", pretokenised=True)
    assert labels_of(given, "York").whole == {0: "New_York"}
    assert labels_of(given, "the").whole == {0: "the"}


def test_text_without_spaces_between_words_has_no_words() -> None:
    clause = "今天天气很好我们一起去公园散步吧"
    unspaced = corpus_of(*(f"{clause}，{clause}。panda" for _ in range(4)))
    found = labels_of(unspaced, clause, "panda")
    assert (found.whole, found.of_half) == ({}, ({}, {}))
    assert found.halves == halves_of(unspaced)
    separated = corpus_of("今天 天气 很 好 panda")
    assert labels_of(separated, "天气").whole == {0: "天气"}
    # Where they are the fewer documents, other words in them stay.
    mixed = corpus_of(f"{clause} panda", "the old cow", "a young cow", "brown cow")
    places = [*at_words(mixed, 0, clause), *at_words(mixed, 0, "panda", feature=1)]
    places += at_words(mixed, 2, "young", feature=2)
    with pytest.warns(UserWarning, match="1 of its 4 documents have no spaces between words"):
        assert label_firings(mixed, firings_at(mixed, *places)).whole == {1: "panda", 2: "young"}


def test_a_word_that_keeps_company_is_shown_with_it() -> None:
    corpus = corpus_of("Los Angeles burns. In Los Angeles we met. Of Los Angeles. Angeles trees.")
    assert labels_of(corpus, "Los").whole == {0: "Los Angeles"}
    assert labels_of(corpus, "Angeles").whole == {0: "Los Angeles"}
    apart = corpus_of("Los Angeles burns. Los, Angeles. Los Angeles. Angeles of trees.")
    assert labels_of(apart, "Los").whole == {0: "Los"}


def test_features_of_one_word_take_on_more_of_theirs() -> None:
    corpus = corpus_of("rain, rain, rain, sun, wind, " + "sun, wind, " * 9)
    rain = [m.span() for m in re.finditer("rain", corpus.texts[0])]
    places = [(0, *span, feature) for span in rain for feature in (0, 1, 2)]
    # Of every "sun" and "wind" some feature fires at, so that they tell little of 1 and 2.
    places += at_words(corpus, 0, "sun", feature=1) + at_words(corpus, 0, "wind", feature=2)
    other = [m.span() for m in re.finditer("sun|wind", corpus.texts[0])]
    places += [(0, *span, feature) for span in other for feature in (3, 4, 5)]
    found = label_firings(corpus, firings_at(corpus, *places))
    assert [found.whole[feature] for feature in range(3)] == ["rain", "rain, sun", "rain, wind"]


def test_a_feature_without_a_word_in_a_half_keeps_its_own_label_there() -> None:
    corpus = corpus_of(*(f"only word{i}" for i in range(12)))
    halves = halves_of(corpus)
    row = halves.index("0")
    found = label_firings(corpus, firings_at(corpus, *at_words(corpus, row, "word", feature=3)))
    assert found.of_half[0] == found.whole == {3: f"word{row}"}
    assert found.of_half[1] == {}
    items = ItemSpace("features", ("2", "3"), ("two", "three"))
    assert found.missing(items) == [1, 1, 2]
    assert found.without({2}).missing(items) == [0, 0, 1], "a judge's label is not missing"
    named = found.name_items(items, {"source": "corpus"})
    assert named.labels == ("two", f"word{row}")
    assert named.labels_beside(row) == ("two", "three")
    assert named.labels_beside(halves.index("1")) == ("two", f"word{row}")
    assert label_firings(corpus, []).whole == {}
    wordless = corpus_of("", "!", "word", "\u200b")
    at_mark_and_word = firings_at(wordless, (1, 0, 1, 0), (2, 0, 4, 0))
    assert label_firings(wordless, at_mark_and_word).whole == {0: "word"}


def test_labels_go_to_json_and_back_and_into_a_saved_result(tmp_path) -> None:
    corpus, places = random_case(0)
    found = label_firings(corpus, firings_at(corpus, *places))
    assert CorpusLabels.from_json(found.to_json()) == found
    fewer = found.without({1, 2})
    assert set(fewer.whole) == set(found.whole) - {1, 2}
    assert CorpusLabels.from_json(fewer.to_json()) == fewer
    ids = tuple(map(str, range(8)))
    words = ItemSpace("words", ("aaa", "2"), ("aaa", "2"))
    assert found.name_items(words, {"source": "corpus"}) is words, "a model may read features too"
    assert found.missing(words) == [0, 0, 0]
    items = found.name_items(ItemSpace("features", ids, ids), {"source": "corpus"})
    result = TopicResult(
        "hand", {}, {}, 0, np.ones((30, 1), np.float32), np.full((1, 8), 1 / 8, np.float32), items,
        {"name": "toy", "revision": corpus.revision},
    )  # fmt: skip
    result.save(tmp_path / "r.safetensors")
    loaded = TopicResult.load(tmp_path / "r.safetensors")
    assert loaded.items == items
    assert loaded.revision == result.revision
    plain = replace(result, items=replace(items, crossed=None))
    assert plain.revision != result.revision
    with pytest.raises(InputError, match="labels by halves of 30 documents for a result of 29"):
        replace(result, doc_topic=np.ones((29, 1), np.float32))


def test_views_are_labelled_and_counted_as_before() -> None:
    corpus = corpus_of(*(f"apples, bananas, cherries, {'apples, ' * (i % 3)}" for i in range(10)))
    fruit = ["apples", "bananas", "cherries"]
    source = WordedFeatures()
    shipped, named = (
        make_views(corpus, words=WordSpec(), source=source, labels=labels).features
        for labels in ("shipped", "auto")
    )
    assert shipped is not None
    assert named is not None
    assert shipped.item_labels[:3] == ("letter a", "letter b", "letter c")
    assert [label.split(",")[0] for label in named.item_labels[:3]] == fruit
    assert named.revision == shipped.revision
    assert named.source["labels"]["source"] == "corpus"  # type: ignore[index]
    some = named.select_items(np.array([1, 2])).select_docs([3, 4])
    assert some.crossed is not None
    assert some.crossed.halves == halves_of(corpus)[3:5]
    assert [label.split(",")[0] for label in some.crossed.beside(0)] == fruit[1:]
    # The second time they are read.
    held = list((cache_dir() / "corpus-labels").glob("*.safetensors"))
    assert len(held) == 1
    plan = label_plan(source, "corpus")
    assert plan is not None
    assert held[0].stem == plan.key(corpus)


def test_which_labels_stand_where_there_are_several() -> None:
    assert label_plan(WordedFeatures(), "shipped") is None
    assert label_plan(WordedFeatures(scored=N_FEATURES), "auto") is None
    assert label_plan(WordedFeatures(scored=N_FEATURES), "corpus") is not None
    some = label_plan(WordedFeatures(scored=2), "auto")
    assert some is not None
    assert some.described["judged"] == 2
    made = some.make(corpus_of("apples bananas cherries")).whole
    # Pieces app-les, ban-ana-s, che-rri-es: the letters a, b and c, l, s, e and r.
    assert sorted(made) == [ord(letter) - 97 for letter in "celrs"]

    class Silent(FeatureSource):
        name = "silent"
        settings = describe = counts = None  # type: ignore[assignment]

    assert label_plan(Silent(), "auto") is None  # type: ignore[abstract]
    with pytest.raises(InputError, match="'silent' does not say where its features fire"):
        label_plan(Silent(), "corpus")  # type: ignore[abstract]
