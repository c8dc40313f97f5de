"""An HTML page taken apart, to see what is in it and that its tags close in order."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "circle", "line", "br", "wbr", "link", "img"}


class Checker(HTMLParser):
    """Collects tags with their attributes, and text, and sees that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def names(self) -> set[str]:
        """The names of the tags."""
        return {tag for tag, _ in self.tags}


def parse(page: str) -> Checker:
    """Returns a page's tags and text; every tag must be closed."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker
