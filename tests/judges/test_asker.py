"""Questions and their answers on disk: nothing asked twice, nothing lost, nothing left over."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.cards import JudgeCard, PriceSpec
from mtmbench.core.errors import InputError
from mtmbench.judges.asker import Asker, gather, most_lost
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, JudgeStoppedError, Question
from mtmbench.judges.budget import Budget
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.ledger_file import Answer
from mtmbench.judges.panel import Panel

CARD = JudgeCard(client="echo", decoding={"temperature": 0})


class Echo(JudgeClient):
    """Says the user message backwards; fails on "boom"."""

    name = "echo"

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.at_once = self.most_at_once = 0

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        text = question.messages[-1]["content"]
        self.heard.append(text)
        assert params == CARD.decoding
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if text == "boom":
            raise OSError("the line is dead")
        return Completion(text[::-1], {"input": len(text), "output": 1}, "echo-1", text == "no")


def question(text: str) -> Question:
    return Question("label", {}, (), ({"role": "user", "content": text},))


def ask_all(path: Path, client: Echo, *texts: str, card: JudgeCard = CARD) -> list[Answer]:
    async def play() -> list[Answer]:
        with Ledger(path) as ledger:
            asker = Asker(client, card, ledger, concurrency=2)
            return await gather([asker.ask(question(text), f"text {text!r}") for text in texts])

    return asyncio.run(play())


def test_an_answer_is_kept_and_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.sqlite"
    client = Echo()
    answers = ask_all(path, client, "abc", "no", "abc")
    assert [(a.text, a.refused) for a in answers] == [("cba", False), ("on", True), ("cba", False)]
    assert sorted(client.heard) == ["abc", "no"]
    again = Echo()
    assert ask_all(path, again, "no", "abc", "de")[:2] == [answers[1], answers[0]]
    assert again.heard == ["de"]
    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("SELECT what, text FROM answers").fetchall()
        assert ledger.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    assert sorted(rows) == [("text 'abc'", "cba"), ("text 'de'", "ed"), ("text 'no'", "on")]


def test_the_key_is_of_the_card_and_the_messages(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    ask_all(path, Echo(), "abc")
    described = CARD.model_copy(update={"description": "other words", "prompt": "match"})
    client = Echo()
    ask_all(path, client, "abc", card=described)
    assert client.heard == []
    other = CARD.model_copy(update={"params": {"model": "another"}})
    ask_all(path, client, "abc", card=other)
    assert client.heard == ["abc"]


def test_the_record_counts_each_question_once(tmp_path: Path) -> None:
    async def play() -> tuple[int, dict[str, Any]]:
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(Echo(), CARD, ledger)
            await gather([asker.ask(question(text), "text") for text in ("abc", "abc", "de")])
            return asker.asked, asker.record()

    expected = {
        "card": {"client": "echo", "version": 1, "params": {}, "decoding": {"temperature": 0}},
        "revisions": ["echo-1"],
        "questions": 2,
        "usage": {"input": 5, "output": 2},
    }
    assert asyncio.run(play()) == (2, expected)
    # Read back from the file it is the same, with nothing asked.
    assert asyncio.run(play()) == (0, expected)


def test_concurrency_is_bounded(tmp_path: Path) -> None:
    client = Echo()
    ask_all(tmp_path / "a.sqlite", client, *(str(n) for n in range(9)))
    assert client.most_at_once == 2


def test_while_answers_are_written_others_are_asked_but_not_many_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Echo()

    async def play() -> None:
        disk = asyncio.Event()
        keep = Ledger.keep

        async def keep_late(ledger: Ledger, answers: Any) -> None:
            await disk.wait()
            await keep(ledger, answers)

        monkeypatch.setattr(Ledger, "keep", keep_late)
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(client, CARD, ledger, concurrency=8)
            jobs = [asyncio.ensure_future(asker.ask(question(str(n)), "n")) for n in range(40)]
            while len(client.heard) < 10 or client.at_once:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            # Nothing is on disk, so nothing is used, and no more is paid for than may be lost.
            assert len(client.heard) == most_lost(8) == 10
            assert not any(job.done() for job in jobs)
            disk.set()
            await asyncio.gather(*jobs)

    asyncio.run(play())
    assert len(client.heard) == 40
    assert client.most_at_once == 8


def test_replicates_are_other_answers(tmp_path: Path) -> None:
    async def play() -> int:
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(Echo(), CARD, ledger)
            jobs = [asker.ask(question("abc"), "text", n) for n in (0, 1, 1, 2)]
            assert len({answer.key for answer in await gather(jobs)}) == 3
            return asker.asked

    assert asyncio.run(play()) == 3
    assert asyncio.run(play()) == 0


def test_a_failure_is_named_and_what_was_answered_stays(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    client = Echo()
    with pytest.raises(JudgeError, match=r"'echo' failed on the text 'boom': OSError: the line"):
        ask_all(path, client, "abc", "boom", *(f"later {n}" for n in range(8)))
    # What was under way is paid for, and waited for; what was not begun is not.
    heard = set(client.heard) - {"boom"}
    later = {f"later {n}" for n in range(8)}
    assert "abc" in heard
    assert heard - {"abc"} < later
    client = Echo()
    ask_all(path, client, "abc", *later)
    assert set(client.heard) == later - heard


class Slow(Echo):
    """Takes its time, and fails at once on "boom"."""

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        if question.messages[-1]["content"] != "boom":
            self.heard.append(question.messages[-1]["content"])
            await asyncio.sleep(0.1)
            return Completion("slow")
        return await super().answer(question, params, replicate)


def test_answers_under_way_are_kept_when_another_question_fails(tmp_path: Path) -> None:
    client = Slow()
    with pytest.raises(JudgeError):
        ask_all(tmp_path / "a.sqlite", client, "slow one", "boom")
    assert client.heard == ["slow one", "boom"]
    assert ask_all(tmp_path / "a.sqlite", Echo(), "slow one")[0].text == "slow"


class Barred(Echo):
    """Says at the third question that there is no point in asking more."""

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        if len(self.heard) == 2:
            raise JudgeStoppedError("401: who are you?")
        return await super().answer(question, params, replicate)


def test_a_judge_that_is_stopped_is_asked_nothing_more(tmp_path: Path) -> None:
    client = Barred()

    async def play() -> list[Any]:
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(client, CARD, ledger, concurrency=1)
            jobs = [asker.ask(question(text), text) for text in ("a", "b", "c", "d", "a")]
            return await asyncio.gather(*jobs, return_exceptions=True)

    a, b, c, d, again = asyncio.run(play())
    assert (a.text, b.text, again) == ("a", "b", a)
    assert [type(c), type(d)] == [JudgeStoppedError, JudgeStoppedError]
    assert str(c) == str(d) == "judge 'echo' stopped: 401: who are you?"
    assert client.heard == ["a", "b"]


def test_a_budget_holds_whatever_is_under_way(tmp_path: Path) -> None:
    # "abc" is 3 tokens in, 1 out; at most 3 + 64 in, 10 out: 87 at most and 5 in truth.
    card = JudgeCard(
        client="echo", decoding={"temperature": 0, "max_tokens": 10},
        prices=PriceSpec(input=1e6, output=2e6),
    )  # fmt: skip

    class Priced(Echo):
        async def answer(
            self, question: Question, params: Mapping[str, Any], replicate: int
        ) -> Completion:
            return await super().answer(question, CARD.decoding, replicate)

    client = Priced()
    budget = Budget(200.0)

    async def play() -> list[Any]:
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(client, card, ledger, budget=budget)
            jobs = [asker.ask(question(f"{n:03}"), "text") for n in range(40)]
            return await asyncio.gather(*jobs, return_exceptions=True)

    told = asyncio.run(play())
    answers = [answer for answer in told if isinstance(answer, Answer)]
    # The next may cost 87: with 23 answers 115 is spent, with 22 it was 110.
    assert len(answers) == len(client.heard) == 23
    assert budget.spent == 115.0
    assert client.most_at_once == 2
    assert {str(error) for error in told if not isinstance(error, Answer)} == {
        "judge 'echo' stopped: the budget of 200.00 is used up: 115.0000 is spent, and the next "
        "answer may cost 87.0000"
    }
    with Ledger(tmp_path / "a.sqlite") as ledger:
        assert ledger.spent() == 115.0


def test_no_ledger_keeps_nothing() -> None:
    client = Echo()

    async def play() -> list[Answer]:
        asker = Asker(client, CARD, None)
        return await gather([asker.ask(question("abc"), "text") for _ in range(2)])

    assert [answer.text for answer in asyncio.run(play())] == ["cba", "cba"]
    assert client.heard == ["abc", "abc"]


def test_wrong_files_and_settings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_text("no database, but long enough to be looked at as one, and found wanting" * 20)
    with pytest.raises(InputError, match=r"answers\.sqlite is not a file of answers"):
        Panel(path).seat("lexical")
    with pytest.raises(InputError, match="concurrency must be at least 1, not 0"):
        Asker(Echo(), CARD, None, concurrency=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep answers"):
        Panel(tmp_path / "file" / "answers.sqlite").seat("lexical")


class Curt(Echo):
    """Breaks off on "long", says nothing on "none"."""

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        text = question.messages[-1]["content"]
        said = await super().answer(question, params, replicate)
        return replace(said, text="" if text == "none" else said.text, cut=text == "long")


def test_a_record_counts_replies_that_broke_off_or_were_empty(tmp_path: Path) -> None:
    async def play() -> dict[str, Any]:
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(Curt(), CARD, ledger)
            await gather([asker.ask(question(t), "text") for t in ("abc", "long", "none", "no")])
            return dict(asker.record())

    for record in (asyncio.run(play()), asyncio.run(play())):
        assert (record["questions"], record["cut"], record["empty"]) == (4, 1, 1)
