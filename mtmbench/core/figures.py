"""The figure kit: points with intervals, heat maps, bars and curves, drawn by matplotlib.

:mod:`figure_layout` places panels, :mod:`figure_styles` tells series apart, :mod:`figure_text`
makes what is written fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mtmbench.core.errors import InputError
from mtmbench.core.figure_layout import (
    FAINT,
    NAME_LENGTH,
    NOTE_SIZE,
    column_count,
    look,
    name_rows,
    number_axis,
    panel_grid,
    panel_title,
    percent_format,
)
from mtmbench.core.figure_styles import STYLES, Style, legend_entry, styles_of
from mtmbench.core.figure_text import label_text, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mtmbench.core.notebook_figure import NotebookFigure

_GREY = "#666666"
_AXIS_LENGTH = 60
_LEVEL_LINES = (":", "--", "-.", (0, (6, 2, 1, 2, 1, 2)))
_PANEL, _CURVES, _WIDE_CURVES = 2.7, (2.1, 1.9), (2.7, 2.1)
"""Sizes of panels in inches: width, or width and height."""
_MOST_NUMBERED = 14
"""A heat map of more names than these has no numbers: there is no room for them."""


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
    known = styles_of(sorted({*kinds})) if styles is None else styles
    if without := {*kinds} - known.keys():
        raise InputError(f"there is no style for {', '.join(sorted(without))}")
    used = {kind: style for kind, style in known.items() if kind in kinds}
    with look():
        height = 0.25 * len(names) + 0.8
        key = {kind: legend_entry(style) for kind, style in used.items()} if len(used) > 1 else {}
        figure, axes = panel_grid(len(panels), (_PANEL, height), names, title, notes, key=key)
        for ax, panel in zip(axes, panels, strict=True):
            name_rows(ax, names)
            panel_title(ax, panel.title, _PANEL)
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
                        va="center", color=_GREY, fontsize=NOTE_SIZE, style="italic",
                    )  # fmt: skip
            number_axis(ax, any(each.value is not None for each in panel.estimates))
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
    with look():
        side = (0.34 if numbered else 0.2) * len(names) + 1.2
        figure, axes = panel_grid(
            len(panels), (side, side + 0.9), names, title, notes, most_columns=2
        )
        colours = colormaps["PuOr"].with_extremes(bad="#f2f2f2")
        shown = [label_text(name, NAME_LENGTH) for name in names]
        for ax, panel, array in zip(axes, panels, arrays, strict=True):
            image = ax.imshow(
                np.ma.masked_invalid(array), cmap=colours, norm=CenteredNorm(centre, reach)
            )
            panel_title(ax, panel.title, side)
            name_rows(ax, names)
            ax.set_xticks(range(len(names)), labels=shown, rotation=90)
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
            if numbered:
                for (row, column), value in np.ndenumerate(array):
                    if value == value:
                        dark = abs(value - centre) > 0.6 * reach
                        ax.text(
                            column, row, f"{100 * value:.0f}", ha="center", va="center",
                            color="white" if dark else "black", fontsize=NOTE_SIZE,
                        )  # fmt: skip
        bar = figure.colorbar(image, ax=axes, label=scale, format=percent_format(0), shrink=0.8)
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
    with look():
        height = (0.25 if beside is None else 0.34) * len(names) + 0.8
        figure, axes = panel_grid(
            len(panels), (width, height), names, title, notes, share_x=True,
            text_width=0.0 if beside is None else 4.8,
        )  # fmt: skip
        for ax, panel in zip(axes, panels, strict=False):
            name_rows(ax, names)
            panel_title(ax, panel.title, width)
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
                    label_text(bar.told, NAME_LENGTH), (end, row), (4, 0),
                    textcoords="offset points", va="center", fontsize=NOTE_SIZE,
                )  # fmt: skip
            if reference is not None:
                ax.axvline(reference, color="black", linewidth=0.8, linestyle=":")
            ax.margins(x=0.2)
            ax.grid(axis="y", visible=False)
            number_axis(ax, any(bar.value is not None for bar in panel.bars))
            if shares:
                ax.xaxis.set_major_formatter(percent_format(None))
        if beside is not None:
            axes[-1].set_axis_off()
            for row, text in enumerate(beside):
                axes[-1].text(
                    0, row, wrapped(text, 70, most=2), va="center", fontsize=8, linespacing=1.1
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
    styles = styles_of(labels)
    levels = dict.fromkeys(label for panel in panels for label in panel.levels)
    level_lines = dict(zip(levels, _LEVEL_LINES, strict=False))
    key = {label: legend_entry(styles[label], line=True) for label in labels}
    key |= {
        label: {"color": "black", "linewidth": 0.9, "linestyle": level_lines[label]}
        for label in levels
    }
    with look():
        size = _CURVES if limits else _WIDE_CURVES
        figure, axes = panel_grid(
            len(panels), size, (), title, notes, share_x=True, share_y=limits is not None, key=key
        )
        for ax, panel in zip(axes, panels, strict=True):
            panel_title(ax, panel.title, size[0])
            ax.set_xlabel(label_text(axes_labels[0], _AXIS_LENGTH))
            if ax in axes[:: column_count(len(panels))]:
                ax.set_ylabel(label_text(axes_labels[1], _AXIS_LENGTH))
            if limits is not None:
                ax.set_ylim(*limits)
                ax.yaxis.set_major_formatter(percent_format(0))
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
            ax.grid(axis="both", color=FAINT)
    return figure


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
