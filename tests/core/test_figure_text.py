"""Text in figures: printable, short, and no mathematics."""

from __future__ import annotations

from mtmbench.core.figure_text import label_text


def test_a_label_is_printable_short_and_no_mathematics() -> None:
    assert label_text("a\u202eb\x1b[31m\tc", 20) == "a b [31m c"
    assert label_text("abcdefghij", 7) == "abcd…ij"
    assert label_text("$x$ and $", 20) == r"\$x\$ and \$"
