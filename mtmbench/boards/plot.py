"""Dots with intervals as inline SVG whose positions are percentages, so they fit any width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_STEPS = (10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000)
_MAX_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A range of values that all rows of a plot share.

    Attributes:
        lo: left end.
        hi: right end.
        ticks: round values within it.
    """

    lo: float
    hi: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, rows: Iterable[Mapping[str, Any]]) -> Axis:
        """Returns an axis that holds every estimate and interval of rating rows."""
        values = [
            float(row[name])
            for row in rows
            for name in ("elo", "lo", "hi")
            if row[name] is not None
        ] or [1500.0]
        low, high = min(*values, 1490.0), max(*values, 1510.0)
        margin = 0.04 * (high - low)
        low, high = low - margin, high + margin
        step = next((s for s in _STEPS if (high - low) / s <= _MAX_TICKS), _STEPS[-1])
        first = math.ceil(low / step)
        ticks = tuple(step * i for i in range(first, math.floor(high / step) + 1))
        return cls(low, high, ticks)

    @classmethod
    def spanning(cls, values: Iterable[float]) -> Axis:
        """Returns an axis that holds every value, with ticks of 1, 2, 2.5 or 5 times a power of 10.

        Equal values get an axis of length 0.02 around them.
        """
        found = [float(value) for value in values] or [0.0]
        low, high = min(found), max(found)
        if high - low < 1e-9:
            low, high = low - 0.01, high + 0.01
        margin = 0.04 * (high - low)
        low, high = low - margin, high + margin
        power = 10.0 ** math.floor(math.log10((high - low) / _MAX_TICKS))
        step = next(
            f * power for f in (1, 2, 2.5, 5, 10) if (high - low) / (f * power) <= _MAX_TICKS
        )
        first, last = math.ceil(low / step), math.floor(high / step)
        return cls(low, high, tuple(round(step * i, 12) for i in range(first, last + 1)))

    def at(self, value: float) -> str:
        """Returns where a value lies, as a percentage of the width."""
        return f"{100 * (value - self.lo) / (self.hi - self.lo):.2f}%"


@dataclass(frozen=True)
class Mark:
    """One row of a plot: positions as percentages, and the same in words."""

    dot: str
    lo: str | None
    hi: str | None
    label: str

    @classmethod
    def of(cls, row: Mapping[str, Any], axis: Axis) -> Mark | None:
        """Returns the mark of a rating row, None where it has no rating."""
        if row["elo"] is None:
            return None
        if row["lo"] is None:
            return cls(axis.at(row["elo"]), None, None, f"Elo {row['elo']:.0f}, no interval")
        return cls(
            axis.at(row["elo"]),
            axis.at(row["lo"]),
            axis.at(row["hi"]),
            f"Elo {row['elo']:.0f}, interval {row['lo']:.0f} to {row['hi']:.0f}",
        )

    @classmethod
    def placed(
        cls, axis: Axis, value: float, lo: float | None, hi: float | None, digits: int = 3
    ) -> Mark:
        """Returns the mark of any value, with its interval where it has one."""
        if lo is None or hi is None:
            return cls(axis.at(value), None, None, f"{value:.{digits}f}, no interval")
        label = f"{value:.{digits}f}, interval {lo:.{digits}f} to {hi:.{digits}f}"
        return cls(axis.at(value), axis.at(lo), axis.at(hi), label)


def heat(rate: float | None) -> str:
    """Returns a cell's background for a win rate: one hue above a half, another below."""
    if rate is None:
        return "transparent"
    strength = min(1.0, abs(rate - 0.5) * 2) * 0.75
    hue = "37,99,235" if rate >= 0.5 else "217,119,6"
    return f"rgba({hue},{strength:.2f})"
