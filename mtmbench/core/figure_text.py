"""Text in figures: whatever it is, it is shown as it is, and fits."""

from __future__ import annotations

import textwrap
from unicodedata import east_asian_width


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


def wrapped(text: str, width: int, most: int) -> str:
    """Returns a text on so many lines at most; what is left out ends in an ellipsis."""
    told = label_text(text, 1000)
    cells = sum(2 if east_asian_width(c) in "WF" else 1 for c in told)
    lines = textwrap.wrap(
        told, max(8, int(width * len(told) / max(cells, 1))), max_lines=most, placeholder=" …",
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)
