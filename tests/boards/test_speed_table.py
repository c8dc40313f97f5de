"""The table of speeds is what its runs say, and holds no figures of several machines."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from support.benchmarks import load_benchmark

from mtmbench.core.errors import InputError

COMMITTED = Path(__file__).parents[2] / "leaderboards" / "speed"


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    return load_benchmark("speed")


def test_the_committed_table_is_what_its_runs_say(speed: ModuleType) -> None:
    table = speed.read_table(COMMITTED / "speed.json")
    files = speed.table_files(table)
    assert files == {
        path.name: path.read_text(encoding="utf-8") for path in sorted(COMMITTED.iterdir())
    }
    assert {row.group for row in table.rows} <= set(speed.TASKS)
    assert {"processor", "processors", "memory GiB", "Python", "threads"} <= set(table.machine)
    assert {"mtmbench", "numpy", "scikit-learn"} <= set(table.versions)


def test_the_committed_ratios_are_those_of_medians() -> None:
    content = json.loads((COMMITTED / "speed.json").read_text(encoding="utf-8"))
    assert content["schema"] == 1
    units: dict[tuple[str, str], float] = {}
    for row in content["rows"]:
        if not row["runs"]:
            assert row["note"]
            assert row["seconds"] is row["ratio"] is None
            continue
        assert len(row["runs"]) >= 3
        assert row["seconds"] == pytest.approx(statistics.median(row["runs"]), abs=1e-4)
        assert (row["least"], row["most"]) == (min(row["runs"]), max(row["runs"]))
        # The first of a piece of work is ours.
        unit = units.setdefault((row["task"], row["size"]), row["seconds"])
        assert row["ratio"] == pytest.approx(row["seconds"] / unit, abs=1e-3)
        assert row["ratio"] != 1 or row["by"].startswith("mtmbench")
    with (COMMITTED / "speed.csv").open(encoding="utf-8", newline="") as file:
        told = [float(row["seconds"] or 0) for row in csv.DictReader(file)]
    assert told == [row["seconds"] or 0 for row in content["rows"]]


def test_a_row_is_held_against_ours_on_the_same_work(speed: ModuleType) -> None:
    rows = [
        speed.Row("sort", "10", "mtmbench, quick", [3.0, 1.0, 2.0]),
        speed.Row("sort", "10", "mtmbench, slow", [4.0]),
        speed.Row("sort", "10", "other", [8.0, 6.0, 7.0], "agrees"),
        speed.Row("sort", "10", "absent", [], "not installed"),
        speed.Row("sort", "20", "other", [5.0]),
    ]
    told = speed.told_rows(rows)
    assert [row["seconds"] for row in told] == [2.0, 4.0, 7.0, None, 5.0]
    assert [row["ratio"] for row in told] == [1.0, 2.0, 3.5, None, None]
    page = speed.table_files(speed.Table({"processors": 2}, {"numpy": "2"}, rows))["speed.md"]
    assert "| other | 7 | 6 to 8 | 3.50 | 3 | agrees |" in page
    assert "| absent | – | – | – | 0 | not installed |" in page


def test_rows_of_another_machine_are_not_mixed_in(speed: ModuleType) -> None:
    rows = [
        speed.Row("sort", "10", "mtmbench", [1.0], group="rating"),
        speed.Row("sift", "10", "mtmbench", [1.0], group="lda"),
    ]
    before = speed.Table({"processors": 2}, {"numpy": "2"}, rows)
    now = replace(before, rows=[])
    assert speed.with_rows_of(before, now, ["rating"]).rows == rows[1:]
    other = replace(now, machine={"processors": 4})
    with pytest.raises(InputError, match="another machine"):
        speed.with_rows_of(before, other, ["rating"])
    assert speed.with_rows_of(before, other, ["rating", "lda"]).rows == []
