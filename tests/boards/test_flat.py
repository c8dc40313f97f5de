"""Flat tables and their Parquet files, against the board that they are of."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.pages import ROOT

from mtmbench.boards.flat import numbers, write_parquet
from mtmbench.cli.export import export

QUICK = ROOT / "leaderboards" / "quick"
PLAIN = {"double", "int64", "string", "bool"}


@pytest.fixture(scope="module")
def board() -> Any:
    return json.loads((QUICK / "board.json").read_text())


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tables")
    before = sorted(QUICK.rglob("*"))
    export(QUICK, folder)
    assert sorted(QUICK.rglob("*")) == before
    return {path.stem: pq.read_table(path) for path in folder.iterdir()}


def test_columns_are_plain_and_there_is_no_index(tables: dict[str, Any]) -> None:
    assert set(tables) == {"values", "ratings", "pairs", "topics", "matches"}
    for table in tables.values():
        assert {str(field.type) for field in table.schema} <= PLAIN
        assert table.schema.metadata is None
        assert not any(name.startswith("__") for name in table.column_names)


def test_values_and_ratings_are_the_boards(tables: dict[str, Any], board: Any) -> None:
    names = {(row["model"], row["setting"]): row["name"] for row in board["competitors"]}
    for table, of in (("values", "metrics"), ("ratings", "ratings")):
        rows = tables[table].to_pylist()
        assert len(rows) == len(board[of])
        for row, told in zip(rows, board[of], strict=True):
            assert row.pop("name") == names[told["model"], told["setting"]]
            for column, value in row.items():
                if column == "k_spec":
                    assert value == str(told[column])
                elif isinstance(told.get(column), dict | list):
                    assert json.loads(value) == told[column]
                else:
                    assert value == told.get(column)


def test_pairs_and_topics_are_the_boards(tables: dict[str, Any], board: Any) -> None:
    pairs = {
        (row["judge"], row["corpus"], row["representation"], row["a"], row["b"]): (
            row["rate"], row["comparisons"],
        )
        for row in tables["pairs"].to_pylist()
    }  # fmt: skip
    n = 0
    for table in board["win_rates"]:
        for a, rates, counts in zip(
            table["names"], table["rates"], table["comparisons"], strict=True
        ):
            for b, rate, count in zip(table["names"], rates, counts, strict=True):
                place = table["judge"], table["corpus"], table["representation"], a, b
                assert pairs.get(place) == (None if a == b else (rate, count))
                n += a != b
    assert n == len(pairs)
    topics = tables["topics"].to_pylist()
    for told in board["topics"]:
        for topic in told["topics"]:
            mine = [
                row for row in topics
                if (row["corpus"], row["model"], row["setting"], row["topic"])
                == (told["corpus"], told["model"], told["setting"], topic["topic"])
            ]  # fmt: skip
            assert [row["item"] for row in mine] == topic["items"]
            assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
            assert [row["word"] for row in mine if row["word"]] == topic["words"][: len(mine)]
            assert {row["share"] for row in mine} == {topic["share"]}


def test_matches_add_up_to_wins_losses_and_ties(tables: dict[str, Any], board: Any) -> None:
    matches = tables["matches"]
    # Both judges give one verdict for both orders.
    assert matches["forward"].equals(matches["backward"])
    columns = ("judge", "corpus", "representation", "a", "b", "forward", "nth_seed")
    counted = Counter(zip(*(matches[name].to_pylist() for name in columns), strict=True))
    won: Counter[tuple[str, ...]] = Counter()
    for (judge, corpus, shown, a, b, verdict, nth_seed), n in counted.items():
        if nth_seed == 0:
            for who, side, other in ((a, "a", "b"), (b, "b", "a")):
                how = {side: "wins", other: "losses", "t": "ties"}.get(verdict, "none")
                won[judge, corpus, shown, who, how] += n
    names = {(row["model"], row["setting"]): row["name"] for row in board["competitors"]}
    checked = 0
    for row in board["ratings"]:
        if row["corpus"] != "all":
            who = names[row["model"], row["setting"]]
            place = row["judge"], row["corpus"], row["representation"], who
            assert [won[*place, how] for how in ("wins", "losses", "ties")] == [
                row[how] for how in ("wins", "losses", "ties")
            ]
            checked += 1
    assert checked > 50


def test_numbers_have_their_intervals_beside_them(board: Any) -> None:
    found = numbers(board)
    rating = board["ratings"][0]
    place = "elo/embedding/all/K = 10/items/bertopic"
    assert [found[place + end] for end in ("", "/lo", "/hi")] == [
        rating[name] for name in ("elo", "lo", "hi")
    ]
    value = board["metrics"][0]
    name = "metrics/gensim-wiki/K = 10/c_v own top_n 10 version exact window 110/bertopic"
    assert found[name] == value["value"]
    stated = [row for row in board["metrics"] if row["value"] is not None]
    values = [name for name in found if name.startswith("metrics/")]
    assert len([name for name in values if not name.endswith(("/lo", "/hi"))]) == len(stated)


def test_a_column_without_values_keeps_its_type(tmp_path: Path) -> None:
    rows = [{"name": "x", "elo": None, "rank": None, "reason": None, "lo": 3, "odd": 1.5}]
    (path,) = write_parquet({"ratings": [*rows, {"name": "y", "odd": 2}], "none": []}, tmp_path)
    kinds = {field.name: str(field.type) for field in pq.read_table(path).schema}
    assert kinds == {
        "name": "string", "elo": "double", "rank": "int64", "reason": "string", "lo": "double",
        "odd": "double",
    }  # fmt: skip
