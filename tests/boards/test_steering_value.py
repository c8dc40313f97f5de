"""A steering table as a value: frames, figures and HTML hold what ``steering.json`` says."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from statistics import fmean

import pytest
from support.figures import (
    bars_of,
    curves_of,
    intervals_of,
    names_of,
    notes_of,
    spilt,
    title_of,
    titles_of,
)
from support.tables import shown_tables

from mtmbench.boards.board import Board
from mtmbench.boards.steering import Steering
from mtmbench.core.errors import InputError, UnknownNameError

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"


@pytest.fixture(scope="module")
def bills() -> Steering:
    return Board.read(LEADERBOARDS / "steering").steering


@pytest.fixture(scope="module")
def several() -> Steering:
    return Steering.read(LEADERBOARDS / "paper-embedded")


def test_frames_are_the_tables(bills: Steering) -> None:
    assert len(bills.frame) == len(bills.data["rows"]) == 280
    assert list(bills.topics["topic"]) == [row["topic"] for row in bills.data["topics"]]


def test_curves_are_the_grid_of_each_topic(bills: Steering) -> None:
    figure = bills.plot_curves()
    topics = list(dict.fromkeys(row["topic"] for row in bills.data["rows"]))
    assert titles_of(figure) == [f"topic {topic}" for topic in topics]
    for ax, topic in zip(figure.axes, topics, strict=True):
        drawn = curves_of(ax)
        assert set(drawn) == {"embedding", "regression"}
        for judge, (x, y) in drawn.items():
            grid = [
                (row["lambda"], row["win_rate"])
                for row in bills.data["rows"]
                if (row["topic"], row["judge"]) == (topic, judge) and row["chosen"] is not None
            ]
            assert list(zip(x, y, strict=True)) == sorted(grid, key=lambda pair: pair[0] or 0)
        rings = [
            line for line in ax.lines
            if line.get_markerfacecolor() == "none" and len(line.get_xydata())  # type: ignore[arg-type]
        ]  # fmt: skip
        (chosen,) = (row["lambda"] for row in bills.data["topics"] if row["topic"] == topic)
        assert {float(ring.get_xydata()[0][0]) for ring in rings} == {chosen}  # type: ignore[index]
    assert title_of(figure) == "Win rate over λ: mlda:default on bills, K = 21"
    steered = [(r["topic"], r["judge"]) for r in bills.data["rows"] if r["steered"]]
    assert len(steered) == 3
    listed = ", ".join(f"topic {topic} by {judge}" for topic, judge in steered)
    assert f"Counts as steered: {listed}." in notes_of(figure)
    assert "n = 50" in notes_of(figure)
    assert spilt(figure) == []


def test_one_topic_before_one_judge_has_its_controls(bills: Steering) -> None:
    figure = bills.plot_curves(topic=4, judge="regression")
    drawn = curves_of(figure.axes[0])
    for control in ("none", "random", "permuted", "other_topic"):
        (rate,) = (
            row["win_rate"]
            for row in bills.data["rows"]
            if (row["topic"], row["judge"], row["method"]) == (4, "regression", control)
        )
        assert drawn[f"{control} (control)"][1] == [rate, rate]
    assert "judge regression" in notes_of(figure)


def test_bars_are_means_over_topics(bills: Steering, several: Steering) -> None:
    figure = bills.plot_methods()
    names = names_of(figure)
    assert names[0] == "topic_raw, chosen λ"
    for ax, told in zip(figure.axes, bills.data["summary"], strict=True):
        bars = bars_of(ax, names)
        assert bars.pop(names[0]) == told["win_rate"]
        assert bars == told["controls"]
        for name in names:
            own = [
                row["win_rate"]
                for row in bills.data["rows"]
                if row["judge"] == told["judge"]
                and (
                    row["chosen"]
                    if name == names[0]
                    else row["method"] == name and row["chosen"] is None
                )
            ]
            dots = [
                float(x) for line in ax.lines if line.get_linestyle() == "None"
                for x, y in line.get_xydata() if names[round(float(y))] == name  # type: ignore[union-attr]
            ]  # fmt: skip
            assert dots == own
            assert fmean(dots) == pytest.approx(
                {names[0]: told["win_rate"], **told["controls"]}[name], abs=1e-4
            )  # type: ignore[arg-type]
    assert "3 of 10 by regression (mlda:default on bills, K = 21)" in notes_of(figure)
    assert spilt(figure) == []
    many = several.plot_methods(corpus="wiki")
    assert len(many.axes) == 6
    assert spilt(many) == []
    assert len(several.plot_curves(model="metm:default").axes) == 6


def test_names_that_are_not_there_and_tables_that_are_none(
    bills: Steering, several: Steering, tmp_path: Path
) -> None:
    for message, given in (
        ("unknown topic '99'; did you mean '9'", {"topic": 99}),
        ("unknown judge 'chat'; valid: embedding, regression", {"judge": "chat"}),
        ("unknown model 'lda'; valid: mlda:default", {"model": "lda"}),
    ):
        with pytest.raises(UnknownNameError, match=message):
            bills.plot_curves(**given)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown corpus 'bills'; valid: poemsum, wiki"):
        several.plot_methods(corpus="bills")
    with pytest.raises(InputError, match="has no steering table; mtmbench steer SUITE writes it"):
        Board(Board.read(LEADERBOARDS / "tinylm").data, tmp_path).steering.plot_curves()
    (tmp_path / "steering.json").write_text('{"schema": 2}')
    with pytest.raises(
        InputError, match=r"steering\.json is not a steering table: the table lacks"
    ):
        Steering.read(tmp_path)
    nothing = Steering({**bills.data, "rows": [], "summary": [], "topics": []})
    for draw in (nothing.plot_curves, nothing.plot_methods):
        with pytest.raises(InputError, match="the steering table has no rows"):
            draw()  # type: ignore[operator]


def test_a_notebook_shows_both_tables_escaped(bills: Steering, tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    text = json.dumps(bills.data).replace("mlda:default", evil)
    (tmp_path / "steering.json").write_text(text, encoding="utf-8")
    page = Steering.read(tmp_path)._repr_html_()
    assert escape(evil) in page
    assert "<script" not in page
    summary, topics = shown_tables(page)
    assert summary.rows[0][:7] == ["corpus", "model", "K", "judge", "topics", "steered", "win rate"]
    for cells, told in zip(summary.rows[1:], bills.data["summary"], strict=True):
        assert cells[:6] == ["bills", evil, "21", told["judge"], "10", str(told["n_steered"])]
        rates = [told["win_rate"], *told["controls"].values()]
        assert [float(cell.rstrip("%")) for cell in cells[6:]] == [
            pytest.approx(100 * (rate or 0), abs=0.51) for rate in rates
        ]
    for cells, row in zip(topics.rows[1:], bills.data["topics"], strict=True):
        assert cells[3:5] == [str(row["topic"]), f"{row['lambda']:g} {row['lambda_unit']}"]
        assert cells[6] == (", ".join(row["steered"]) or "nobody")
    assert repr(bills).startswith("Steering(mlda:default on bills, K = 21: 0 of 10 topics steered")
    figure = Steering.read(tmp_path).plot_methods()
    assert any(
        evil in title.replace("\n", " ") or "<script" in title for title in titles_of(figure)
    )
    assert intervals_of(figure.axes[0], names_of(figure))
