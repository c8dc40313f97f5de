"""A board's figures, read back: every number is that of the board, and what is missing is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.figures import intervals_of, names_of, notes_of, spilt, texts_of, title_of, titles_of

import mtmbench as mb
from mtmbench.boards.board import Board
from mtmbench.boards.tables import build_board
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.tables import table_json

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def paper() -> Board:
    return Board.read(LEADERBOARDS / "paper-embedded")


def made(make_records: Make, **given: Any) -> Board:
    suite, records = make_records(**given)
    return Board(json.loads(table_json(build_board(suite, records))), Path())


def called(board: Board) -> dict[tuple[str, str | None], str]:
    """Display names by model and setting."""
    return {(row["model"], row["setting"]): row["name"] for row in board.data["competitors"]}


def rated(board: Board, **place: Any) -> dict[str, tuple[Any, Any, Any]]:
    """Rating rows of a league by display name."""
    names = called(board)
    return {
        names[row["model"], row["setting"]]: (row["elo"], row["lo"], row["hi"])
        for row in board.data["ratings"]
        if all(row[name] == value for name, value in place.items())  # type: ignore[literal-required]
    }


def bare(names: list[str]) -> list[str]:
    return [name.rstrip(" †‡") for name in names]


class TestRatings:
    def test_the_pool_is_drawn_by_every_judge_and_is_that_of_the_board(self, paper: Board) -> None:
        figure = paper.plot_ratings()
        names = bare(names_of(figure))
        assert title_of(figure) == "Ratings: all corpora pooled, K by corpus"
        for ax, judge in zip(figure.axes, ("embedding", "lexical"), strict=True):
            league = rated(paper, judge=judge, corpus="all", representation="projected")
            assert intervals_of(ax, names) == league
            (table,) = (
                t for t in paper.data["win_rates"]
                if (t["judge"], t["corpus"], t["representation"]) == (judge, "all", "projected")
            )  # fmt: skip
            n = f"n = {table['n_documents']:,} documents"
            assert ax.get_title() == f"{judge} (a proxy)\nprojected words, {n}"
        assert "lines: 95 % intervals over documents, by bootstrap." in notes_of(figure)
        assert spilt(figure) == []

    def test_a_place_is_chosen_by_its_names(self, paper: Board) -> None:
        figure = paper.plot_ratings(
            judge="embedding", representation="items", corpus="agnews", k=50
        )
        (ax,) = figure.axes
        assert title_of(figure) == "Ratings: agnews, K = 50"
        assert ax.get_title().startswith("embedding (a proxy)\ntop items, n =")
        names = bare(names_of(figure))
        league = rated(paper, judge="embedding", corpus="agnews", representation="items")
        assert intervals_of(ax, names) == league
        assert names == sorted(names, key=lambda name: -league[name][0])

    def test_an_unknown_place_is_named_with_what_there_is(self, paper: Board) -> None:
        for message, place in (
            (r"unknown corpus 'agnew'; did you mean 'agnews'", {"corpus": "agnew"}),
            (r"unknown judge 'gpt'; valid: embedding, lexical", {"judge": "gpt"}),
            (r"unknown representation 'item'; did you mean 'items'", {"representation": "item"}),
            (r"unknown K '7'; valid: 50", {"corpus": "agnews", "k": 7}),
        ):
            for draw in (paper.plot_ratings, paper.plot_win_rates):
                with pytest.raises(UnknownNameError, match=message):
                    draw(**place)  # type: ignore[arg-type]

    def test_who_is_not_rated_is_there_with_the_reason(self, make_records: Make) -> None:
        board = made(make_records, corpora={"lee": 40}, failing=[("lee", "etm")])
        figure = board.plot_ratings()
        names = bare(names_of(figure))
        assert set(names) == set(called(board).values())
        (reason,) = {row["reason"] for row in board.data["ratings"] if row["elo"] is None}
        for ax in figure.axes:
            assert texts_of(ax) == ["not rated"]
            assert "etm" not in intervals_of(ax, names)
        assert f"etm: {reason}" in notes_of(figure)

    def test_marks_are_those_of_the_board_and_explained(self) -> None:
        quick = Board.read(LEADERBOARDS / "quick")
        figure = quick.plot_ratings()
        (judge,) = (j for j in quick.data["judges"] if j["id"] == "embedding")
        marked = {bare([name])[0] for name in names_of(figure) if "†" in name}
        assert marked == set(judge["shares_encoder_with"])
        short = {bare([name])[0] for name in names_of(figure) if "‡" in name}
        assert short
        for name in short:
            assert f"{name} " in notes_of(figure).split("‡ found fewer topics than K, by seed:")[1]
        assert "† fitted on the encoder by which embedding compares texts." in notes_of(figure)

    def test_nobody_rated_one_model_and_no_board_at_all(self, make_records: Make) -> None:
        alone = made(make_records, corpora={"lee": 20}, models=("lda", "etm"),
                     failing=[("lee", "etm"), ("lee", "lda")])  # fmt: skip
        figure = alone.plot_ratings()
        assert texts_of(figure.axes[0]) == ["not rated"] * 2
        assert spilt(figure) == []
        empty = Board({**alone.data, "ratings": [], "judges": [], "win_rates": []}, Path())
        with pytest.raises(InputError, match="board 'synthetic' has no ratings: no judge"):
            empty.plot_ratings()

    def test_a_language_model_and_a_failed_control_are_called_so(self, make_records: Make) -> None:
        data = made(make_records, corpora={"lee": 30}, judges=("chat", "lexical")).data
        judges = [{**judge, "reliable": judge["id"] != "lexical"} for judge in data["judges"]]
        figure = Board({**data, "judges": judges}, Path()).plot_ratings()  # type: ignore[typeddict-item]
        assert any(title.startswith("chat (a language model)") for title in titles_of(figure))
        assert "not to be relied on: lexical." in notes_of(figure)


class TestWinRates:
    def test_every_cell_is_that_of_the_table(self, paper: Board) -> None:
        figure = paper.plot_win_rates(corpus="bills", representation="projected")
        names = names_of(figure)
        for ax, judge in zip(figure.axes[:2], ("embedding", "lexical"), strict=True):
            (table,) = (
                t for t in paper.data["win_rates"]
                if (t["judge"], t["corpus"], t["representation"]) == (judge, "bills", "projected")
            )  # fmt: skip
            place = [list(table["names"]).index(name) for name in names]
            expected = np.array(table["rates"], dtype=float)[np.ix_(place, place)]
            (image,) = ax.images
            drawn = np.ma.filled(np.asanyarray(image.get_array()), np.nan)
            np.testing.assert_array_equal(drawn, expected)
            assert image.norm.vcenter == 0.5  # type: ignore[attr-defined]
        assert title_of(figure) == "Points won, row against column: bills, K = 100"
        assert spilt(figure) == []


class TestMetrics:
    def test_means_and_intervals_are_those_of_the_rows(self, paper: Board) -> None:
        figure = paper.plot_metric("npmi", corpus="bills", window=10)
        (ax,) = figure.axes
        names = called(paper)
        expected = {
            names[row["model"], row["setting"]]: (row["value"], row["lo"], row["hi"])
            for row in paper.data["metrics"]
            if (row["metric"], row["view"], row["corpus"]) == ("npmi", "projected", "bills")
            and row["params"]["window"] == 10
        }
        assert intervals_of(ax, names_of(figure)) == expected
        order = [expected[name][0] for name in names_of(figure)]
        assert order == sorted(order, reverse=True)
        assert title_of(figure) == ("npmi of projected words, top_n 10, version exact, window 10")
        assert (ax.get_title(), ax.get_xlabel()) == ("bills, K = 100", "npmi (higher is better)")
        assert "means over seeds (n = 3 to 5); lines: 95 % intervals" in notes_of(figure)

    def test_a_panel_a_corpus_and_a_setting(self, paper: Board) -> None:
        figure = paper.plot_metric("npmi", view="own")
        assert len(figure.axes) == 16
        assert "agnews, K = 50\nwindow 10" in titles_of(figure)
        assert "words and over features do not compare" in notes_of(figure)
        assert "mlda (8 of 16 panels)" in notes_of(figure)
        assert spilt(figure) == []

    def test_what_has_no_interval_says_why(self, paper: Board) -> None:
        figure = paper.plot_metric("stability", corpus="agnews")
        assert all(
            lo is None for _, lo, _ in intervals_of(figure.axes[0], names_of(figure)).values()
        )
        assert "Points: values over seeds (n = 3 to 5); no intervals." in notes_of(figure)
        assert "no interval: one value over all seeds." in notes_of(figure)
        for row in paper.data["metrics"]:
            if (row["metric"], row["corpus"]) == ("coverage", "agnews") and row["reason"]:
                assert row["reason"] in notes_of(paper.plot_metric("coverage", corpus="agnews"))

    def test_what_is_not_there_is_named(self, paper: Board) -> None:
        with pytest.raises(UnknownNameError, match="metric of this board 'npm'; did you mean"):
            paper.plot_metric("npm")
        with pytest.raises(UnknownNameError, match="view of npmi 'words'; valid: own, projected"):
            paper.plot_metric("npmi", view="words")
        with pytest.raises(InputError, match="coverage reads no items, so it has no view 'own'"):
            paper.plot_metric("coverage", view="own")
        with pytest.raises(
            InputError, match="npmi is not on this board with window = 7; it has 10"
        ):
            paper.plot_metric("npmi", window=7)
        with pytest.raises(InputError, match="has no metric values"):
            Board({**paper.data, "metrics": []}, Path()).plot_metric("npmi")

    def test_failed_fits_are_there_with_their_reason(self, make_records: Make) -> None:
        board = made(make_records, corpora={"lee": 30, "wiki": 30}, failing=[("wiki", "etm")])
        figure = board.plot_metric("nmi")
        assert texts_of(figure.axes[1]) == ["no value"]
        assert "etm (wiki, K = 10): error: " in notes_of(figure)


class TestReading:
    def test_a_board_is_read_from_its_folder(self, paper: Board, tmp_path: Path) -> None:
        folder = LEADERBOARDS / "paper-embedded"
        assert paper.data == json.loads((folder / "board.json").read_text(encoding="utf-8"))
        assert (Board.read(str(folder)).data, paper.folder) == (paper.data, folder)
        with pytest.raises(InputError, match=r"board\.json"):
            Board.read(tmp_path)
        (tmp_path / "board.json").write_text("{}")
        with pytest.raises(InputError, match=r"board\.json is not a board: it lacks a list"):
            Board.read(tmp_path)
        part = {name: rows for name, rows in paper.data.items() if name != "win_rates"}
        (tmp_path / "board.json").write_text(json.dumps(part))
        with pytest.raises(InputError, match="is not a whole board: it has no win_rates; `mtm"):
            Board.read(tmp_path)


class TestAnyRatings:
    FRAME = pd.DataFrame(
        [("ann", "bob", "a")] * 6 + [("ann", "bob", "b")] * 2 + [("bob", "$cy_", "a")] * 5
        + [("bob", "$cy_", "b")] * 3 + [("ann", "$cy_", "tie")] * 4,
        columns=["a", "b", "outcome"],
    )  # fmt: skip

    def test_the_table_of_rate_is_drawn(self) -> None:
        table = mb.rate(self.FRAME, confidence=0.9, bootstrap=200)
        figure = mb.plot_ratings(table, title="Three people")
        names = names_of(figure)
        assert names == list(table["name"])
        drawn = intervals_of(figure.axes[0], names)
        for row in table.to_dict("records"):
            assert drawn[row["name"]] == (row["elo"], row["lo"], row["hi"])
        assert title_of(figure) == "Three people"
        assert f"lines: 90 % intervals over {len(self.FRAME)} clusters, by bootstrap" in notes_of(
            figure
        )
        first = mb.plot_ratings(table, most=2)
        assert names_of(first) == names[:2]
        assert "The first 2 of 3 rows." in notes_of(first)

    def test_a_table_of_something_else_is_refused(self) -> None:
        table = mb.rate(self.FRAME, bootstrap=50)
        with pytest.raises(InputError, match=r"has a column 'elo', as mtmbench\.rate"):
            mb.plot_ratings(self.FRAME)
        with pytest.raises(InputError, match="has no row"):
            mb.plot_ratings(table.iloc[:0])
        with pytest.raises(InputError, match="most must be a whole number of at least 1, not 0"):
            mb.plot_ratings(table, most=0)

    def test_rows_without_rating_and_without_interval_say_why(self) -> None:
        table = mb.rate(self.FRAME, bootstrap=50)
        table.loc[1, ["elo", "lo", "hi", "reason"]] = [None, None, None, "never played"]
        table.loc[2, ["lo", "hi", "reason"]] = [None, None, "one cluster"]
        figure = mb.plot_ratings(table)
        drawn = intervals_of(figure.axes[0], names_of(figure))
        assert list(drawn) == [table["name"][0], table["name"][2]]
        assert drawn[table["name"][2]][1:] == (None, None)
        assert f"{table['name'][1]}: never played." in notes_of(figure)


class TestNotes:
    def test_lists_in_notes_lose_nothing(self, paper: Board) -> None:
        said = " ".join(notes_of(paper.steering.plot_methods()).split())
        for row in paper.steering.data["summary"]:
            assert f"{row['n_steered']} of {row['n_topics']} by {row['judge']}" in said
        assert said.count("of 3 by") == len(paper.steering.data["summary"])
        quick = Board.read(LEADERBOARDS / "quick")
        said = notes_of(quick.plot_metric("npmi", view="own"))
        assert "…" not in said
        assert "mk_means:paper" in said

    def test_a_board_that_tells_no_level_has_intervals_without_one(self) -> None:
        quick = Board.read(LEADERBOARDS / "quick")
        assert "lines: 95 % intervals of the mean" in notes_of(quick.plot_metric("diversity"))
        tables = json.loads(json.dumps(quick.data))
        tables["win_rates"] = []
        bare_board = Board(tables, Path())
        assert "lines: intervals of the mean" in notes_of(bare_board.plot_metric("diversity"))

    def test_ratings_that_were_a_file_say_no_more_than_they_know(self, tmp_path: Path) -> None:
        table = mb.rate(
            pd.DataFrame([("x", "y", "a"), ("y", "x", "a"), ("x", "y", "tie")] * 9,
                         columns=["a", "b", "outcome"]),
            ties="davidson", confidence=0.9,
        )  # fmt: skip
        assert "by Davidson's model" in notes_of(mb.plot_ratings(table))
        table.to_csv(tmp_path / "ratings.csv", index=False)
        said = notes_of(mb.plot_ratings(pd.read_csv(tmp_path / "ratings.csv")))
        assert "ties" not in said
        assert "bootstrap" not in said
