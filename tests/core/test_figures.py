"""The figure kit: what is drawn is what was given, whatever it is called, and it fits."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from io import BytesIO

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from support.figures import bars_of, curves_of, intervals_of, names_of, notes_of, spilt, texts_of

from mtmbench.core.errors import InputError
from mtmbench.core.figure_styles import STYLES
from mtmbench.core.figures import (
    Bar,
    BarPanel,
    Curve,
    CurvePanel,
    Estimate,
    HeatPanel,
    IntervalPanel,
    bar_figure,
    curve_figure,
    heat_figure,
    interval_figure,
)

HOSTILE = (
    r"$\frac{", "_underscore", "two\nlines", "<script>alert(1)</script>", "tab\tbell\a",
    "right\u202eto left", "x" * 300, r"cost \$5 and $6$", "ü – 1 %",
)  # fmt: skip


def test_points_and_intervals_lie_where_they_should() -> None:
    given = [Estimate(1.0, 0.5, 1.5), Estimate(2.0), Estimate(None)]
    figure = interval_figure(
        ["a", "b", "c"], [IntervalPanel("one", given), IntervalPanel("two", given[::-1])],
        title="t", axis="x", groups=["words", "features", "words"], reference=1.2, missing="none",
    )  # fmt: skip
    first, second = figure.axes
    assert names_of(figure) == ["a", "b", "c"]
    assert intervals_of(first, "abc") == {"a": (1.0, 0.5, 1.5), "b": (2.0, None, None)}
    assert intervals_of(second, "abc") == {"c": (1.0, 0.5, 1.5), "b": (2.0, None, None)}
    (none,) = first.texts
    assert (none.get_text(), none.get_position()[1]) == ("none", 2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["features", "words"]
    assert first.yaxis_inverted()


def test_a_group_keeps_its_style_whichever_others_there_are() -> None:
    styles = {"over words": STYLES[0], "over features": STYLES[1]}
    for groups in (["over features"], ["over features", "over words"]):
        figure = interval_figure(
            groups, [IntervalPanel("", [Estimate(1.0) for _ in groups])], title="", axis="",
            groups=groups, styles=styles,
        )  # fmt: skip
        drawn = {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()}
        assert drawn == {group: styles[group].colour for group in groups}
    with pytest.raises(InputError, match="no style for over trees"):
        interval_figure(
            ["a"], [IntervalPanel("", [Estimate(1.0)])], title="", axis="",
            groups=["over trees"], styles=styles,
        )  # fmt: skip


def test_a_heat_map_is_centred_and_leaves_gaps() -> None:
    matrix = [[None, 0.7, 0.25], [0.3, None, None], [0.75, None, None]]
    figure = heat_figure(
        ["a", "b", "c"], [HeatPanel("one", matrix)], title="t", scale="s", centre=0.5
    )
    ax = figure.axes[0]
    (image,) = ax.images
    np.testing.assert_array_equal(
        np.ma.filled(np.asanyarray(image.get_array()), np.nan), np.array(matrix, float)
    )
    assert image.norm(0.5) == 0.5
    assert (image.norm(0.25), image.norm(0.75)) == (0, 1)
    assert texts_of(ax) == ["70", "25", "30", "75"]
    many = [f"m{i}" for i in range(20)]
    crowded = heat_figure(
        many, [HeatPanel("one", np.full((20, 20), 0.5).tolist())], title="t", scale="s", centre=0.5
    )
    assert texts_of(crowded.axes[0]) == []


def test_bars_and_their_dots() -> None:
    bars = [Bar(0.25, "25 %", (0.2, 0.3)), Bar(None, "none"), Bar(0.5)]
    figure = bar_figure(
        ["a", "b", "c"], [BarPanel("one", bars)], title="t", axis="x", reference=0.4, shares=True,
        beside=["first text", "second", "third"],
    )  # fmt: skip
    ax, beside = figure.axes
    assert bars_of(ax, "abc") == {"a": 0.25, "b": 0.0, "c": 0.5}
    assert intervals_of(ax, "abc") == {"a": (0.3, None, None)}
    assert texts_of(ax) == ["25 %", "none", ""]
    assert texts_of(beside) == ["first text", "second", "third"]


def test_curves_bands_and_levels() -> None:
    curve = Curve("j", [1.0, 2.0, 3.0], [Estimate(0.5, 0.4, 0.6), Estimate(None), Estimate(0.9)])
    figure = curve_figure(
        [CurvePanel("one", [curve], {"random": 0.45}), CurvePanel("two", [], {})],
        title="t", axes_labels=("λ", "rate"), limits=(0, 1), reference=0.5,
    )  # fmt: skip
    drawn = curves_of(figure.axes[0])
    assert drawn["j"] == ([1.0, 3.0], [0.5, 0.9])
    assert drawn["random"][1] == [0.45, 0.45]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert {(x, y) for x, y in np.asarray(band)} == {(1.0, 0.4), (1.0, 0.6)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["j", "random"]


def test_curves_of_other_than_shares_have_axes_of_their_own() -> None:
    ks = [5, 20, 200]
    curves = [Curve("lda", ks, [Estimate(y) for y in ys]) for ys in ((700.0, 600.0, 500.0),
                                                                     (0.1, 0.3, 0.2))]  # fmt: skip
    figure = curve_figure(
        [CurvePanel(str(i), [curve], {}) for i, curve in enumerate(curves)],
        title="t", axes_labels=("K", "mean"), limits=None, x_ticks=ks,
    )  # fmt: skip
    first, second = figure.axes
    assert first.get_ylim()[0] > 400 > 1 > second.get_ylim()[1]
    assert [text.get_text() for text in second.get_xticklabels()] == ["5", "20", "200"]
    assert second.get_xscale() == "log"


def test_any_text_is_shown_as_it_is_and_fits() -> None:
    estimates = [Estimate(float(i), i - 1.0, i + 1.0) for i in range(len(HOSTILE))]
    square = [[0.5 for _ in HOSTILE] for _ in HOSTILE]
    bars = [Bar(0.5, "50 %") for _ in HOSTILE]
    curves = [Curve(text, [0.0, 1.0], [Estimate(0.5), Estimate(0.6)]) for text in HOSTILE[:7]]
    title = " ".join(HOSTILE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = [
            interval_figure(
                HOSTILE, [IntervalPanel(title, estimates)] * 3, title=title, axis="x",
                notes=HOSTILE, groups=HOSTILE[:2] * 4 + HOSTILE[:1],
            ),
            heat_figure(
                HOSTILE, [HeatPanel(title, square)], title=title, scale="s", centre=0.5,
                notes=HOSTILE,
            ),
            bar_figure(
                HOSTILE, [BarPanel(title, bars)], title=title, axis="x", notes=HOSTILE,
                beside=HOSTILE,
            ),
            curve_figure(
                [CurvePanel(title, curves, dict.fromkeys(HOSTILE[:2], 0.3))], title=title,
                axes_labels=("x", "y"), limits=(0, 1), notes=HOSTILE,
            ),
        ]  # fmt: skip
        for figure in figures:
            assert spilt(figure) == []
    assert names_of(figures[0])[:4] == [r"$\frac{", "_underscore", "two lines", HOSTILE[3]]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [
        r"\$\frac{", " _underscore",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 20])
def test_few_and_many_rows_with_long_names_fit(n: int) -> None:
    names = [f"a-model-with-a-long-name:setting-{i}" for i in range(n)]
    estimates = [Estimate(1500.0 + i, 1490.0 + i, 1510.0 + i) for i in range(n)]
    notes = [
        "A note that is long enough to be wrapped, for it says what is drawn here and why. " * 3
    ]
    panels = [IntervalPanel(f"judge {i}\nprojected words, n = 1,000", estimates) for i in range(3)]
    figure = interval_figure(names, panels, title="Ratings: " * 9, axis="Elo", notes=notes)
    assert spilt(figure) == []
    square = [[None if i == j else 0.4 for j in range(n)] for i in range(n)]
    heat = heat_figure(
        names, [HeatPanel("judge", square)] * 2, title="t", scale="points", centre=0.5, notes=notes
    )
    assert spilt(heat) == []
    assert "is drawn here and why." in notes_of(heat)


def test_nothing_to_draw_is_still_a_figure() -> None:
    panel = IntervalPanel("judge", [Estimate(None), Estimate(None)])
    figure = interval_figure(["a", "b"], [panel], title="t", axis="Elo", missing="not rated")
    assert texts_of(figure.axes[0]) == ["not rated"] * 2
    assert not figure.axes[0].xaxis.get_tick_params()["labelbottom"]
    assert spilt(figure) == []


def test_a_panel_without_values_leaves_the_others_their_numbers() -> None:
    bars = [[Bar(0.5, "50 %")], [Bar(0.7, "70 %")], [Bar(None, "none")]]
    figure = bar_figure(
        ["a"], [BarPanel(str(i), each) for i, each in enumerate(bars)], title="t", axis="x"
    )
    figure.draw_without_rendering()
    told = [ax.xaxis.get_tick_params()["labelbottom"] for ax in figure.axes]
    assert told == [True, True, False]
    assert all(len(ax.get_xticks()) > 2 for ax in figure.axes)


def test_axes_have_names_of_any_text() -> None:
    panel = IntervalPanel("", [Estimate(1.0)])
    figure = interval_figure(["a"], [panel], title="t", axis=r"$\frac{$" + "x" * 300)
    figure.draw_without_rendering()
    assert figure.axes[0].get_xlabel().startswith(r"\$\frac{\$")
    assert spilt(figure) == []


def test_more_series_than_can_be_told_apart_are_refused() -> None:
    curves = [Curve(f"judge {i}", [1.0], [Estimate(0.5)]) for i in range(len(STYLES) + 1)]
    with pytest.raises(InputError, match="at most 7 series apart, not 8"):
        curve_figure(
            [CurvePanel("t", curves, {})], title="t", axes_labels=("x", "y"), limits=(0, 1)
        )
    groups = [str(i) for i in range(len(STYLES) + 1)]
    with pytest.raises(InputError, match="at most 7"):
        interval_figure(
            groups, [IntervalPanel("", [Estimate(1.0) for _ in groups])], title="t", axis="x",
            groups=groups,
        )  # fmt: skip


def test_a_notebook_shows_it_and_other_formats_are_to_be_had() -> None:
    panel = BarPanel("one", [Bar(1.0)])
    figure = bar_figure(["a"], [panel], title="t", axis="x")
    shown, about = DisplayFormatter().format(figure)
    assert shown["image/png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert b"Matplotlib" not in shown["image/png"]
    width = figure.get_size_inches()[0]
    assert about["image/png"]["width"] == round(96 * width)
    pdf = BytesIO()
    figure.savefig(pdf, format="pdf")
    assert pdf.getvalue()[:5] == b"%PDF-"
    again = pickle.loads(pickle.dumps(figure))
    assert again._repr_png_() == figure._repr_png_()


@pytest.mark.slow
def test_pyplot_is_not_touched_and_no_display_is_needed() -> None:
    code = """
import sys, matplotlib
from mtmbench.core.figures import Bar, BarPanel, bar_figure
before = matplotlib.rcParams.copy()
bar_figure(["a"], [BarPanel("", [Bar(1.0)])], title="t", axis="x")._repr_png_()
print("matplotlib.pyplot" in sys.modules)  # to compare "backend" imports it
print(before == matplotlib.rcParams.copy())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
