"""`mtmbench steer` on a suite that was played: tiny model, tiny SAE, the table beside the board."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mtmbench.cards import Suite, parse_card
from mtmbench.cli import app
from mtmbench.errors import InputError, UnknownNameError
from mtmbench.features.sae import save_sae
from mtmbench.harness import run_suite
from mtmbench.steering.suite import steer_suite


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
    # A text whose first token ends it is nowhere steered.
    changes = [row["mean_change"] for row in rows if row["lambda"] is not None]
    assert min(changes) >= 0
    assert sum(change > 0 for change in changes) > len(changes) / 2
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


def test_what_cannot_be_steered_is_named(data, tmp_path):
    def suite(**changes):
        return parse_card({**data, **changes}, Suite, "toy")

    with pytest.raises(InputError, match="suite 'toy' has no table"):
        steer_suite(suite(steering=None), tmp_path)
    with pytest.raises(InputError, match="no model over features to steer by"):
        steer_suite(suite(models=["lda"]), tmp_path)
    with pytest.raises(UnknownNameError, match="model over features 'mdla'; did you mean 'mlda'"):
        steer_suite(suite(steering={**data["steering"], "models": ["mdla"]}), tmp_path)
    with pytest.raises(InputError, match=r"is an encoder \(bert\)"):
        steer_suite(suite(features={"source": "minilm"}), tmp_path)
    with pytest.raises(InputError, match=r"unknown key 'steering.lamdas'; did you mean 'lambdas'"):
        suite(steering={"lamdas": [1.0]})
