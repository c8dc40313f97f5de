"""GitHub's Markdown, with everything escaped that could be read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mtmbench.boards.numbers import DASH


class MarkdownPage:
    """A page that is written part by part; ``str`` of it is the whole.

    What is given is escaped, but for what is Markdown already and is given as ``raw``.
    """

    def __init__(self, title: str) -> None:
        self._parts: list[str] = []
        self.heading(title, level=1)

    def __str__(self) -> str:
        return "\n\n".join(self._parts) + "\n"

    def heading(self, text: str, level: int = 2) -> None:
        """Adds a heading."""
        self.raw(f"{'#' * level} {markdown_text(text)}")

    def text(self, text: str) -> None:
        """Adds a paragraph."""
        self.raw(_block(text))

    def bold(self, text: str) -> None:
        """Adds a line in bold."""
        self.raw(f"**{markdown_text(text.strip())}**")

    def bullets(self, lines: Iterable[str]) -> None:
        """Adds a list; nothing if it is empty."""
        self.raw("\n".join(f"- {_block(line)}" for line in lines))

    def warning(self, *lines: str) -> None:
        """Adds lines that warn, set off as one; nothing if there are none."""
        self.raw("\n".join(f"> **Warning:** {markdown_text(line)}" for line in lines))

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[object]], *, raw: bool = False
    ) -> None:
        """Adds a table; a cell that is None is a dash."""
        cells = [
            [str(c) if raw else DASH if c is None else markdown_text(c) for c in row]
            for row in rows
        ]
        lines = [[markdown_text(cell) for cell in header], ["---"] * len(header), *cells]
        self.raw("\n".join("| " + " | ".join(line) + " |" for line in lines))

    def raw(self, markdown: str) -> None:
        """Adds what is Markdown already; nothing if it is empty."""
        if markdown:
            self._parts.append(markdown)


def markdown_text(value: object) -> str:
    """Escapes what Markdown or HTML would read as markup."""
    text = re.sub(r"\s+", " ", str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)


def _block(text: str) -> str:
    """Escapes a text that begins a paragraph or an item, where "- x" or "1. x" would be a list."""
    escaped = markdown_text(text.strip())
    escaped = re.sub(r"^([-+])(?=\s|$|-)", r"\\\1", escaped)
    return re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", escaped)
