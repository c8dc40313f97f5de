"""The files that are shown, committed and made here, hold what the types of their rows say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.metrics import MetricRow
from mtmbench.boards.steering_rows import SteeringTable
from mtmbench.boards.tables import build_board
from mtmbench.core.misfits import misfits
from mtmbench.core.records import Record
from mtmbench.core.serialise import plain
from mtmbench.studies.k_rows import KStudyTables
from mtmbench.studies.rows import SettingStudy, SteeringStudyTables
from mtmbench.validation.rows import JudgesBoard

BOARDS = Path(__file__).parents[2] / "leaderboards"
SHOWN: dict[str, Any] = {
    "paper-embedded/board.json": BoardTables,
    "quick/board.json": BoardTables,
    "rivals/board.json": BoardTables,
    "steering/board.json": BoardTables,
    "tinylm/board.json": BoardTables,
    "tuned/board.json": BoardTables,
    "untuned/board.json": BoardTables,
    "paper-embedded/steering.json": SteeringTable,
    "steering/steering.json": SteeringTable,
    "studies/k/study.json": KStudyTables,
    "studies/layer/study.json": SettingStudy,
    "studies/threshold/study.json": SettingStudy,
    "studies/steering/study.json": SteeringStudyTables,
    "judges/board.json": JudgesBoard,
}


@pytest.mark.parametrize("file", SHOWN)
def test_committed_files_are_what_their_types_say(file: str) -> None:
    content = json.loads((BOARDS / file).read_text(encoding="utf-8"))
    assert set(misfits(content, SHOWN[file])) == set()


def test_every_file_that_is_shown_is_of_a_type() -> None:
    names = {"board.json", "steering.json", "study.json"}
    found = {path.relative_to(BOARDS).as_posix() for path in BOARDS.rglob("*.json")
             if path.name in names}  # fmt: skip
    assert found == set(SHOWN)


def test_boards_of_failures_and_unparsed_replies_are_too(
    make_records: Callable[..., tuple[Any, list[Record]]],
) -> None:
    suite, records = make_records(
        judges=("embedding", "chat"), unparsed=0.1, failing=[("wiki", "etm")]
    )
    board = plain(build_board(suite, records))
    assert board["errors"]
    assert set(misfits(board, BoardTables)) == set()


def test_a_row_of_another_shape_is_told() -> None:
    board = json.loads((BOARDS / "quick/board.json").read_text(encoding="utf-8"))
    row = board["metrics"][0]
    assert list(misfits({**row, "value": "0.5"}, MetricRow, "row")) == [
        "row.value is no number but '0.5'"
    ]
    assert list(misfits({**row, "mean": 0.5}, MetricRow, "row")) == [
        "row has mean, which no type names"
    ]
