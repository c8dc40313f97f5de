"""`mtmbench steer` on a suite that was played: tiny model, tiny SAE, the table beside the board."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.store import RunStore, read_records
from mtmbench.engine.cell_player import CellPlayer
from mtmbench.engine.harness import run_suite
from mtmbench.features.sae.sae import save_sae
from mtmbench.judges.base import Completion, JudgeClient
from mtmbench.judges.registry import register_judge
from mtmbench.steering.gguf_file import read_gguf
from mtmbench.steering.suite import steer_suite
from mtmbench.studies.steering import run_steering_study

NAMES = ("concept", "instruction", "fluency", "overall")


def embed(texts):
    return np.array([[1.0, text.count("1")] for text in texts])


@pytest.fixture
def data(tmp_path, tiny_model, sae):
    """A suite's data: 40 short documents in two halves of the vocabulary."""
    generator = np.random.default_rng(0)
    lines = []
    for i in range(40):
        words = generator.integers(25 * (i % 2), 25 * (i % 2) + 25, size=8)
        lines.append(json.dumps({"text": " ".join(f"w{j}" for j in words), "id": str(i)}))
    (tmp_path / "toy.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "prompts.txt").write_text("w1 w2\nw30 w31\nw3\nw40\n", encoding="utf-8")
    save_sae(sae, tmp_path / "sae")
    return {
        "name": "toy",
        "corpora": [{"name": str(tmp_path / "toy.jsonl"), "text": "text", "id": "id"}],
        "models": ["lda", "mlda"],
        "k": [3],
        "words": {"min_df": 1},
        "features": {
            "source": "sae",
            "params": {
                "backbone": str(tiny_model("llama")[0]),
                "saes": {"tiny": {"folder": str(tmp_path / "sae")}},
            },
        },
        "steering": {
            "topics": 2, "lambdas": [1.0, 3.0], "unit": "mean_norm", "judges": ["regression"],
            "prompts": str(tmp_path / "prompts.txt"), "max_tokens": 4, "drawn": 2, "documents": 5,
            "note": "A random model says nothing.",
        },
    }  # fmt: skip


def check_changes(folder, rows):
    """Texts are steered wherever a token that was drawn is read again, and rows hold their means.

    The last token is never read, so that a text whose first token ends it is nowhere steered.
    """
    records = read_records(folder / "records.jsonl")
    texts = {record.key: record.payload for record in records if record.kind == "generation"}
    for text in texts.values():
        read = len(text["ids"]) + text["ended"] - 1
        assert (text["mean_change"] > 0) == (bool(text["pushes"]) and read > 0)
    found = {}
    for told in (record.payload for record in records):
        if "conditions" in told:
            level = None if told["strength"] is None else round(told["strength"]["lambda"], 4)
            method = told["conditions"][0]["method"]
            changes = [texts[key]["mean_change"] for key in told["texts"]]
            found.setdefault((told["topic"], method, level), []).append(np.mean(changes))
    for row in rows:
        means = found[row["topic"], row["method"], row["lambda"]]
        assert any(row["mean_change"] == pytest.approx(mean, abs=1e-4) for mean in means)


@pytest.mark.slow
def test_the_table_of_a_played_suite(data, tmp_path, monkeypatch):
    import tomli_w

    monkeypatch.setattr("mtmbench.steering.text_measures._minilm", embed)
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(data), encoding="utf-8")
    suite = parse_card(data, Suite, "toy")
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="has no topics of mlda:default on toy, K = 3"):
        steer_suite(suite, folder)
    run_suite(suite, folder, workers=0)
    board = (folder / "board.json").read_bytes()
    told = CliRunner().invoke(app, ["steer", str(tmp_path / "toy.toml"), "--out", str(folder)])
    assert told.exit_code == 0, told.output
    rows = json.loads((folder / "steering.json").read_text())["rows"]
    assert len(rows) == 2 * (2 + 8)
    assert {row["model"] for row in rows} == {"mlda:default"}
    assert {row["k"] for row in rows} == {3}
    assert {row["lambda_unit"] for row in rows} == {"mean_norm", "absolute", None}
    check_changes(folder / "steering", rows)
    with (folder / "steering.csv").open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["method"] for row in read] == [row["method"] for row in rows]
    page = (folder / "steering.md").read_text(encoding="utf-8")
    assert "A random model says nothing." in page
    assert "Proxies, not language models: regression." in page
    kinds = [
        json.loads(line)["kind"]
        for line in (folder / "steering" / "records.jsonl").read_text().splitlines()
    ]
    assert set(kinds) == {"generation", "steer"}
    # Board and records of the run stay as they were; the same again gives the same bytes.
    assert (folder / "board.json").read_bytes() == board
    before = {p.name: p.read_bytes() for p in folder.glob("steering.*")}
    steer_suite(suite, folder)
    assert {p.name: p.read_bytes() for p in folder.glob("steering.*")} == before


def test_the_directions_are_written_as_control_vectors(data, tmp_path, monkeypatch):
    """Each is its topic's direction, as long as λ = 1 of the table is in the model."""
    pytest.importorskip("gguf")
    monkeypatch.setattr("mtmbench.steering.text_measures._minilm", embed)
    suite = parse_card(data, Suite, "toy")
    run_suite(suite, tmp_path / "run", workers=0)
    written = steer_suite(suite, tmp_path / "run", vectors=tmp_path / "vectors")
    files = sorted(path for path in written if path.suffix == ".gguf")
    rows = json.loads((tmp_path / "run" / "steering.json").read_text())["rows"]
    topics = sorted({row["topic"] for row in rows})
    assert [file.stem for file in files] == [f"toy-mlda-default-k3-topic{t}" for t in topics]
    records = read_records(tmp_path / "run" / "steering" / "records.jsonl")
    units = {
        told["topic"]: told["strength"]["lambda_absolute"] / told["strength"]["lambda"]
        for told in (record.payload for record in records)
        if "conditions" in told and told["conditions"][0]["method"] == "topic_raw"
    }
    assert units.keys() == set(topics)
    for topic, file in zip(topics, files, strict=True):
        _, directions = read_gguf(file)
        (value,) = directions.values()
        assert float(np.linalg.norm(value)) == pytest.approx(units[topic], rel=1e-5)


@pytest.mark.slow
def test_a_table_with_features_of_its_own(data, tmp_path, monkeypatch):
    """Nothing was played: the one model is fitted for steering, the suite's own features unread."""
    monkeypatch.setattr("mtmbench.steering.text_measures._minilm", embed)
    steering = {
        **data["steering"], "features": data["features"], "models": ["mlda"], "topics": 1,
        "lambdas": [1.0], "describe": "words", "corpora": ["toy"],
    }  # fmt: skip
    own = {**data, "features": {"source": "minilm"}, "steering": steering, "seeds": [3, 4]}
    suite = parse_card(own, Suite, "toy")
    folder = tmp_path / "run"
    steer_suite(suite, folder)
    written = json.loads((folder / "steering.json").read_text())
    assert len(written["rows"]) == 1 + 8
    assert len(written["summary"]) == len(written["topics"]) == 1
    with RunStore(folder / "steering") as store:
        records = list(store.records())
    (fit,) = (record.payload for record in records if record.kind == "fit")
    assert (fit["model"], fit["seed"], fit["setting"]) == ("mlda", 3, "default")
    assert not (folder / "records.jsonl").exists()
    (described,) = {r.payload["description"] for r in records if "description" in r.payload}
    words = fit["topics"][written["topics"][0]["topic"]]["words"]
    assert described == ", ".join(words)
    # The same again fits nothing; topics that are lost are fitted anew.
    before = (folder / "steering.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(CellPlayer, "_fit", None)
        steer_suite(suite, folder)
    for file in (folder / "steering" / "results").iterdir():
        file.unlink()
    steer_suite(suite, folder)
    assert (folder / "steering.json").read_bytes() == before


def test_axbench_scores_of_the_chosen_texts(data, tmp_path, monkeypatch):
    monkeypatch.setattr("mtmbench.steering.text_measures._minilm", embed)
    monkeypatch.setattr("mtmbench.steering.evaluate.MAX_PERPLEXITY_RATIO", np.inf)
    monkeypatch.setattr("mtmbench.steering.evaluate.MIN_DISTINCT_RATIO", 0.0)

    @register_judge("rater of steered texts")
    class Rater(JudgeClient):
        name, is_llm = "rater of steered texts", True

        async def answer(self, question, params, replicate):
            score = {"concept": 2, "instruction": 1, "fluency": 2}[question.context["task"]]
            return Completion(f"RATING: {score}", model_revision="1")

    (tmp_path / "rater.toml").write_text('client = "rater of steered texts"\n', encoding="utf-8")
    steering = {
        **data["steering"], "topics": 1, "drawn": 1, "axbench": str(tmp_path / "rater.toml"),
    }  # fmt: skip
    suite = parse_card({**data, "models": ["mlda"], "steering": steering}, Suite, "toy")
    run_suite(suite, tmp_path / "run", workers=0)
    steer_suite(suite, tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "steering.json").read_text())["rows"]
    scores = {(row["method"], row["chosen"]): [row[n] for n in NAMES] for row in rows}
    # The harmonic mean of 2, 1 and 2; a λ that was not chosen is not rated.
    assert scores.pop(("topic_raw", False)) == [None] * 4
    assert set(map(tuple, scores.values())) == {(2, 1, 2, 1.5)}
    assert len(scores) == 1 + 8


def test_a_jury_of_language_models_is_paid_for_once(data, tmp_path, monkeypatch):
    """Whether it has a ledger follows from its members."""
    monkeypatch.setattr("mtmbench.steering.text_measures._minilm", embed)
    asked = []

    @register_judge("paid member")
    class Member(JudgeClient):
        name, is_llm = "paid member", True

        async def answer(self, question, params, replicate):
            asked.append(question.messages)
            return Completion("VERDICT: tie", model_revision="1")

    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text('client = "paid member"\n', encoding="utf-8")
    members = json.dumps([str(tmp_path / f"{name}.toml") for name in ("one", "two")])
    jury = tmp_path / "bench.toml"
    jury.write_text(f'client = "jury"\n[params]\nmembers = {members}\n', encoding="utf-8")
    steering = {**data["steering"], "topics": 1, "drawn": 1, "judges": [str(jury)]}
    suite = parse_card({**data, "models": ["mlda"], "steering": steering}, Suite, "toy")
    run_suite(suite, tmp_path / "run", workers=0)
    steer_suite(suite, tmp_path / "run")
    n_asked = len(asked)
    assert n_asked > 0
    assert "Proxies" not in (tmp_path / "run" / "steering.md").read_text(encoding="utf-8")
    # What was paid for outlives the records of the comparisons.
    for path in (tmp_path / "run" / "steering").glob("store.sqlite*"):
        path.unlink()
    steer_suite(suite, tmp_path / "run")
    assert len(asked) == n_asked


@pytest.mark.slow
def test_the_study_from_corpus_to_pages(data, tmp_path, monkeypatch):
    """Every model, then one of them by frequencies; the same again makes the same files."""
    monkeypatch.setattr("mtmbench.steering.text_measures._minilm", embed)
    monkeypatch.setattr("mtmbench.studies.steering.WEIGHED", "mlda")
    overrides = {
        "corpora": data["corpora"], "words": data["words"], "features": data["features"],
        "steering": {**data["steering"], "topics": 1, "drawn": 1},
    }  # fmt: skip
    asked = {"models": ["mlda"], "k": 3, "out": tmp_path / "study", "workers": 0}
    found = run_steering_study(**asked, overrides=overrides)
    assert found.study["models"] == ["mlda:default", "mlda:default, frequencies"]
    assert {point["lambda"] for point in found.study["points"]} == {1.0, 3.0, None}
    assert [path.name for path in found.files] == [
        "study.json", "study.csv", "study.md", "study.html",
    ]  # fmt: skip
    before = {path.name: path.read_bytes() for path in found.files}
    again = run_steering_study(**asked, overrides=overrides)
    assert {path.name: path.read_bytes() for path in again.files} == before


def test_what_cannot_be_steered_is_named(data, tmp_path):
    def suite(**changes):
        return parse_card({**data, **changes}, Suite, "toy")

    with pytest.raises(InputError, match="suite 'toy' has no table"):
        steer_suite(suite(steering=None), tmp_path)
    with pytest.raises(InputError, match="no model over features to steer by"):
        steer_suite(suite(models=["lda"]), tmp_path)
    with pytest.raises(UnknownNameError, match=r"steering.models 'mdla'; did you mean 'mlda'"):
        steer_suite(suite(steering={**data["steering"], "models": ["mdla"]}), tmp_path)
    with pytest.raises(UnknownNameError, match="model over features 'lda'; did you mean 'mlda'"):
        steer_suite(suite(steering={**data["steering"], "models": ["lda"]}), tmp_path)
    with pytest.raises(InputError, match=r"is an encoder \(bert\)"):
        steer_suite(suite(features={"source": "minilm"}), tmp_path)
    with pytest.raises(InputError, match=r"unknown key 'steering.lamdas'; did you mean 'lambdas'"):
        suite(steering={"lamdas": [1.0]})
    with pytest.raises(UnknownNameError, match=r"steering.corpora 'toi'; did you mean 'toy'"):
        steer_suite(suite(steering={**data["steering"], "corpora": ["toi"]}), tmp_path)
