"""``mtmbench rate FILE.csv``: what it reads, what it refuses, what it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError, NotRateableError
from mtmbench.stats.pairwise_file import rate_file, rating_json

SMALL = "a,b,outcome\nx,y,a\nx,y,a\nx,y,tie\ny,x,a\nx,y,b\n"


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def test_baseball_as_games_reproduces_agresti(shared_data: Path, tmp_path: Path) -> None:
    lines = ["a,b,outcome"]
    with (shared_data / "battles" / "baseball_agresti.csv").open() as file:
        for game in csv.DictReader(file):
            lines += [f"{game['home']},{game['away']},a"] * int(game["home_wins"])
            lines += [f"{game['home']},{game['away']},b"] * int(game["away_wins"])
    table = rate_file(write(tmp_path / "baseball.csv", "\n".join(lines)))
    written = {row["name"]: row for row in json.loads(rating_json(table))["ratings"]}
    base = written["Baltimore"]["ability"]
    assert {name: round(row["ability"] - base, 4) for name, row in written.items()} == {
        "Baltimore": 0.0,
        "Boston": 1.1077,
        "Cleveland": 0.6839,
        "Detroit": 1.4364,
        "Milwaukee": 1.5814,
        "New York": 1.2476,
        "Toronto": 1.2945,
    }
    # Agresti prints standard errors near 0.3 against Baltimore; the bootstrap is of that size.
    names = [row.name for row in table.rows]
    error = table.difference_error[:, names.index("Baltimore")] / (400 / np.log(10)) / 1.97
    assert 0.28 < error[names.index("Milwaukee")] < 0.42


def test_the_json_has_the_stated_schema_sorted_by_strength(tmp_path: Path) -> None:
    written = json.loads(rating_json(rate_file(write(tmp_path / "f.csv", SMALL))))
    assert set(written) == {"schema", "ratings"}
    assert written["schema"] == 1
    best, last = written["ratings"]
    expected = {"name", "ability", "elo", "lo", "hi", "rank", "wins", "losses", "ties"}
    assert expected <= set(best) <= {*expected, "reason"}
    assert (best["name"], best["wins"], best["losses"], best["ties"]) == ("x", 2, 2, 1)
    assert best["ability"] == -last["ability"] == 0
    assert (best["elo"], last["elo"]) == (1500.0, 1500.0)
    assert "NaN" not in rating_json(rate_file(tmp_path / "f.csv"))


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", SMALL)
    assert rating_json(rate_file(path)) == rating_json(rate_file(path))


def test_cluster_widens_intervals_and_other_columns_are_not_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for document in range(30):
        winner = "a" if random.random() < 0.6 else "b"
        rows += [f"x,y,{winner},d{document},note"] * 4
    text = "\n".join(["a,b,outcome,cluster,remark", *rows])
    clustered = rate_file(write(tmp_path / "c.csv", text))
    flat = rate_file(write(tmp_path / "n.csv", text.replace("cluster", "source")))
    widths = [
        row.hi - row.lo
        for table in (clustered, flat)
        for row in table.rows
        if row.name == "x" and row.hi is not None and row.lo is not None
    ]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.15)
    assert clustered.n_clusters == 30
    assert flat.n_clusters == 120


def test_a_byte_order_mark_blank_lines_and_spaces_are_harmless(tmp_path: Path) -> None:
    text = "\ufeff" + SMALL.replace("x,y,tie", " x , y , tie \r\n")
    assert rating_json(rate_file(write(tmp_path / "b.csv", text))) != ""
    row = rate_file(tmp_path / "b.csv").rows[0]
    assert (row.name, row.wins, row.ties) == ("x", 2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,winner\nx,y,a\n", "line 1: no column 'outcome'"),
        ("a,b,outcome,clusters\nx,y,a,1\n", "line 1: unknown column 'clusters'.*'cluster'"),
        ("a,b,a,outcome\nx,y,a,a\n", "line 1: column 'a' occurs twice"),
        ("a,b,outcome\nx,y,a\nx,y,left\n", "line 3: outcome 'left' is not one of"),
        ("a,b,outcome\nx,y,a\nx,y,A\n", "line 3: outcome 'A'"),
        ("a,b,outcome\nx,y\n", "line 2: 2 cells for 3 columns"),
        ("a,b,outcome\nx,x,a\n", "line 2: 'x' is compared with itself"),
        ("a,b,outcome\nx,,a\n", "line 2: column 'b' is empty"),
        ("a,b,outcome,cluster\nx,y,a,\n", "line 2: column 'cluster' is empty"),
        ("a,b,outcome\n", "no comparisons"),
        ("", "line 1: no column"),
        ('a,b,outcome\nx,y,a\nx,"y"z,a\n', "line 3: not CSV"),
    ],
)
def test_bad_files_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rate_file(write(tmp_path / "bad.csv", text))


def test_wrong_encoding_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("a,b,outcome\nx,y,a\nx,é,a\n".encode("latin-1"))
    with pytest.raises(InputError, match="near line 3: not UTF-8"):
        rate_file(tmp_path / "latin.csv")
    with pytest.raises(InputError, match="cannot read"):
        rate_file(tmp_path / "none.csv")


def test_an_undetermined_file_is_refused_naming_who_is_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "u.csv", "a,b,outcome\nstar,x,a\nstar,y,a\nx,y,a\ny,x,a\n")
    with pytest.raises(NotRateableError, match=r"\[star\] \(never lost"):
        rate_file(path)
