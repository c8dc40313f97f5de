"""``mtmbench board``: a board rebuilt from its records."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from support.commands import Call

from mtmbench.engine import site_parts


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


@pytest.mark.usefixtures("played")
def test_what_fails_in_the_parts_does_not_lose_the_board(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_parts, "write_site_parts", Mock(side_effect=RuntimeError("odd")))
    (Path("out") / "board.md").unlink()
    code, out, err = call("board", "out")
    assert code == 0, err
    assert out.startswith("the run's own parts of the page stay as they are: odd\n")
    assert (Path("out") / "board.md").is_file()


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("size", ["inf", "nan", "-1"])
def test_room_for_parts_is_a_number_of_megabytes(call: Call, size: str) -> None:
    code, _, err = call("board", "out", "--parts-mb", size)
    assert code == 2
    assert err.splitlines()[-1].startswith("Error: Invalid value for '--parts-mb': Input should be")
