"""The whole experiment on a random model whose topics are directions of single tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtmbench.boards.steering_rows import ExperimentRow
from mtmbench.core.cards import JudgeCard, LimitSpec, PriceSpec
from mtmbench.core.errors import InputError
from mtmbench.core.misfits import misfits
from mtmbench.core.serialise import plain
from mtmbench.core.specs import SteeringSpec
from mtmbench.core.steering_payloads import GenerationPayload, SteerPayload
from mtmbench.core.store import RunStore
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, ItemSpace
from mtmbench.judges.base import Completion, JudgeClient, JudgeStoppedError
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import JUDGES
from mtmbench.steering import generate as generation
from mtmbench.steering import rows as module
from mtmbench.steering.calibrate import TOLERANCE
from mtmbench.steering.evaluate import halves
from mtmbench.steering.experiment import Experiment, largest_topics
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.rows import experiment_rows
from mtmbench.steering.vector import topic_vector

HOOK = "blocks.2.hook_resid_post"
CARD = JudgeCard(client="counting")


class Counting(JudgeClient):
    """The text with more of the topic's token; its description is the token."""

    name = "counting"
    order_free = True

    def __init__(self):
        self.asked = 0

    async def answer(self, question, params, replicate):
        self.asked += 1
        token = question.context["text"]
        first, second = (option.text.split().count(token) for option in question.options)
        return Completion(f"VERDICT: {'tie' if first == second else 'AB'[first < second]}")


def embed(texts):
    rows = np.array([[text.split().count(f"w{i}") for i in range(50)] for text in texts], float)
    return rows + 1e-3


@pytest.fixture(scope="module")
def tokens(backbone):
    """The tokens of longest rows of the unembedding, the strongest to steer to."""
    model = CausalLM(backbone).model
    rows = (model.get_output_embeddings().weight * model.model.norm.weight)[:50]
    return rows.norm(dim=1).argsort(descending=True)[:6].tolist(), rows.detach().numpy()


@pytest.fixture
def planted(sae, backbone, tokens):
    """Twelve features, of which the first six are tokens' directions; topic k is feature k."""
    chosen, rows = tokens
    noise = np.random.default_rng(0).standard_normal((6, 16))
    w_dec = np.concatenate([rows[chosen], noise]).astype(np.float32)
    return replace(
        sae, w_dec=w_dec, w_enc=np.ascontiguousarray(w_dec.T), b_enc=np.zeros(12, np.float32)
    )


@pytest.fixture
def experiment(backbone, planted, tokens, tmp_path):
    chosen = tokens[0]
    generator = np.random.default_rng(1)
    theta = np.full((48, 6), 0.04, np.float32)
    texts = []
    for i in range(48):
        theta[i, i % 6] = 0.8
        words = generator.integers(0, 50, size=20)
        words[::4] = chosen[i % 6]
        texts.append(" ".join(f"w{j}" for j in words))
    corpus = Corpus("toy", tuple(f"d{i}" for i in range(48)), tuple(texts))
    topic_item = np.zeros((6, 12), np.float32)
    topic_item[range(6), range(6)] = 0.9
    topic_item[:, 6:] = 0.1 / 6
    source = {
        **backbone.describe(), "hook_point": HOOK, "sae": "planted", "sae_hash": planted.revision,
    }  # fmt: skip
    labels = (*(f"w{t}" for t in chosen), *("",) * 6)
    result = TopicResult(
        "mlda", {}, {}, 0, theta, topic_item,
        ItemSpace("features", tuple(map(str, range(12))), labels, source),
        {"name": "toy", "revision": corpus.revision},
        summaries=tuple(f"w{t}" for t in chosen),
    )  # fmt: skip
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(f"w{i} w{i + 1}" for i in range(0, 40, 2)), encoding="utf-8")
    spec = SteeringSpec(
        topics=2, lambdas=(0.01, 20.0), unit="absolute", prompts=prompts, max_tokens=12, top_p=1.0,
        positions="last", judges=("counting",), drawn=3, documents=8, document_tokens=20,
    )  # fmt: skip
    with RunStore(tmp_path / "run") as store, Panel() as panel:
        yield Experiment(
            "mlda", CausalLM(backbone), corpus, result, planted, np.arange(12), panel,
            {"counting": panel.seat("counting", CARD, Counting())}, spec, store, embed=embed,
        )  # fmt: skip


def first_half_changes(experiment):
    """Returns, by topic, the mean ‖a′ − a‖ of its own texts of the first half at λ = 20."""
    first, _ = halves([f"w{i} w{i + 1}" for i in range(0, 40, 2)])
    changes = {}
    raw = [topic_vector(experiment.result, t, experiment.sae) for t in range(6)]
    vectors = {vector.revision: topic for topic, vector in enumerate(raw)}
    for record in experiment.store.records():
        if record.kind == "generation":
            for push in record.payload["pushes"]:
                own = push["lambda"] == 20.0 and push["vector"] in vectors
                if own and record.payload["prompt"] in first:
                    topic = vectors[push["vector"]]
                    changes.setdefault(topic, []).append(record.payload["mean_change"])
    return {topic: np.mean(values) for topic, values in changes.items()}


def by_method(rows, topic):
    return {row["method"]: row for row in rows if row["topic"] == topic and row["chosen"] in (
        None, True)}  # fmt: skip


@pytest.mark.slow
def test_the_experiment(experiment, monkeypatch):
    # A random model's text is not fluent to begin with: any λ may be chosen.
    monkeypatch.setattr("mtmbench.steering.evaluate.MAX_PERPLEXITY_RATIO", np.inf)
    monkeypatch.setattr("mtmbench.steering.evaluate.MIN_DISTINCT_RATIO", 0.0)
    rows = experiment_rows(experiment)
    topics = largest_topics(experiment.result, 2)
    assert len(rows) == 2 * (2 + 8)
    own_change = first_half_changes(experiment)
    for topic in topics:
        found = by_method(rows, topic)
        assert set(found) == {
            "topic", "topic_raw", "none", "prompt", "diff_means", "best_feature", "random",
            "permuted", "other_topic",
        }  # fmt: skip
        own = found["topic_raw"]
        assert (own["lambda"], own["lambda_unit"], own["n"]) == (20.0, "absolute", 10)
        assert own["win_rate"] > 0.9
        assert own["delta_l"] > 0
        assert own["steered"] is True
        assert own["mean_change"] == pytest.approx(own["expected_change"], rel=0.5)
        assert own["target_change"] is own["by_direction"] is None
        assert 0.2 < found["none"]["win_rate"] < 0.8
        assert found["other_topic"]["win_rate"] < 0.6
        assert found["best_feature"]["win_rate"] > 0.9
        assert (found["random"]["n"], found["random"]["directions"]) == (30, 3)
        for method in ("diff_means", "best_feature", "random", "permuted", "other_topic"):
            assert found[method]["pilot_change"] == pytest.approx(own_change[topic], rel=TOLERANCE)
            assert found[method]["target_change"] == pytest.approx(own_change[topic])
            assert found[method]["mean_change"] == pytest.approx(own["mean_change"], rel=0.1)
        rates = found["permuted"]["by_direction"]
        assert (len(rates), np.mean(rates)) == (3, pytest.approx(found["permuted"]["win_rate"]))
        assert found["none"]["mean_change"] == found["prompt"]["mean_change"] == 0
        assert (found["none"]["lambda"], found["random"]["delta_l"]) == (None, None)
    payloads = {"generation": GenerationPayload, "steer": SteerPayload}
    written = [*experiment.store.records()]
    assert {record.kind for record in written} == set(payloads)
    wrong = {m for r in written for m in misfits(plain(r.payload), payloads[r.kind], r.kind)}
    assert wrong == set()
    assert {m for row in rows for m in misfits(plain(row), ExperimentRow, "row")} == set()
    # The same again makes no text, asks nothing, and finds the same.
    asked = experiment.judges["counting"].client.asked
    monkeypatch.setattr("mtmbench.steering.generate.sample_batch", None)
    monkeypatch.setattr("mtmbench.steering.measures.delta_l", None)
    assert experiment_rows(experiment) == rows
    assert experiment.judges["counting"].client.asked == asked


def test_each_half_has_its_part(experiment, monkeypatch):
    """λ is chosen on texts of the first half alone; rows are of the second."""
    monkeypatch.setattr("mtmbench.steering.evaluate.MAX_PERPLEXITY_RATIO", np.inf)
    monkeypatch.setattr("mtmbench.steering.evaluate.MIN_DISTINCT_RATIO", 0.0)
    spec = experiment.spec.model_copy(update={"topics": 1, "drawn": 1})
    seen = {}
    original = module.choose_lambda

    def choose(tried):
        seen.update(tried)
        return original(tried)

    monkeypatch.setattr(module, "choose_lambda", choose)
    experiment_rows(replace(experiment, spec=spec))
    assert list(seen) == [0.01, 20.0]
    first, second = halves([f"w{i} w{i + 1}" for i in range(0, 40, 2)])
    texts = {r.key: r.payload for r in experiment.store.records() if r.kind == "generation"}
    for record in experiment.store.records():
        if record.kind == "steer" and "conditions" in record.payload:
            prompts = {texts[key]["prompt"] for key in record.payload["texts"]}
            assert prompts in (set(first), set(second))
            method = record.payload["conditions"][0]["method"]
            if method == "topic_raw":
                assert record.payload["strength"]["lambda"] in (0.01, 20.0)
                assert record.payload["strength"]["lambda_unit"] == "absolute"
            else:
                assert prompts == set(second)
                unsteered = method in ("none", "prompt")
                assert (record.payload["strength"] is None) == unsteered


@pytest.mark.slow
def test_where_no_lambda_leaves_the_text_fluent(experiment, monkeypatch):
    monkeypatch.setattr("mtmbench.steering.evaluate.MAX_PERPLEXITY_RATIO", 0.0)
    spec = experiment.spec.model_copy(update={"topics": 1, "drawn": 1})
    rows = experiment_rows(replace(experiment, spec=spec))
    grid = [row for row in rows if row["chosen"] is not None]
    assert [(row["chosen"], row["steered"]) for row in grid] == [(False, None)] * 2
    # The controls are those of the weakest λ.
    weakest = next(row for row in grid if row["lambda"] == 0.01)
    best = next(row for row in rows if row["method"] == "best_feature")
    assert best["expected_change"] == pytest.approx(weakest["expected_change"], rel=0.3)
    assert best["mean_change"] == pytest.approx(weakest["mean_change"], rel=0.2)


def test_a_topic_that_every_document_shares_in(experiment):
    """There are no documents off the topic: no Δℓ, no difference of means, the rest as ever."""
    theta = experiment.result.doc_topic.copy()
    theta[:, 2] = 0.9
    result = replace(experiment.result, doc_topic=theta / theta.sum(axis=1, keepdims=True))
    spec = experiment.spec.model_copy(update={"topics": 1, "drawn": 1})
    rows = experiment_rows(replace(experiment, result=result, spec=spec))
    assert {row["topic"] for row in rows} == {2}
    assert {row["delta_l"] for row in rows} == {None}
    methods = {row["method"] for row in rows}
    assert "diff_means" not in methods
    assert len(methods) == 8


@pytest.mark.slow
def test_a_calibration_that_is_killed_goes_on(experiment, tmp_path, monkeypatch):
    """No text is made twice, and λ, texts and rows are those of a run that was not killed."""
    spec = experiment.spec.model_copy(update={"topics": 1, "drawn": 1, "batch_rows": 8})
    short = replace(experiment, spec=spec)
    with RunStore(tmp_path / "whole") as store:
        whole = experiment_rows(replace(short, store=store))
        keys = {record.key for record in store.records()}
    made, original, alive = [], generation.sample_batch, True

    def sample(lm, starts, rows, sampling, seeds):
        # The λ of the grid are two, the pilot's are others.
        searched = {push.strength for row in rows for push in row} - {0.01, 20.0}
        if alive and len(searched) > 1 and len(made) > 8:
            raise KeyboardInterrupt
        made.extend(seeds)
        return original(lm, starts, rows, sampling, seeds)

    monkeypatch.setattr(generation, "sample_batch", sample)
    with pytest.raises(KeyboardInterrupt):
        experiment_rows(short)
    assert not any("trials" in record.payload for record in short.store.records())
    alive = False
    assert experiment_rows(short) == whole
    assert len(made) == len(set(made))
    assert {record.key for record in short.store.records()} == keys


def test_a_judge_is_needed(experiment):
    with pytest.raises(InputError, match="needs a judge"):
        experiment_rows(replace(experiment, judges={}))


@JUDGES.register("dear")
class Dear(JudgeClient):
    """A language model that prefers the first text; it dies, as a process would, when told to."""

    name = "dear"
    is_llm = True

    def __init__(self, dies_after=None):
        self.dies_after = dies_after
        self.asked = []

    async def answer(self, question, params, replicate):
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked.append(question.messages[-1]["content"])
        return Completion("VERDICT: A", {"input": 50, "output": 8}, "dear-1")


DEAR = JudgeCard(
    client="dear", prices=PriceSpec(input=0.0, output=125_000.0), limits=LimitSpec(concurrency=1),
    decoding={"max_tokens": 8},
)  # fmt: skip


def asked_by(experiment, client, answers, budget=None):
    with Panel(answers, budget=budget) as panel:
        judges = {"dear": panel.seat("dear", DEAR, client)}
        return experiment_rows(replace(experiment, panel=panel, judges=judges))


@pytest.mark.slow
def test_a_language_models_verdicts_on_texts_are_paid_once(experiment, tmp_path, monkeypatch):
    """A run that dies between two verdicts asks only for the rest when it is taken up again."""
    monkeypatch.setattr("mtmbench.steering.evaluate.MAX_PERPLEXITY_RATIO", np.inf)
    monkeypatch.setattr("mtmbench.steering.evaluate.MIN_DISTINCT_RATIO", 0.0)
    answers = tmp_path / "answers.sqlite"
    killed = Dear(dies_after=30)
    with pytest.raises(KeyboardInterrupt):
        asked_by(experiment, killed, answers)
    rest = Dear()
    rows = asked_by(experiment, rest, answers)
    assert len(killed.asked) == 30
    assert not set(killed.asked) & set(rest.asked)
    assert len(set(rest.asked)) == len(rest.asked)
    again = Dear()
    assert asked_by(experiment, again, answers) == rows
    assert again.asked == []
    with Ledger(answers) as ledger:
        assert ledger.spent() == pytest.approx(len(killed.asked) + len(rest.asked))


def test_steering_keeps_to_a_budget(experiment, tmp_path):
    client = Dear()
    with Panel(tmp_path / "answers.sqlite", budget=5.5) as panel:
        judges = {"dear": panel.seat("dear", DEAR, client)}
        with pytest.raises(JudgeStoppedError, match=r"the budget of 5\.50 is used up"):
            experiment_rows(replace(experiment, panel=panel, judges=judges))
    assert len(client.asked) == 5


@pytest.mark.slow
def test_a_topic_of_long_labels_is_cut_to_what_the_model_reads(experiment, monkeypatch):
    monkeypatch.setattr("mtmbench.steering.evaluate.MAX_PERPLEXITY_RATIO", np.inf)
    monkeypatch.setattr("mtmbench.steering.evaluate.MIN_DISTINCT_RATIO", 0.0)
    long = tuple(" ".join(f"w{i % 50}" for i in range(k, k + 3000)) for k in range(6))
    changed = replace(experiment, descriptions=long)
    rows = experiment_rows(changed)
    topics = largest_topics(experiment.result, 2)
    assert {row["topic"] for row in rows if row["method"] == "prompt"} == set(topics)
    leads = {
        record.payload["lead"]
        for record in experiment.store.records()
        if record.kind == "generation" and record.payload["lead"]
    }
    assert len(leads) == 2
    lm, longest = experiment.lm, "w38 w39"
    for lead in leads:
        said = lead.removeprefix("This is a text about ").removesuffix(".\n\n")
        assert said.endswith("…")
        assert any(text.startswith(said[:-1]) for text in long)
        (ids,) = lm.backbone.tokenise([lead + longest])
        size = len(lm.begun(ids)) + changed.spec.max_tokens - 1
        assert lm.n_positions - 6 <= size <= lm.n_positions
