"""Words of two topics, mixed: sets, values by scripted judges, and cosines that sort them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mtmbench.core.cards import JudgeCard
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.clients.cosine_scales import _best_half
from mtmbench.judges.panel import Panel
from mtmbench.judges.replies import parse_group, parse_n_topics
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.compute import compute_value
from mtmbench.metrics.word_mixing import mixed_set
from mtmbench.testing.planted import planted_context, planted_result
from mtmbench.testing.themes import THEMES


class Listed(JudgeClient):
    """Says the next of its replies."""

    name = "listed"
    is_llm = True

    def __init__(self, replies: list[str]) -> None:
        self.replies = replies

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        return Completion(self.replies[question.context["topic"]])


def value_of(metric: str, client: JudgeClient | None, shift: int = 0) -> MetricValue:
    context = planted_context(("embeddings",))

    def ask(card: str, job: Any) -> Any:
        with Panel() as panel:
            if client is not None:
                panel.seat(card, JudgeCard(client="listed"), client)
            return panel.consult(card, job)

    context.consult = ask
    params = {"judge": "embedding" if client is None else "listed"}
    return compute_value(planted_result(shift=shift), context, metric, "own", params)


def test_a_mixed_set_has_five_of_each_and_none_twice() -> None:
    first, second = [f"a{i}" for i in range(9)], ["a3", "a7", *(f"b{i}" for i in range(9))]
    made = mixed_set(first, second, 0)
    own = {item for i, item in enumerate(made.items) if i not in made.second}
    assert own == {"a0", "a1", "a2", "a3", "a4"}
    assert {made.items[i] for i in made.second} == {"a7", "b0", "b1", "b2", "b3"}
    assert mixed_set(first, second, 0) == made != mixed_set(first, second, 1)
    # The same topic twice: ten items of one subject, which nobody can sort.
    ten = [*first, "a9"]
    assert len(set(mixed_set(ten, ten, 0).items)) == 10
    assert mixed_set(first[:4], second, 0).items == ()


def test_planted_topics_are_sorted_by_cosines_and_mixed_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed = planted_context(("embeddings",)).embed
    monkeypatch.setattr("mtmbench.judges.clients.encoding._encode_by", lambda _: embed)
    good, mixed = (value_of("word_split", None, shift) for shift in (0, 4))
    assert good.per_topic == (1.0, 1.0, 1.0, 1.0)
    assert mixed.value is not None
    assert mixed.value < 0.5


def test_one_or_two_is_the_share_of_right_answers() -> None:
    # Sets of one topic come first, then mixed ones.
    said = ["1", "1", "2", "1", "2", "1", "2", "x"]
    value = value_of("word_mixing", Listed([f"TOPICS: {number}" for number in said]))
    assert value.per_topic == (1.0, 0.5, 0.5, None)
    assert value.value == pytest.approx(2 / 3)
    details = value.details
    assert (details["right_of_one"], details["right_of_two"]) == (2 / 3, 2 / 3)
    # Two true positives, one of each error.
    assert details["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert (details["n_topics_without_value"], details["statuses"]) == (1, {"ok": 7, "unparsed": 1})
    always = value_of("word_mixing", Listed(["TOPICS: 2"] * 8))
    assert always.value == 0.5


def test_planted_topics_that_mix_themes_look_like_two() -> None:
    good, mixed = (
        compute_value(
            planted_result(shift=shift), planted_context(("judge", "embeddings")), "word_mixing",
            "own", {"judge": "any"},
        ).value
        for shift in (0, 4)
    )  # fmt: skip
    assert (good, mixed) == (1.0, 0.5)


def test_the_best_half_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        vectors = rng.normal(size=(8, 3))
        cosines = vectors @ vectors.T

        def gap(half: tuple[int, ...], cosines: Any = cosines) -> float:
            rest = [i for i in range(8) if i not in half]
            within = [cosines[a, b] for side in (half, rest) for a, b in combinations(side, 2)]
            between = [cosines[a, b] for a in half for b in rest]
            return float(np.mean(within) - np.mean(between))

        best = max(combinations(range(8), 4), key=gap)
        assert set(_best_half(cosines)) in ({*best}, {*range(8)} - {*best})


def test_replies() -> None:
    assert parse_group("GROUP: 2, 1", 4) == {0, 1}
    assert parse_group('{"group": [4]}', 4) == {3}
    for text in ("GROUP: none", "GROUP: 1, 2, 3, 4", "GROUP: 5", "GROUP: 1, 1", "1, 2"):
        assert parse_group(text, 4) is None
    assert [parse_n_topics(f"TOPICS: {n}") for n in ("1", "2", "3", "one")] == [1, 2, None, None]


def test_sets_are_of_the_topics_words() -> None:
    seen: list[list[str]] = []

    class Sees(Listed):
        async def answer(
            self, question: Question, params: Mapping[str, Any], replicate: int
        ) -> Completion:
            seen.append(question.context["items"])
            return Completion("GROUP: 1, 2, 3, 4, 5")

    value_of("word_split", Sees([]))
    assert len(seen) == 4
    themes = [set(text.split()) for text in THEMES.values()]
    for items in seen:
        assert sorted(len(theme & set(items)) for theme in themes) == [0, 0, 5, 5]
