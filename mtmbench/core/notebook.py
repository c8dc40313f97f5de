"""Values as a notebook shows them: HTML tables in which every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LEFT = ' style="text-align: left"'
"""Notebooks align cells to the right, which is for numbers alone."""


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Returns a table as HTML.

    Args:
        header: the columns' names.
        rows: cells, shown by ``str``.
        caption: stands above the table.
    """

    def line(tag: str, cells: Sequence[object]) -> str:
        return "".join(f"<{tag}{_LEFT}>{escape(str(cell))}</{tag}>" for cell in cells)

    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    above = f"<caption{_LEFT}>{escape(caption)}</caption>\n" if caption else ""
    return (
        f"<table>\n{above}<thead><tr>{line('th', header)}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )
