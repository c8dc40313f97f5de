"""Whole studies on a planted corpus, over a source whose best setting is known."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.registry import feature_source
from mtmbench.studies.design import _default_setting
from mtmbench.studies.run import StudyOutcome, run_study

pytestmark = pytest.mark.slow

FILES = ("study.json", "study.csv", "study.md", "study.html")


def play(name: str, corpus: Path, plugin: str, **options: Any) -> StudyOutcome:
    options = {"models": ["mlda"], "seeds": 3, "k": 8, **options}
    options.setdefault("out", corpus.parent / name)
    return run_study(
        name, [str(corpus)], source="planted", plugins=[plugin], workers=0, **options
    )  # fmt: skip


def values(study: Any, metric: str = "nmi") -> dict[str | None, dict[str, Any]]:
    return {row["setting"]: row for row in study["rows"] if row["metric"] == metric}


def leading(study: Any) -> str:
    (text,) = [row["text"] for row in study["findings"] if row["leads"]]
    return str(text)


def test_the_planted_best_threshold_is_found(corpus_file: Path, plugin: str) -> None:
    outcome = play("threshold", corpus_file, plugin)
    assert outcome.run.errors == ()
    study = outcome.study
    assert study["schema"] == 1
    assert [row["x"] for row in study["settings"]] == [0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    nmi = values(study)
    assert max(nmi, key=lambda name: nmi[name]["mean"] if name else -1) == "q0.7"
    best, default = nmi["q0.7"], nmi["q0"]
    assert (best["n_seeds"], best["n_paired"], best["n_compared"]) == (3, 3, 6)
    assert best["lo"] < best["mean"] < best["hi"]
    assert best["difference"] == pytest.approx(best["mean"] - default["mean"], abs=2e-4)
    assert best["difference_lo"] > 0.2
    assert best["p"] < best["p_holm"] < 0.05
    assert default["difference"] is None
    text = leading(study)
    assert text.startswith("NMI with the labels: beyond the spread over seeds, quantile 0.5, 0.6, ")
    assert "are higher than the default (quantile 0, " in text
    assert "the highest mean of the 7 settings is at quantile 0.7" in text
    assert {row["metric"] for row in study["rows"]} == {"nmi", "purity", "npmi", "diversity"}
    # Word LDA stands beside them, without a setting or a difference.
    assert nmi[None]["model"] == "lda"
    assert nmi[None]["difference"] is None


def test_what_each_setting_leaves_to_count(corpus_file: Path, plugin: str) -> None:
    study = play("threshold", corpus_file, plugin).study
    rows = {row["setting"]: row for row in study["firings"]}
    # 20 counts in each of 120 documents of 40 tokens, one document emptied at quantile 0.
    assert rows["q0.7"] == {
        "corpus": "planted", "setting": "q0.7", "features": 100, "features_kept": 40,
        "firings_kept": 0.75, "counts_per_token": 0.5, "documents": 120, "documents_empty": 0,
        "reason": None,
    }  # fmt: skip
    assert rows["q0"]["documents_empty"] == 1
    assert rows["q0"]["counts_per_token"] == pytest.approx(0.5 * 119 / 120, abs=1e-4)


def test_every_file_tells_the_same(corpus_file: Path, plugin: str) -> None:
    outcome = play("threshold", corpus_file, plugin, models=["mlda", "other"], seeds=2)
    assert sorted(path.name for path in outcome.files) == sorted(FILES)
    study = json.loads((outcome.folder / "study.json").read_text())
    assert study == json.loads(json.dumps(outcome.study))
    with (outcome.folder / "study.csv").open() as file:
        table = list(csv.DictReader(file))
    told = [row for row in table if row["table"] == "value"]
    assert len(told) == len(study["rows"]) == 4 * (2 * 7 + 1)
    for row, source in zip(told, study["rows"], strict=True):
        assert row["mean"] == str(source["mean"])
        assert row["corpus"] == "planted"
    kept = [row for row in table if row["metric"] == "features_kept"]
    assert [row["mean"] for row in kept] == ["40"] * 7
    text = (outcome.folder / "study.md").read_text()
    page = (outcome.folder / "study.html").read_text()
    assert text.count("| quantile 0.7 |") == 1 + 4 * 2
    for row in study["rows"]:
        assert f"{row['mean']:.3f}".replace("-", "−") in text
        assert f"{row['mean']:.3f}".replace("-", "−") in page


def test_a_filter_that_changes_nothing_is_said_to(corpus_file: Path, plugin: str) -> None:
    study = play("filters", corpus_file, plugin).study
    assert [row["name"] for row in study["settings"]] == [
        "default", "document-share-off", "label-classes-off", "all-off",
    ]  # fmt: skip
    nmi = values(study)
    assert nmi["document-share-off"]["p_holm"] < 0.05
    assert nmi["label-classes-off"]["difference"] == 0
    assert nmi["label-classes-off"]["p"] is None
    assert "document share off and every filter off are higher than the default" in leading(study)
    # What the source refuses is said, and the rest is played.
    notes = "\n".join(study["notes"])
    assert "Not played: density on: the planted SAE has no densities\n" in notes
    assert "Not played: label score on: the planted SAE knows no min_label_score\n" in notes
    assert "Not played: label classes by a judge: the planted SAE knows no label_cl" in notes


def test_layers_and_widths_vary_nothing_else(corpus_file: Path, plugin: str) -> None:
    layer = play("layer", corpus_file, plugin).study
    assert [(row["name"], row["x"], row["role"]) for row in layer["settings"]] == [
        ("a-small", 2, "default"), ("b-small", 4, ""),
    ]  # fmt: skip
    assert "layer 4 is higher than the default (layer 2, " in leading(layer)
    width = play("width", corpus_file, plugin).study
    assert [(row["name"], row["x"], row["role"]) for row in width["settings"]] == [
        ("b-small", 100, "baseline"), ("b-large", 300, ""),
    ]  # fmt: skip
    for study in (layer, width):
        assert {row["values"]["threshold_quantile"] for row in study["settings"]} == {0.0}
    assert "Without a counterpart, and so not played: a-small." in width["notes"]


def test_again_plays_and_counts_nothing(corpus_file: Path, plugin: str, tmp_path: Path) -> None:
    counted = tmp_path / "counted.txt"
    options = {"overrides": {"features.params.counted": str(counted)}, "seeds": 2}
    first = play("layer", corpus_file, plugin, **options)
    before = {path.name: path.read_bytes() for path in first.files}
    n_made = len(counted.read_text().splitlines())
    again = play("layer", corpus_file, plugin, **options)
    assert (again.run.played, again.run.reused) == (0, first.run.played)
    assert {path.name: path.read_bytes() for path in again.files} == before
    assert len(counted.read_text().splitlines()) == n_made
    more = play("layer", corpus_file, plugin, **{**options, "seeds": 3})
    assert more.run.reused == first.run.played


def test_killed_and_run_again_gives_the_same_bytes(
    corpus_file: Path, plugin: str, tmp_path: Path
) -> None:
    whole = play("layer", corpus_file, plugin, models=["slow"], seeds=4, out=tmp_path / "whole")
    arguments = [
        sys.executable, "-m", "mtmbench", "study", "layer", str(corpus_file), "--source", "planted",
        "--models", "slow", "--seeds", "4", "--k", "8", "--plugin", plugin, "--workers", "1",
        "--out", str(tmp_path / "killed"),
    ]  # fmt: skip
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    n_records = wait_for_records(tmp_path / "killed" / "store.sqlite", 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert n_records < whole.run.played
    assert not (tmp_path / "killed" / "study.json").exists()
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert " 0 reused" not in done.stdout
    assert "NMI with the labels: " in done.stdout
    for name in ("records.jsonl", *FILES):
        assert (tmp_path / "killed" / name).read_bytes() == (whole.folder / name).read_bytes()


def wait_for_records(path: Path, n: int) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if path.exists():
            try:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                    found: int = db.execute("SELECT count(*) FROM records").fetchone()[0]
            except sqlite3.OperationalError:
                found = 0
            if found >= n:
                return found
        time.sleep(0.05)
    raise TimeoutError(f"no {n} records in {path}")


def test_a_setting_without_features_is_told_with_its_reason(corpus_file: Path, plugin: str) -> None:
    outcome = play(
        "threshold", corpus_file, plugin, overrides={"features.params.empty": 0.9}, seeds=2
    )  # fmt: skip
    study = outcome.study
    assert len(outcome.run.errors) == 2 * 2
    lost = values(study)["q0.95"]
    assert lost["mean"] is None
    assert "a fit that it needs failed" in lost["reason"]
    assert leading(study).endswith("; 2 of 7 settings have no value.")
    reasons = {row["setting"]: row["reason"] for row in study["firings"]}
    assert reasons["q0.9"] == "no SAE feature is left"
    assert reasons["q0.8"] is None
    page = (outcome.folder / "study.html").read_text()
    assert "no SAE feature is left" in page


def test_one_seed_claims_nothing(corpus_file: Path, plugin: str) -> None:
    study = play("layer", corpus_file, plugin, seeds=1).study
    assert "one seed has no spread, so no difference from the default" in leading(study)
    assert "higher than" not in leading(study)


def test_a_corpus_without_labels(unlabelled_file: Path, plugin: str) -> None:
    with pytest.raises(InputError, match="has no gold labels; give a number of topics"):
        play("threshold", unlabelled_file, plugin, k="labels")
    study = play("layer", unlabelled_file, plugin, k=5).study
    assert {row["metric"] for row in study["rows"]} == {"npmi", "diversity"}
    assert leading(study).startswith("NPMI of the projected words: ")


def test_wrong_input_is_named(corpus_file: Path, plugin: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown study 'treshold'; did you mean 'thresh"):
        play("treshold", corpus_file, plugin)
    with pytest.raises(InputError, match=r"at least two layers that agree in width and window; "):
        play("layer", corpus_file, plugin, overrides={"features.params.only": ["a-small"]})
    with pytest.raises(InputError, match=r"has a-small: layer 2, width 100, window 1; b-large: "):
        play(
            "layer", corpus_file, plugin,
            overrides={"features.params.only": ["a-small", "b-large"]},
        )  # fmt: skip
    with pytest.raises(InputError, match="at least two widths"):
        play("width", corpus_file, plugin, overrides={"features.params.only": ["a-small"]})
    with pytest.raises(InputError, match="lists no SAEs"):
        play("width", corpus_file, plugin, overrides={"features.params.only": []})
    with pytest.raises(InputError, match="'lda' reads no SAE features"):
        play("threshold", corpus_file, plugin, models=["lda"])
    with pytest.raises(InputError, match="reference 'metm' reads SAE features"):
        play("threshold", corpus_file, plugin, reference="metm")
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        run_study("threshold", [str(corpus_file)], source="minilmm")
    with pytest.raises(InputError, match="at least one seed"):
        play("threshold", corpus_file, plugin, seeds=0)
    with pytest.raises(InputError, match=r"unknown key 'features\.max_token'; did you mean 'max"):
        play("threshold", corpus_file, plugin, overrides={"features.max_token": 5})


def test_a_studys_baseline_weighs_firings_as_its_setting_does() -> None:
    given = {"values": "sums", "idf": True, "max_doc_share": 0.5}
    source = feature_source("minilm", {"settings": {"weighed": given}})
    values = _default_setting(source, "weighed")
    assert values.items() >= given.items()
    again = feature_source("minilm", {"settings": {"again": values}})
    assert again.describe("again") == source.describe("weighed")
