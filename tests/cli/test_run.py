"""``mtmbench run``: the outcome it prints, against the board that it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import AS_TYPED, Call, cells

from mtmbench.cli.run import print_outcome
from mtmbench.core.store import read_records
from mtmbench.engine.harness import RunOutcome

FILES = ("index.html", "board.md", "board.csv", "board.json", "records.jsonl")


def test_run_prints_the_boards_ratings_and_files(call: Call, played: list[str]) -> None:
    code, out, err = call("run", "out", "--out", "out", *played)
    assert code == 0, err
    board = json.loads(Path("out/board.json").read_text())
    best_first = sorted(board["ratings"], key=lambda row: -row["elo"])
    assert cells(out) == [
        [str(row["rank"]), row["model"], f"{row['elo']:.1f}", f"{row['lo']:.1f} … {row['hi']:.1f}",
         str(row["wins"]), str(row["losses"]), str(row["ties"])]
        for row in best_first
    ]  # fmt: skip
    lines = out.splitlines()
    assert lines[0].rstrip() == "judge scripted · corpus tiny · K = 5 · items"
    # Three fits, as many values of coverage and as many pairs.
    assert lines[-7:] == [
        "0 cells played, 9 reused, 0 errors.", "The board's files:",
        *(f"  out/{name}" for name in FILES),
    ]  # fmt: skip


def test_overrides_and_models_are_the_runs(call: Call, played: list[str]) -> None:
    code, out, err = call(
        "run", "suite.toml", "--set", "judging.judges=['scripted']", "--set", "k=[3]",
        "--models", "drawn, third,", "--out", "two", *played,
    )  # fmt: skip
    assert code == 0, err
    assert {row[1] for row in cells(out)} == {"drawn", "third"}
    assert "5 cells played, 0 reused, 0 errors." in out
    assert "matches: 100%" in err


def test_metrics_judges_and_a_limit_are_the_runs(call: Call, played: list[str]) -> None:
    options = ("--limit", "6", "--metrics", "npmi,", "--judges", "lexical", *played)
    code, _, err = call("run", "suite.toml", *options)
    assert code == 0, err
    folder = Path("runs/judged-limit-6")
    board = json.loads((folder / "board.json").read_text())
    assert board["title"] == "judged, limited to 6 documents a corpus"
    assert "limited to 6 documents" in (folder / "board.md").read_text().splitlines()[0]
    assert [row["n_docs"] for row in board["corpora"]] == [6]
    assert {row["metric"] for row in board["metrics"]} == {"npmi"}
    assert {row["judge"] for row in board["ratings"]} == {"lexical"}
    # Nothing of the whole run is taken for the limited one's, nor the other way round.
    limited, whole = (
        {record.key for record in read_records(each / "records.jsonl")}
        for each in (folder, Path("out"))
    )
    assert limited.isdisjoint(whole)
    code, _, err = call("run", "suite.toml", "--out", "out", *options)
    assert code == 2
    assert "out holds suite 'judged'; a limited run takes a folder of its own" in err


def test_a_dry_run_says_what_plan_says_and_writes_nothing(call: Call, played: list[str]) -> None:
    before = sorted(Path().rglob("*"))
    options = ("--limit", "6", "--metrics", "npmi", "--judges", "lexical", *played[:2])
    code, out, err = call("run", "suite.toml", "--dry-run", *options, *played[2:])
    assert code == 0, err
    assert sorted(Path().rglob("*")) == before
    assert call("plan", "suite.toml", *options)[1] == out
    corpus, judge = cells(out)
    # Three fits, of which each has two variants of NPMI or one, and three pairs on six documents.
    assert (corpus[1], corpus[3], corpus[5]) == ("6", "3", "18")
    assert judge[:4] == ["lexical", "matches", "3", "18"]


def test_options_of_ray_go_with_ray(call: Call, played: list[str]) -> None:
    code, _, err = call("run", "suite.toml", "--actor-cores", "2", *played)
    assert code == 2
    assert err == ("mtmbench: --address, --actor-cores and --actor-gpus go with --executor ray\n")


def test_names_reasons_and_paths_are_shown_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    folder = tmp_path / "[red]x[" / "red]"
    folder.mkdir(parents=True)
    ratings = [
        {"judge": text, "corpus": text, "k": 5, "representation": "items", "model": text,
         "setting": None, "rank": None, "elo": None, "lo": None, "hi": None, "wins": 1,
         "losses": 2, "ties": 3, "reason": f"none: {text}"}
        for text in AS_TYPED
    ]  # fmt: skip
    names = [{"model": text, "setting": None, "name": text} for text in AS_TYPED]
    judges = [{"id": text, "is_llm": False, "client": text, "params": {}} for text in AS_TYPED]
    board = {"competitors": names, "ratings": ratings, "judges": judges}
    (folder / "board.json").write_text(json.dumps(board))
    errors = tuple((text, f"failed: {text}") for text in (*AS_TYPED, *map(str, range(16))))
    print_outcome(RunOutcome(folder, 7, 8, errors))
    out = capsys.readouterr().out
    assert cells(out) == [
        ["–", text, f"none: {text}", "–", "1", "2", "3"] for text in AS_TYPED
    ]  # fmt: skip
    lines = [line.rstrip() for line in out.splitlines()]
    titles = [line for line in lines if line.startswith("judge ")]
    assert titles == [f"judge {text} · corpus {text} · K = 5 · items" for text in AS_TYPED]
    counted = lines.index("7 cells played, 8 reused, 22 errors.")
    told = [f"error: {text}: {reason}" for text, reason in errors[:20]]
    assert lines[counted + 1 :] == [
        *told, "… and 2 more; see records.jsonl", "The board's files:",
        *(f"  {folder / name}" for name in FILES),
    ]  # fmt: skip


def test_cells_that_fail_give_the_exit_status(
    call: Call, played: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = RunOutcome(Path("out"), 8, 0, (("drawn on tiny", "[/x]"),))
    monkeypatch.setattr("mtmbench.engine.harness.run_suite", lambda *_, **__: failed)
    code, out, _ = call("run", "suite.toml", "--out", "out", *played)
    assert code == 1
    assert "error: drawn on tiny: [/x]\n" in out
