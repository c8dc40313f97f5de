"""What tests of commands share: how they are called, and what is read of what they print."""

from __future__ import annotations

from collections.abc import Callable

Call = Callable[..., tuple[int, str, str]]
"""Runs a command with arguments; returns exit code, output and errors."""

AS_TYPED = ("a[b]", "[red]x[/red]", "[/x]", ":smile:", "\\[x]", "[link=x]y")
"""Names that a console that reads markup would change, colour or stop at."""


def cells(out: str) -> list[list[str]]:
    """Returns the rows of printed tables, without their heads; folded cells are put together."""
    rows: list[list[str]] = []
    for line in out.splitlines():
        if line.startswith("│"):
            row = [cell.strip() for cell in line[1:-1].split("│")]
            if row[0]:
                rows.append(row)
            else:
                rows[-1] = [above + more for above, more in zip(rows[-1], row, strict=True)]
    return rows
