"""`mtmbench view` as people use it: a process, a board, votes over HTTP, and Ctrl-C."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.killing import PLUGIN, lay_out
from support.serving import call, send, served
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.judges.clients.human_votes import read_votes


@pytest.mark.slow
def test_a_run_is_viewed_and_voted_on_until_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, "http://127.0.0.1:1/v1", documents=4)
    plugin = ["--plugin", str(PLUGIN)]
    fitted = [*plugin, "--out", "out", "--workers", "0", "--set", 'judging.judges=["scripted"]']
    assert CliRunner().invoke(app, ["run", "suite.toml", *fitted]).exit_code == 0
    with served(["view", "out", "--judge", "human", *plugin], tmp_path) as (process, url):
        board = url.removesuffix("voting/")
        assert board != url
        assert b'<section id="overview"' in call(board, "GET", "")
        assert json.loads(call(board, "GET", "board.json"))["suite"] == "judged"
        assert b"Which topics describe the document better?" in call(url, "GET", "")
        state = json.loads(call(url, "GET", "question?voter=ann"))
        given = {}
        while "question" in state:
            shown = state["question"]
            verdict = "AB"[len(given) % 2]
            body = {"voter": "ann", "question": shown["key"], "verdict": verdict}
            state = json.loads(call(url, "POST", "vote", body))
            given[shown["key"]] = verdict
            # What is thanked for is in the file.
            assert len(read_votes(tmp_path / "votes" / "human.jsonl")) == len(given)
        assert state["done"] == state["total"] == len(given)
        parts = urlsplit(board)
        assert send(board, "GET", headers={"Host": f"evil.example:{parts.port}"})[0] == 404
        assert send(f"http://{parts.netloc}/", "GET")[0] == 404
        kept = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
        kept.request("GET", f"{parts.path}state")
        assert json.loads(kept.getresponse().read())["added"] > 0
        process.send_signal(signal.SIGINT)
        # Ctrl-C waits for no open connection; interpreters that end on a busy machine take a while.
        out = process.communicate(timeout=60)[0]
        kept.close()
    assert (process.returncode, out.strip()) == (0, f"{len(given)} votes in votes/human.jsonl")
    votes = read_votes(tmp_path / "votes" / "human.jsonl").values()
    assert [vote.verdict for vote in votes] == list(given.values())
