"""Runs judged by a language model over TCP: boards, budgets, kills, one more judge."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, Fail, Say
from support.killing import CONCURRENCY, PLUGIN, board_bytes, kept, kill_and_resume, lay_out, play
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.card_files import load_suite
from mtmbench.core.errors import InputError
from mtmbench.core.store import read_records
from mtmbench.engine.harness import RunOutcome, run_suite
from mtmbench.judges import limits
from mtmbench.judges.asker import most_lost
from mtmbench.judges.clients.openai_chat import LONGEST_REPLY

pytestmark = pytest.mark.slow

N_QUESTIONS = 180


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(limits, "_FIRST_WAIT", 0.002)
    lay_out(tmp_path, server.url)
    return tmp_path


def run(out: str, **options: Any) -> RunOutcome:
    return run_suite(
        load_suite("suite.toml"), Path(out), plugins=[str(PLUGIN)], workers=0, **options
    )


def matches(out: str) -> list[Any]:
    return [r for r in read_records(Path(out) / "records.jsonl") if r.kind == "match"]


def test_a_board_says_what_it_took(place: Path, server: ChatServer) -> None:
    assert run("out").errors == ()
    assert server.paid.total() == len(server.paid) == kept(place / "out") == N_QUESTIONS
    assert server.most_at_once <= CONCURRENCY
    board = json.loads((place / "out" / "board.json").read_text())
    (judge,) = board["judges"]
    assert (judge["model"], judge["endpoint"]) == ("small", server.url)
    assert judge["revisions"] == ["small, fp_local"]
    usage = {kind: sum(m.payload["usage"][kind] for m in matches("out")) for kind in judge["usage"]}
    assert judge["usage"] == usage
    # Per million: 1 in, 4 out.
    assert judge["cost"] == pytest.approx((usage["input"] + 4 * usage["output"]) / 1e6)
    rows = board["spending"]
    assert [(row["a"], row["b"], row["calls"]) for row in rows] == [
        ("drawn", "drawn-sharp", 60), ("drawn", "third", 60), ("drawn-sharp", "third", 60),
    ]  # fmt: skip
    assert sum(row["cost"] for row in rows) == pytest.approx(judge["cost"])
    for name in ("board.md", "index.html"):
        page = (place / "out" / name).read_text()
        assert "Calls, tokens and cost by pair" in page
        assert f"cost {judge['cost']:.4f}" in page
        assert f"It is small, asked at {server.url[7:-3]}." in page
    # Nothing is asked twice, and another folder gives the same bytes.
    again = run("out")
    assert (again.played, server.paid.total()) == (0, N_QUESTIONS)
    run("other")
    assert board_bytes(place / "other") == board_bytes(place / "out")


def test_without_prices_cost_is_not_known(place: Path) -> None:
    card = place / "judges" / "chat.toml"
    card.write_text(card.read_text().replace("[prices]\ninput = 1.0\noutput = 4.0\n", ""))
    run("out")
    board = json.loads((place / "out" / "board.json").read_text())
    assert board["judges"][0]["cost"] is None
    assert "cost not known" in (place / "out" / "board.md").read_text()
    with pytest.raises(InputError, match="'chat' has no prices"):
        run("other", budget=1.0)


def test_many_refusals_are_a_warning_on_the_board(place: Path, server: ChatServer) -> None:
    server.then(*[Say(refusal="I will not.")] * 12, *[Say("hm")] * 18)
    assert run("out").errors == ()
    text = (place / "out" / "board.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "10.0 % of this judge's answers could not be parsed" in text
    assert "6.7 % of this judge's answers were refusals" in text
    unread = [reply for m in matches("out") for both in m.payload["unread"].values()
              for reply in both]  # fmt: skip
    assert unread.count("I will not.") == 12
    assert unread.count("hm") == 18


def test_replies_that_broke_off_are_told_on_the_board(place: Path, server: ChatServer) -> None:
    server.then(*[Say("VERDICT: A", finish="length")] * 7, *[Say("")] * 3, Say("hm"))
    outcome = CliRunner().invoke(
        app, ["run", "suite.toml", "--out", "out", "--workers", "0", "--plugin", str(PLUGIN)]
    )
    assert outcome.exit_code == 0, outcome.output
    told = (
        "Of the replies that could not be read, 7 were cut at the token limit and 3 were empty; "
        "set decoding.max_tokens higher"
    )
    assert f"judge chat: {told}" in " ".join(outcome.output.split())
    for name in ("board.md", "index.html"):
        assert told in (place / "out" / name).read_text().replace("\\_", "_")
    board = json.loads((place / "out" / "board.json").read_text())
    (judge,) = board["judges"]
    assert (judge["cut"], judge["empty"]) == (7, 3)
    assert judge["audit"]["unparsed_rate"]["value"] == round(11 / N_QUESTIONS, 4)
    assert sum(match.payload.get("cut", 0) for match in matches("out")) == 7
    # A record of a match in which nothing was cut says nothing of it.
    silent = [
        m for m in matches("out") if not {"u"} & set(m.payload["forward"] + m.payload["backward"])
    ]
    assert silent
    assert not any({"cut", "empty"} & set(match.payload) for match in silent)


def test_the_board_tells_it_of_summaries_and_metrics_too(place: Path, server: ChatServer) -> None:
    suite = (place / "suite.toml").read_text().replace('["coverage"]', '["rating"]')
    (place / "suite.toml").write_text(
        suite + 'representations = ["summary"]\nsummariser = "other"\n'
        '[metric_params]\nrating = { judge = "chat" }\n'
    )
    card = (
        (place / "judges" / "chat.toml").read_text().replace("max_tokens", "max_completion_tokens")
    )
    (place / "judges" / "other.toml").write_text(card.replace('"small"', '"other"'))

    def says(messages: Any) -> str:
        last = messages[-1]["content"].rstrip().splitlines()[-1]
        return "SUMMARY: All of it." if last.startswith("SUMMARY") else "RATING: 2"

    server.models = {"other": lambda _: "", "small": says}
    run("out")
    board = json.loads((place / "out" / "board.json").read_text())
    (summaries,) = board["shown"]
    assert summaries["empty"] == 15
    text = (place / "out" / "board.md").read_text().replace("\\_", "_")
    assert "15 were empty; set decoding.max_completion_tokens higher" in text
    endless = "RATING: 2\n" * LONGEST_REPLY
    server.models = {"other": lambda _: "SUMMARY: All of it.", "small": lambda _: endless}
    run("other")
    board = json.loads((place / "other" / "board.json").read_text())
    (rating,) = board["metric_replies"]
    assert (rating["metric"], rating["cut"]) == ("rating", 15)
    text = (place / "other" / "board.md").read_text()
    assert "Metric rating: Of the replies that could not be read, 15 were cut at the token" in text


def test_a_key_that_is_refused_stops_the_run_before_more_is_asked(
    place: Path, server: ChatServer
) -> None:
    server.then(*[Say()] * 20, *[Fail(401, message="no such key")] * 200)
    outcome = run("out")
    assert all("judge 'openai' stopped: " in reason for _, reason in outcome.errors)
    assert "401" in outcome.errors[0][1]
    # Those under way when the first was refused may be refused too.
    assert len(server.completions) <= 20 + CONCURRENCY
    assert "no such key" in (place / "out" / "board.md").read_text()
    server._next.clear()
    assert run("out").errors == ()
    assert server.paid.total() == N_QUESTIONS


def test_a_budget_is_kept_and_leaves_a_board(place: Path, server: ChatServer) -> None:
    run("whole")
    (judge,) = json.loads((place / "whole" / "board.json").read_text())["judges"]
    budget = judge["cost"] * 0.7
    before = server.paid.total()
    outcome = run("out", budget=budget)
    assert outcome.errors
    assert {reason.split(": ")[0] for _, reason in outcome.errors} == {"JudgeStoppedError"}
    assert "is used up" in outcome.errors[0][1]
    board = json.loads((place / "out" / "board.json").read_text())
    assert 0 < board["judges"][0]["cost"] <= budget
    assert sum(row["elo"] is not None for row in board["ratings"]) >= 2
    # The same budget again buys nothing; a larger one the rest, and nothing twice.
    asked = server.paid.total()
    run("out", budget=budget)
    assert server.paid.total() == asked
    assert run("out", budget=10 * budget).errors == ()
    assert server.paid.total() - before == N_QUESTIONS
    assert board_bytes(place / "out") == board_bytes(place / "whole")


def test_killed_again_and_again_no_answer_is_paid_twice(place: Path, server: ChatServer) -> None:
    whole = play(place, "whole")
    assert whole.returncode == 0, whole.stderr
    server.delay = 0.02
    found = kill_and_resume(place, "killed", server, n_kills=3, seed=1)
    assert max(found.in_flight) <= most_lost(CONCURRENCY)
    assert found.paid_again <= sum(found.in_flight)
    assert board_bytes(place / "killed") == board_bytes(place / "whole")


def test_one_more_judge_rules_on_a_finished_run(place: Path, server: ChatServer) -> None:
    suite = place / "suite.toml"
    suite.write_text(suite.read_text().replace('["chat"]', '["scripted"]'))
    runner = CliRunner()
    arguments = ["judge", "out", "--judge", "chat", "--plugin", str(PLUGIN), "--workers", "0"]
    missing = runner.invoke(app, arguments)
    assert isinstance(missing.exception, InputError)
    assert "there is no run in runs/out" in str(missing.exception)
    assert run("out").errors == ()
    scripted = {r.key: r for r in read_records(Path("out") / "records.jsonl")}
    told = runner.invoke(app, arguments)
    assert told.exit_code == 0, told.output
    both = {r.key: r for r in read_records(Path("out") / "records.jsonl")}
    assert scripted.items() <= both.items()
    assert len(both) - len(scripted) == 3
    assert server.paid.total() == N_QUESTIONS
    assert [judge["id"] for judge in json.loads(Path("out/board.json").read_text())["judges"]] == [
        "chat", "scripted",
    ]  # fmt: skip
    os.remove(next(Path("out/results").iterdir()))
    lost = runner.invoke(app, arguments)
    assert isinstance(lost.exception, InputError)
    assert "lacks 1 of 3 fits" in str(lost.exception)


def test_the_plan_gives_calls_tokens_and_cost(place: Path, server: ChatServer) -> None:
    told = CliRunner().invoke(
        app, ["plan", "suite.toml", "--plugin", str(PLUGIN)], env={"COLUMNS": "200"}
    )
    assert told.exit_code == 0, told.output
    assert "at most 180" in told.output
    assert server.requests == []
    run("out")
    (judge,) = json.loads((place / "out" / "board.json").read_text())["judges"]
    from mtmbench.engine.estimate import ANSWER_TOKENS, estimates
    from mtmbench.engine.plan import make_plan

    (row,) = estimates(make_plan(load_suite("suite.toml"), plugins=[str(PLUGIN)]))
    # The server counts four characters a token too, and the words here are shorter than items are
    # taken to be.
    assert judge["usage"]["input"] == pytest.approx(row.input_tokens, rel=0.25)
    assert row.output_tokens == 180 * min(ANSWER_TOKENS, 50)
    assert row.cost == pytest.approx((row.input_tokens + 4 * row.output_tokens) / 1e6)
    assert f"{row.cost:.4f}" in told.output


def test_a_batch_run_asks_refiners_and_metrics_at_once(place: Path, server: ChatServer) -> None:
    """Only matches are handed over; what is asked on the way has its answers, and keeps them."""
    suite = (place / "suite.toml").read_text()
    suite = suite.replace('judges = ["chat"]', 'judges = ["lexical"]\nrefiner = "chat"')
    suite = suite.replace('"coverage"', '"rating"') + '\n[metric_params.rating]\njudge = "chat"\n'
    (place / "suite.toml").write_text(suite)
    assert run("out", batch=True).errors == ()
    assert run("plain").errors == ()
    assert server.paid.total() > 0
    assert server.batches == {}
    assert board_bytes(place / "out") == board_bytes(place / "plain")
    assert all(n == 2 for n in server.paid.values())  # once a run
