from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.panel import Panel
from mtmbench.judges.topic_questions import topic_template
from mtmbench.matches.match import MatchOutcome
from mtmbench.matches.options import document_options
from mtmbench.matches.refine import odd_items, without
from mtmbench.matches.summaries import (
    Extract,
    check_summariser,
    extract_summaries,
    summarise,
    unshown_rows,
    with_summaries,
    with_unshown,
)
from mtmbench.testing.topic_judge import PLANTED_JUDGE

MakeResult = Callable[..., TopicResult]
CARD = JudgeCard(client=PLANTED_JUDGE)


@pytest.fixture
def result(make_result: MakeResult) -> TopicResult:
    return make_result(
        [[0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.0, 0.2, 0.8], [0.0, 0.0, 0.0]],
        [
            ["oven", "orbit", "butter", "pepper", "comet", "recipe", "tulip"],
            ["orbit", "rocket", "comet"],
            [],
        ],
    )


def test_odd_items_are_dropped_and_not_filled_up(result: TopicResult, tmp_path: Path) -> None:
    with Panel(tmp_path / "a") as panel:
        prompt = topic_template("refine")
        found = panel.run(odd_items(panel.seat("planted", CARD), result, 6, prompt))
    labels = result.items.labels
    named = [None if a.value is None else [labels[i] for i in a.value] for a in found]
    assert named == [["orbit", "comet"], [], None]
    assert [answer.status for answer in found] == ["ok", "ok", "empty"]
    refined = without(result, 6, [answer.value or () for answer in found])
    assert refined.top_labels(6) == [
        ["oven", "butter", "pepper", "recipe"], ["orbit", "rocket", "comet"], [],
    ]  # fmt: skip
    np.testing.assert_array_equal(refined.topic_item, result.topic_item)
    kept = refined.item_weights > 0
    np.testing.assert_array_equal(refined.item_weights[kept], result.item_weights[kept])


def test_summaries_are_of_the_refined_items(result: TopicResult, tmp_path: Path) -> None:
    prompt = topic_template("summary")
    with Panel(tmp_path / "a") as panel:
        found = panel.run(summarise(panel.seat("planted", CARD), result, 6, prompt))
    values = [answer.value for answer in found]
    assert values == ["Texts about the kitchen.", "Texts about the space.", None]
    options = document_options(
        with_summaries(result, values), [0, 2], "x", spec=JudgingSpec(), representation="summary"
    )
    assert [topic.description for topic in options[0].topics] == values[:2]
    assert options[1].topics[0].description == "(empty topic)"


def test_documents_that_would_show_a_missing_summary_are_removed(result: TopicResult) -> None:
    rows, spec = [0, 1, 2, 3], JudgingSpec()
    assert unshown_rows(result, rows, ["ok", "unparsed", "empty"], spec) == {0: "u"}
    assert unshown_rows(result, rows, ["refused", "ok", "ok"], spec) == {0: "r", 1: "r"}
    assert unshown_rows(result, rows, ["refused", "unparsed", "ok"], spec) == {0: "u", 1: "r"}
    assert unshown_rows(result, rows, ["ok", "ok", "empty"], spec) == {}
    played = MatchOutcome("at", "bt", 4, {"input": 9}, (("x", "y"), ("z", "w")), ("r",))
    whole = with_unshown(played, rows, {0: "u", 2: "r"})
    assert (whole.forward, whole.backward) == ("uart", "ubrt")
    assert whole.replies == ((None, None), ("x", "y"), (None, None), ("z", "w"))
    assert (whole.calls, whole.usage, whole.revisions) == (4, {"input": 9}, ("r",))
    assert with_unshown(played, [5, 6], {}) == played


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, model: str, **more: Any) -> str:
        path = tmp_path / f"{name}.toml"
        lines = [f"{key} = {value!r}" for key, value in more.items()]
        text = f"client = 'transformers'\n{chr(10).join(lines)}\n[params]\nmodel = '{model}'\n"
        path.write_text(text)
        return str(path)

    return write


def test_the_judge_does_not_rule_on_its_own_summaries(
    card: Callable[..., str], tmp_path: Path
) -> None:
    small, other = card("small", "org/small"), card("other", "org/other")
    twin = card("twin", "org/small", description="the same model on another card")
    jury = tmp_path / "jury.toml"
    jury.write_text(f"client = 'jury'\n[params]\nmembers = ['lexical', {twin!r}]\n")

    def check(judge: str, summariser: str, **more: Any) -> None:
        both = ("items", "summary")
        spec = {"judges": (judge,), "summariser": summariser, "representations": both, **more}
        check_summariser(JudgingSpec(**spec))

    check(small, other)
    check("lexical", small)
    check(small, small, same_summariser=True)
    for judge in (small, twin, str(jury)):
        with pytest.raises(InputError, match=r"its own model wrote .* set same_summariser = true"):
            check(judge, small)
    check(str(jury), other)
    with pytest.raises(InputError, match=r"representations are \['items'\]; add \"summary\""):
        check(small, other, representations=("items",))
    check_summariser(JudgingSpec())


class Taker(JudgeClient):
    """Takes the first document's words; None of "d2"; says nonsense of topic 2."""

    name = "taker"
    extracts = True

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        assert question.messages == ()
        ids = question.context["documents"]
        text = "" if ids[0] == "d2" else f"about {' '.join(ids)}"
        said = {"summary": text, "documents": ids[:1]}
        return Completion("?" if question.context["topic"] == 3 else json.dumps(said))


def test_extracts_are_of_the_documents_given_strongest_first(
    make_result: MakeResult, tmp_path: Path
) -> None:
    theta = [[0.2, 0.0, 0.0, 0.8], [0.9, 0.0, 0.0, 0.1], [0.0, 0.0, 1.0, 0.0],
             [0.5, 0.5, 0.0, 0.0], [0.2, 0.0, 0.0, 0.8]]  # fmt: skip
    result = make_result(theta, [["a"]] * 4)
    corpus = Corpus("c", tuple(f"d{i}" for i in range(5)), tuple(f"text {i}" for i in range(5)))
    with Panel(tmp_path / "a") as panel:
        seat = panel.seat("taker", JudgeCard(client="embedding"), Taker())
        # Row 3 may not be taken from, so nothing is left of topic 1; equal shares go by row.
        found = panel.run(extract_summaries(seat, result, corpus, [0, 1, 2, 4]))
    assert [answer.status for answer in found] == ["ok", "empty", "empty", "unparsed"]
    assert found[0].value == Extract("about d1 d0 d4", ["d1"])
    assert found[3].reply == "?"
