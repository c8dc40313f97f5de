"""Tables in Markdown, and what stands in their cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def facts_table(rows: Iterable[tuple[str, str]]) -> str:
    """Returns what is known of one thing, a row each; what is empty is left out."""
    return table(("", ""), [row for row in rows if row[1]])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table; cells may have what Markdown's own would end at."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def yes(value: bool) -> str:
    """Returns "yes" or "no"."""
    return "yes" if value else "no"


def code(text: str | None) -> str:
    """Returns a text as code; nothing of none."""
    return f"`{text}`" if text else ""


def value_text(value: object) -> str:
    """Returns a parameter's value as code, but None in words."""
    return code(str(value)) if value is not None else "none"


def codes(values: Iterable[object]) -> str:
    """Returns each value as code, with commas between."""
    return ", ".join(f"`{value}`" for value in values)


def listed(values: Iterable[str]) -> str:
    """Returns texts with commas between, or that there are none."""
    return ", ".join(values) or "nothing more"


def _cell(text: str) -> str:
    return " ".join(re.sub(r"(?<!\\)\|", r"\|", text).split())
