"""The committed judges' board is what its rows say, and holds numbers only."""

from __future__ import annotations

from pathlib import Path

from mtmbench.validation.board import judges_board_files, read_judges_board
from mtmbench.validation.published import published_rows

BOARD = Path(__file__).parents[2] / "leaderboards" / "judges"


def test_the_committed_board_is_what_its_rows_say() -> None:
    rows, judges = read_judges_board(BOARD / "board.json")
    for name, content in judges_board_files(rows, judges).items():
        assert content == (BOARD / name).read_text(encoding="utf-8")
    assert {judge["judge"] for judge in judges} >= {"embedding", "gpt-4o-2024-08-06"}
    assert sorted(path.name for path in BOARD.iterdir() if path.is_file()) == [
        "board.csv", "board.json", "board.md",
    ]  # fmt: skip


def test_the_committed_figures_hold_the_published_ones() -> None:
    rows, _ = read_judges_board(BOARD / "board.json")
    found = {(row.judge, row.dataset, row.task, row.statistic): row for row in rows}
    for published in published_rows():
        judge = published.judge.partition(", ")[0]
        ours = found[judge, published.dataset, published.task, published.statistic]
        assert published.value is not None
        assert ours.lo is not None
        assert ours.hi is not None
        assert ours.lo <= published.value <= ours.hi
        assert (
            found[published.judge, published.dataset, published.task, published.statistic]
            == published
        )
