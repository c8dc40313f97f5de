"""The Batch API against the local server: submitted, left, collected; nothing paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, Fail, Say
from support.odd_text import ODD_TEXT

from mtmbench.core.cards import EndpointSpec, JudgeCard, PriceSpec
from mtmbench.core.errors import InputError
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
) -> tuple[list[str], str | None]:
    """Comes by once: collects, asks, submits; returns the answers and what is missing."""
    card = JudgeCard(
        client="openai", model="small", endpoint=EndpointSpec(base_url=server.url),
        decoding={"max_tokens": 10}, prices=PriceSpec(input=1e6, output=2e6, batch=0.5),
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
        # Each 1 byte, so no prompt token; 12 or 13 tokens out at half of 2.
        assert ledger.spent() == sum(len(answer) // 4 for answer in answers)


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
