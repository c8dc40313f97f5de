"""How a figure is laid out: panels in a grid, with names, titles and notes around them.

Figures are objects of their own: pyplot knows none of them, and none needs a display.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtmbench.core.figure_text import label_text, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import PercentFormatter

    from mtmbench.core.notebook_figure import NotebookFigure

FAINT = "#e6e6e6"
NAME_LENGTH = 32
NOTE_SIZE = 7.5
_TEXT_SIZE, _TITLE_SIZE = 9.0, 11.0
_MOST_COLUMNS = 4
_NARROWEST = 6.0
_LINE = 0.185
"""Height of a line of the title, in inches."""
_FURTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "Microsoft YaHei", "PingFang SC", "Hiragino Sans", "Yu Gothic", "Malgun Gothic", "Noto Sans",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai",
)  # fmt: skip
"""Asked, where they are installed, for characters that matplotlib's own font lacks."""


def look() -> Any:
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
            "axes.axisbelow": True, "grid.color": FAINT, "grid.linewidth": 0.7,
            "xtick.color": "#333333", "ytick.color": "#333333", "legend.frameon": False,
            "figure.facecolor": "white", "axes.facecolor": "white", "text.color": "black",
            "text.usetex": False,
        }
    )  # fmt: skip


def panel_grid(
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
    """Makes a figure of panels, with room for the names at the left.

    Args:
        n_panels: how many there are.
        panel: width and height of each in inches.
        names: what stands at the left of rows.
        title: what stands above all of it.
        notes: what stands below it.
        most_columns: panels beside each other.
        share_x: whether panels share their x.
        share_y: whether panels share their y.
        text_width: of an empty panel that is added, in inches; 0 adds none.
        key: how the lines and points of each label look, told below the title.

    Returns:
        The figure, and the axes of its panels in their order.
    """
    from matplotlib.lines import Line2D

    from mtmbench.core.notebook_figure import NotebookFigure

    n_columns = column_count(n_panels, most_columns)
    n_rows = math.ceil(n_panels / n_columns)
    longest = max((min(len(name), NAME_LENGTH) for name in names), default=0)
    width = max(0.3 + 0.075 * longest + n_columns * panel[0] + text_width, _NARROWEST)
    heading = textwrap.wrap(label_text(title, 400), int(9.6 * width)) or [""]
    below = [
        line
        for note in notes
        # What is long in a note are its lists, which lose nothing: names in them are short.
        for line in textwrap.wrap(label_text(note, len(note)), int(14.8 * width))
    ]
    labels = [label_text(label, NAME_LENGTH) for label in key or ()]
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
            "\n".join(below), x=0.01, ha="left", fontsize=NOTE_SIZE, color="#333333",
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


def column_count(n_panels: int, most: int = _MOST_COLUMNS) -> int:
    """Returns in how many columns panels stand, so that rows are filled alike."""
    return math.ceil(n_panels / math.ceil(n_panels / most))


def panel_title(ax: Axes, title: str, width: float) -> None:
    """Sets a panel's title, each of its lines wrapped to the panel's width in inches."""
    lines = [wrapped(line, int(13 * width), most=2) for line in title.split("\n")]
    ax.set_title("\n".join(lines), fontsize=_TEXT_SIZE)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Puts a name before each row, the first at the top."""
    ax.set_yticks(range(len(names)), labels=[label_text(name, NAME_LENGTH) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def number_axis(ax: Axes, has_values: bool) -> None:
    """Gives an axis few round ticks; none where nothing lies on it."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    if not has_values:
        # Not by taking ticks away: panels that share an axis share its ticks.
        ax.tick_params(axis="x", bottom=False, labelbottom=False)


def percent_format(decimals: int | None) -> PercentFormatter:
    """Returns what writes a share as a percentage, as everywhere with a space."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1, decimals=decimals, symbol="\N{NO-BREAK SPACE}%")
