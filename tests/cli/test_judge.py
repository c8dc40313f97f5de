"""``mtmbench judge``: one more league on a board that is there."""

from __future__ import annotations

import json
from pathlib import Path

from support.commands import Call, cells


def test_one_more_judge_plays_its_matches_alone(call: Call, played: list[str]) -> None:
    code, out, err = call("judge", "out", "--judge", "lexical", *played)
    assert code == 0, err
    assert "3 cells played, 9 reused, 0 errors." in out
    titles = [line.split()[1] for line in out.splitlines() if line.startswith("judge ")]
    assert sorted(titles) == ["lexical", "scripted"]
    assert len(cells(out)) == 2 * 3
    judges = json.loads(Path("out/board.json").read_text())["judges"]
    assert [judge["id"] for judge in judges] == ["lexical", "scripted"]


def test_there_must_be_a_run(call: Call, played: list[str]) -> None:
    code, _, err = call("judge", "nothing", "--judge", "lexical", *played)
    assert code == 2
    assert "there is no run in runs/nothing; play it first (mtmbench run nothing)" in err
