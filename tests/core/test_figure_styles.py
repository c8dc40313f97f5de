"""Series of a figure are told apart in colour and in print."""

from __future__ import annotations

from mtmbench.core.figure_styles import STYLES


def test_series_differ_in_colour_and_in_shape_or_line() -> None:
    assert len({style.colour for style in STYLES}) == len(STYLES)
    assert len({style.marker for style in STYLES}) == len(STYLES)
