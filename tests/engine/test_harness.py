"""Runs: complete, resumable after kill -9 at any moment, equal bytes however they were played."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from support import SUPPORT

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError, StoreInUseError
from mtmbench.core.store import RunStore, read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.engine.results import recorded_result, result_path
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS
from mtmbench.voting.ballot import suite_ballot

pytestmark = pytest.mark.slow

PLUGIN = str(SUPPORT / "fast_plugin.py")
BOARD_FILES = ("records.jsonl", "board.json", "board.csv", "board.md", "index.html")
SUBJECTS = {
    "sport": ("match", "team", "goal", "season", "player", "coach", "league", "score", "final"),
    "food": ("bread", "soup", "oven", "butter", "flavour", "kitchen", "recipe", "salt", "meal"),
    "space": ("orbit", "rocket", "moon", "planet", "star", "launch", "crew", "gravity", "comet"),
}


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    rng = random.Random(0)
    path = tmp_path / "tiny.jsonl"
    with path.open("w") as file:
        for i in range(60):
            subject = list(SUBJECTS)[i % 3]
            text = " ".join(rng.choices(SUBJECTS[subject], k=30))
            file.write(json.dumps({"id": f"d{i}", "text": text, "label": subject}) + "\n")
    return path


def suite_of(corpus_file: Path, **changes: Any) -> Suite:
    data: dict[str, Any] = {
        "name": "tiny",
        "corpora": [str(corpus_file)],
        "models": ["drawn", "drawn-sharp"],
        "k": [5],
        "seeds": [0, 1],
        "metrics": ["diversity", "nmi", "stability", "coverage"],
        "judging": {"judges": ["scripted"], "documents": 40},
    }
    told = {**data, **changes}
    if "drawn-sharp" in told["models"]:
        told.setdefault("params", {"drawn-sharp": {"sharpness": 5.0}})
    return parse_card(told, Suite, "test suite")


def board_bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in BOARD_FILES}


def test_a_run_plays_every_cell_and_a_second_one_none(tmp_path: Path, corpus_file: Path) -> None:
    suite = suite_of(corpus_file)
    plan = make_plan(suite, plugins=[PLUGIN])
    assert len(plan.fits) == 4
    assert len(plan.matches) == 1
    first = run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=0)
    assert first.errors == ()
    assert first.played == len(plan.keys())
    records = read_records(tmp_path / "out" / "records.jsonl")
    assert {record.key for record in records} == plan.keys()
    before = board_bytes(tmp_path / "out")
    second = run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=0)
    assert (second.played, second.reused) == (0, first.played)
    assert board_bytes(tmp_path / "out") == before


def test_keys_hash_names_and_versions_and_not_where_the_code_lies(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of(corpus_file)
    plan = make_plan(suite, plugins=[PLUGIN])
    for registry in (MODELS, METRICS):
        monkeypatch.setattr(registry, "origin", lambda name: f"moved.elsewhere:{name}")
    assert make_plan(suite, plugins=[PLUGIN]).keys() == plan.keys()
    monkeypatch.setattr(MODELS.get("drawn"), "version", 2)
    later = zip(plan.fits, make_plan(suite, plugins=[PLUGIN]).fits, strict=True)
    assert {cell.registry for cell, now in later if cell.key != now.key} == {"drawn"}


def test_words_that_cannot_be_had_are_told_before_anything_is_played(
    tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stopwordsiso", None)
    german = suite_of(corpus_file, words={"stop_words": "german"})
    with pytest.raises(InputError, match="stop words of german"):
        make_plan(german, plugins=[PLUGIN])
    written = tmp_path / "zh.jsonl"
    texts = ["牛在牧场吃草，羊看见拖拉机", "船在港口，渔民喜欢海浪"]
    written.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with pytest.raises(InputError, match="'zh' has no spaces between words"):
        make_plan(suite_of(written), plugins=[PLUGIN])
    written.write_text("".join(json.dumps({"tokens": [*text]}) + "\n" for text in texts))
    listed = [suite_of(written, words={"stop_words": words}) for words in (True, ["在"], ["羊"])]
    keys = [make_plan(suite, plugins=[PLUGIN]).keys() for suite in listed]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]


def test_workers_do_not_change_a_byte(tmp_path: Path, corpus_file: Path) -> None:
    suite = suite_of(corpus_file)
    for workers in (0, 2):
        run_suite(suite, tmp_path / str(workers), plugins=[PLUGIN], workers=workers)
    assert board_bytes(tmp_path / "0") == board_bytes(tmp_path / "2")


def test_correlation_of_shares_is_played_against_every_other_model(
    tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ["drawn", "drawn-sharp", "failing"]
    suite = suite_of(corpus_file, models=models, metrics=["doc_topic_correlation"])
    run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=0)
    records = read_records(tmp_path / "out" / "records.jsonl")
    results = {
        (record.payload["model"], record.payload["seed"]): TopicResult.load(
            tmp_path / "out" / "results" / f"{record.key}.safetensors"
        )
        for record in records
        if record.kind == "fit" and record.status == "ok"
    }

    def matched(first: str, second: str, seed: int) -> float:
        thetas = (results[model, seed].doc_topic for model in (first, second))
        correlation = np.corrcoef(*(theta.T for theta in thetas))[:5, 5:]
        return float(correlation[linear_sum_assignment(-correlation)].mean())

    values = {
        (record.payload["model"], record.payload["seed"]): record.payload["details"]
        for record in records
        if record.kind == "metric" and record.status == "ok"
    }
    assert values.keys() == results.keys() == {*product(models, [0])} | {*product(models[:2], [1])}
    for (model, seed), details in values.items():
        others = {name: matched(model, name, seed) for name, of in results if of == seed}
        assert details["others"] == pytest.approx(
            {name: value for name, value in others.items() if name != model}, abs=1e-6
        )
        # The fit of "failing" that failed is named.
        assert details.get("missing") == ({"failing": "its fit failed"} if seed == 1 else None)
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    rows = {(row["model"], row["other"]["model"]): row for row in board["doc_topic_correlation"]}
    assert {pair: row["n_seeds"] for pair, row in rows.items()} == {
        ("drawn", "drawn-sharp"): 2, ("drawn", "failing"): 1, ("drawn-sharp", "failing"): 1,
    }  # fmt: skip
    value = rows["drawn", "drawn-sharp"]["value"]
    both = [matched(*models[:2], seed) for seed in (0, 1)]
    assert value == pytest.approx(np.mean(both), abs=1e-4)
    page = (tmp_path / "out" / "board.md").read_text()
    assert f"| drawn | – | {value:.2f} ± ".replace("-", "−") in page
    # Once the fit is there, what was reckoned without it is reckoned anew.
    monkeypatch.setattr(MODELS.get("failing"), "fit", MODELS.get("drawn").fit)
    run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=0)
    details = [
        record.payload["details"]
        for record in read_records(tmp_path / "out" / "records.jsonl")
        if record.kind == "metric"
    ]
    assert len(details) == 6
    assert all(len(told["others"]) == 2 and "missing" not in told for told in details)
    assert f">{value:.2f}</td>" in (tmp_path / "out" / "index.html").read_text()


def test_adding_a_model_plays_only_what_is_new(tmp_path: Path, corpus_file: Path) -> None:
    folder = tmp_path / "out"
    run_suite(suite_of(corpus_file, models=["drawn"]), folder, plugins=[PLUGIN], workers=0)
    both = run_suite(suite_of(corpus_file), folder, plugins=[PLUGIN], workers=0)
    n_drawn = len(make_plan(suite_of(corpus_file, models=["drawn"]), plugins=[PLUGIN]).keys())
    assert both.reused == n_drawn


def test_a_failing_cell_is_an_error_record_and_the_rest_goes_on(
    tmp_path: Path, corpus_file: Path
) -> None:
    suite = suite_of(corpus_file, models=["drawn", "failing"])
    outcome = run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=0)
    records = read_records(tmp_path / "out" / "records.jsonl")
    failed = [record for record in records if record.status == "error" and record.kind == "fit"]
    assert [record.payload["reason"] for record in failed] == [
        "InputError: seed 1 is not to my liking"
    ]
    assert any("failing" in cell for cell, _ in outcome.errors)
    ok = [record for record in records if record.kind == "fit" and record.status == "ok"]
    assert len(ok) == 3
    with closing(sqlite3.connect(tmp_path / "out" / "store.sqlite")) as db:
        (trace,) = db.execute(
            "SELECT traceback FROM run_info WHERE key = ?", (failed[0].key,)
        ).fetchone()
    assert "Traceback (most recent call last)" in trace
    assert "not to my liking" in trace


def test_a_dead_worker_costs_its_cell_alone(tmp_path: Path, corpus_file: Path) -> None:
    suite = suite_of(corpus_file, models=["drawn", "dying"], metrics=[])
    outcome = run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=1)
    reasons = [reason for _, reason in outcome.errors]
    assert len(reasons) == 1
    assert "exit code 9" in reasons[0]


def test_a_lost_result_file_is_fitted_again(tmp_path: Path, corpus_file: Path) -> None:
    suite = suite_of(corpus_file)
    folder = tmp_path / "out"
    run_suite(suite, folder, plugins=[PLUGIN], workers=0)
    before = board_bytes(folder)
    key = make_plan(suite, plugins=[PLUGIN]).fits[0].key
    result_path(folder, key).write_bytes(b"half a file")
    with pytest.warns(UserWarning, match="is not a whole topic result.*; it is fitted again"):
        again = run_suite(suite, folder, plugins=[PLUGIN], workers=0)
    assert again.played == 1
    assert board_bytes(folder) == before


def test_a_result_that_is_not_what_its_record_says_is_fitted_again_or_refused(
    tmp_path: Path, corpus_file: Path
) -> None:
    suite = suite_of(corpus_file)
    folder = tmp_path / "out"
    run_suite(suite, folder, plugins=[PLUGIN], workers=0)
    before = board_bytes(folder)
    first, second = (
        result_path(folder, cell.key) for cell in make_plan(suite, plugins=[PLUGIN]).fits[:2]
    )
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())  # whole in itself
    key = first.stem
    with pytest.raises(InputError, match=f"{key}.* holds topics of revision .* its record says"):
        recorded_result(folder, key)
    with pytest.raises(InputError, match="its record says"):
        suite_ballot(suite, folder, "human", JudgeCard(client="human"), plugins=[PLUGIN])
    with pytest.warns(UserWarning, match="its record says .*; it is fitted again"):
        again = run_suite(suite, folder, plugins=[PLUGIN], workers=0)
    assert again.played == 1
    assert first.read_bytes() == whole
    assert board_bytes(folder) == before


def test_two_runs_on_one_folder(tmp_path: Path, corpus_file: Path) -> None:
    with RunStore(tmp_path / "out"), pytest.raises(StoreInUseError):
        run_suite(suite_of(corpus_file), tmp_path / "out", plugins=[PLUGIN], workers=0)


def command(*arguments: str) -> list[str]:
    # A shell's background jobs, and what they start, are born with the signal ignored.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; from mtmbench.cli.app import main; main()"
    return [sys.executable, "-c", code, *arguments]


def run_command(corpus_file: Path, folder: Path) -> list[str]:
    suite = corpus_file.parent / "tiny.toml"
    suite.write_text(
        f'name = "tiny"\ncorpora = ["{corpus_file}"]\nmodels = ["drawn", "drawn-sharp"]\n'
        'k = [4, 5, 6]\nseeds = [0, 1, 2, 3]\nmetrics = ["diversity", "nmi", "coverage"]\n'
        "[params.drawn]\npause = 0.05\n[params.drawn-sharp]\nsharpness = 5.0\npause = 0.05\n"
        '[judging]\njudges = ["scripted"]\ndocuments = 40\n'
    )
    return command(
        "run", str(suite), "--out", str(folder), "--plugin", PLUGIN, "--workers", "2"
    )  # fmt: skip


def test_exit_codes(tmp_path: Path, corpus_file: Path) -> None:
    arguments = run_command(corpus_file, tmp_path / "out")
    wrong = subprocess.run([*arguments, "--set", "sedes=[1]"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "did you mean 'seeds'" in wrong.stderr
    with RunStore(tmp_path / "out"):
        held = subprocess.run(arguments, capture_output=True, text=True)
    assert held.returncode == 4
    failing = subprocess.run(
        [*arguments, "--models", "drawn,failing"], capture_output=True, text=True
    )
    assert failing.returncode == 1
    assert "seed 1 is not to my liking" in failing.stdout


def test_ctrl_c_stops_cleanly_and_the_same_command_resumes(
    tmp_path: Path, corpus_file: Path
) -> None:
    # The fits after the first take seconds together, so that the signal finds them under way.
    arguments = [*run_command(corpus_file, tmp_path / "out"), "--set", "params.drawn-sharp.pause=1"]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_records(tmp_path / "out", 1)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert subprocess.run(arguments, capture_output=True).returncode == 0


def wait_for_records(folder: Path, n: int, timeout: float = 180.0) -> None:
    import sqlite3

    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if (folder / "store.sqlite").exists():
            try:
                with sqlite3.connect(f"file:{folder / 'store.sqlite'}?mode=ro", uri=True) as db:
                    if db.execute("SELECT count(*) FROM records").fetchone()[0] >= n:
                        return
            except sqlite3.OperationalError:
                pass
        time.sleep(0.05)
    raise TimeoutError(f"no {n} records in {folder} after {timeout} s")


def test_killed_at_twenty_random_moments_the_board_is_the_same(
    tmp_path: Path, corpus_file: Path
) -> None:
    whole = run_command(corpus_file, tmp_path / "whole")
    start = time.monotonic()
    assert subprocess.run(whole, capture_output=True).returncode == 0
    duration = time.monotonic() - start
    arguments = run_command(corpus_file, tmp_path / "killed")
    moments = random.Random(7)
    finished_before: set[str] = set()
    for _ in range(20):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.05, 0.8) * duration)
        process.kill()
        process.wait()
        with RunStore(tmp_path / "killed") as store:  # waits for the orphaned workers
            finished = store.finished()
        assert finished_before <= finished
        finished_before = finished
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert board_bytes(tmp_path / "killed") == board_bytes(tmp_path / "whole")


class Heard:
    """Progress that writes down what it is told."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, float]] = []
        self.units: list[list[float]] = []

    def phase(self, name: str, total: float) -> None:
        self.phases.append((name, total))
        self.units.append([])

    def advance(self, units: float, what: str) -> None:
        self.units[-1].append(units)


def test_progress_adds_up_and_views_report_while_they_are_made(
    corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "cache"))
    long = tmp_path / "long.jsonl"
    with long.open("w") as file:
        for i in range(200):
            words = random.Random(i).choices(sorted({*SUBJECTS["food"], *SUBJECTS["space"]}), k=60)
            file.write(json.dumps({"text": " ".join(words)}) + "\n")
    suite = suite_of(
        long,
        models=["drawn", "drawn-embedded"],
        params={},
        metrics=["coverage"],
        words={"max_df": 1.0},
        judging=None,
    )
    heard = Heard()
    outcome = run_suite(suite, tmp_path / "run", plugins=[PLUGIN], workers=1, progress=heard)
    assert not outcome.errors
    assert [name for name, _ in heard.phases] == ["views", "fits", "metrics"]
    for (_, total), units in zip(heard.phases, heard.units, strict=True):
        assert sum(units) == pytest.approx(total)
        assert min(units) >= 0
    assert len(heard.units[0]) > 2  # more often than once a view: embeddings take seconds


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_the_same_under_two_names_is_fitted_once_and_stands_under_both(
    tmp_path: Path, corpus_file: Path, workers: int
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(
            f'model = "drawn"\ndescription = "{name}"\n[params]\nsharpness = 2.0\n'
        )
    again = corpus_file.with_name("again.jsonl")
    again.write_bytes(corpus_file.read_bytes())
    cards = [str(tmp_path / "one.toml"), str(tmp_path / "two.toml")]
    suite = suite_of(corpus_file, corpora=[str(corpus_file), str(again)], models=["drawn", *cards])
    folder = tmp_path / "out"
    outcome = run_suite(suite, folder, plugins=[PLUGIN], workers=workers)
    assert outcome.errors == ()
    records = read_records(folder / "records.jsonl")
    fits = [record.payload for record in records if record.kind == "fit"]
    named: dict[tuple[str, str, int], str] = {
        (fit["corpus"], fit["model"], fit["seed"]): fit["result"] for fit in fits
    }
    assert len(named) == len(fits) == 2 * 3 * 2
    for seed in (0, 1):
        same = {
            named[corpus, model, seed] for corpus in ("tiny", "again") for model in ("one", "two")
        }
        assert len(same) == 1
        assert named["tiny", "drawn", seed] not in same
    values: dict[tuple[str, str], set[object]] = {}
    for record in records:
        if record.kind == "metric":
            told = record.payload
            key = told["metric"], f"{told['view']} {told['params']} {told['seed']}"
            if record.payload["model"] in ("one", "two"):
                values.setdefault(key, set()).add(record.payload["value"])
    assert values
    assert all(len(found) == 1 for found in values.values())
    board = json.loads((folder / "board.json").read_text())
    for corpus in ("tiny", "again"):
        rated = {row["model"] for row in board["ratings"] if row["corpus"] == corpus}
        assert rated == {"drawn", "one", "two"}
    before = board_bytes(folder)
    assert run_suite(suite, folder, plugins=[PLUGIN], workers=0).played == 0
    assert board_bytes(folder) == before


def test_a_model_under_another_name_is_played_under_it(tmp_path: Path, corpus_file: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text('model = "drawn"\n')
    for names in (["one"], ["two"], ["two", "one"]):
        cards = [str(tmp_path / f"{name}.toml") for name in names]
        suite = suite_of(corpus_file, models=["drawn-sharp", *cards])
        outcome = run_suite(suite, tmp_path / "out", plugins=[PLUGIN], workers=0)
        assert outcome.errors == ()
        board = json.loads((tmp_path / "out" / "board.json").read_text())
        assert {row["model"] for row in board["ratings"]} == {"drawn-sharp", *names}


def test_a_model_that_stands_twice_is_played_once(tmp_path: Path, corpus_file: Path) -> None:
    twice = make_plan(
        suite_of(corpus_file, models=["drawn", "drawn"], seeds=[0, 0]), plugins=[PLUGIN]
    )
    once = make_plan(suite_of(corpus_file, models=["drawn"], seeds=[0]), plugins=[PLUGIN])
    assert twice.fits == once.fits
    assert twice.metrics == once.metrics
