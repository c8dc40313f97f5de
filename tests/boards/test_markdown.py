"""Whatever a name holds, a Markdown page shows it as it is: read by a parser of CommonMark."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from mtmbench.boards.markdown import MarkdownPage

NAMES = (
    "a|b", "[x](http://e)", "\\|", "\\", "<b>t</b>", "&lt;", "*x*", "__x__", "~~x~~", "`x`", "# x",
    "![i](j)", "===", "<http://x.y>", "> q", "    code", "[a]: b", "```", "- x", "-", "+ x", "1. x",
    "12)", "---", "* x", "x\\[y]\\", "m[/v1]",
)  # fmt: skip


class Seen(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: MarkdownPage) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(str(page)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def page(what: str, name: str) -> MarkdownPage:
    made = MarkdownPage("title")
    if what == "bullets":
        made.bullets([name, "other"])
    elif what == "table":
        made.table([name, "h"], [[name, "c"]])
    else:
        getattr(made, what)(name)
    return made


@pytest.mark.parametrize("what", ["heading", "text", "bold", "bullets", "warning", "table"])
def test_a_name_is_shown_as_it_is_and_makes_no_markup(what: str) -> None:
    plain = Seen(page(what, "plain"))
    for name in NAMES:
        seen = Seen(page(what, name))
        assert seen.tags == plain.tags, name
        shown = " ".join(seen.text.split())
        assert shown == " ".join(plain.text.replace("plain", name).split()), name
