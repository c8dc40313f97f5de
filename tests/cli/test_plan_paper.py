"""The plans of the paper's suites: without network, weights and texts, against hand arithmetic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.card_files import load_suite

ROOT = Path(__file__).parents[2]
FORBIDDEN = """
import socket
def refused(*args, **kwargs):
    raise AssertionError("a plan asked the network")
socket.socket.connect = socket.socket.connect_ex = refused
socket.create_connection = socket.getaddrinfo = refused
"""
DOCUMENTS = {
    "20ng": 18_331, "bills": 20_000, "wiki": 14_290, "yelp_polarity": 20_000,
    "writingprompts": 20_000, "agnews": 20_000, "goemotions": 20_000, "poemsum": 3_011,
}  # fmt: skip
WORDS = {
    "20ng": 187, "bills": 185, "wiki": 1400, "yelp_polarity": 134, "writingprompts": 734,
    "agnews": 38, "goemotions": 13, "poemsum": 197,
}  # fmt: skip


def planned(suite: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Plans a suite in a process that finds no data, no caches and no network."""
    (folder / "sitecustomize.py").write_text(FORBIDDEN)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MTMBENCH_DATA", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    }
    places = {name: str(folder / name) for name in ("HF_HOME", "MTMBENCH_CACHE", "HOME")}
    done = subprocess.run(
        [sys.executable, "-m", "mtmbench", "plan", suite, "--json", "plan.json"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**kept, **places, "SCIKIT_LEARN_DATA": str(folder / "sk"), "COLUMNS": "200",
             "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "plan.json").read_text()), done.stdout


def test_the_suites_say_the_papers_grid() -> None:
    for name in ("paper", "paper-2b"):
        suite = load_suite(name)
        assert [corpus.name for corpus in suite.corpora] == list(DOCUMENTS)
        assert suite.models == (
            "lda", "etm", "bertopic", "dvae", "fastopic", "mlda", "metm", "mbertopic",
        )  # fmt: skip
        assert {k: suite.k_of(k) for k in DOCUMENTS} == {
            name: (50,) if name in ("agnews", "goemotions", "poemsum") else (100,)
            for name in DOCUMENTS
        }
        assert suite.judging is not None
        assert suite.judging.representations == ("items", "summary")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "backbone", "gpu", "layers", "firings"),
    [
        ("paper", "google/gemma-2-9b", "a100", (11, 42), 113),
        ("paper-2b", "google/gemma-2-2b", "rtx4090", (7, 26), 70),
    ],
)
def test_a_plan_needs_nothing_but_the_suite(
    name: str, backbone: str, gpu: str, layers: tuple[int, int], firings: int, tmp_path: Path
) -> None:
    told, shown = planned(name, tmp_path)
    models, pairs = 8, 28
    assert {name: of["documents"] for name, of in told["corpora"].items()} == DOCUMENTS
    for of in told["corpora"].values():
        assert of["fits"] == 3 * models
        # A hundred documents, two ways to show topics.
        assert of["matches"] == pairs * 100 * 2
        assert "its texts are not here" in of["assumed"]
    assert shown.count("its texts are not here") == 8
    asked = {row["asked"]: row for row in told["judges"]}
    # Both orders of every match; a question for each topic of the first seeds' fits; labels by 20.
    assert asked["matches"]["n_calls"] == 8 * pairs * 100 * 2 * 2
    topics = models * (5 * 100 + 3 * 50)
    assert asked["refine"]["n_calls"] == asked["summary"]["n_calls"] == topics
    assert asked["classes of features"]["n_calls"] == 820
    # 3 models on 2 corpora, 10 topics each: 3 λ on 100 prompts; on 50 prompts the unsteered text,
    # the named topic, and 3 single and 9 drawn directions.
    assert asked["steered texts"]["n_calls"] == 2 * 3 * 10 * (3 * 100 + 50 * (2 + 3 + 9)) * 2
    for row in told["judges"]:
        cost = (row["input_tokens"] * 2.0 + row["output_tokens"] * 8.0) / 1e6
        assert row["cost"] == pytest.approx(cost)
    assert "Prices of gpt-4.1: the card's as of 2026-11-27" in shown
    features = told["features"]
    assert (features["backbone"], features["gpu"]) == (backbone, gpu)
    tokens = sum(DOCUMENTS[name] * round(1.4 * WORDS[name]) for name in DOCUMENTS)
    assert features["tokens"] == tokens
    assert features["disk"] == pytest.approx(tokens * firings * 3.7)
    # Attention and MLP of a block, embeddings, the SAE's encoder.
    hidden, inner, heads = (3584, 14_336, 4096) if "9b" in backbone else (2304, 9216, 2048)
    block = hidden * (2 * heads + heads) + 3 * hidden * inner
    whole = layers[1] * block + 256_000 * hidden
    used = layers[0] * block + hidden * 16_384
    flops = {"a100": 312e12, "rtx4090": 165e12}[gpu] * 0.3
    assert features["hours"] == pytest.approx(2 * used * tokens / flops / 3600)
    assert features["tokens_per_second"] == pytest.approx(flops / 2 / whole)
    memory = {"a100": 40e9, "rtx4090": 24e9}[gpu]
    assert 2 * whole < features["memory"] < memory
    assert "which fits into" in shown
