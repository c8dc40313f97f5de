"""Sentences beside a board's tables: which version ruled, by what it failed, who reads words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mtmbench.boards.about_judges import judge_notes, judge_warnings
from mtmbench.boards.notes import representation_notes
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.judges import ControlRow, JudgeRow
from mtmbench.boards.tables import build_board
from mtmbench.boards.view import BoardView
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record

Make = Callable[..., tuple[Suite, list[Record]]]


def shown_by(records: list[Record], representation: str, judge: str = "embedding") -> list[Record]:
    """The matches of a judge again, in another representation."""
    return [
        replace(
            record,
            key=f"{record.key} {representation}",
            payload={**record.payload, "representation": representation},
        )
        for record in records
        if record.kind == "match" and record.payload["judge"] == judge
    ]


@pytest.fixture
def board(make_records: Make) -> BoardTables:
    suite, records = make_records(corpora={"lee": 30}, models=("lda", "etm"))
    return build_board(suite, records + shown_by(records, "projected"))


def test_the_version_is_named_where_there_is_more_than_one(board: BoardTables) -> None:
    judge: JudgeRow = next(row for row in board["judges"] if row["id"] == "embedding")
    first: JudgeRow = {**judge, "version": 1}
    assert not any("version" in note for note in judge_notes(first))
    old: JudgeRow = {**first, "params": {"version": 1}}
    assert "It ruled as version 1 of embedding." in judge_notes(old)
    assert "It ruled as version 2 of embedding." in judge_notes({**judge, "version": 2})
    assert judge_notes({**judge, "version": None}) == judge_notes(first)


def test_options_without_words_are_told(board: BoardTables) -> None:
    judge: JudgeRow = {**board["judges"][0], "wordless": 3, "worded": 1200}
    (told,) = set(judge_notes(judge)) - set(judge_notes(board["judges"][0]))
    assert told.startswith("Of 1,200 options by projected words 3 had none")


def test_the_warning_names_where_a_judge_failed(board: BoardTables) -> None:
    judge: JudgeRow = {**board["judges"][0], "reliable": False}
    control: Any = {"control": "other_topic", "model": None, "representation": "projected"}
    rows: list[ControlRow] = [
        {**control, "passed": True},
        {**control, "passed": False, "representation": "summary"},
        {**control, "passed": None, "model": "lda", "representation": "items"},
    ]
    (several,) = judge_warnings(judge, (), rows)
    assert several.startswith("Unreliable where topics are shown by summaries: this judge does not")
    (alone,) = judge_warnings(judge, (), rows[1:])
    assert alone.startswith("Unreliable: this judge does not prefer")


def test_who_reads_words_is_asked_of_the_judge(make_records: Make, board: BoardTables) -> None:
    (projected, alone) = representation_notes(board)
    assert "are not cross-fitted" in projected
    assert alone.startswith("lexical: reads projected words however topics are shown")
    # Whose matches by other representations are missing for another reason reads no words.
    suite, records = make_records(
        corpora={"lee": 30}, models=("lda", "etm"), judges=("embedding", "chat")
    )
    other = build_board(suite, records + shown_by(records, "projected"))
    assert len(representation_notes(other)) == 1


@pytest.mark.parametrize("fault", ["fewer documents", "another half"])
def test_leagues_on_other_documents_are_not_held_beside_each_other(
    make_records: Make, fault: str
) -> None:
    suite, records = make_records(corpora={"lee": 30}, models=("lda", "etm", "bertopic"))
    board = build_board(
        suite, records + shown_by(records, "projected") + shown_by(records, "summary")
    )
    assert {bool(league.wording) for league in leagues(board, "top items", "summaries")} == {True}
    if fault == "another half":
        board["shown"] = [{"task": "summary", "extraction": {}}]
    else:
        for table in board["win_rates"]:
            table["n_documents"] -= table["representation"] == "summary"
    assert [bool(each.wording) for each in leagues(board, "top items", "summaries")] == [
        True, False,
    ]  # fmt: skip


def leagues(board: BoardTables, *shown: str) -> list[Any]:
    judge = next(each for each in BoardView(board).judges() if each.judge["id"] == "embedding")
    return [
        each for each in judge.leagues if each.title.endswith(tuple(f"{s} shown" for s in shown))
    ]
