"""What a figure shows, read back from its artists."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

Drawn = tuple[float, float | None, float | None]


def names_of(figure: Figure) -> list[str]:
    """The names before the rows of the first panel, from the top."""
    return [label.get_text().replace(r"\$", "$") for label in figure.axes[0].get_yticklabels()]


def title_of(figure: Figure) -> str:
    """What stands above the panels, without the lines that it leaves to a legend."""
    return " ".join(figure.get_suptitle().split())


def titles_of(figure: Figure) -> list[str]:
    """The panels' titles."""
    return [ax.get_title().replace("\xa0", " ") for ax in figure.axes]


def notes_of(figure: Figure) -> str:
    """What stands below the panels, as one text."""
    return " ".join(figure.get_supxlabel().split())


def intervals_of(ax: Axes, names: Sequence[str]) -> dict[str, Drawn]:
    """Values with the ends of their intervals by name, as far as they are drawn."""
    ends = {
        names[round(segment[0][1])]: (segment[0][0], segment[1][0])
        for lines in ax.collections
        if isinstance(lines, LineCollection)
        for segment in lines.get_segments()
    }
    return {
        names[round(float(row))]: (float(value), *ends.get(names[round(float(row))], (None, None)))
        for line in ax.lines
        if line.get_linestyle() == "None"
        for value, row in np.column_stack([line.get_xdata(), line.get_ydata()])
    }


def bars_of(ax: Axes, names: Sequence[str]) -> dict[str, float]:
    """Lengths of bars by name."""
    return {
        names[round(bar.get_y() + bar.get_height() / 2)]: float(bar.get_width())  # type: ignore[attr-defined]
        for bar in ax.patches
    }


def curves_of(ax: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """x and y of curves and levels by their label."""
    return {
        str(line.get_label()): (
            [float(x) for x in np.asarray(line.get_xdata())],
            [float(y) for y in np.asarray(line.get_ydata())],
        )
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


def texts_of(ax: Axes) -> list[str]:
    """Texts within a panel."""
    return [text.get_text() for text in ax.texts]


def spilt(figure: Figure) -> list[str]:
    """Texts that leave the figure, and names of rows that overlap, once it is drawn.

    Without numbers of axes: matplotlib keeps those of ticks that it does not draw.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts: list[Text] = [text for legend in figure.legends for text in legend.get_texts()]
    texts += figure.texts  # title and notes among them
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    rows = figure.axes[0].get_yticklabels()
    found = []
    for text in (*texts, *rows):
        box = text.get_window_extent(renderer)
        if text.get_text() and not (
            min(box.x0, box.y0) > -1 and box.x1 < figure.bbox.x1 + 1 and box.y1 < figure.bbox.y1 + 1
        ):
            found.append(text.get_text())
    boxes = sorted((label.get_window_extent(renderer) for label in rows), key=lambda box: box.y0)
    found += ["rows overlap" for low, high in pairwise(boxes) if high.y0 < low.y1 - 0.5]
    return found
