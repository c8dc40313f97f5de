"""Pieces of GitHub's Markdown, with everything escaped that could be read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mtmbench.boards.numbers import DASH


def markdown_page(parts: Iterable[str]) -> str:
    """Returns a page of paragraphs, headings, lists and tables, each a part."""
    return "\n\n".join(parts) + "\n"


def markdown_heading(level: int, text: str) -> str:
    """Returns a heading; its text is escaped."""
    return f"{'#' * level} {markdown_text(text)}"


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], *, raw: bool = False
) -> str:
    """Returns a table; with ``raw`` the cells of ``rows`` are Markdown already."""
    lines = [[markdown_text(cell) for cell in header], ["---"] * len(header)]
    lines += [
        [str(c) if raw else DASH if c is None else markdown_text(c) for c in row] for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_bullets(lines: Iterable[str]) -> str:
    """Returns a list; its lines are escaped."""
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def markdown_warning(text: str) -> str:
    """Returns a line that warns; its text is escaped."""
    return f"> **Warning:** {markdown_text(text)}"


def markdown_text(value: Any) -> str:
    """Escapes what Markdown or HTML would read as markup."""
    text = re.sub(r"\s+", " ", str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)
