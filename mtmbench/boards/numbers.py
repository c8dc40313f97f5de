"""Numbers as pages show them: of fixed digits, as shares, with intervals, and where they lack."""

from __future__ import annotations

from collections.abc import Callable

DASH = "–"
"""Stands where there is no value."""

Form = Callable[[float], str]
"""How a number is written."""


def fixed(digits: int) -> Form:
    """Returns a form of fixed decimals, without a minus before what rounds to zero."""
    return lambda value: f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int = 3, *, plus: bool = False) -> str:
    """Returns a number with fixed decimals, a real minus, and no sign where it rounds to zero."""
    text = fixed(digits)(value).replace("-", "−")
    return f"+{text}" if plus and round(value, digits) > 0 else text


def percent(share: float, digits: int = 1) -> str:
    """Returns a share as a percentage, with a space that does not break."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def shown(value: float | None, form: Form) -> str:
    """Returns a number as text, a dash where there is none."""
    return DASH if value is None else form(value)


def interval(lo: float | None, hi: float | None, form: Form) -> str:
    """Returns "lo to hi"; empty where an end is missing."""
    return "" if lo is None or hi is None else f"{form(lo)} to {form(hi)}"


def within(lo: float | None, hi: float | None, form: Form) -> str:
    """Returns " (lo to hi)", as it stands behind a value; empty where an end is missing."""
    ends = interval(lo, hi, form)
    return f" ({ends})" if ends else ""


def estimate(
    value: float | None, lo: float | None, hi: float | None, form: Form, ends: Form | None = None
) -> str:
    """Returns "value (lo to hi)" as far as there is one, a dash where there is no value.

    The interval's ``ends`` are written as the value is, if no other form is given.
    """
    return DASH if value is None else form(value) + within(lo, hi, ends or form)
