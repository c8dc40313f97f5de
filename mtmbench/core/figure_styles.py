"""How series of a figure are told from each other, in colour and in print.

Series differ in colour (Okabe and Ito's, which colour-blind readers tell apart) and in shape or
line, so that a print in grey says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mtmbench.core.errors import InputError


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


def styles_of(labels: Sequence[str]) -> dict[str, Style]:
    """Returns a style for each label.

    Raises:
        InputError: there are more of them than styles.
    """
    if len(labels) > len(STYLES):
        raise InputError(
            f"a figure tells at most {len(STYLES)} series apart, not {len(labels)}; draw fewer"
        )
    return dict(zip(labels, STYLES, strict=False))


def legend_entry(style: Style, *, line: bool = False) -> dict[str, Any]:
    """Returns how a legend shows a style."""
    shown = style.line if line else "none"
    return {"color": style.colour, "marker": style.marker, "linestyle": shown, "markersize": 4.5}
