"""`mtmbench validate CARD` with a chat model behind an endpoint, over TCP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from support.chat_server import ChatServer, Say
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.stats import correlation as agreement
from mtmbench.validation import alternative

CARD = """
client = "openai"
model = "knows"

[endpoint]
base_url = "{url}"

[decoding]
max_tokens = 60

[limits]
concurrency = 8
"""


def knows(messages: Sequence[Mapping[str, str]]) -> str:
    """Reads the made-up documents and words, which say what people think of them."""
    user = messages[-1]["content"]
    form = user.rstrip().splitlines()[-1].partition(":")[0]
    if form == "FIT":
        return f"It says so.\nFIT: {re.findall(r'fits ([1-5])', user)[-1]}"
    if form == "RANKING":
        fits = [-int(level) for level in re.findall(r"fits ([1-5])", user)]
        best = np.argsort(fits, kind="stable") + 1
        return "RANKING: " + ", ".join(map(str, best.tolist()))
    topics = re.findall(r"(r[1-3]t\d+d\d+)w\d+", user)
    if form == "RATING":
        return f"RATING: {topics[0][1]}"
    return f"INTRUDER: {topics.index(min(topics, key=topics.count)) + 1}"


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "BOOTSTRAP_RESAMPLES", 40)
    monkeypatch.setattr(alternative, "TEST_RESAMPLES", 20)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.slow
def test_a_chat_card_is_validated_and_asked_nothing_twice(made_up: Path, tmp_path: Path) -> None:
    card, out = tmp_path / "knows.toml", tmp_path / "out"
    command = ["validate", str(card), "--out", str(out), "--data-dir", str(made_up)]
    with ChatServer(models={"knows": knows}) as server:
        card.write_text(CARD.format(url=server.url))
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        asked = 8 * 7 + 8 + 24 + 24 * 4
        assert server.paid.total() == len(server.paid) == asked
        board = (out / "board.json").read_bytes()
        assert CliRunner().invoke(app, command).exit_code == 0
        assert server.paid.total() == asked
    assert (out / "board.json").read_bytes() == board
    rows = json.loads(board)["rows"]
    found = {
        (row["dataset"], row["task"], row["statistic"]): row["value"]
        for row in rows if row["judge"] == "knows"
    }  # fmt: skip
    assert found["hoyle-nytimes", "rating", "spearman"] == 1
    assert found["hoyle-nytimes", "rating", "kappa"] == 1
    assert found["hoyle-wikitext", "intrusion", "found"] == 1
    assert found["proxann-bills", "fit", "kendall_tau"] > 0.6
    assert found["proxann-bills", "rank", "kendall_tau"] > 0.6


@pytest.mark.slow
def test_replies_that_broke_off_are_no_answers_and_told(made_up: Path, tmp_path: Path) -> None:
    card, out = tmp_path / "knows.toml", tmp_path / "out"
    with ChatServer(models={"knows": knows}) as server:
        card.write_text(CARD.format(url=server.url))
        # The first that are asked are ratings of topics.
        server.then(*[Say("RATING: 3", finish="length")] * 5, Say(""))
        command = ["validate", str(card), "--out", str(out), "--data-dir", str(made_up)]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    board = json.loads((out / "board.json").read_bytes())
    (judge,) = [judge for judge in board["judges"] if judge["judge"] == "knows"]
    assert (judge["cut"], judge["empty"]) == (5, 1)
    unanswered = [row for row in board["rows"] if row["statistic"] == "unanswered"]
    assert sum(round(row["value"] * row["n"]) for row in unanswered) == 6
    told = "knows: Of the replies that could not be read, 5 were cut at the token limit and 1 was "
    assert told in (out / "board.md").read_text()
