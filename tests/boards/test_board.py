"""A board in a notebook: its tables as frames, its ratings as HTML, its files as links."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tables import shown_tables

from mtmbench.boards.board import Board
from mtmbench.boards.tables import build_board
from mtmbench.boards.view import BoardView
from mtmbench.core.tables import table_json

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def data(make_records: Callable[..., Any]) -> dict[str, Any]:
    suite, records = make_records(
        title=f"Evil {EVIL}", corpora={f"lee{EVIL}": 60}, failing=[(f"lee{EVIL}", "etm")]
    )
    loaded: dict[str, Any] = json.loads(table_json(build_board(suite, records)))
    return loaded


def test_every_league_is_a_table_with_every_rating(data: dict[str, Any], tmp_path: Path) -> None:
    tables = shown_tables(Board(data, tmp_path)._repr_html_())
    leagues = [
        (view.judge["id"], league) for view in BoardView(data).judges() for league in view.leagues
    ]
    assert len(tables) == len(leagues) > 1
    shown = [row for table in tables for row in table.rows[1:]]
    assert len(shown) == len(data["ratings"])
    for table, (judge, league) in zip(tables, leagues, strict=True):
        assert table.caption == f"judge {judge} · {league.title}"
        assert table.rows[0] == ["rank", "model", "Elo", "interval", "won", "lost", "tied"]
        for row, name, cells in zip(league.rows, league.names, table.rows[1:], strict=True):
            assert cells[1] == name
            assert cells[4:] == [str(row[what]) for what in ("wins", "losses", "ties")]
            if row["elo"] is None:
                assert cells[2] == row["reason"]
            else:
                assert float(cells[2]) == pytest.approx(row["elo"], abs=0.05)
                low, high = map(float, cells[3].split(" … "))
                assert (low, high) == pytest.approx((row["lo"], row["hi"]), abs=0.05)


def test_texts_are_escaped_and_files_linked(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b" / "x"
    folder.mkdir(parents=True)
    (folder / "index.html").touch()
    page = Board(data, folder)._repr_html_()
    assert "<script" not in page
    assert "Evil &lt;script&gt;" in page
    assert f'<a href="{folder.as_uri()}/index.html">index.html</a>, board.md,' in page
    (folder / "records.jsonl.gz").touch()
    page = Board(data, folder)._repr_html_()
    assert f'<a href="{folder.as_uri()}/records.jsonl.gz">records.jsonl.gz</a></p>' in page
    monkeypatch.chdir(tmp_path)
    page = Board(data, Path("a b/x"))._repr_html_()
    assert '<a href="a%20b/x/index.html">index.html</a>' in page


def test_it_says_what_it_is_in_a_line(data: dict[str, Any]) -> None:
    said = repr(Board(data, Path("runs/quick")))
    counts = f"2 judges, {len(data['ratings'])} ratings, {len(data['metrics'])} metric values"
    assert said.startswith(f"Board(Evil {EVIL}: {len(data['competitors'])} competitors, {counts}")
    assert said.endswith("; runs/quick)")
    assert "\n" not in said


def test_ratings_come_best_first_and_metrics_as_they_are(data: dict[str, Any]) -> None:
    board = Board(data, Path())
    assert len(board.metrics) == len(data["metrics"])
    for _, league in board.ratings.groupby(["judge", "corpus", "representation"]):
        elo = league["elo"].dropna()
        assert list(elo) == sorted(elo, reverse=True)
    assert Board({**data, "ratings": []}, Path()).ratings.empty
