"""`mtmbench serve` as people use it: a process, a page, votes over HTTP, and then their board."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.killing import PLUGIN, lay_out
from typer.testing import CliRunner

from mtmbench.cli.app import app


def call(url: str, method: str, path: str, body: Any = None) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        raw = None if body is None else json.dumps(body).encode()
        connection.request(method, parts.path + path, raw)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()


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
    # A shell that starts tests in the background has them ignore Ctrl-C, and so their children.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = subprocess.Popen(
        [sys.executable, "-P", "-u", "-c", f"{listen}; from mtmbench.cli.app import main; main()",
         "serve", "suite.toml", *plugin, "--out", "out"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        told = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"vote on (http://127\.0\.0\.1:\d+/\S+/)", told)
        assert found is not None, told
        url = found[1]
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
    finally:
        process.kill()
        process.wait()
    people = [*plugin, "--out", "people", "--workers", "0", "--set", 'judging.judges=["human"]']
    assert runner.invoke(app, ["run", "suite.toml", *people]).exit_code == 0
    before = (tmp_path / "people" / "board.md").read_bytes()
    assert runner.invoke(app, ["board", "people"]).exit_code == 0
    assert (tmp_path / "people" / "board.md").read_bytes() == before
    board = json.loads((tmp_path / "people" / "board.json").read_text())
    assert [judge["id"] for judge in board["judges"]] == ["human"]
    # Every vote that is no check was a tie.
    assert {(row["wins"], row["losses"], row["ties"]) for row in board["ratings"]} == {(0, 0, 8)}
