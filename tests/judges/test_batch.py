"""The Batch API against the local server: submitted, left, collected; nothing paid for twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, Fail, Garble, Say, completion
from support.odd_text import ODD_TEXT

from mtmbench.core.cards import EndpointSpec, JudgeCard, PriceSpec
from mtmbench.core.errors import InputError
from mtmbench.judges import ledger as ledger_module
from mtmbench.judges.base import JudgeStoppedError, Question
from mtmbench.judges.batch import BatchAsker, BatchedError
from mtmbench.judges.budget import Budget
from mtmbench.judges.clients.openai_chat import OpenAIJudge
from mtmbench.judges.clients.scripted import ScriptedJudge
from mtmbench.judges.ledger import Ledger


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer() as server:
        yield server


def question(text: str) -> Question:
    return Question("match", {}, (), ({"role": "user", "content": text},))


def visit(
    server: ChatServer,
    folder: Path,
    texts: str,
    *,
    budget: float | None = None,
    submit: bool = True,
    revision: str | None = None,
) -> tuple[list[str], str | None]:
    """Comes by once: collects, asks, submits; returns the answers and what is missing."""
    card = JudgeCard(
        client="openai", model="small", endpoint=EndpointSpec(base_url=server.url),
        decoding={"max_tokens": 10}, prices=PriceSpec(input=1e6, output=2e6, batch=0.5),
        revision=revision,
    )  # fmt: skip

    async def play() -> tuple[list[str], str | None]:
        client = OpenAIJudge.from_card(card)
        limit = None if budget is None else Budget(budget)
        missing = None
        with Ledger(folder / "l.sqlite") as ledger:
            asker = BatchAsker(client, card, ledger, budget=limit)
            try:
                await asker.collect()
                answers = [(await asker.ask(question(text), text)).text for text in texts]
                try:
                    asker.check_complete()
                except BatchedError as error:
                    missing = str(error)
                if submit:
                    await asker.submit()
            finally:
                await client.close()
        return answers, missing

    return asyncio.run(play())


def test_submitted_left_and_collected(server: ChatServer, tmp_path: Path) -> None:
    server.batches_finish = False
    answers, missing = visit(server, tmp_path, "abcab")
    assert answers == [""] * 5
    assert missing == (
        "5 answers are not here yet: they go into a batch; the same command again goes on"
    )
    (batch,) = server.batches.values()
    assert server.files[batch["input_file_id"]].count(b"\n") == 3
    # It is not done: nothing is submitted anew, not even another question.
    assert "batch batch-0 is under way" in str(visit(server, tmp_path, "abcd")[1])
    assert len(server.batches) == 1
    server.batches_finish = True
    answers, missing = visit(server, tmp_path, "abc")
    assert missing is None
    assert all("VERDICT: " in answer for answer in answers)
    assert set(server.paid.values()) == {1}
    assert server.completions == []
    with Ledger(tmp_path / "l.sqlite") as ledger:
        # One prompt token each at half of 1; 12 or 13 tokens out at half of 2.
        assert ledger.spent() == sum(0.5 + len(answer) // 4 for answer in answers)


def test_killed_while_it_is_submitted_the_batch_is_found_again(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Ledger.note_batch

    async def killed(self: Ledger, batch: object) -> None:
        if getattr(batch, "state", None) == "submitted":
            raise KeyboardInterrupt
        await note(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "note_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        visit(server, tmp_path, "ab")
    monkeypatch.setattr(Ledger, "note_batch", note)
    assert visit(server, tmp_path, "ab")[1] is None
    assert len(server.batches) == 1
    assert server.paid.total() == 2


def test_killed_before_it_was_submitted_it_is_submitted_then(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        from openai.resources.files import AsyncFiles

        patched.setattr(AsyncFiles, "create", killed)
        with pytest.raises(KeyboardInterrupt):
            visit(server, tmp_path, "ab")
    assert server.batches == {}
    assert "they go into a batch" in str(visit(server, tmp_path, "ab")[1])
    assert visit(server, tmp_path, "ab")[1] is None
    assert server.paid.total() == 2


def test_what_a_batch_failed_at_is_asked_again(server: ChatServer, tmp_path: Path) -> None:
    visit(server, tmp_path, "abc")
    server.then(Say("VERDICT: A"), Fail(500), Say("VERDICT: B"))
    answers, missing = visit(server, tmp_path, "abc")
    assert answers == ["VERDICT: A", "", "VERDICT: B"]
    assert "1 answers are not here yet: they go into a batch" in str(missing)
    answers, missing = visit(server, tmp_path, "abc")
    assert missing is None
    assert set(server.paid.values()) == {1}


def test_a_batch_that_brought_nothing_is_not_repeated_unasked(
    server: ChatServer, tmp_path: Path
) -> None:
    visit(server, tmp_path, "ab")
    server.then(Fail(500), Fail(500))
    with pytest.raises(JudgeStoppedError, match="batch batch-0 brought no answer: it is completed"):
        visit(server, tmp_path, "ab")
    visit(server, tmp_path, "ab")
    assert visit(server, tmp_path, "ab")[1] is None


def test_a_budget_bounds_what_is_submitted(server: ChatServer, tmp_path: Path) -> None:
    # At most 65 in and 10 out at half price: 42.5 a question.
    _, missing = visit(server, tmp_path, "abcdef", budget=100.0)
    assert "the budget of 100.00 is used up" in str(missing)
    (batch,) = server.batches.values()
    assert server.files[batch["input_file_id"]].count(b"\n") == 2


def test_other_clients_have_no_batches(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger, pytest.raises(InputError, match="no Batch API"):
        BatchAsker(ScriptedJudge(), JudgeCard(client="scripted"), ledger)


def test_odd_characters_of_a_reply_are_collected(server: ChatServer, tmp_path: Path) -> None:
    visit(server, tmp_path, "ab")
    server.then(Say(ODD_TEXT), Say("VERDICT: B"))
    assert visit(server, tmp_path, "ab") == ([ODD_TEXT, "VERDICT: B"], None)


def row(text: str = "VERDICT: A", **changes: object) -> bytes:
    """A row as an endpoint writes it, of a question that is put in by the server."""
    body = completion({"model": "small", "messages": []}, Say(text))
    whole = {"custom_id": "KEY", "response": {"status_code": 200, "body": {**body, **changes}}}
    return json.dumps(whole, ensure_ascii=False).encode()


KEPT = {
    "line separator": row("one\u2028VERDICT: A"),
    "next line": row("one\x85VERDICT: A"),
    "carriage return": row() + b"\r",
    "byte order mark": b"\xef\xbb\xbf" + row(),
    "byte order mark of another row": b"\n\n" + row(),
    "infinite count": row(usage={"prompt_tokens": float("inf"), "completion_tokens": 3}),
    "count of 1e400": row(usage={"prompt_tokens": 1, "completion_tokens": 7}).replace(
        b'"completion_tokens": 7', b'"completion_tokens": 1e400'
    ),
    "count of words": row(usage={"prompt_tokens": "n/a", "completion_tokens": None}),
    "fingerprint of half a character": row().replace(b'"fp_local"', rb'"\ud800"'),
    "usage of a list": row(usage=[1]),
}
LOST = {
    "blank": b"",
    "spaces": b"   ",
    "cut": row()[:-20],
    "no body": b'{"custom_id": "KEY", "response": {"status_code": 200}}',
    "a body that is null": b'{"custom_id": "KEY", "response": {"status_code": 200, "body": null}}',
    "no response": b'{"custom_id": "KEY", "response": null, "error": {"code": "x"}}',
    "a response of words": b'{"custom_id": "KEY", "response": "200"}',
    "no choices": row(choices=[]),
    "no name": b'{"response": {"status_code": 200, "body": {}}}',
    "a name that is a list": row().replace(b'"KEY"', b'["KEY"]'),
    "another's name": row().replace(b"KEY", b"other"),
    "a list": b"[1, 2]",
    "no UTF-8": row("VERDICT: A").replace(b"VERDICT", b"\xff\xfe"),
    "deep": b"[" * 20_000,
    "two lines": row("VERDICT: A").replace(b"VERDICT", b"VER\nDICT"),
}


def test_a_damaged_row_costs_that_row(server: ChatServer, tmp_path: Path) -> None:
    rows = {**KEPT, **LOST}
    questions = "".join(chr(ord("a") + n) for n in range(len(rows)))
    visit(server, tmp_path, questions)
    server.then(*[Garble(body) for body in rows.values()])
    answers, missing = visit(server, tmp_path, questions)
    came = dict(zip(rows, answers, strict=True))
    assert all(came[name].endswith("VERDICT: A") for name in KEPT), came
    assert {name for name in LOST if came[name]} == set()
    assert str(missing).startswith(f"{len(LOST)} answers are not here yet: they go into a batch")
    # Those alone are asked again, and then all is here.
    answers, missing = visit(server, tmp_path, questions)
    assert missing is None
    assert all("VERDICT: " in answer for answer in answers)
    assert server.paid.total() == len(LOST)


def test_of_unknown_usage_the_most_counts(server: ChatServer, tmp_path: Path) -> None:
    visit(server, tmp_path, "a")
    server.then(Garble(KEPT["count of words"]))
    assert visit(server, tmp_path, "a")[1] is None
    with Ledger(tmp_path / "l.sqlite") as ledger:
        # 65 in, 10 out at half price: see test_a_budget_bounds_what_is_submitted.
        assert ledger.spent() == 42.5


def test_what_a_batch_lost_is_charged_as_far_as_can_be_told(
    server: ChatServer, tmp_path: Path
) -> None:
    visit(server, tmp_path, "abcdef")
    refused = b'{"custom_id": "KEY", "response": null, "error": {"code": "x"}}'
    failed = b'{"custom_id": "KEY", "response": {"status_code": 500, "body": {}}}'
    damaged = row(choices=[]), row()[:-20]
    server.then(Say("VERDICT: A", usage=False), *map(Garble, (refused, failed, b"", *damaged)))
    visit(server, tmp_path, "abcdef", submit=False)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        # The one that came without usage, the one without a completion and the one that was cut.
        assert ledger.spent() == 3 * 42.5


def test_a_row_of_another_revision_takes_no_other_along(server: ChatServer, tmp_path: Path) -> None:
    visit(server, tmp_path, "abc", revision="small")
    server.then(Say("VERDICT: A"), Say("VERDICT: B", model="large"), Say("VERDICT: tie"))
    with pytest.raises(JudgeStoppedError, match="answered from 'large, fp_local', not from 'sm"):
        visit(server, tmp_path, "abc", revision="small")
    answers, missing = visit(server, tmp_path, "abc", revision="small")
    assert answers == ["VERDICT: A", "", "VERDICT: tie"]
    assert str(missing).startswith("1 answers are not here yet")


def test_a_batch_that_the_disk_does_not_take_is_collected_again(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    visit(server, tmp_path, "abc")
    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "keep_answer", full)
        with pytest.raises(JudgeStoppedError, match="disk is full"):
            visit(server, tmp_path, "abc")
    answers, missing = visit(server, tmp_path, "abc")
    assert missing is None
    assert all("VERDICT: " in answer for answer in answers)
    assert server.paid.total() == 3
    assert len(server.batches) == 1
