"""Pieces of GitHub's Markdown, with everything escaped that could be read as markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], *, raw: bool = False
) -> str:
    """Returns a table; with ``raw`` the cells of ``rows`` are Markdown already."""
    lines = [[markdown_text(cell) for cell in header], ["---"] * len(header)]
    lines += [
        [str(c) if raw else "–" if c is None else markdown_text(c) for c in row] for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_bullets(lines: Sequence[str]) -> str:
    """Returns a list; its lines are escaped."""
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def markdown_text(value: Any) -> str:
    """Escapes what Markdown or HTML would read as markup."""
    text = re.sub(r"\s+", " ", str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)
