from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus, Float64Array, FloatArray
from mtmbench.features.tokenisers import TOKENISERS, Tokeniser, WordSpan
from mtmbench.judges.base import Question
from mtmbench.judges.clients.extractive import (
    ExtractiveSummariser,
    joined,
    pieces_of,
    with_spaces,
    without_spaces,
)
from mtmbench.judges.replies import parse_extract

THEMES = ("snow ice cold storm", "vote law party court", "goal team match ball")


def embed(texts: Sequence[str]) -> FloatArray:
    """How many words a text has of each theme, and one direction that all texts share."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    rows = [[*(sum(w in t.split() for w in text) for t in THEMES), 0.5] for text in words]
    array = np.asarray(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


TEXTS = (
    "Snow and ice fell on the road. The vote on the law was late. A cold storm closed the court.",
    "The team won the match. Ice and snow and cold came with a storm last night again.",
    "A party went to court over the law. Every party may vote on it. The ball was gone by then.",
    "One goal was enough for the team today. The match was cold and there was snow on the ball.",
)
CORPUS = Corpus("toy", ("d0", "d1", "d2", "d3"), TEXTS)
THETA = np.asarray([[0.7, 0.3], [0.6, 0.4], [0.1, 0.9], [0.0, 1.0]], dtype=np.float32)


def reply(topic: int, ids: Sequence[str], corpus: Corpus = CORPUS, **params: Any) -> dict[str, Any]:
    client = ExtractiveSummariser(embed=embed, **params)
    client.prepare_summaries(corpus, THETA)
    question = Question("summary", {"topic": topic, "documents": list(ids)}, ())
    said = asyncio.run(client.answer(question, {}, 0)).text
    assert parse_extract(said) is not None
    return dict(json.loads(said))


def cosine(a: Float64Array, b: Float64Array) -> float:
    return round(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), 4)


def by_hand(
    topic: int, rows: Sequence[int], diversity: float, words: int, pieces: int
) -> list[str]:
    """Maximal marginal relevance, written from its definition over the whole list each time."""
    vectors = embed(TEXTS).astype(np.float64)
    centroid = sum(float(THETA[row, topic]) * vectors[row] for row in rows)
    found = [piece for row in rows for piece in TEXTS[row].rstrip(".").split(". ")]
    own = dict(zip(found, embed(found).astype(float), strict=True))
    taken: list[str] = []
    while len(taken) < pieces:
        left = words - sum(len(piece.split()) for piece in taken)
        scored = [
            (
                (1 - diversity) * cosine(own[piece], centroid)
                - diversity * max((cosine(own[piece], own[old]) for old in taken), default=0.0),
                -place,
                piece,
            )
            for place, piece in enumerate(found)
            if piece not in taken
            and len(piece.split()) <= left
            and (not taken or cosine(own[piece], centroid) >= 0.7 * cosine(own[taken[0]], centroid))
        ]
        if not scored:
            break
        taken.append(max((round(score, 6), place, piece) for score, place, piece in scored)[2])
    return taken


@pytest.mark.parametrize("topic", [0, 1])
@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize(("words", "pieces"), [(25, 3), (12, 3), (25, 1), (30, 5)])
def test_the_choice_is_that_of_maximal_marginal_relevance_by_hand(
    topic: int, diversity: float, words: int, pieces: int
) -> None:
    rows = [0, 1, 2] if topic == 0 else [3, 2, 1, 0]
    ids = [CORPUS.doc_ids[row] for row in rows]
    told = reply(topic, ids, diversity=diversity, words=words, pieces=pieces)
    expected = by_hand(topic, rows, diversity, words, pieces)
    assert told["summary"].rstrip(".") == "; ".join(expected)
    assert len(told["summary"].split()) <= words
    sources = [CORPUS.doc_ids[row] for piece in expected for row in rows if piece in TEXTS[row]]
    assert told["documents"] == list(dict.fromkeys(sources))


def test_what_is_alike_is_passed_over() -> None:
    texts = (
        "Snow and ice and cold.",
        "Snow and ice and cold!",
        "Ice and the late vote.",
        "x y z w",
    )
    corpus = Corpus("toy", CORPUS.doc_ids, texts)
    both = [
        reply(0, ["d0", "d1", "d2"], corpus, diversity=d, nearness=0.0)["documents"]
        for d in (0.0, 0.7)
    ]
    assert both[0][:2] == ["d0", "d1"]
    assert both[1][:2] == ["d0", "d2"]


def test_nothing_is_put_in_to_fill_the_words() -> None:
    texts = ("Snow and ice and cold.", "Vote law party court.", "A storm and the late vote.", "x y")
    corpus = Corpus("toy", CORPUS.doc_ids, texts)
    assert reply(0, ["d0", "d2"], corpus, nearness=0.9)["documents"] == ["d0"]
    assert reply(0, ["d0", "d2"], corpus, nearness=0.0)["documents"] == ["d0", "d2"]


def test_only_the_strongest_documents_and_their_first_sentences_are_read() -> None:
    ids = ["d2", "d3", "d0"]
    assert reply(1, ids, documents=1, pieces=1)["documents"] == ["d2"]
    first = reply(1, ["d1"], sentences=1)
    assert first == {"summary": "The team won the match.", "documents": ["d1"]}


def test_a_choice_does_not_rest_on_the_last_bits_of_a_batch() -> None:
    noise = np.random.default_rng(0)

    def shaken(texts: Sequence[str]) -> FloatArray:
        exact = embed(texts)
        return (exact + noise.normal(scale=1e-7, size=exact.shape)).astype(np.float32)

    ids = ["d0", "d1", "d2", "d3"]
    said = set()
    for order in permutations((0, 1)):
        client = ExtractiveSummariser(embed=shaken)
        client.prepare_summaries(CORPUS, THETA)
        for topic in order:
            question = Question("summary", {"topic": topic, "documents": ids}, ())
            said.add((topic, asyncio.run(client.answer(question, {}, 0)).text))
    assert len(said) == 2


def test_each_document_is_embedded_by_itself_and_once() -> None:
    batches: list[tuple[str, ...]] = []

    def noted(texts: Sequence[str]) -> FloatArray:
        batches.append(tuple(texts))
        return embed(texts)

    client = ExtractiveSummariser(embed=noted)
    for topic in (0, 1):
        client.prepare_summaries(CORPUS, THETA)
        question = Question("summary", {"topic": topic, "documents": ["d0", "d2"]}, ())
        asyncio.run(client.answer(question, {}, 0))
    assert batches == [TEXTS, tuple(pieces_of(TEXTS[0], 25)), tuple(pieces_of(TEXTS[2], 25))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("Rain.", ["Rain."]),
        ("Rain fell. It stopped.", ["Rain fell. It stopped."]),
        ("Mr. Smith went to town. Nobody saw him there.",
         ["Mr. Smith went to town.", "Nobody saw him there."]),
        ("a b c d e f g h", ["a b c d e f", "g h"]),
        ("a b c d e f g h i j k", ["a b c d e f", "g h i j k"]),
        ("one two three, four five six, seven eight nine ten.",
         ["one two three, four five six", "seven eight nine ten."]),
        ("One two three, four five six, seven eight. A second one of four.",
         ["One two three, four five six", "A second one of four."]),
        ('"Rain fell on us," he said.', ['Rain fell on us," he said.']),
        ("See https://example.org/" + "x" * 60 + " for all of it", ["See for all of it"]),
        ("x" * 60, []),
    ],
)  # fmt: skip
def test_pieces_are_sentences_clauses_or_runs_of_words(text: str, expected: list[str]) -> None:
    # A tail below four words counts only where the text has no longer piece.
    kept = [piece for piece in expected if len(piece.split()) >= 4] or expected
    assert pieces_of(text, 6) == kept


def test_one_piece_stands_as_it_is_and_several_are_phrases() -> None:
    assert joined(["It rained, at last."]) == "It rained, at last."
    assert joined(["It rained, at last.", "snow:", "ice"]) == "It rained, at last; snow; ice"


def test_documents_without_a_word_have_an_empty_summary() -> None:
    corpus = Corpus("toy", CORPUS.doc_ids, ("y" * 50, "...", *TEXTS[2:]))
    told = reply(0, ["d0"], corpus)
    assert told == {"summary": "", "documents": []}


def test_texts_without_spaces_are_refused() -> None:
    text = "今日は東京で大雪が降りました。電車が止まり、多くの人が駅で待っていました。"
    corpus = Corpus("toy", CORPUS.doc_ids, (text, *TEXTS[1:2], text + "雪", text + "氷"))
    with pytest.raises(InputError, match="spaces"):
        ExtractiveSummariser(embed=embed).prepare_summaries(corpus, THETA)


def test_it_rules_on_nothing_and_needs_documents() -> None:
    client = ExtractiveSummariser(embed=embed)
    asked = Question("summary", {"topic": 0, "documents": ["d0"]}, ())
    with pytest.raises(InputError, match="needs prepare_summaries"):
        asyncio.run(client.answer(asked, {}, 0))
    client.prepare_summaries(CORPUS, THETA)
    for question in (Question("match", {}, ()), Question("summary", {"items": ["a"]}, ())):
        with pytest.raises(InputError, match="takes summaries from documents"):
            asyncio.run(client.answer(question, {}, 0))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"documents": 0}, "documents must be at least 1, not 0"),
        ({"words": 3}, "words must be at least 4, not 3"),
        ({"diversity": 1.5}, "diversity must lie between 0 and 1, not 1.5"),
        ({"nearness": -0.1}, "nearness must lie between 0 and 1, not -0.1"),
    ],
)
def test_parameters_out_of_range_are_named(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ExtractiveSummariser(**params)


@pytest.mark.parametrize(
    "text", ["", "SUMMARY: x", "[]", '{"summary": "x"}', '{"summary": 1, "documents": []}',
             '{"summary": "x", "documents": "d0"}', '{"summary": "x", "documents": [1]}'],
)  # fmt: skip
def test_what_is_no_extract_is_unparsed(text: str) -> None:
    assert parse_extract(text) is None


class Twos(Tokeniser):
    """Every two letters are a word."""

    name = "twos"

    def spans(self, text: str) -> list[WordSpan]:
        found = re.finditer(r"\w{1,2}", text)
        return [(*match.span(), match.group()) for match in found]


def test_words_of_a_script_without_spaces_are_counted_by_its_tokeniser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TOKENISERS._targets, "twos", Twos)
    text = "春天花园开花，蜜蜂采蜜回家，农民种地忙。海上风暴吹船。水手看见灯塔。"
    assert [without_spaces(piece) for piece in pieces_of(with_spaces(CHINESE, text), 6)] == [
        "春天花园开花，蜜蜂采蜜回家", "海上风暴吹船。水手看见灯塔。",
    ]  # fmt: skip
    plain = replace(CHINESE, words=WordSpec())
    assert with_spaces(plain, text) == text
    said = reply(0, ["d0"], corpus=replace(CHINESE, texts=(text, *TEXTS[1:])), words=6, pieces=1)
    assert said["summary"] in text


CHINESE = CORPUS.with_words(WordSpec(tokeniser="twos", stop_words=False))
