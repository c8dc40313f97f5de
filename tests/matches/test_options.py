from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import CrossedLabels
from mtmbench.judges.base import EMPTY_TOPIC, Option
from mtmbench.matches.options import Projected, document_options, top_topics, words_to_project
from mtmbench.metrics.projected import TopicWords

MakeResult = Callable[..., TopicResult]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.2, 0.5, 0.3], [1, 2]),
        ([0.8, 0.1, 0.1], [0]),
        ([0.75, 0.25, 0.0], [0]),
        ([0.74, 0.26, 0.0], [0, 1]),
        ([0.25, 0.25, 0.25, 0.25], [0, 1]),
        ([0.1, 0.45, 0.45], [1, 2]),
        ([0.0, 0.6, 0.0], [1]),
        ([0.0, 0.0, 0.0], []),
    ],
)
def test_top_topics(shares: list[float], expected: list[int]) -> None:
    array = np.asarray(shares, dtype=np.float32)
    assert top_topics(array, max_topics=2, share=0.75) == expected


def test_rounding_of_f32_shares_does_not_add_a_topic() -> None:
    shares = np.asarray([0.7, 0.2, 0.1], dtype=np.float32)
    assert float(shares[0]) + float(shares[1]) < 0.9
    assert top_topics(shares, max_topics=3, share=0.9) == [0, 1]


def test_more_topics_until_the_share_is_reached() -> None:
    shares = np.asarray([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    assert top_topics(shares, max_topics=4, share=0.75) == [3, 2, 1]
    assert top_topics(shares, max_topics=4, share=1.0) == [3, 2, 1, 0]


def document_option(result: TopicResult, row: int, **options: Any) -> Option:
    return document_options(result, [row], "me", **options)[0]


def the_same(words: TopicWords) -> Projected:
    """Words beside four documents, from either half the same."""
    return Projected("0011", (words, words))


def test_option_shows_items_weights_and_projected_words(
    make_result: MakeResult, spec: JudgingSpec
) -> None:
    result = make_result([[0.6, 0.4], [1, 0], [0, 1], [0, 0]], [["a", "b"], ["c", "d", "e"]])
    projected = the_same(([["x", "y"], ["z"]], [[2.0, 1.0], [3.0]]))
    option = document_option(result, 0, spec=spec, representation="items", projected=projected)
    assert option.name == "me"
    first, second = option.topics
    assert first.share == pytest.approx(0.6)
    assert first.items == ("a", "b")
    assert first.item_weights == pytest.approx((2 / 3, 1 / 3))
    assert (first.words, first.word_weights) == (("x", "y"), (2.0, 1.0))
    assert second.items == ("c", "d", "e")
    assert (second.words, second.word_weights) == (("z",), (3.0,))
    assert first.description == "a, b"


@pytest.mark.parametrize("top_items", [3, 10, 12])
def test_judges_read_as_many_words_whatever_is_shown(
    make_result: MakeResult, top_items: int
) -> None:
    spec = JudgingSpec(top_items=top_items)
    n = words_to_project(spec)
    projected = the_same(([[f"w{i}" for i in range(n)]], [[1.0] * n]))
    result = make_result([[1.0]] * 4, [["a", "b"]])
    for representation in ("items", "projected"):
        (topic,) = document_option(
            result, 0, spec=spec, representation=representation, projected=projected
        ).topics
        assert topic.words == tuple(f"w{i}" for i in range(10))
        assert len(topic.word_weights) == 10
    assert topic.items == tuple(f"w{i}" for i in range(top_items))


def test_no_mass_is_no_topic(make_result: MakeResult, spec: JudgingSpec) -> None:
    result = make_result([[0.6, 0.4], [1, 0], [0, 1], [0, 0]], [["a"], ["b"]])
    options = document_options(result, [3, 2], "me", spec=spec, representation="items")
    assert options[0].topics == ()
    assert [topic.items for topic in options[1].topics] == [("b",)]


def test_items_are_cut_to_top_items(make_result: MakeResult) -> None:
    result = make_result([[1.0]] * 4, [[f"w{i}" for i in range(30)]])
    spec = JudgingSpec(top_items=3)
    option = document_option(result, 0, spec=spec, representation="items")
    assert option.topics[0].items == ("w0", "w1", "w2")


def test_a_topic_without_items_is_shown_as_empty(
    make_result: MakeResult, spec: JudgingSpec
) -> None:
    result = make_result([[1.0, 0.0]] * 4, [[], ["a"]])
    option = document_option(result, 0, spec=spec, representation="items")
    assert [topic.description for topic in option.topics] == [EMPTY_TOPIC]


def test_summaries_are_shown_on_their_board_only(
    make_result: MakeResult, spec: JudgingSpec
) -> None:
    result = make_result([[1.0]] * 4, [["a", "b"]], summaries=["Ice\n hockey."])
    summary = document_option(result, 0, spec=spec, representation="summary")
    items = document_option(result, 0, spec=spec, representation="items")
    assert summary.topics[0].description == "Ice hockey."
    assert items.topics[0].description == "a, b"


@pytest.mark.parametrize(("top_items", "n"), [(1, 1), (2, 2), (10, 3)])
def test_projected_words_stand_for_the_items(
    make_result: MakeResult, top_items: int, n: int
) -> None:
    result = make_result([[0.5, 0.5]] * 4, [["a", "b"], ["c"]])
    words, weights = ("x", "y", "z"), (3.0, 2.0, 1.0)
    option = document_option(
        result, 0, spec=JudgingSpec(top_items=top_items), representation="projected",
        projected=the_same(([words, []], [weights, []])),
    )  # fmt: skip
    first, second = option.topics
    assert first.description == ", ".join(words[:n])
    assert first.item_weights == weights[:n]
    assert second.description == EMPTY_TOPIC


def test_errors_name_what_is_wrong(make_result: MakeResult, spec: JudgingSpec) -> None:
    result = make_result([[1.0]] * 4, [["a"]])
    with pytest.raises(InputError, match="me has no topic summaries"):
        document_option(result, 0, spec=spec, representation="summary")
    with pytest.raises(InputError, match="me has no projected words to show"):
        document_option(result, 0, spec=spec, representation="projected")
    with pytest.raises(InputError, match="row 4 of a result over 4 documents"):
        document_option(result, 4, spec=spec, representation="items")
    with pytest.raises(InputError, match="projected words of 2 topics"):
        document_option(
            result, 0, spec=spec, representation="items",
            projected=the_same(([["x"], ["y"]], [[1.0], [1.0]])),
        )  # fmt: skip
    words: TopicWords = ([["x"]], [[1.0]])
    with pytest.raises(InputError, match="by halves of 3 documents for a result of 4"):
        document_option(
            result, 0, spec=spec, representation="items",
            projected=Projected("010", (words, words)),
        )  # fmt: skip


def test_a_document_is_shown_words_of_the_other_half(
    make_result: MakeResult, spec: JudgingSpec
) -> None:
    result = make_result([[1.0]] * 4, [["a", "b"]])
    projected = Projected("0110", (([["from 0"]], [[2.0]]), ([["from 1"]], [[3.0]])))
    for representation in ("projected", "items"):
        options = document_options(
            result, [3, 1, 2], "me", spec=spec, representation=representation, projected=projected
        )
        assert [option.topics[0].words for option in options] == [
            ("from 1",), ("from 0",), ("from 0",)
        ]  # fmt: skip
        assert options[0].topics[0].items == (
            ("from 1",) if representation == "projected" else ("a", "b")
        )


def test_a_document_is_shown_labels_of_the_other_half(
    make_result: MakeResult, spec: JudgingSpec
) -> None:
    result = make_result([[1], [1], [1], [1]], [["a", "b"]])
    crossed = CrossedLabels("0110", (("from 0", "b0"), ("from 1", "b1")))
    result = replace(result, items=replace(result.items, crossed=crossed))
    options = document_options(result, [3, 1, 2], "me", spec=spec, representation="items")
    assert [option.topics[0].items[0] for option in options] == ["from 1", "from 0", "from 0"]
    assert result.top_labels(1) == [["a"]]
