"""The paper's whole way at toy size, by the commands that a user types.

A Gemma-2 folder and a Gemma Scope folder of random weights lie here, a Neuronpedia export, texts,
and a chat endpoint. Thresholds and densities come from a reference text, labels from the export,
their classes from the judge; the committed suite ``paper-2b`` is planned, played, killed, played
on, steered, rebuilt and compared, all but its sizes as it stands, and what came out is held against
its parts.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.chat_server import ChatServer
from support.commands import cells
from support.killing import kept, settle
from support.paper_path import (
    BACKBONE,
    FEATURES,
    HIDDEN,
    HOOK,
    LAYER,
    NEURONPEDIA,
    SCOPE,
    answers,
    scope_arrays,
    write_card,
    write_export,
    write_gemma,
    write_texts,
)
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.card_files import load_suite
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, FloatArray
from mtmbench.corpora.load import load_corpus
from mtmbench.engine.results import result_path
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.sae import load_sae, save_sae
from mtmbench.features.sae.sae_folder import load_sae_folder
from mtmbench.judges.registry import load_judge_card

pytestmark = pytest.mark.slow

N_DOCUMENTS, N_JUDGED, K = 48, 6, 4
CARD, FOLDER = "gpt-4.1", "saes/gemma-2-2b-layer6-16k"
COMMITTED = load_suite("paper-2b")
MODELS = COMMITTED.models
OVER_FEATURES = {"mlda", "metm", "mbertopic"}
OVERRIDES = {
    "corpora": '["texts.jsonl"]', "k": K, "seeds": "[0]",
    "words.min_df": 1, "words.max_df": 1.0,
    "features.params.device": '"cpu"',
    # A word is a sixtieth of these texts, and so is a feature that fires on it.
    "features.params.settings.paper.max_density": 0.5,
    **{f"params.{name}.epochs": 20 for name in ("etm", "dvae", "fastopic", "metm")},
    "params.bertopic.min_cluster_size": 3,
    "params.mbertopic.min_cluster_size": 3, "judging.documents": N_JUDGED,
    "judging.bootstrap": 100, "steering.corpora": '["texts"]', "steering.topics": 1,
    "steering.n_prompts": 4, "steering.pilot_prompts": 2, "steering.max_tokens": 6,
    "steering.documents": 5, "steering.document_tokens": 32,
}  # fmt: skip
SUITE = [
    "paper-2b",
    *(part for key, value in OVERRIDES.items() for part in ("--set", f"{key}={value}")),
]
LAMBDAS = len(COMMITTED.steering.lambdas) if COMMITTED.steering else 0
KILLED_AFTER = 60


@dataclass
class Walk:
    """A folder in which everything was done, and what commands said there."""

    place: Path
    server: ChatServer
    said: dict[str, str] = field(default_factory=dict)
    warned: list[str] = field(default_factory=list)
    in_flight: int = 0
    paid: dict[str, int] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        return self.place / "runs" / "paper-2b"

    @property
    def board(self) -> dict[str, Any]:
        return dict(json.loads((self.run / "board.json").read_text()))

    def records(self, *kinds: str) -> list[Any]:
        found = read_records(self.run / "records.jsonl")
        return [record for record in found if record.kind in kinds]

    def call(self, name: str, *arguments: str) -> None:
        """Runs a command here; it must succeed."""
        before = self.server.paid.total()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            told = CliRunner().invoke(app, [*arguments])
        assert told.exit_code == 0, told.output
        self.said[name] = told.output
        self.warned += [f"{each.category.__name__}: {each.message}" for each in caught]
        self.paid[name] = self.server.paid.total() - before


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    place = tmp_path_factory.mktemp("paper")
    model = str(load_judge_card(CARD).model)
    with pytest.MonkeyPatch.context() as patch, ChatServer(models={model: answers}) as server:
        patch.chdir(place)
        patch.setenv("OPENAI_API_KEY", "a key")
        patch.setenv("MTMBENCH_CACHE", str(place / "cache"))
        patch.setenv("NO_PROXY", "127.0.0.1")
        lay_out(place, server.url)
        made = Walk(place, server)
        go(made)
        yield made


def lay_out(place: Path, url: str) -> None:
    write_gemma(place / BACKBONE)
    (place / SCOPE).mkdir(parents=True)
    np.savez(place / SCOPE / "params.npz", **scope_arrays(HIDDEN, FEATURES))
    save_sae(load_sae(place / SCOPE), place / "lens")
    write_texts(place / "texts.jsonl", N_DOCUMENTS, seed=0)
    write_texts(place / "reference.jsonl", 80, seed=1)
    write_card(place / "judges", CARD, url)


def go(walk: Walk) -> None:
    """Does all that the paper's user does, one command after the other."""
    walk.call("doctor", "doctor", "--backbone", str(BACKBONE))
    for out, sae in ((FOLDER, str(SCOPE)), ("saes/lens", "lens")):
        walk.call(
            out, "features", "--backbone", str(BACKBONE), "--sae", sae, "--dtype", "bfloat16",
            "--reference", "reference.jsonl", "--out", out,
        )  # fmt: skip
    write_export(walk.place / "export", json.loads(Path(FOLDER, "labels.json").read_text()))
    walk.call(
        "label", "label", FOLDER, "--neuronpedia", "export", "--classes", "--no-score",
        "--judge", CARD, "--out", FOLDER,
    )  # fmt: skip
    walk.call("plan", "plan", *SUITE)
    kill_halfway(walk)
    walk.call("run", "run", *SUITE, "--workers", "0", "--budget", "2")
    walk.call("steer", "steer", *SUITE, "--budget", "1")
    before = board_files(walk.run)
    walk.call("board", "board", str(walk.run))
    assert board_files(walk.run) == before
    walk.call("compare", "compare", str(walk.run), str(walk.run))


def kill_halfway(walk: Walk) -> None:
    """Plays the suite in a process that is killed while the judge answers matches."""
    server = walk.server
    before = server.paid.total()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mtmbench", "run", *SUITE, "--workers", "0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while server.paid.total() < before + KILLED_AFTER and process.poll() is None:
        time.sleep(0.001)
    assert process.poll() is None, "the run ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    settle(server)
    walk.paid["killed"] = server.paid.total() - before
    walk.in_flight = walk.paid["killed"] - kept(walk.run)


def board_files(folder: Path) -> dict[str, bytes]:
    names = ("board.json", "board.md", "board.csv", "index.html", "records.jsonl")
    return {name: (folder / name).read_bytes() for name in names}


def ledger(folder: Path) -> list[tuple[str, dict[str, int], float]]:
    """Returns of each answer that was paid for what it was of, its tokens and its cost."""
    with closing(sqlite3.connect(folder / "answers.sqlite")) as answers:
        rows = answers.execute("SELECT what, usage, cost FROM answers").fetchall()
    return [(what, json.loads(usage), cost) for what, usage, cost in rows]


def by_hand(corpus: Corpus, place: Path) -> list[FloatArray]:
    """(tokens, F) activations of each document: transformers in bf16, JumpReLU by numpy."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(place / BACKBONE, dtype=torch.bfloat16).eval()
    tokenizer = AutoTokenizer.from_pretrained(place / BACKBONE)
    parts = np.load(place / SCOPE / "params.npz")
    found = []
    for text in corpus.texts:
        ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.inference_mode():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        pre = states[LAYER + 1][0, 1:].float().numpy() @ parts["W_enc"] + parts["b_enc"]
        fired = np.where(pre > parts["threshold"], np.maximum(pre, 0), 0)
        found.append(fired.astype(np.float16).astype(np.float32))
    return found


def test_both_layouts_of_the_sae_give_the_same_folder(walk: Walk) -> None:
    scope, lens = walk.place / FOLDER, walk.place / "saes" / "lens"
    for name in ("features.safetensors", "sae_weights.safetensors", "contexts.parquet"):
        assert (scope / name).read_bytes() == (lens / name).read_bytes()
    assert f"of {FEATURES} features fire" in walk.said[FOLDER]
    assert load_sae_folder(scope).hook_point == HOOK
    assert "complete; nothing is fetched" in walk.said["doctor"]


def test_thresholds_densities_and_counts_are_those_of_arithmetic(walk: Walk) -> None:
    folder = load_sae_folder(walk.place / FOLDER)
    tokens = np.concatenate(by_hand(load_corpus(str(walk.place / "reference.jsonl")), walk.place))
    assert folder.density is not None
    np.testing.assert_allclose(folder.density, (tokens > 0).mean(axis=0), atol=1e-3)
    limits = folder.thresholds(0.8)
    for feature in np.flatnonzero((tokens > 0).sum(axis=0) > 20):
        fired = tokens[:, feature][tokens[:, feature] > 0]
        assert (fired < limits[feature] * 0.999).mean() <= 0.81
        assert (fired <= limits[feature] * 1.001).mean() >= 0.79
    corpus = load_corpus(str(walk.place / "texts.jsonl"))
    counted = ModelFeatures(
        str(walk.place / BACKBONE), {"scope": {"folder": str(walk.place / FOLDER)}},
        dtype="bfloat16", settings={"all": {"threshold_quantile": 0.8, "max_doc_share": False}},
    ).counts(corpus, setting="all")  # fmt: skip
    columns = [int(item) for item in counted.item_ids]
    expected = np.stack([(one > limits).sum(axis=0) for one in by_hand(corpus, walk.place)])
    assert expected.sum() > 500
    # Batches round bf16 otherwise than single texts do.
    assert np.abs(counted.matrix.toarray() - expected[:, columns]).sum() <= 0.03 * expected.sum()


def test_labels_are_neuronpedias_and_their_classes_a_models(walk: Walk) -> None:
    folder = load_sae_folder(walk.place / FOLDER)
    assert folder.label_classes is not None
    assert folder.labels is not None
    named = np.array([label.startswith("the word") for label in folder.labels])
    np.testing.assert_array_equal(folder.label_classes["stop words"], named)
    assert folder.labels[-1] == "(unlabelled)"
    assert f"{FEATURES - 3} of {FEATURES} features of {NEURONPEDIA} labelled" in walk.said["label"]
    assert walk.paid["label"] == len(ledger(walk.place / FOLDER))
    fit = next(record for record in walk.records("fit") if record.payload["model"] == "mlda")
    source = fit.payload["items"]["source"]
    filtered = source["filters"]["label_classes"]
    assert (filtered["by"], filtered["classes"]["stop words"]) == ("judge", named.sum())
    assert source["labels"] == {"source": "neuronpedia"}
    assert source["precision"] == "bfloat16"
    assert source["threshold"] == {"quantile": 0.8, "estimated_on": "reference"}
    # BOS stands before every document and is none of the tokens that are counted.
    assert source["specials"] == [[2], []]
    texts = load_corpus(str(walk.place / "texts.jsonl")).texts
    assert source["tokens"]["counted"] == sum(len(text.split()) for text in texts)


def test_nothing_is_paid_for_twice(walk: Walk) -> None:
    answers = ledger(walk.run)
    assert KILLED_AFTER <= walk.paid["killed"] < len(answers)
    assert 0 <= walk.in_flight <= load_judge_card(CARD).limits.concurrency
    assert walk.paid["killed"] + walk.paid["run"] == len(answers) + walk.in_flight
    assert walk.paid["steer"] == len(ledger(walk.run / "steering"))
    assert [walk.paid[name] for name in ("plan", "board", "compare")] == [0, 0, 0]
    asked = Counter(
        (request.body["model"], "response_format" in request.body)
        for request in walk.server.completions
    )
    assert {structured for _, structured in asked} == {True, False}
    assert asked.total() == walk.server.paid.total()


def test_calls_tokens_and_cost_are_the_ledgers(walk: Walk) -> None:
    answers, board = ledger(walk.run), walk.board
    played = walk.records("match", "null")
    rewritten = walk.records("shown")
    questions = sum(record.payload["answers_by"]["questions"] for record in rewritten)
    # Where pairs show the same of a document, and topics the same items, they are asked once.
    marks = [record.payload.get("paid", {}) for record in played]
    marks += [record.payload["answers_by"]["paid"] for record in rewritten]
    places = Counter(mark for paid in marks for mark in paid)
    assert places.total() == sum(record.payload["calls"] for record in played) + questions
    assert board["spent"]["answers"] == len(places) == len(answers)
    assert board["spent"]["shared"] == sum(n > 1 for n in places.values())
    assert board["spent"]["cost"] == pytest.approx(sum(cost for _, _, cost in answers), abs=1e-5)
    (judge,) = board["judges"]
    matches = [record.payload for record in played if record.kind == "match"]
    assert judge["calls"] == sum(match["calls"] for match in matches)
    for kind in ("input", "output"):
        assert judge["usage"][kind] == sum(match["usage"].get(kind, 0) for match in matches)
    prices = load_judge_card(CARD).prices
    assert prices is not None
    cost = sum(judge["usage"][kind] * getattr(prices, kind) for kind in ("input", "output")) / 1e6
    assert judge["cost"] == pytest.approx(cost, abs=1e-5)


def test_the_plan_had_said_as_much(walk: Walk) -> None:
    said = {row[1]: float(row[-1]) for row in cells(walk.said["plan"]) if len(row) == 8}
    matches = sum(said[name] for name in ("refine", "summary", "matches"))
    assert 0.3 * matches < walk.board["spent"]["cost"] <= matches
    steered = sum(cost for _, _, cost in ledger(walk.run / "steering"))
    assert 0.3 * said["steeredtexts"] < steered <= said["steeredtexts"]  # folded at 80 columns


def test_the_board_is_what_its_records_say(walk: Walk) -> None:
    board = walk.board
    assert board["errors"] == []
    assert {(fit["model"], fit["setting"]) for fit in board["fits"]} == {
        (model, "paper" if model in OVER_FEATURES else None) for model in MODELS
    }
    matches = [record.payload for record in walk.records("match")]
    for shown in ("items", "summary"):
        told: dict[str, Counter[str]] = {model: Counter() for model in MODELS}
        for match in (match for match in matches if match["representation"] == shown):
            a, b = match["a"]["model"], match["b"]["model"]
            assert len(match["documents"]) == N_JUDGED
            for verdicts in zip(match["forward"], match["backward"], strict=True):
                won = {("a", "a"): a, ("b", "b"): b}.get(verdicts)
                for model in (a, b):
                    told[model][
                        "ties" if won is None else "wins" if won == model else "losses"
                    ] += 1
        rated = [row for row in board["ratings"] if row["representation"] == shown]
        assert {row["model"] for row in rated} == set(MODELS)
        for row in rated:
            assert {name: row[name] for name in ("wins", "ties", "losses")} == {
                name: told[row["model"]][name] for name in ("wins", "ties", "losses")
            }
        # The order by Elo is that of points: everybody meets everybody as often.
        points = {model: one["wins"] + one["ties"] / 2 for model, one in told.items()}
        ranked = sorted(rated, key=lambda row: -row["elo"])
        assert [points[row["model"]] for row in ranked] == sorted(points.values(), reverse=True)


def test_gold_labels_are_met_as_scikit_learn_says(walk: Walk) -> None:
    from sklearn.metrics import normalized_mutual_info_score

    gold = load_corpus(str(walk.place / "texts.jsonl"), label="label").labels
    for record in walk.records("fit"):
        result = TopicResult.load(result_path(walk.run, record.key))
        expected = normalized_mutual_info_score(gold, result.doc_topic.argmax(axis=1))
        found = [
            row["value"]
            for row in walk.board["metrics"]
            if (row["model"], row["metric"]) == (record.payload["model"], "nmi")
            and row["params"].get("documents") == "all"
        ]
        if result.outlier is None:
            assert found == [pytest.approx(expected, abs=1e-4)]


def test_every_topic_is_steered_by_every_method(walk: Walk) -> None:
    rows = json.loads((walk.run / "steering.json").read_text())["rows"]
    methods = {
        "topic_raw": LAMBDAS, "topic": 1, "none": 1, "prompt": 1, "diff_means": 1,
        "best_feature": 1, "random": 1, "permuted": 1, "other_topic": 1,
    }  # fmt: skip
    assert Counter((row["model"], row["judge"], row["method"]) for row in rows) == {
        (f"{model}:paper", CARD, method): n
        for model in OVER_FEATURES
        for method, n in methods.items()
    }
    for row in rows:
        assert 0 <= row["win_rate"] <= 1
        assert row["perplexity"] > 1
        steered = row["method"] not in ("none", "prompt")
        assert (row["mean_change"] > 0) == steered
    assert "topic" in (walk.run / "steering.md").read_text()


def test_nothing_warns_that_should_not(walk: Walk) -> None:
    assert walk.warned == []
    for name, said in walk.said.items():
        assert "warning" not in said.lower(), (name, said)
    page = (walk.run / "board.md").read_text()
    assert "Warning" not in page
    assert all(control["passed"] is not False for control in walk.board["controls"])
    assert "nothing moved" in walk.said["compare"]
