"""The chart kit: points with intervals on shared axes, as inline SVG that ``kit.html.j2`` draws.

Positions are percentages of the width, so charts fit any.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mtmbench.boards.numbers import Form, fixed
from mtmbench.boards.rows.leagues import RatedNumbers
from mtmbench.core.tables import ShownTable
from mtmbench.stats.bradley_terry import ELO_MEAN

_MAX_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A range of values that all rows of a plot share.

    Attributes:
        lo: left end.
        hi: right end.
        ticks: round values within it.
        middle: the tick that is drawn as a line of its own kind, or None.
    """

    lo: float
    hi: float
    ticks: tuple[float, ...]
    middle: float | None = None

    @classmethod
    def elo(cls, rows: Iterable[RatedNumbers]) -> Axis:
        """Returns an axis that holds every estimate and interval of rating rows, and the mean."""
        values = [value for row in rows for value in (row["elo"], row["lo"], row["hi"])]
        near = (ELO_MEAN - 10, ELO_MEAN + 10)
        return cls.spanning([*values, *near], least_step=10, middle=ELO_MEAN)

    @classmethod
    def spanning(
        cls, values: Iterable[float | None], least_step: float = 0, middle: float | None = None
    ) -> Axis:
        """Returns an axis that holds every value, with ticks of 1, 2, 2.5 or 5 times a power of 10.

        Equal values get an axis of length 0.02 around them, no values one around 0.

        Args:
            values: what lies on it; None is passed over.
            least_step: least distance of ticks.
            middle: see the class.
        """
        found = [float(value) for value in values if value is not None] or [0.0]
        low, high = min(found), max(found)
        if high - low < 1e-9:
            low, high = low - 0.01, high + 0.01
        margin = 0.04 * (high - low)
        low, high = low - margin, high + margin
        power = 10.0 ** math.floor(math.log10((high - low) / _MAX_TICKS))
        step = next(
            f * power for f in (1, 2, 2.5, 5, 10) if (high - low) / (f * power) <= _MAX_TICKS
        )
        step = max(step, least_step)
        first, last = math.ceil(low / step), math.floor(high / step)
        ticks = tuple(round(step * i, 12) for i in range(first, last + 1))
        return cls(low, high, ticks, middle)

    def at(self, value: float) -> str:
        """Returns where a value lies, as a percentage of the width."""
        return f"{100 * (value - self.lo) / (self.hi - self.lo):.2f}%"


@dataclass(frozen=True)
class Mark:
    """A point with its interval: positions as percentages, and the same in words."""

    dot: str
    lo: str | None
    hi: str | None
    label: str

    @classmethod
    def placed(
        cls,
        axis: Axis,
        value: float | None,
        lo: float | None,
        hi: float | None,
        form: Form,
        what: str = "",
    ) -> Mark | None:
        """Returns the mark of a value, with its interval where it has one; None without a value.

        Args:
            axis: where it is placed.
            value: the point.
            lo: lower end of its interval, or None.
            hi: upper end, or None.
            form: how its numbers are written.
            what: stands before the value in words.
        """
        if value is None:
            return None
        told = f"{what}{form(value)}"
        if lo is None or hi is None:
            return cls(axis.at(value), None, None, f"{told}, no interval")
        label = f"{told}, interval {form(lo)} to {form(hi)}"
        return cls(axis.at(value), axis.at(lo), axis.at(hi), label)

    @classmethod
    def elo(cls, axis: Axis, row: RatedNumbers) -> Mark | None:
        """Returns the mark of a rating row, None where it has no rating."""
        return cls.placed(axis, row["elo"], row["lo"], row["hi"], fixed(0), "Elo ")


@dataclass(frozen=True)
class Line:
    """One row of a chart; numbers as they are shown.

    Attributes:
        name: what it is of.
        role: what that is among the others, or empty.
        mark: where it lies, None without a value.
        value: the number, or what stands for it.
        interval: its interval, or empty.
        missing: why there is no mark, or empty.
        beside: what the last column holds.
        beside_interval: its interval, or empty.
        sure: whether the last column is set off.
        shaded: the style of a row that is set off, or empty.
    """

    name: str
    role: str
    mark: Mark | None
    value: str
    interval: str
    missing: str
    beside: str
    beside_interval: str = ""
    sure: bool = False
    shaded: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines under one title; ``reference`` is drawn across all of them."""

    title: str
    lines: Sequence[Line]
    reference: Mark | None


@dataclass(frozen=True)
class ChartPanel:
    """Charts on one axis.

    Attributes:
        title: what is measured.
        axis: the axis of all charts.
        charts: what is drawn.
        columns: headings of a line's name and of its last column.
        tables: the same for a page that draws nothing: titles, empty or not, and tables.
        reference: what the charts' reference is, in words, or None.
    """

    title: str
    axis: Axis
    charts: Sequence[Chart]
    columns: tuple[str, str]
    tables: Sequence[tuple[str, ShownTable]]
    reference: str | None = None
