"""Tables of a piece of HTML, read back by a parser that was not written for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class ShownHtml:
    """One table: its caption, its rows as texts, the header first, and the tags it is made of."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[ShownHtml] = []
        self.within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append(ShownHtml())
        self.within = tag
        if self.tables:
            table = self.tables[-1]
            table.tags.add(tag)
            if tag == "tr":
                table.rows.append([])
            elif tag in ("td", "th"):
                table.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within == "caption":
            self.tables[-1].caption += data
        elif self.within in ("td", "th"):
            self.tables[-1].rows[-1][-1] += data


def shown_tables(text: str) -> list[ShownHtml]:
    """Returns the tables of an HTML text."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.tables
