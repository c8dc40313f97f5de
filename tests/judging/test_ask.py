"""Questions and their answers on disk: nothing asked twice, nothing lost, nothing half read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mtmbench.cards import JudgeCard
from mtmbench.errors import InputError, StoreInUseError
from mtmbench.judging.ask import Answer, Asker, JudgeError, gather, run_async
from mtmbench.judging.base import Completion, JudgeClient, Question

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
        with Asker(client, card, path, concurrency=2) as asker:
            return await gather([asker.ask(question(text), f"text {text!r}") for text in texts])

    return run_async(play())


def test_an_answer_is_kept_and_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    client = Echo()
    answers = ask_all(path, client, "abc", "no", "abc")
    assert [(a.text, a.refused) for a in answers] == [("cba", False), ("on", True), ("cba", False)]
    assert sorted(client.heard) == ["abc", "no"]
    again = Echo()
    assert ask_all(path, again, "no", "abc", "de")[:2] == [answers[1], answers[0]]
    assert again.heard == ["de"]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["what"], row["text"]) for row in rows] == [
        ("text 'abc'", "cba"), ("text 'no'", "on"), ("text 'de'", "ed"),
    ]  # fmt: skip


def test_the_key_is_of_the_card_and_the_messages(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
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
        with Asker(Echo(), CARD, tmp_path / "a.jsonl") as asker:
            await gather([asker.ask(question(text), "text") for text in ("abc", "abc", "de")])
            return asker.asked, asker.record()

    expected = {
        "card": {"client": "echo", "version": 1, "params": {}, "decoding": {"temperature": 0}},
        "revisions": ["echo-1"],
        "questions": 2,
        "usage": {"input": 5, "output": 2},
    }
    assert run_async(play()) == (2, expected)
    # Read back from the file it is the same, with nothing asked.
    assert run_async(play()) == (0, expected)


def test_concurrency_is_bounded(tmp_path: Path) -> None:
    client = Echo()
    ask_all(tmp_path / "a.jsonl", client, *(str(n) for n in range(9)))
    assert client.most_at_once == 2


def test_a_failure_is_named_and_what_was_answered_stays(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with pytest.raises(JudgeError, match=r"'echo' failed on the text 'boom': OSError: the line"):
        ask_all(path, Echo(), "abc", "boom", "later", "latest")
    client = Echo()
    ask_all(path, client, "abc", "later")
    assert client.heard == ["later"]


def test_a_line_cut_short_is_removed_and_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    ask_all(path, Echo(), "abc")
    ask_all(path, Echo(), "de")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    client = Echo()
    ask_all(path, client, "abc", "de")
    assert client.heard == ["de"]
    assert path.read_bytes() == whole


def test_damage_and_other_holders_are_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    ask_all(path, Echo(), "abc")
    path.write_text(path.read_text() + '{"key": "k"}\n')
    with pytest.raises(InputError, match=r"answers\.jsonl:2: not an answer"):
        Asker(Echo(), CARD, path)
    other = tmp_path / "held.jsonl"
    with Asker(Echo(), CARD, other), pytest.raises(StoreInUseError, match=r"held\.jsonl"):
        Asker(Echo(), CARD, other)
    with pytest.raises(InputError, match="concurrency must be at least 1, not 0"):
        Asker(Echo(), CARD, path, concurrency=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep answers"):
        Asker(Echo(), CARD, tmp_path / "file" / "answers.jsonl")
