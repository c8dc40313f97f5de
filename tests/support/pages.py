"""The repository's Markdown pages as readers use them: sections, code blocks, commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import mtmbench

ROOT = Path(mtmbench.__file__).parents[1]
DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
PAGES = ["CONTRIBUTING.md", "README.md", *DOCS]
BLOCK = re.compile(
    r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)
INLINE = re.compile(r"(?<!`)`(mtmbench [a-z][^`]*)`")
COMMENT = re.compile(r"\s+# .*$")


@dataclass(frozen=True)
class Block:
    """A code block: the file that the line above it names, its language, its text."""

    file: str | None
    language: str
    code: str


def sections(page: str) -> dict[str, list[Block]]:
    """Returns the code blocks of a page by the heading that they stand under."""
    parts = re.split(r"^## (.+)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.M)
    titles = [page, *parts[1::2]]
    return {
        title: [Block(*found.group("file", "language", "code")) for found in BLOCK.finditer(part)]
        for title, part in zip(titles, parts[0::2], strict=True)
    }


def named_files(page: str) -> dict[str, str]:
    """Returns the text of every file that a page shows, by its name."""
    found = [block for blocks in sections(page).values() for block in blocks]
    return {block.file: block.code for block in found if block.file is not None}


def commands(page: str, languages: tuple[str, ...] = ("sh", "console")) -> list[str]:
    """Returns the lines of a page that call mtmbench, in order, without their comments.

    Lines of blocks in these languages, and code within a sentence.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    found: list[tuple[int, str]] = []
    for block in BLOCK.finditer(text):
        if block["language"] in languages:
            lines = [line.removeprefix("$ ") for line in block["code"].splitlines()]
            called = [line for line in lines if line.startswith("mtmbench ")]
            found += [(block.start(), COMMENT.sub("", line)) for line in called]
    found += [(span.start(), span[1]) for span in INLINE.finditer(BLOCK.sub(_blank, text))]
    return [line for _, line in sorted(found, key=lambda pair: pair[0])]


def _blank(block: re.Match[str]) -> str:
    return " " * len(block[0])
