from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemSpace
from mtmbench.engine.plan import make_plan
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import JUDGES
from mtmbench.metrics.compute import compute_value
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.intrusion import Intrusion, intrusion_sets
from mtmbench.metrics.judged import NO_JUDGE
from mtmbench.metrics.rating import Rating
from mtmbench.testing.planted import planted_context, planted_result
from mtmbench.testing.topic_judge import PLANTED_JUDGE


class Replies(JudgeClient):
    """Says to the n-th topic what its card says."""

    name = "replies"
    is_llm = True

    def __init__(self, says: list[str]) -> None:
        self.says = says

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        said = self.says[question.context["topic"]]
        return Completion(said, {"output": 1}, refused=said == "No.")


JUDGES.register("replies", Replies)


def context_of(folder: Path, says: list[str]) -> MetricContext:
    context = planted_context(())

    def ask(card: str, job: Any) -> Any:
        with Panel(folder / "answers.sqlite") as panel:
            return panel.consult(card, job, JudgeCard(client=card, params={"says": says}))

    context.consult = ask
    return context


def features_result(n_topics: int = 4, n_items: int = 40) -> TopicResult:
    """Topics over features with labels; every topic has ten strong items of its own."""
    rng = np.random.default_rng(0)
    topic_item = rng.uniform(0.001, 0.002, size=(n_topics, n_items))
    for k in range(n_topics):
        topic_item[k, 10 * k : 10 * k + 10] += 0.05 - 0.001 * np.arange(10)
    topic_item /= topic_item.sum(axis=1, keepdims=True)
    labels = tuple(f"label of feature {i}" for i in range(n_items))
    base = planted_result()
    theta = np.full((base.doc_topic.shape[0], n_topics), 1 / n_topics, dtype=np.float32)
    items = ItemSpace("features", tuple(map(str, range(n_items))), labels, {"sae_hash": "x"})
    return TopicResult("mlda", {}, {}, 0, theta, topic_item.astype(np.float32), items, base.corpus)


def test_rating_is_the_mean_of_what_could_be_read(tmp_path: Path) -> None:
    context = context_of(tmp_path, ["RATING: 3", "hm", "RATING: 1", "No."])
    value = compute_value(planted_result(), context, "rating", "own", {"judge": "replies"})
    assert (value.value, value.per_topic) == (2.0, (3.0, None, 1.0, None))
    assert value.details["statuses"] == {"ok": 2, "refused": 1, "unparsed": 1}
    assert value.details["unread"] == {"1": "hm", "3": "No."}
    assert (value.details["n_topics_without_value"], value.details["n_topics"]) == (2, 4)
    assert value.details["answers_by"]["questions"] == 4
    assert value.details["answers_by"]["usage"] == {"output": 4}
    none = context_of(tmp_path / "none", ["hm", "RATING: 4", "", "No."])
    value = compute_value(planted_result(), none, "rating", "own", {"judge": "replies"})
    assert (value.value, value.reason) == (None, "the judge rated no topic")


def test_intrusion_is_the_share_of_intruders_found_with_its_interval(tmp_path: Path) -> None:
    result = features_result()
    sets = intrusion_sets(result, 3)
    right = [f"INTRUDER: {one.intruder + 1}" for one in sets]
    wrong = f"INTRUDER: {(sets[1].intruder + 1) % 6 + 1}"
    context = context_of(tmp_path, [right[0], wrong, right[2], "INTRUDER: 7"])
    value = compute_value(result, context, "intrusion", "own", {"judge": "replies", "seed": 3})
    assert value.value == pytest.approx(2 / 3)
    assert value.per_topic == (1.0, 0.0, 1.0, None)
    lo, hi = binomtest(2, 3).proportion_ci(method="wilson")
    assert (value.details["lo"], value.details["hi"]) == (pytest.approx(lo), pytest.approx(hi))
    assert (value.details["n"], value.details["statuses"]) == (3, {"ok": 3, "unparsed": 1})


def test_an_intruder_is_weak_here_and_strong_elsewhere() -> None:
    result = features_result()
    for k, one in enumerate(intrusion_sets(result, 0)):
        columns = [result.items.labels.index(label) for label in one.items]
        assert len(set(one.items)) == 6
        intruder = columns.pop(one.intruder)
        assert sorted(columns) == list(range(10 * k, 10 * k + 5))
        assert result.topic_item[k, intruder] <= np.median(result.topic_item[k])
        assert intruder // 10 != k
    places = [one.intruder for seed in range(200) for one in intrusion_sets(result, seed)]
    assert np.bincount(places, minlength=6).min() > 90  # 133 expected of 800
    assert intrusion_sets(result, 5) == intrusion_sets(result, 5) != intrusion_sets(result, 6)


def test_topics_for_which_there_is_no_set(tmp_path: Path) -> None:
    alone = intrusion_sets(features_result(1, 40), 0)
    assert [one.items for one in alone] == [()]
    result = features_result()
    same = ItemSpace("features", result.items.ids, ("(unlabelled)",) * 40, result.items.source)
    unlabelled = TopicResult(
        "mlda", {}, {}, 0, result.doc_topic, result.topic_item, same, result.corpus
    )
    context = context_of(tmp_path, [])
    value = compute_value(unlabelled, context, "intrusion", "own", {"judge": "replies"})
    assert (value.value, value.reason) == (None, "the judge named no intruder")
    assert value.details["statuses"] == {"empty": 4}


@pytest.mark.parametrize("metric", [Rating, Intrusion])
def test_without_a_judge_there_is_no_value(metric: Any) -> None:
    context = planted_context(("judge",))
    assert metric().compute(planted_result(), context, view="own").reason == NO_JUDGE
    reason = compute_value(planted_result(), planted_context(()), metric.name, "own", {}).reason
    assert reason == "no judge can be asked here; play it in a suite"
    value = metric().compute(planted_result(), context, view="own", judge=PLANTED_JUDGE)
    assert value.value == {"rating": 1.0, "intrusion": 1.0}[metric.name]


def test_a_changed_card_is_another_value(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"

    def plan(**metric_params: Any) -> Any:
        return make_plan(
            Suite.model_validate(
                {
                    "name": "s", "corpora": [{"name": "lee", "max_documents": 20}], "k": [5],
                    "models": ["lda"], "metrics": ["rating", "intrusion", "coverage"],
                    "metric_params": metric_params,
                }
            )
        ).metrics  # fmt: skip

    plain = {cell.metric: cell.key for cell in plan()}
    path.write_text('client = "replies"\n[params]\nsays = ["RATING: 1"]\n')
    first = {cell.metric: cell for cell in plan(rating={"judge": str(path)})}
    assert first["rating"].params == {"judge": str(path), "top_n": 10}
    assert first["rating"].key != plain["rating"]
    assert [first[name].key for name in ("intrusion", "coverage")] == [
        plain[name] for name in ("intrusion", "coverage")
    ]
    path.write_text('client = "replies"\n[params]\nsays = ["RATING: 2"]\n')
    second = {cell.metric: cell.key for cell in plan(rating={"judge": str(path)})}
    assert second["rating"] != first["rating"].key
    with pytest.raises(UnknownNameError, match="did you mean 'rating'"):
        plan(ratings={"judge": str(path)})
    with pytest.raises(UnknownNameError, match="unknown judge"):
        plan(rating={"judge": "nobody-knows"})
    with pytest.raises(InputError, match="must be a card's name, not 3"):
        plan(rating={"judge": 3})


@pytest.mark.parametrize("shift", [0, 4])
def test_a_proxy_rates_and_finds_intruders_by_cosines(
    shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = planted_context(("embeddings",)).embed
    monkeypatch.setattr("mtmbench.judges.clients.encoding._encode_by", lambda _: embed)
    context, result = planted_context(("embeddings",)), planted_result(shift=shift)

    def ask(card: str, job: Any) -> Any:
        with Panel() as panel:
            return panel.consult(card, job)

    context.consult = ask
    rating = compute_value(result, context, "rating", "own", {"judge": "embedding"})
    coherence = compute_value(result, context, "embedding_coherence", "own", {})
    assert coherence.value is not None
    assert rating.value == pytest.approx(1 + 2 * coherence.value, abs=1e-5)
    intrusion = compute_value(result, context, "intrusion", "own", {"judge": "embedding"})
    assert intrusion.details["statuses"] == {"ok": 4}
    if not shift:
        assert intrusion.value == 1.0
