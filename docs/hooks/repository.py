"""Where the repository lies, and links to its files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def file_link(path: str) -> str:
    """Returns a link to a file from a page in a folder of ``docs/``; nothing where it is none."""
    return f"[`{path}`](../../{path})" if (ROOT / path).is_file() else ""
