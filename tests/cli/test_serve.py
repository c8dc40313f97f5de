"""`mtmbench serve` as people use it: a process, a page, votes over HTTP, and then their board."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from support.killing import PLUGIN, lay_out
from support.serving import call, served
from typer.testing import CliRunner

from mtmbench.cli.app import app


@pytest.mark.slow
def test_a_suite_is_served_voted_on_and_gets_a_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, "http://127.0.0.1:1/v1", documents=4)
    plugin = ["--plugin", str(PLUGIN)]
    fitted = [*plugin, "--out", "out", "--workers", "0", "--set", 'judging.judges=["scripted"]']
    runner = CliRunner()
    assert runner.invoke(app, ["run", "suite.toml", *fitted]).exit_code == 0
    with served(["serve", "suite.toml", *plugin, "--out", "out"], tmp_path) as (process, url):
        assert b"Which topics describe the document better?" in call(url, "GET", "")
        state = json.loads(call(url, "GET", "question?voter=ann"))
        n = state["total"]
        while "question" in state:
            question = state["question"]
            check = [side for side in "ab" if "This is a check" in question[side][0]]
            body = {"voter": "ann", "question": question["key"],
                    "verdict": check[0].upper() if check else "tie"}  # fmt: skip
            state = json.loads(call(url, "POST", "vote", body))
        assert state["done"] == n
        process.send_signal(signal.SIGINT)
        assert f"{n} votes in votes/human.jsonl" in process.communicate(timeout=20)[0]
    people = [*plugin, "--out", "people", "--workers", "0", "--set", 'judging.judges=["human"]']
    assert runner.invoke(app, ["run", "suite.toml", *people]).exit_code == 0
    before = (tmp_path / "people" / "board.md").read_bytes()
    assert runner.invoke(app, ["board", "people"]).exit_code == 0
    assert (tmp_path / "people" / "board.md").read_bytes() == before
    board = json.loads((tmp_path / "people" / "board.json").read_text())
    assert [judge["id"] for judge in board["judges"]] == ["human"]
    # Every vote that is no check was a tie.
    assert {(row["wins"], row["losses"], row["ties"]) for row in board["ratings"]} == {(0, 0, 8)}
