"""``mtmbench board``: a board rebuilt from its records."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Call


@pytest.mark.usefixtures("played")
def test_a_board_is_rebuilt_byte_for_byte(call: Call) -> None:
    names = ("board.json", "board.csv", "board.md", "index.html")
    before = {}
    for name in names:
        path = Path("out") / name
        before[name] = path.read_bytes()
        path.unlink()
    code, out, err = call("board", "out")
    assert code == 0, err
    assert out.splitlines()[:4] == [f"out/{name}" for name in names]
    assert all(line.startswith("out/site/") for line in out.splitlines()[4:])
    assert {name: (Path("out") / name).read_bytes() for name in names} == before
