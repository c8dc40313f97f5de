"""Coherence against formulas by hand, a brute-force count, and gensim's CoherenceModel."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.metrics.coherence import CV, NPMI, UCI, EmbeddingCoherence, UMass
from mtmbench.metrics.confirmation import c_v, mean_npmi, mean_pmi, npmi_matrix, u_mass

EPSILON = 1e-12
GENSIM = {"c_npmi": (NPMI, 10), "c_uci": (UCI, 10), "c_v": (CV, 110), "u_mass": (UMass, "document")}


def naive_scores(windows: list[set[str]], topic: list[str]) -> dict[str, float]:
    """All four measures as the paper writes them, over any list of windows."""
    present = {word: np.array([word in window for window in windows]) for word in topic}

    def p(*words: str) -> float:
        return float(np.logical_and.reduce([present[word] for word in words]).mean())

    def pmi(a: str, b: str) -> float:
        return math.log((p(a, b) + EPSILON) / (p(a) * p(b)))

    def npmi(a: str, b: str) -> float:
        return 1.0 if p(a, b) == 1 else pmi(a, b) / -math.log(p(a, b) + EPSILON)

    vectors = {a: np.array([npmi(a, b) for b in topic]) for a in topic}
    whole = sum(vectors.values())
    return {
        "npmi": float(np.mean([npmi(a, b) for a, b in permutations(topic, 2)])),
        "uci": float(np.mean([pmi(a, b) for a, b in permutations(topic, 2)])),
        "u_mass": float(
            np.mean([math.log((p(a, b) + EPSILON) / p(a)) for a, b in combinations(topic, 2)])
        ),
        "c_v": float(
            np.mean(
                [v @ whole / np.linalg.norm(v) / np.linalg.norm(whole) for v in vectors.values()]
            )
        ),
    }


def windows_of(texts: list[list[str]], size: int) -> list[set[str]]:
    return [
        set(text[start : start + size])
        for text in texts
        if text
        for start in range(max(1, len(text) - size + 1))
    ]


def test_npmi_by_hand() -> None:
    # Eight windows: a in four, b in two, both in two; c in one, never with the others.
    joint = np.array([[4, 2, 0], [2, 2, 0], [0, 0, 1]])
    together = math.log((2 / 8) / (4 / 8 * 2 / 8)) / -math.log(2 / 8)
    assert together == pytest.approx(0.5)
    apart = [math.log(EPSILON / (p / 8 * 1 / 8)) / -math.log(EPSILON) for p in (4, 2)]
    assert mean_npmi(joint, 8) == pytest.approx((together + sum(apart)) / 3, abs=1e-9)
    assert mean_pmi(joint[:2, :2], 8) == pytest.approx(math.log(2), abs=1e-9)
    assert u_mass(joint[:2, :2], 8) == pytest.approx(math.log(2 / 4), abs=1e-9)


def test_words_that_only_occur_together_are_fully_coherent() -> None:
    joint = np.full((3, 3), 5)
    assert mean_npmi(joint, 20) == pytest.approx(1, abs=1e-9)
    assert c_v(joint, 20) == pytest.approx(1, abs=1e-9)
    # ... and so are words that stand in every window, but not in gensim's arithmetic.
    assert npmi_matrix(joint, 5).tolist() == [[1.0] * 3] * 3
    assert mean_npmi(joint, 5, "gensim") == pytest.approx(-1, abs=1e-3)


def test_independent_words_have_no_npmi() -> None:
    assert mean_npmi(np.array([[50, 25], [25, 50]]), 100) == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_exact_equals_brute_force(
    seed: int,
    random_texts: Callable[..., Any],
    corpus_of: Callable[..., Any],
    context_of: Callable[..., Any],
    result_of: Callable[..., Any],
) -> None:
    texts = [text for text in random_texts(seed, n_words=20) if text]
    corpus = corpus_of([" ".join(text) for text in texts])
    rng = np.random.default_rng(seed)
    words = sorted({word for text in texts for word in text})
    topics = [[str(w) for w in rng.choice(words, 5, replace=False)] for _ in range(4)]
    result = result_of(topics, np.full((len(texts), 4), 0.25))
    context = context_of(corpus)
    sizes: list[tuple[type[Any], str, Any, int]] = [
        (NPMI, "npmi", 10, 10),
        (NPMI, "npmi", "document", 1000),
        (UCI, "uci", 10, 10),
        (CV, "c_v", 110, 110),
        (CV, "c_v", 4, 4),
        (UMass, "u_mass", "document", 1000),
    ]
    for metric, name, window, size in sizes:
        value = metric().compute(result, context, view="own", window=window)
        naive = [naive_scores(windows_of(texts, size), topic)[name] for topic in topics]
        assert value.per_topic == pytest.approx(naive, abs=1e-9)
        assert value.value == pytest.approx(np.mean(naive), abs=1e-9)
        assert value.details["reference"] == context.tokens.revision
        assert value.details["n_windows"] == len(windows_of(texts, size))


def gensim_scores(texts: list[list[str]], topics: list[list[str]], measure: str) -> Any:
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    model = CoherenceModel(
        topics=topics,
        texts=texts,
        dictionary=Dictionary(texts),
        coherence=measure,
        processes=1,
    )
    return model.get_coherence_per_topic()


@pytest.mark.parametrize("measure", sorted(GENSIM))
def test_gensim_version_equals_gensim_on_texts_that_repeat_words(
    measure: str,
    random_texts: Callable[..., Any],
    corpus_of: Callable[..., Any],
    context_of: Callable[..., Any],
    result_of: Callable[..., Any],
) -> None:
    metric, window = GENSIM[measure]
    for seed in range(3):
        # A corpus has no empty text, but one of spaces has no tokens: the same to gensim as [].
        texts = random_texts(seed, n_words=25, longest=150)
        corpus = corpus_of([" ".join(text) or " " for text in texts])
        words = sorted({word for text in texts for word in text})
        rng = np.random.default_rng(seed)
        topics = [[str(w) for w in rng.choice(words, 6, replace=False)] for _ in range(5)]
        result = result_of(topics, np.full((len(texts), 5), 0.2))
        value = metric().compute(
            result, context_of(corpus), view="own", window=window, version="gensim"
        )
        assert value.per_topic == pytest.approx(gensim_scores(texts, topics, measure), abs=1e-9)


@pytest.mark.parametrize("measure", sorted(GENSIM))
def test_gensim_version_equals_gensim_on_bbc_news(
    measure: str,
    shared_data: Path,
    corpus_of: Callable[..., Any],
    context_of: Callable[..., Any],
    result_of: Callable[..., Any],
) -> None:
    """400 documents; ``tests/benchmarks/coherence_parity.py`` does all of three corpora."""
    path = shared_data / "octis" / "BBC_News" / "corpus.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line)["text"] for line in lines][::6]
    texts = [row.split(" ") for row in rows]
    common = [word for word, _ in Counter(w for text in texts for w in text).most_common(400)]
    rng = np.random.default_rng(0)
    topics = [[str(w) for w in rng.choice(common, 10, replace=False)] for _ in range(10)]
    result = result_of(topics, np.full((len(rows), 10), 0.1))
    metric, window = GENSIM[measure]
    value = metric().compute(
        result, context_of(corpus_of(rows)), view="own", window=window, version="gensim"
    )
    assert value.per_topic == pytest.approx(gensim_scores(texts, topics, measure), abs=1e-9)


def test_gensims_bookkeeping_moves_npmi_on_lee(
    context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    """The words that a story repeats lose windows in gensim's count, and coherent topics NPMI."""
    from mtmbench.corpora.load import load_corpus

    corpus = load_corpus("lee")
    context = context_of(corpus)
    stories = context.counts["words"].matrix[::15].toarray()
    names = context.counts["words"].item_ids
    topics = [[names[i] for i in np.argsort(-row, kind="stable")[:10]] for row in stories]
    result = result_of(topics, np.full((len(corpus), len(topics)), 1 / len(topics)))
    exact, gensim = (
        NPMI().compute(result, context, view="own", window=10, version=version).value
        for version in ("exact", "gensim")
    )
    texts = [[context.tokens.vocabulary[i] for i in seq] for seq in context.tokens.sequences]
    naive = np.mean([naive_scores(windows_of(texts, 10), topic)["npmi"] for topic in topics[:3]])
    first = result_of(topics[:3], np.full((len(corpus), 3), 1 / 3))
    assert NPMI().compute(first, context, view="own").value == pytest.approx(naive, abs=1e-9)
    assert gensim == pytest.approx(np.mean(gensim_scores(texts, topics, "c_npmi")), abs=1e-9)
    assert 0.003 < exact - gensim < 0.1


def test_projected_view_reads_words_of_any_items(
    corpus_of: Callable[..., Any],
    context_of: Callable[..., Any],
    result_of: Callable[..., Any],
    features_of: Callable[..., Any],
) -> None:
    texts = ["cat dog", "cat dog", "cat dog", "cat dog dog", "dog cat"] + ["sun moon"] * 5
    features = features_of([[1, 0]] * 5 + [[0, 1]] * 5, sae_hash="s")
    theta = [[1, 0]] * 5 + [[0, 1]] * 5
    result = result_of([["f0"], ["f1"]], theta, kind="features", source={"sae_hash": "s"})
    context = context_of(corpus_of(texts), counts={"features": features})
    value = NPMI().compute(result, context, view="projected", window=10)
    assert value.per_topic == pytest.approx([1, 1], abs=1e-9)
    assert value.details["reference"] == context.tokens.revision


def test_features_have_document_measures_only(
    corpus_of: Callable[..., Any],
    context_of: Callable[..., Any],
    result_of: Callable[..., Any],
    features_of: Callable[..., Any],
) -> None:
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.8, (50, 4))
    dense[0] = 0
    features = features_of(dense, sae_hash="s")
    result = result_of(
        [["f0", "f1", "f2"], ["f3", "f9"]], np.full((50, 2), 0.5), kind="features",
        source={"sae_hash": "s"},
    )  # fmt: skip
    context = context_of(corpus_of(["a b"] * 50), counts={"features": features})
    for metric, window in ((NPMI, 10), (CV, 110), (UCI, 10)):
        value = metric().compute(result, context, view="own", window=window)
        assert value.value is None
        assert "no order in the text" in str(value.reason)
    windows = [{f"f{i}" for i in np.flatnonzero(row)} for row in dense if row.any()]
    for metric, name in ((NPMI, "npmi"), (UMass, "u_mass")):
        value = metric().compute(result, context, view="own", window="document")
        naive = naive_scores(windows, ["f0", "f1", "f2"])[name]
        assert value.per_topic == (pytest.approx(naive, abs=1e-9), None)
        assert value.details["n_out_of_vocabulary"] == 1
        assert value.details["reference"] == features.revision

    other = result_of([["f0", "f1"]], np.ones((50, 1)), kind="features", source={"sae_hash": "t"})
    assert "another SAE" in str(UMass().compute(other, context, view="own").reason)


def test_too_few_known_words_is_missing_with_a_reason(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b c", "a b"]))
    result = result_of([["a", "b"], ["a", "zz"], ["yy"]], np.full((2, 3), 1 / 3))
    value = NPMI().compute(result, context, view="own")
    assert value.per_topic[1:] == (None, None)
    assert value.value == value.per_topic[0]
    assert value.details["n_topics_without_value"] == 2
    assert value.details["n_out_of_vocabulary"] == 2
    unknown = result_of([["x", "y"], ["z", "a"]], np.full((2, 2), 0.5))
    none = NPMI().compute(unknown, context, view="own")
    assert none.value is None
    assert none.reason == "no topic has two items that occur in the reference"
    assert none.details["n_out_of_vocabulary"] == 3


def test_top_n_cuts_topics(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b", "a b", "c d"]))
    long = result_of([["a", "b", "c"]], np.ones((3, 1)))
    short = result_of([["a", "b"]], np.ones((3, 1)))
    cut = NPMI().compute(long, context, view="own", top_n=2).value
    assert cut == NPMI().compute(short, context, view="own").value
    assert cut != NPMI().compute(long, context, view="own").value


def test_wrong_parameters_are_named(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b"]))
    result = result_of([["a", "b"]], np.ones((1, 1)))
    with pytest.raises(InputError, match="'windows'; did you mean 'window'"):
        NPMI().compute(result, context, view="own", windows=5)
    with pytest.raises(InputError, match=r"top_n.*not 1"):
        NPMI().compute(result, context, view="own", top_n=1)
    with pytest.raises(InputError, match="version"):
        NPMI().compute(result, context, view="own", version="old")


def test_embedding_coherence_is_the_mean_cosine_of_pairs(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    angles = {"a": 0.0, "b": math.pi / 3, "c": math.pi / 2, "d": 0.0}
    asked: list[list[str]] = []

    def embed(texts: Any) -> Any:
        asked.append(list(texts))
        return np.array([[math.cos(angles[t]), math.sin(angles[t])] for t in texts], np.float32)

    context = context_of(corpus_of(["a b c d"]), embed=embed, encoder="angles")
    result = result_of([["a", "b", "c"], ["d", "a"], ["b"], []], [[0.25] * 4])
    value = EmbeddingCoherence().compute(result, context, view="own")
    expected = (math.cos(math.pi / 3) + math.cos(math.pi / 2) + math.cos(math.pi / 6)) / 3
    assert value.per_topic == (
        pytest.approx(expected, abs=1e-6), pytest.approx(1, abs=1e-6), None, None,
    )  # fmt: skip
    assert value.details == {"encoder": "angles", "n_topics_without_value": 2, "n_topics": 4}
    assert asked == [["a", "b", "c", "d"]]
    bare = context_of(corpus_of(["a b c d"]))
    assert "no text encoder" in str(EmbeddingCoherence().compute(result, bare, view="own").reason)


def spoken(topics: list[list[str]]) -> Any:
    """Topics with the context of a small English corpus, of which stop words are taken out."""
    from mtmbench.core.types import Corpus
    from mtmbench.features.words import tokenise
    from mtmbench.metrics.context import MetricContext
    from mtmbench.metrics.score import topics_result

    texts = (
        "The Bank of England and the cow of 2001", "A bank of the river", "The cow is in the barn",
        "England is in 2001", "the barn and the cow's milk", "the River Bank of the cow",
    ) * 2  # fmt: skip
    corpus = Corpus("spoken", tuple(map(str, range(len(texts)))), texts)
    context = MetricContext(corpus, tokens=tokenise(corpus), counts={})
    return topics_result(topics, corpus), context


def twice(documents: str) -> list[set[str]]:
    return [set(text.split()) for text in documents.split("|")] * 2


@pytest.mark.parametrize(
    ("topic", "windows", "folded", "kept"),
    [
        # Words that the tokenisation has are counted in it, in any case.
        (
            ["Cow", "BARN", "milk"],
            "bank england cow|bank river|cow barn|england|barn cow milk|river bank cow",
            ["cow", "barn", "milk"], None,
        ),
        # Stop words make it the texts with stop words, for all words of the topics.
        (
            ["the", "cow", "In"],
            "the bank of england and the cow of|bank of the river|the cow is in the barn"
            "|england is in|the barn and the cow milk|the river bank of the cow",
            ["the", "cow", "in"], "stop words kept",
        ),
        # Numbers and single letters make it all runs.
        (
            ["2001", "england", "the"],
            "the bank of england and the cow of 2001|a bank of the river|the cow is in the barn"
            "|england is in 2001|the barn and the cow s milk|the river bank of the cow",
            ["2001", "england", "the"], "all runs of letters and digits kept",
        ),
        # An n-gram is its words, one after the other: once stop words are out, if they are not in.
        (
            ["river_bank", "bank england", "cow"],
            "bank-england cow|bank river|cow|england|cow|river-bank cow",
            ["river-bank", "bank-england", "cow"], None,
        ),
        (
            ["bank of england", "the", "cow"],
            "the bank-of-england and cow|the|the cow|england|the cow|the cow",
            ["bank-of-england", "the", "cow"], "stop words kept",
        ),
    ],
)  # fmt: skip
def test_words_are_counted_in_a_reference_that_knows_them(
    topic: list[str], windows: str, folded: list[str], kept: str | None
) -> None:
    result, context = spoken([topic])
    for metric, name in ((NPMI, "npmi"), (UMass, "u_mass")):
        value = metric().compute(result, context, view="own", window="document")
        expected = naive_scores(twice(windows), folded)[name]
        assert value.value == pytest.approx(expected, abs=1e-9)
        assert value.details["n_out_of_vocabulary"] == 0
        assert value.details.get("reference_keeps") == kept


def test_words_that_no_reference_knows_are_named() -> None:
    result, context = spoken([["cow", "barn", "stabl", "cow barn"], ["moo", "cow"]])
    value = NPMI().compute(result, context, view="own")
    known, _ = spoken([["cow", "barn", "cow barn"]])
    assert value.value == NPMI().compute(known, context, view="own").value
    assert value.details["n_out_of_vocabulary"] == 2
    assert value.details["n_items_listed"] == 6
    assert value.details["out_of_vocabulary"] == ["stabl", "moo"]
    assert (value.details["n_topics_without_value"], value.details["n_topics"]) == (1, 2)
    # What is known elsewhere makes no other reference than the narrowest that does as well.
    assert value.details["reference"] == context.tokens.revision


def test_given_tokens_are_found_in_another_case(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["New York Cow", "new cow", "York"] * 2))
    result = result_of([["cow", "York", "new york"]], np.ones((6, 1)))
    value = NPMI().compute(result, context, view="own", window="document")
    assert value.details["n_out_of_vocabulary"] == 0
    windows = [{"new", "cow", "york", "new york"}, {"new", "cow"}, {"york"}] * 2
    expected = naive_scores(windows, ["cow", "york", "new york"])["npmi"]
    assert value.value == pytest.approx(expected, abs=1e-9)


def test_an_empty_item_takes_no_place_among_the_top(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b c"] * 2))
    result = result_of([["", "a", " ", "b", "c"], ["b", "", "c"]], np.ones((2, 2)) / 2)
    assert context.top_keys(result, "own", 2) == [["a", "b"], ["b", "c"]]
    assert context.top_labels(result, "own", 5) == [["a", "b", "c"], ["b", "c"]]
