"""Answers from a file: what a line is found by, and what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, Option, Question, ShownTopic
from mtmbench.judges.clients.replay import ReplayJudge, messages_hash, question_fields
from mtmbench.judges.registry import load_judge_card

MESSAGES = ({"role": "user", "content": "which?"},)


def _question(doc_id: str = "7", first: str = "tax") -> Question:
    options = tuple(
        Option(n, (ShownTopic(1.0, (word,)),)) for n, word in (("a", first), ("b", "x"))
    )
    return Question("match", {"corpus": "c", "doc_id": doc_id, "text": "t"}, options, MESSAGES)


def _judge(path: Path, *lines: dict[str, Any], **params: Any) -> ReplayJudge:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return ReplayJudge(str(path), **params)


def _ask(judge: ReplayJudge, question: Question, replicate: int = 0) -> Completion:
    return asyncio.run(judge.answer(question, {}, replicate))


def test_any_fields_of_a_question_find_its_line(tmp_path: Path) -> None:
    judge = _judge(
        tmp_path / "a.jsonl",
        {"fields": {"kind": "match", "doc_id": "7"}, "text": "VERDICT: A", "usage": {"input": 9}},
        {"fields": {"doc_id": "8", "options": [["tax"], ["x"]]}, "text": "VERDICT: B"},
        {"fields": {"doc_id": "8", "options": [["x"], ["tax"]]}, "text": "VERDICT: tie"},
    )
    assert _ask(judge, _question()) == Completion("VERDICT: A", {"input": 9})
    assert _ask(judge, _question("8")).text == "VERDICT: B"
    with pytest.raises(InputError, match=r'has no answer to the question .*"doc_id":"9"'):
        _ask(judge, _question("9"))
    with pytest.raises(InputError, match="no answer"):
        _ask(judge, _question("8", first="other"))


def test_messages_and_replicates_find_a_line(tmp_path: Path) -> None:
    known = messages_hash(_question())
    judge = _judge(
        tmp_path / "a.jsonl",
        {"messages": known, "replicate": 0, "text": "first", "model_revision": "m-1"},
        {"messages": known, "replicate": 1, "text": "second", "refused": True},
    )
    assert _ask(judge, _question()) == Completion("first", model_revision="m-1")
    assert _ask(judge, _question(), 1) == Completion("second", refused=True)
    with pytest.raises(InputError, match="no answer"):
        _ask(judge, _question(), 2)


def test_one_file_of_several_judges(tmp_path: Path) -> None:
    lines = [
        {"fields": {"judge": name, "doc_id": "7"}, "text": f"VERDICT: {verdict}"}
        for name, verdict in (("m", "A"), ("n", "B"))
    ]
    assert _ask(_judge(tmp_path / "a", *lines, where={"judge": "n"}), _question()).text[-1] == "B"
    # Without saying whose, the lines are about something that the question has not.
    with pytest.raises(InputError, match="no answer"):
        _ask(_judge(tmp_path / "a", *lines), _question())


def test_two_answers_are_an_error_and_a_repeated_one_is_not(tmp_path: Path) -> None:
    line = {"fields": {"doc_id": "7"}, "text": "VERDICT: A"}
    assert _ask(_judge(tmp_path / "a", line, line), _question()).text == "VERDICT: A"
    with pytest.raises(InputError, match="line 2 answers a question that an earlier line answers"):
        _ask(_judge(tmp_path / "a", line, {**line, "text": "VERDICT: B"}), _question())
    other = {"fields": {"corpus": "c"}, "text": "VERDICT: B"}
    with pytest.raises(InputError, match="has 2 answers to the question"):
        _ask(_judge(tmp_path / "a", line, other), _question())


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ({"fields": {"doc_id": "7"}}, "line 1 has no text"),
        ({"text": "VERDICT: A"}, "line 1 says of no question"),
        ({"replicate": 0, "text": "VERDICT: A"}, "line 1 says of no question"),
        ({"field": {}, "text": "VERDICT: A"}, "line 1 has the key 'field'"),
    ],
)
def test_lines_that_are_none_are_named(line: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=wrong):
        _ask(_judge(tmp_path / "a.jsonl", line), _question())


def test_the_file_is_read_at_the_first_question(tmp_path: Path) -> None:
    judge = ReplayJudge(**load_judge_card("replay").params)
    assert judge.is_llm
    missing = ReplayJudge(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match=r"cannot read .*none\.jsonl"):
        _ask(missing, _question())


def test_the_fields_of_a_match() -> None:
    assert question_fields(_question()) == {
        "kind": "match", "corpus": "c", "doc_id": "7", "text": "t", "options": [["tax"], ["x"]],
    }  # fmt: skip


def test_odd_characters_are_read_back(tmp_path: Path) -> None:
    lines = [
        {"fields": {"doc_id": ODD_TEXT}, "text": ODD_TEXT},
        {"fields": {"doc_id": "8"}, "text": "b"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines), encoding="utf-8"
    )
    assert _ask(ReplayJudge(str(path)), _question(ODD_TEXT)).text == ODD_TEXT
    assert _ask(ReplayJudge(str(path)), _question("8")).text == "b"
