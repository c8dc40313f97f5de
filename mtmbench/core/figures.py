"""The figure kit: points with intervals, heat maps, bars and curves, drawn by matplotlib.

Figures are objects of their own: pyplot knows none of them, and none needs a display. Series differ
in colour (Okabe and Ito's, which colour-blind readers tell apart) and in shape or line, so that a
print in grey says the same. Texts are shown as they are, whatever stands in them.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import east_asian_width

from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import PercentFormatter

    from mtmbench.core.notebook_figure import NotebookFigure

_GREY, _FAINT = "#666666", "#e6e6e6"
_MOST_COLUMNS = 4
_NAME_LENGTH = 32
_AXIS_LENGTH = 60
_LEVEL_LINES = (":", "--", "-.", (0, (6, 2, 1, 2, 1, 2)))
_PANEL, _CURVES, _WIDE_CURVES = 2.7, (2.1, 1.9), (2.7, 2.1)
"""Sizes of panels in inches: width, or width and height."""
_MOST_NUMBERED = 14
"""A heat map of more names than these has no numbers: there is no room for them."""
_TEXT_SIZE, _NOTE_SIZE, _TITLE_SIZE = 9.0, 7.5, 11.0
_NARROWEST = 6.0
_LINE = 0.185
"""Height of a line of the title, in inches."""
_FURTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "Microsoft YaHei", "PingFang SC", "Hiragino Sans", "Yu Gothic", "Malgun Gothic", "Noto Sans",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai",
)  # fmt: skip
"""Asked, where they are installed, for characters that matplotlib's own font lacks."""


class Style(NamedTuple):
    """How one series is told from others."""

    colour: str
    marker: str
    line: str


STYLES = (
    Style("#0072B2", "o", "-"), Style("#D55E00", "s", "--"), Style("#009E73", "^", "-."),
    Style("#CC79A7", "D", ":"), Style("#E69F00", "v", "-"), Style("#56B4E9", "P", "--"),
    Style("#000000", "X", "-."),
)  # fmt: skip


class Estimate(NamedTuple):
    """A value with the ends of its interval; None is what cannot be had."""

    value: float | None
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class IntervalPanel:
    """Estimates under one title, in the order of the figure's names."""

    title: str
    estimates: Sequence[Estimate]


@dataclass(frozen=True)
class HeatPanel:
    """A square of values, row against column; None is left empty."""

    title: str
    matrix: Sequence[Sequence[float | None]]


class Bar(NamedTuple):
    """A bar, the text at its end, and values of its parts, drawn as dots."""

    value: float | None
    told: str = ""
    dots: Sequence[float] = ()


@dataclass(frozen=True)
class BarPanel:
    """Bars under one title, in the order of the figure's names."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Curve:
    """A series over x with its intervals; ``marked`` are the places of points that are set off."""

    label: str
    x: Sequence[float]
    y: Sequence[Estimate]
    marked: Sequence[int] = ()


@dataclass(frozen=True)
class CurvePanel:
    """Curves under one title, and levels by their label, drawn across."""

    title: str
    curves: Sequence[Curve]
    levels: Mapping[str, float]


def interval_figure(
    names: Sequence[str],
    panels: Sequence[IntervalPanel],
    *,
    title: str,
    axis: str,
    notes: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    styles: Mapping[str, Style] | None = None,
    reference: float | None = None,
    missing: str = "no value",
) -> NotebookFigure:
    """Draws points with intervals: a row a name, a panel a column.

    Args:
        names: what estimates are of, from the top.
        panels: the estimates; values of different panels have axes of their own.
        title: what stands above all of it.
        axis: what is measured.
        notes: what stands below it, a line or more each.
        groups: what each name is among; its points have that colour and shape.
        styles: of the groups, by their name, in the order of the key; the first of
            :data:`STYLES` in the order of the names if not given.
        reference: where a line is drawn across the names.
        missing: stands where there is no value.

    Raises:
        InputError: a group has no style, or there are more of them than styles.
    """
    kinds = ["" for _ in names] if groups is None else list(groups)
    known = _styles_of(sorted({*kinds})) if styles is None else styles
    if without := {*kinds} - known.keys():
        raise InputError(f"there is no style for {', '.join(sorted(without))}")
    used = {kind: style for kind, style in known.items() if kind in kinds}
    with _look():
        height = 0.25 * len(names) + 0.8
        key = {kind: _points(style) for kind, style in used.items()} if len(used) > 1 else {}
        figure, axes = _grid(len(panels), (_PANEL, height), names, title, notes, key=key)
        for ax, panel in zip(axes, panels, strict=True):
            _name_rows(ax, names)
            _head(ax, panel.title, _PANEL)
            ax.set_xlabel(label_text(axis, _AXIS_LENGTH))
            if reference is not None:
                ax.axvline(reference, color=_GREY, linewidth=0.8, linestyle=":", zorder=1)
            for kind, style in used.items():
                own = [
                    (row, each, each.value)
                    for row, (each, its) in enumerate(zip(panel.estimates, kinds, strict=True))
                    if its == kind and each.value is not None
                ]
                ends = [(row, *whole) for row, each, _ in own if (whole := _ends(each))]
                ax.hlines(
                    [row for row, _, _ in ends], [lo for _, lo, _ in ends],
                    [hi for _, _, hi in ends], colors=style.colour, linewidth=1.6,
                )  # fmt: skip
                ax.plot(
                    [value for *_, value in own], [row for row, *_ in own], style.marker,
                    color=style.colour, markersize=5, label=kind,
                )  # fmt: skip
            for row, each in enumerate(panel.estimates):
                if each.value is None:
                    ax.text(
                        0.5, row, missing, transform=ax.get_yaxis_transform(), ha="center",
                        va="center", color=_GREY, fontsize=_NOTE_SIZE, style="italic",
                    )  # fmt: skip
            _number_axis(ax, any(each.value is not None for each in panel.estimates))
    return figure


def heat_figure(
    names: Sequence[str],
    panels: Sequence[HeatPanel],
    *,
    title: str,
    scale: str,
    centre: float,
    notes: Sequence[str] = (),
) -> NotebookFigure:
    """Draws shares of row against column on one diverging scale; each panel as wide as high.

    Args:
        names: of rows and columns, from the top and from the left.
        panels: the matrices.
        title: what stands above all of it.
        scale: what colours mean.
        centre: where the scale is white: neither has more.
        notes: what stands below it.
    """
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.colors import CenteredNorm

    arrays = [np.array(panel.matrix, dtype=np.float64) for panel in panels]
    gaps = [abs(value - centre) for array in arrays for value in array.flat if value == value]
    reach = max(0.05, math.ceil(20 * max(gaps, default=0.0)) / 20)
    numbered = len(names) <= _MOST_NUMBERED
    with _look():
        side = (0.34 if numbered else 0.2) * len(names) + 1.2
        figure, axes = _grid(len(panels), (side, side + 0.9), names, title, notes, most_columns=2)
        colours = colormaps["PuOr"].with_extremes(bad="#f2f2f2")
        shown = [label_text(name, _NAME_LENGTH) for name in names]
        for ax, panel, array in zip(axes, panels, arrays, strict=True):
            image = ax.imshow(
                np.ma.masked_invalid(array), cmap=colours, norm=CenteredNorm(centre, reach)
            )
            _head(ax, panel.title, side)
            _name_rows(ax, names)
            ax.set_xticks(range(len(names)), labels=shown, rotation=90)
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
            if numbered:
                for (row, column), value in np.ndenumerate(array):
                    if value == value:
                        dark = abs(value - centre) > 0.6 * reach
                        ax.text(
                            column, row, f"{100 * value:.0f}", ha="center", va="center",
                            color="white" if dark else "black", fontsize=_NOTE_SIZE,
                        )  # fmt: skip
        bar = figure.colorbar(image, ax=axes, label=scale, format=_percents(0), shrink=0.8)
        bar.outline.set_visible(False)
    return figure


def bar_figure(
    names: Sequence[str],
    panels: Sequence[BarPanel],
    *,
    title: str,
    axis: str,
    notes: Sequence[str] = (),
    reference: float | None = None,
    shares: bool = False,
    styles: Sequence[Style] | None = None,
    beside: Sequence[str] | None = None,
) -> NotebookFigure:
    """Draws bars that lie: a row a name, a panel a column.

    Args:
        names: what bars are of, from the top.
        panels: the bars; all panels share one axis.
        title: what stands above all of it.
        axis: what is measured.
        notes: what stands below it.
        reference: where a line is drawn across the names.
        shares: whether values are shares, written as percentages.
        styles: of each name's bar; all have the first colour by default.
        beside: a text for each name, to the right of the one panel.
    """
    own = [STYLES[0] for _ in names] if styles is None else list(styles)
    width = 2.2 if beside is None else 1.9
    with _look():
        height = (0.25 if beside is None else 0.34) * len(names) + 0.8
        figure, axes = _grid(
            len(panels), (width, height), names, title, notes, share_x=True,
            text_width=0.0 if beside is None else 4.8,
        )  # fmt: skip
        for ax, panel in zip(axes, panels, strict=False):
            _name_rows(ax, names)
            _head(ax, panel.title, width)
            ax.set_xlabel(label_text(axis, _AXIS_LENGTH))
            ax.barh(
                range(len(names)), [bar.value or 0.0 for bar in panel.bars], height=0.62,
                color=[style.colour for style in own],
            )  # fmt: skip
            for row, bar in enumerate(panel.bars):
                ax.plot(
                    bar.dots, [row for _ in bar.dots], "o", color="white",
                    markeredgecolor="black", markersize=3, markeredgewidth=0.6,
                )  # fmt: skip
                end = max([bar.value or 0.0, *bar.dots])
                ax.annotate(
                    label_text(bar.told, _NAME_LENGTH), (end, row), (4, 0),
                    textcoords="offset points", va="center", fontsize=_NOTE_SIZE,
                )  # fmt: skip
            if reference is not None:
                ax.axvline(reference, color="black", linewidth=0.8, linestyle=":")
            ax.margins(x=0.2)
            ax.grid(axis="y", visible=False)
            _number_axis(ax, any(bar.value is not None for bar in panel.bars))
            if shares:
                ax.xaxis.set_major_formatter(_percents(None))
        if beside is not None:
            axes[-1].set_axis_off()
            for row, text in enumerate(beside):
                axes[-1].text(
                    0, row, _wrapped(text, 70, most=2), va="center", fontsize=8, linespacing=1.1
                )
    return figure


def curve_figure(
    panels: Sequence[CurvePanel],
    *,
    title: str,
    axes_labels: tuple[str, str],
    limits: tuple[float, float] | None,
    notes: Sequence[str] = (),
    reference: float | None = None,
    x_ticks: Sequence[float] = (),
) -> NotebookFigure:
    """Draws curves with bands, a panel each title, on one pair of axes.

    Args:
        panels: the curves; those of one label look alike in all panels.
        title: what stands above all of it.
        axes_labels: what x and y are.
        limits: both ends of y, which is a share; None gives each panel a y of its own, in numbers.
        notes: what stands below it.
        reference: where a line is drawn across.
        x_ticks: values of x that are told, on a logarithmic axis; a plain axis if not given.
    """
    labels = list(dict.fromkeys(curve.label for panel in panels for curve in panel.curves))
    styles = _styles_of(labels)
    levels = dict.fromkeys(label for panel in panels for label in panel.levels)
    level_lines = dict(zip(levels, _LEVEL_LINES, strict=False))
    key = {label: _points(styles[label], line=True) for label in labels}
    key |= {
        label: {"color": "black", "linewidth": 0.9, "linestyle": level_lines[label]}
        for label in levels
    }
    with _look():
        size = _CURVES if limits else _WIDE_CURVES
        figure, axes = _grid(
            len(panels), size, (), title, notes, share_x=True, share_y=limits is not None, key=key
        )
        for ax, panel in zip(axes, panels, strict=True):
            _head(ax, panel.title, size[0])
            ax.set_xlabel(label_text(axes_labels[0], _AXIS_LENGTH))
            if ax in axes[:: _columns(len(panels))]:
                ax.set_ylabel(label_text(axes_labels[1], _AXIS_LENGTH))
            if limits is not None:
                ax.set_ylim(*limits)
                ax.yaxis.set_major_formatter(_percents(0))
            if reference is not None:
                ax.axhline(reference, color=_GREY, linewidth=0.8, linestyle=":", zorder=1)
            for label, level in panel.levels.items():
                ax.axhline(
                    level, color="black", linewidth=0.9, linestyle=level_lines[label], label=label
                )
            for curve in panel.curves:
                _draw_curve(ax, curve, styles[curve.label])
            if x_ticks:
                ax.set_xscale("log")
                ax.set_xticks(x_ticks, labels=[f"{x:g}" for x in x_ticks])
                ax.set_xticks([], minor=True)
            ax.grid(axis="both", color=_FAINT)
    return figure


def label_text(text: str, most: int) -> str:
    """Returns a text as a figure shows it: :func:`shortened`, and no mathematics."""
    return shortened(text, most).replace("$", r"\$")


def shortened(text: str, most: int) -> str:
    """Returns a text that is printable, on one line and not too long.

    What is too long loses its middle, for names often differ at an end.

    Args:
        text: whatever it is.
        most: its characters.
    """
    told = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(told) > most:
        told = f"{told[: most - most // 3 - 1]}…{told[len(told) - most // 3 :]}"
    return told


def _styles_of(labels: Sequence[str]) -> dict[str, Style]:
    """Returns a style for each label.

    Raises:
        InputError: there are more of them than styles.
    """
    if len(labels) > len(STYLES):
        raise InputError(
            f"a figure tells at most {len(STYLES)} series apart, not {len(labels)}; draw fewer"
        )
    return dict(zip(labels, STYLES, strict=False))


def _ends(estimate: Estimate) -> tuple[float, float] | None:
    """Returns both ends of an interval, None where one is missing."""
    _, lo, hi = estimate
    return None if lo is None or hi is None else (lo, hi)


def _draw_curve(ax: Axes, curve: Curve, style: Style) -> None:
    both = list(zip(curve.x, curve.y, strict=True))
    known = [(x, each.value) for x, each in both if each.value is not None]
    ends = [(x, *whole) for x, each in both if (whole := _ends(each))]
    ax.fill_between(
        [x for x, _, _ in ends], [lo for _, lo, _ in ends], [hi for _, _, hi in ends],
        color=style.colour, alpha=0.15, linewidth=0,
    )  # fmt: skip
    ax.plot(
        [x for x, _ in known], [y for _, y in known], color=style.colour,
        marker=style.marker, linestyle=style.line, markersize=3.5, linewidth=1.4, label=curve.label,
    )  # fmt: skip
    at = {curve.x[i] for i in curve.marked}
    chosen = [(x, y) for x, y in known if x in at]
    ax.plot(
        [x for x, _ in chosen], [y for _, y in chosen], style.marker, markersize=8,
        markerfacecolor="none", markeredgecolor=style.colour, markeredgewidth=1.4,
    )  # fmt: skip


def _look() -> Any:
    """Returns a context in which what is drawn looks as all figures here do."""
    from matplotlib import rc_context, rcParams
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    families = [*rcParams["font.family"], *(name for name in _FURTHER_FONTS if name in installed)]
    return rc_context(
        {
            "font.family": families, "font.size": _TEXT_SIZE, "axes.labelsize": _TEXT_SIZE,
            "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.spines.top": False,
            "axes.spines.right": False, "axes.edgecolor": "#999999", "axes.grid": True,
            "axes.axisbelow": True, "grid.color": _FAINT, "grid.linewidth": 0.7,
            "xtick.color": "#333333", "ytick.color": "#333333", "legend.frameon": False,
            "figure.facecolor": "white", "axes.facecolor": "white", "text.color": "black",
            "text.usetex": False,
        }
    )  # fmt: skip


def _grid(
    n_panels: int,
    panel: tuple[float, float],
    names: Sequence[str],
    title: str,
    notes: Iterable[str],
    *,
    most_columns: int = _MOST_COLUMNS,
    share_x: bool = False,
    share_y: bool = True,
    text_width: float = 0.0,
    key: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[NotebookFigure, list[Axes]]:
    """Makes a figure of panels of a size in inches, with room for the names at the left.

    ``text_width`` adds an empty panel of that width, ``key`` says below the title what lines are.
    """
    from matplotlib.lines import Line2D

    from mtmbench.core.notebook_figure import NotebookFigure

    n_columns = _columns(n_panels, most_columns)
    n_rows = math.ceil(n_panels / n_columns)
    longest = max((min(len(name), _NAME_LENGTH) for name in names), default=0)
    width = max(0.3 + 0.075 * longest + n_columns * panel[0] + text_width, _NARROWEST)
    heading = textwrap.wrap(label_text(title, 400), int(9.6 * width)) or [""]
    below = [
        line
        for note in notes
        # What is long in a note are its lists, which lose nothing: names in them are short.
        for line in textwrap.wrap(label_text(note, len(note)), int(14.8 * width))
    ]
    labels = [label_text(label, _NAME_LENGTH) for label in key or ()]
    widest = 0.5 + 0.068 * max(map(len, labels), default=0)
    key_columns = max(1, min(len(labels), int(width / widest)))
    key_rows = math.ceil(len(labels) / key_columns)
    height = n_rows * panel[1] + _LINE * (len(heading) + key_rows) + 0.14 * len(below) + 0.4
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    # The layout knows of the title, not of a legend below it: empty lines keep the legend's place.
    figure.suptitle(
        "\n".join([*heading, *[" "] * key_rows]),
        x=0.01, ha="left", fontsize=_TITLE_SIZE, fontweight="bold",
    )  # fmt: skip
    if key:
        figure.legend(
            [Line2D([], [], **how) for how in key.values()],
            # Matplotlib leaves out what begins with an underscore.
            [f" {text}" if text[:1] == "_" else text for text in labels],
            loc="upper left", bbox_to_anchor=(0.01, 1 - (0.05 + _LINE * len(heading)) / height),
            ncols=key_columns, fontsize=8, borderaxespad=0, borderpad=0.2, labelspacing=0.4,
        )  # fmt: skip
    if below:
        figure.supxlabel(
            "\n".join(below), x=0.01, ha="left", fontsize=_NOTE_SIZE, color="#333333",
            linespacing=1.25,
        )  # fmt: skip
    ratios = [panel[0]] * n_columns + ([text_width] if text_width else [])
    made = figure.subplots(
        n_rows, len(ratios), sharex=share_x and not text_width, sharey=share_y, squeeze=False,
        width_ratios=ratios,
    )  # fmt: skip
    axes: list[Axes] = list(made.flat)
    kept = n_panels + (1 if text_width else 0)
    for ax in axes[:kept]:
        ax.tick_params(labelbottom=True)
    for ax in axes[kept:]:
        figure.delaxes(ax)
    return figure, axes[:kept]


def _columns(n_panels: int, most: int = _MOST_COLUMNS) -> int:
    """Returns in how many columns panels stand, so that rows are filled alike."""
    return math.ceil(n_panels / math.ceil(n_panels / most))


def _head(ax: Axes, title: str, width: float) -> None:
    """Sets a panel's title, each of its lines wrapped to the panel's width in inches."""
    lines = [_wrapped(line, int(13 * width), most=2) for line in title.split("\n")]
    ax.set_title("\n".join(lines), fontsize=_TEXT_SIZE)


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Puts a name before each row, the first at the top."""
    ax.set_yticks(range(len(names)), labels=[label_text(name, _NAME_LENGTH) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def _number_axis(ax: Axes, has_values: bool) -> None:
    """Gives an axis few round ticks; none where nothing lies on it."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    if not has_values:
        # Not by taking ticks away: panels that share an axis share its ticks.
        ax.tick_params(axis="x", bottom=False, labelbottom=False)


def _percents(decimals: int | None) -> PercentFormatter:
    """Returns what writes a share as a percentage, as everywhere with a space."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1, decimals=decimals, symbol="\N{NO-BREAK SPACE}%")


def _wrapped(text: str, width: int, most: int) -> str:
    """Returns a text on so many lines at most; what is left out ends in an ellipsis."""
    told = label_text(text, 1000)
    cells = sum(2 if east_asian_width(c) in "WF" else 1 for c in told)
    lines = textwrap.wrap(
        told, max(8, int(width * len(told) / max(cells, 1))), max_lines=most, placeholder=" …",
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)


def _points(style: Style, *, line: bool = False) -> dict[str, Any]:
    """Returns how a legend shows a style."""
    shown = style.line if line else "none"
    return {"color": style.colour, "marker": style.marker, "linestyle": shown, "markersize": 4.5}
