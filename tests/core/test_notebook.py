"""What a notebook shows: tables as HTML, read back by a parser, with every text as it was."""

from __future__ import annotations

from support.tables import shown_tables

from mtmbench.core.notebook import html_table


def test_a_table_reads_back_as_it_was() -> None:
    rows = [("<script>alert(1)</script>", 1), ("a & \"b\" > 'c'", None), ("", 0.5)]
    (table,) = shown_tables(html_table(("who <b>", "n"), rows, "a < b & c"))
    assert table.caption == "a < b & c"
    assert table.rows == [["who <b>", "n"], *([who, str(n)] for who, n in rows)]
    assert table.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_without_a_caption_and_without_rows() -> None:
    (table,) = shown_tables(html_table(("a", "b"), []))
    assert (table.caption, table.rows) == ("", [["a", "b"]])
    assert "caption" not in table.tags
