"""ProxAnn's metric: which documents, and τ of θ with what a judge says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, ItemSpace
from mtmbench.engine.asked_judges import asks_models
from mtmbench.engine.estimate import estimates
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.panel import Panel
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.compute import compute_value
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.proxann import spread_documents
from mtmbench.testing.planted import planted_context, planted_result

Answers = Callable[[Question], str]


class Says(JudgeClient):
    """Replies what a function makes of the question."""

    name = "says"
    is_llm = True

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        said = self.answers(question)
        return Completion(said, refused=said == "No.")


def value_of(theta: Sequence[Sequence[float]], answers: Answers, **params: Any) -> MetricValue:
    """The value for topics of words w0 …, on documents "text 0", "text 1", …."""
    weights = np.asarray(theta, dtype=np.float32)
    n, k = weights.shape
    corpus = Corpus("made", tuple(map(str, range(n))), tuple(f"text {i}" for i in range(n)))
    words = tuple(f"w{i}" for i in range(k))
    result = TopicResult(
        "made", {}, {}, 0, weights, np.eye(k, dtype=np.float32), ItemSpace("words", words, words),
        {"name": corpus.name, "revision": corpus.revision},
    )  # fmt: skip
    context = MetricContext(corpus, tokens=lambda: pytest.fail("no words are read"), counts={})

    def ask(card: str, job: Any) -> Any:
        with Panel() as panel:
            panel.seat("judge", JudgeCard(client="says"), Says(answers))
            return panel.consult("judge", job)

    context.consult = ask
    given = {"n_exemplars": 1, "n_documents": 4, "top_n": 1, "judge": "any", **params}
    return compute_value(result, context, "proxann", "own", given)


def number(text: str) -> int:
    return int(text.split()[1])


def tau_b(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's τ-b from its definition, pair by pair."""
    signs = [
        (np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in combinations(range(len(x)), 2)
    ]
    untied = [sum(side != 0 for side in sides) for sides in zip(*signs, strict=True)]
    return float(sum(a * b for a, b in signs)) / sqrt(untied[0] * untied[1])


def test_documents_are_spread_over_the_weights_as_in_the_published_data() -> None:
    weights = np.linspace(0, 1, 601).astype(np.float32)
    weights[-1] = 0.999
    order = np.random.default_rng(0).permutation(601)
    exemplars, judged = spread_documents(weights, order, 7, 7)
    assert sorted(exemplars) == list(range(594, 601))
    # ProxAnn's files: steps of a sixth of the largest, down to zero.
    top = weights[593]
    assert weights[judged] == pytest.approx(top * np.arange(6, -1, -1) / 6, abs=1 / 600)
    hard = np.array([1] * 5 + [0] * 20, dtype=np.float32)
    exemplars, judged = spread_documents(hard, np.arange(25), 2, 7)
    assert exemplars.tolist() == [0, 1]
    assert hard[judged].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert len(set(judged.tolist())) == 7
    nobody, judged = spread_documents(np.zeros(9, np.float32), np.arange(9)[::-1], 2, 3)
    assert (nobody.tolist(), judged.tolist()) == ([], [8, 7, 6])


def test_a_topic_has_the_tau_of_theta_with_levels() -> None:
    theta = [[0.9, 0.1], [0.8, 0.2], [0.65, 0.35], [0.3, 0.7], [0.1, 0.9], [0.0, 1.0]]
    levels = {0: 5, 1: 4, 2: 4, 3: 5, 4: 1, 5: 1}
    seen: list[Question] = []

    def answers(question: Question) -> str:
        seen.append(question)
        return f"It fits so.\nFIT: {levels[number(question.context['text'])]}"

    value = value_of(theta, answers)
    # Exemplars are 0 and 5; of the others those next to .8, .53, .27, 0 and to .9, .6, .3, 0.
    judged = {"0": [1, 2, 3, 5], "1": [4, 3, 2, 0]}
    asked: dict[str, list[int]] = {"0": [], "1": []}
    for question in seen:
        asked[question.context["topic"]].append(number(question.context["text"]))
    assert asked == judged
    expected = [
        tau_b([theta[i][k] for i in rows], [levels[i] for i in rows])
        for k, rows in ((0, judged["0"]), (1, judged["1"]))
    ]
    assert value.per_topic == pytest.approx(expected)
    assert value.value == pytest.approx(np.mean(expected))
    assert value.details["statuses"] == {"ok": 8}
    prompt = seen[0].messages[1]["content"]
    assert "text 0" in prompt
    assert "text 1" in prompt
    assert "w0" in prompt


def test_ranks_have_tau_and_ndcg_and_a_topic_without_an_answer_is_left_out() -> None:
    theta = [[0.9, 0.1], [0.8, 0.2], [0.65, 0.35], [0.3, 0.7], [0.1, 0.9], [0.0, 1.0]]

    def answers(question: Question) -> str:
        return "RANKING: 1, 2, 3, 4" if question.context["topic"] == "0" else "RANKING: 1, 2, 2, 4"

    value = value_of(theta, answers, task="rank")
    assert value.per_topic == (1.0, None)
    assert (value.value, value.details["ndcg"]) == (1.0, pytest.approx(1.0))
    assert value.details["statuses"] == {"ok": 1, "unparsed": 1}
    assert value.details["unread"] == {"1": "RANKING: 1, 2, 2, 4"}
    assert (value.details["n_topics_without_value"], value.details["n"]) == (1, 1)
    worst = value_of(theta, lambda _: "RANKING: 4, 3, 2, 1", task="rank")
    assert (worst.value, worst.details["ndcg"]) == (-1.0, pytest.approx(0.0))
    refused = value_of(theta, lambda _: "No.", task="rank")
    assert refused.reason == "no topic has an answer for each document"
    assert refused.details["statuses"] == {"refused": 2}


def test_a_clustering_has_equal_weights_so_its_ranks_reach_less_than_one() -> None:
    theta = [[1.0, 0.0]] * 10 + [[0.0, 1.0]] * 10

    def perfect(question: Question) -> str:
        cluster = int(question.context["topic"])
        own = [(number(text) >= 10) == bool(cluster) for text in question.context["texts"]]
        order = sorted(range(len(own)), key=lambda i: not own[i])
        return "RANKING: " + ", ".join(str(i + 1) for i in order)

    value = value_of(theta, perfect, task="rank", n_documents=7)
    assert value.value == pytest.approx(12 / sqrt(12 * 21))  # 0.756, as the page says


def test_topics_are_drawn_by_the_seed_and_those_without_documents_are_counted() -> None:
    theta = np.eye(5)[[0, 1, 2, 3] * 6]  # nothing is of topic 4

    def answers(question: Question) -> str:
        return "FIT: 5" if number(question.context["text"]) % 4 == 0 else "FIT: 1"

    everyone = value_of(theta.tolist(), answers)
    assert everyone.per_topic is not None
    assert everyone.per_topic[0] == pytest.approx(1.0)
    assert everyone.per_topic[4] is None
    assert everyone.details["n_topics"] == 5
    draws = [value_of(theta.tolist(), answers, n_topics=2, seed=seed) for seed in range(5)]
    asked = [tuple(value.details["asked"]) for value in draws]  # type: ignore[call-overload]
    assert all(len(topics) == 2 for topics in asked)
    assert len(set(asked)) > 1
    again = value_of(theta.tolist(), answers, n_topics=2, seed=3)
    assert again == draws[3]


def test_planted_topics_that_mix_themes_have_lower_values() -> None:
    for task in ("fit", "rank"):
        good, mixed = (
            compute_value(
                planted_result(shift=shift), planted_context(("judge",)), "proxann", "own",
                {"judge": "any", "task": task},
            ).value
            for shift in (0, 4)
        )  # fmt: skip
        assert good is not None
        assert mixed is not None
        assert good > mixed + 0.5


def test_what_cannot_be_had_and_what_is_wrong_is_said() -> None:
    theta = [[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]
    short = value_of(theta, lambda _: "FIT: 1", n_documents=4)
    assert short.reason == "5 different documents are needed and the corpus has 3"
    with pytest.raises(InputError, match='must be "fit" or "rank", not \'both\''):
        value_of(theta, lambda _: "FIT: 1", task="both")
    with pytest.raises(InputError, match=r"n_documents of metric 'proxann' .* at least 2, not 1"):
        value_of(theta, lambda _: "FIT: 1", n_documents=1)


def planned(**params: Any) -> Plan:
    suite = {
        "name": "s", "corpora": [{"name": "lee", "max_documents": 30}], "k": [25],
        "models": ["lda"], "metrics": ["proxann"], "metric_params": {"proxann": params},
    }  # fmt: skip
    return make_plan(Suite.model_validate(suite))


def test_a_plan_counts_what_a_card_is_asked_and_a_proxy_is_asked_without_a_ledger(
    tmp_path: Path,
) -> None:
    (tmp_path / "chat.toml").write_text('client = "replay"\n[params]\npath = "x"\n')
    chat = str(tmp_path / "chat.toml")
    both = planned(judge=chat)
    assert [dict(cell.params)["task"] for cell in both.metrics] == ["fit", "rank"]
    (row,) = estimates(both)
    assert (row.asked, row.is_llm, row.n_calls) == ("proxann", True, 20 * 7 + 20)
    ranks = planned(judge=chat, task="rank", n_topics=30)
    assert [row.n_calls for row in estimates(ranks)] == [25]
    assert len(ranks.metrics) == 1
    assert asks_models(ranks.metrics)
    keyless = planned()
    assert not asks_models(keyless.metrics)
    assert {cell.params["judge"] for cell in keyless.metrics} == {"embedding-exemplars"}
    assert [row.input_tokens for row in estimates(keyless)] == [0]
