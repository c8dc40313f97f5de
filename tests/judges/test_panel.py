"""Judges asked together: a ledger that is opened when it is needed, one budget, clients closed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.cards import JudgeCard, PriceSpec
from mtmbench.core.errors import UnknownNameError
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import Completion, JudgeClient, JudgeStoppedError, Question
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import register_judge

CARD = JudgeCard(
    client="echo of the panel", decoding={"max_tokens": 10}, prices=PriceSpec(input=0.0, output=1e5)
)


@register_judge("echo of the panel")
class Echo(JudgeClient):
    """Repeats the question; says whether it was closed, and may fail at that."""

    name, is_llm = "echo of the panel", True

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[str] = []
        self.closed = False
        self.fails = fails

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        text = question.messages[-1]["content"]
        self.asked.append(text)
        return Completion(text, {"input": 1, "output": 5}, "echo-1")

    async def close(self) -> None:
        self.closed = True
        if self.fails:
            raise OSError("the line is dead")


async def ask(asker: Asker, text: str = "yes") -> str:
    question = Question("label", {}, (), ({"role": "user", "content": text},))
    return (await asker.ask(question, f"text {text!r}")).text


def test_a_name_has_one_seat() -> None:
    client = Echo()
    with Panel() as panel:
        assert panel.seat("echo", CARD, client) is panel.seat("echo")
        assert panel.run(ask(panel.seat("echo"))) == "yes"
    assert client.closed


def test_no_file_is_left_of_a_judge_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with pytest.raises(UnknownNameError, match="nonesuch"), Panel(path, budget=1.0) as panel:
        panel.seat("nonesuch")
    assert list(tmp_path.iterdir()) == []


def test_all_clients_are_closed_even_if_one_cannot_be() -> None:
    first, second, third = Echo(), Echo(fails=True), Echo()
    panel = Panel()
    for name, client in (("a", first), ("b", second), ("c", third)):
        panel.seat(name, CARD, client)
    with pytest.raises(OSError, match="the line is dead"):
        panel.__exit__(None, None, None)
    assert (first.closed, second.closed, third.closed) == (True, True, True)


def test_a_budget_counts_what_earlier_panels_paid(tmp_path: Path) -> None:
    """An answer costs 5 tokens at 0.1, and at most 10."""
    path = tmp_path / "answers.sqlite"
    with Panel(path, budget=1.6) as panel:
        assert panel.run(ask(panel.seat("echo", CARD, Echo()), "one")) == "one"
    client = Echo()
    with Panel(path, budget=1.6) as panel:
        asker = panel.seat("echo", CARD, client)
        assert panel.run(ask(asker, "one")) == "one"
        assert panel.run(ask(asker, "two")) == "two"
        with pytest.raises(JudgeStoppedError, match=r"1\.0000 is spent"):
            panel.run(ask(asker, "three"))
    assert client.asked == ["two"]


def test_a_panel_of_batches_answers_no_question_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need a ledger"):
        Panel(batch=True)
    with Panel(tmp_path / "answers.sqlite", batch=True) as panel:
        with pytest.raises(ValueError, match="answers no question at once"):
            panel.consult("lexical", ask)
        assert panel.run(_nothing()) is None


def test_a_panel_that_has_ended_says_so() -> None:
    with Panel() as panel:
        asker = panel.seat("echo", CARD, Echo())
    with pytest.raises(RuntimeError, match="closed"):
        list(panel.completed([lambda: ask(asker)], 1))


async def _nothing() -> None:
    return None
