"""Numbers as pages show them."""

from __future__ import annotations

import pytest

from mtmbench.boards.numbers import estimate, fixed, interval, percent, shown, signed, within


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.25, 1, "1.2"),
        (-0.04, 1, "0.0"),
        (-0.06, 1, "-0.1"),
        (1499.5, 0, "1500"),
        (0.0, 3, "0.000"),
    ],
)
def test_fixed_digits(value: float, digits: int, text: str) -> None:
    assert fixed(digits)(value) == text


def test_signs() -> None:
    assert [signed(value) for value in (-0.1234, -0.0004, 0.5)] == ["−0.123", "0.000", "0.500"]
    assert [signed(v, 2, plus=True) for v in (0.5, 0.001, -0.5)] == ["+0.50", "0.00", "−0.50"]


def test_what_is_missing_is_a_dash_or_nothing() -> None:
    assert shown(None, percent) == estimate(None, 0.1, 0.2, percent) == "–"
    assert interval(None, 0.2, percent) == within(0.1, None, percent) == ""
    assert estimate(0.5, None, None, fixed(2)) == "0.50"


def test_intervals_are_written_as_their_value_or_in_a_form_of_their_own() -> None:
    assert interval(-0.1, 0.2, signed) == "−0.100 to 0.200"
    assert estimate(0.5, 0.25, 0.75, percent) == "50.0\xa0% (25.0\xa0% to 75.0\xa0%)"
    assert estimate(0.5, 0.25, 0.75, fixed(3), fixed(1)) == "0.500 (0.2 to 0.8)"
