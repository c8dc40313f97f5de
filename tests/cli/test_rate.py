"""``mtmbench rate``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.commands import AS_TYPED, Call, cells


def test_rate_prints_and_writes(call: Call, tmp_path: Path) -> None:
    rows = ["a,b,outcome"] + ["x,y,a"] * 3 + ["x,y,b"]
    (tmp_path / "games.csv").write_text("\n".join(rows) + "\n")
    code, out, _ = call("rate", "games.csv", "--json", "ratings.json")
    assert code == 0
    data = json.loads((tmp_path / "ratings.json").read_text())
    ability = {row["name"]: row["ability"] for row in data["ratings"]}
    # Two players: the difference is the log odds of the win rate.
    assert ability["x"] - ability["y"] == pytest.approx(np.log(3), abs=1e-3)
    assert sum(ability.values()) == pytest.approx(0, abs=1e-6)
    assert "x" in out


def test_rate_names_the_bad_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "games.csv").write_text("a,b,outcome\nx,y,a\nx,y,win\n")
    code, _, err = call("rate", "games.csv")
    assert code == 2
    assert "games.csv" in err
    assert "win" in err
    assert "3" in err


def test_rate_shows_names_as_typed(call: Call, tmp_path: Path) -> None:
    rounds = zip(AS_TYPED, (*AS_TYPED[1:], AS_TYPED[0]), strict=True)
    games = "".join(f"{a},{b},{outcome}\n" for a, b in rounds for outcome in ("a", "b", "tie"))
    (tmp_path / "games.csv").write_text("a,b,outcome\n" + games)
    code, out, err = call("rate", "games.csv", "--ties", "davidson")
    assert code == 0, err
    # Who wins as often as the neighbours in a circle is worth the same.
    assert sorted(row[1:4] for row in cells(out)) == sorted(
        [name, "0.0000", "1500.0"] for name in AS_TYPED
    )
    assert "Davidson's model of ties, ν = " in out
