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


def test_rate_names_what_it_does_not_read_on_one_line(call: Call, tmp_path: Path) -> None:
    rows = "a,b,outcome,turn,[red]x\nx,y,a,1,1\ny,x,a,1,1\nx,y,a,1,1\n"
    (tmp_path / "games.csv").write_text(rows)
    code, out, _ = call("rate", "games.csv")
    assert code == 0
    assert "Columns that were not read: turn, [red]x." in out.splitlines()


def test_rate_names_who_has_no_weight(call: Call, tmp_path: Path) -> None:
    rows = "a,b,outcome,weight\nx,y,a,1\ny,x,a,1\nz,x,a,0\n[b]w,z,a,0\n"
    (tmp_path / "games.csv").write_text(rows)
    code, out, _ = call("rate", "games.csv", "--json", "r.json")
    assert code == 0
    assert "Only in rows of weight 0: [b]w, z." in out.splitlines()
    assert json.loads((tmp_path / "r.json").read_text())["weightless"] == ["[b]w", "z"]


def test_rate_weighs_rows(call: Call, tmp_path: Path) -> None:
    rows = "a,b,outcome,weight\ngpt,llama,a,10.5\nllama,gpt,a,1\n" * 1
    (tmp_path / "games.csv").write_text(rows)
    code, out, _ = call("rate", "games.csv")
    assert code == 0
    assert [row[1:3] + row[5:] for row in cells(out)] == [
        ["gpt", f"{np.log(10.5) / 2:.4f}", "10.5", "1", "0"],
        ["llama", f"{-np.log(10.5) / 2:.4f}", "1", "10.5", "0"],
    ]


@pytest.mark.parametrize("games", ["x,y,tie\nx,y,tie\n", "x,y,a\ny,x,a\n", "y,x,b\nx,y,b\n"])
def test_equals_are_never_minus_zero_and_have_a_reason(
    call: Call, tmp_path: Path, games: str
) -> None:
    (tmp_path / "games.csv").write_text(f"a,b,outcome\n{games}")
    code, out, _ = call("rate", "games.csv")
    assert code == 0
    assert "-0.0000" not in out
    assert [row[2] for row in cells(out)] == ["0.0000"] * 2
    if "tie" in games:
        assert "no interval: every comparison is a tie" in out
    else:
        assert "resamples" in out


def test_rate_says_where_intervals_of_many_names_come_from(call: Call, tmp_path: Path) -> None:
    games = "".join(f"m{i},m{(i + 1) % 300},{o}\n" for i in range(300) for o in ("a", "b"))
    (tmp_path / "games.csv").write_text(f"a,b,outcome\n{games}")
    code, out, _ = call("rate", "games.csv", "--json", "ratings.json")
    assert code == 0
    told = " ".join(out.split())
    assert "the sandwich estimator's over 600 clusters: 300 names are too many for" in told
    data = json.loads((tmp_path / "ratings.json").read_text())
    assert data["intervals"] == "sandwich"
    assert {row["ability"] for row in data["ratings"]} == {0.0}
