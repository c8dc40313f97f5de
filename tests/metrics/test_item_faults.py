"""What judges say is wrong with topics: repetition, outliers, themes that are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mtmbench.core.cards import JudgeCard
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.clients.embedding import EmbeddingJudge
from mtmbench.judges.panel import Panel
from mtmbench.judges.replies import parse_missing
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.compute import compute_value
from mtmbench.metrics.judged import NO_JUDGE
from mtmbench.testing.planted import planted_context, planted_corpus, planted_result


class Reads(JudgeClient):
    """Replies what a function makes of the question."""

    name = "reads"
    is_llm = True

    def __init__(self, reply: Callable[[Question], str]) -> None:
        self.reply = reply

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        said = self.reply(question)
        return Completion(said, refused=said == "No.")


def value_of(metric: str, result: Any, reply: Callable[[Question], str], **params: Any) -> Any:
    context = planted_context(())

    def ask(card: str, job: Any) -> Any:
        with Panel() as panel:
            panel.seat(card, JudgeCard(client="reads"), Reads(reply))
            return panel.consult(card, job)

    context.consult = ask
    value: MetricValue = compute_value(result, context, metric, "own", {"judge": "r", **params})
    return value


def by_stems(question: Question) -> str:
    """Rates by how many pairs of items begin alike."""
    pairs = [a[:4] == b[:4] for a, b in combinations(question.context["items"], 2)]
    return f"RATING: {3 - min(2, sum(pairs))}"


def test_topics_of_word_forms_are_told_from_others(result_of: Callable[..., Any]) -> None:
    corpus = planted_corpus()
    theta = np.full((len(corpus), 3), 1 / 3, dtype=np.float32)
    topics = [["taxes", "taxed", "taxeater"], ["ocean", "oceanic", "tax"], ["sun", "moon", "sky"]]
    value = value_of("repetitiveness", result_of(topics, theta), by_stems)
    assert value.per_topic == (1.0, 2.0, 3.0)
    assert value.value == 2.0


def test_outliers_are_the_share_of_items_that_are_named() -> None:
    replies = ["ODD: none", "ODD: 1, 2, 3, 4, 5", "odd ones", "No."]

    def reply(question: Question) -> str:
        return replies[question.context["topic"]]

    value = value_of("outliers", planted_result(), reply)
    assert value.per_topic == (0.0, 0.5, None, None)
    assert value.value == 0.25
    assert value.details["n_topics_without_value"] == 2
    assert value.details["statuses"] == {"ok": 2, "refused": 1, "unparsed": 1}
    for metric, least in (("outliers", 0.3), ("missing_themes", 0.3)):
        good, mixed = (
            compute_value(
                planted_result(shift=shift), planted_context(("judge",)), metric, "own",
                {"judge": "any"},
            ).value
            for shift in (0, 4)
        )  # fmt: skip
        assert good is not None
        assert mixed is not None
        assert mixed > good + least


def test_missing_themes_are_counted_by_document() -> None:
    result, corpus = planted_result(), planted_corpus()
    seen: list[tuple[str, list[str]]] = []

    def reply(question: Question) -> str:
        seen.append((question.context["text"], question.context["items"]))
        return ("MISSING: none", "MISSING: a; b", "MISSING: c", "none")[len(seen) % 4]

    value = value_of("missing_themes", result, reply, n_documents=40, top_n=3)
    assert value.value == pytest.approx((0 + 2 + 1) / 3)
    assert (value.details["n"], value.details["n_documents"]) == (30, 40)
    assert value.details["statuses"] == {"ok": 30, "unparsed": 10}
    assert len({text for text, _ in seen}) == 40
    top = result.top_labels(3)
    for text, items in seen:
        topic = int(result.doc_topic[corpus.texts.index(text)].argmax())
        assert items == top[topic]
    other = value_of("missing_themes", result, lambda _: "MISSING: a", n_documents=40, seed=1)
    assert other.value == 1.0


def test_themes_are_read_from_the_last_line() -> None:
    assert parse_missing("Two.\nMISSING: school funding; Taxes.") == ("school funding", "Taxes")
    assert parse_missing("MISSING: none") == parse_missing("MISSING: None.") == ()
    assert parse_missing("MISSING: a; a ;b") == ("a", "b")
    for text in ("", "MISSING:", "MISSING: ;", "a; b", "MISSING: a\nso it is", "MISSING: none; a"):
        assert parse_missing(text) is None, text


def test_they_have_no_judge_of_their_own_and_cosines_refuse() -> None:
    for metric in ("repetitiveness", "outliers", "missing_themes"):
        context = planted_context(("judge",))
        assert compute_value(planted_result(), context, metric, "own", {}).reason == NO_JUDGE

    def ask(card: str, job: Any) -> Any:
        with Panel() as panel:
            return panel.run(job(panel.seat(card, JudgeCard(client="embedding"), EmbeddingJudge())))

    context = planted_context(())
    context.consult = ask
    with pytest.raises(Exception, match="cosines answer no question of kind 'repetitiveness'"):
        compute_value(planted_result(), context, "repetitiveness", "own", {"judge": "embedding"})
