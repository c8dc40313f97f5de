"""How much better tuned parameters are than the defaults, and how much of that was luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev

from mtmbench.boards.numbers import Form, signed, within
from mtmbench.stats.best_of import expected_largest
from mtmbench.stats.intervals import welch

_NOTHING = 1e-6
"""What differs by less does so by how numbers are rounded."""


@dataclass(frozen=True)
class Gain:
    """Differences between tuned and defaults, above zero where tuned is better.

    Attributes:
        gain: of the means under fresh seeds, which tuning had not seen; 0 where the defaults stay.
        lo: lower end of Welch's 95 % interval; None without one, as where the defaults stay.
        hi: upper end.
        seen: of the means under the seeds of tuning, by which the best was chosen.
        luck: ``seen − gain``: what the choice owed to the seeds it was made under.
        expected_luck: what to expect of ``seen`` were all settings as good as the defaults.
        spread: standard deviation of the defaults' values over seeds.
    """

    gain: float
    lo: float | None
    hi: float | None
    seen: float
    luck: float
    expected_luck: float
    spread: float

    @property
    def digits(self) -> int:
        """Decimals that show the largest of what is told apart here with two digits."""
        largest = max(abs(self.gain), abs(self.seen), self.spread)
        if largest < _NOTHING:
            return 3
        return max(0, 1 - math.floor(math.log10(largest)))

    @property
    def form(self) -> Form:
        """How figures of this size are written."""
        return partial(signed, digits=self.digits)


def gain_of(
    defaults: Sequence[float],
    tuned: Sequence[float],
    fresh_defaults: Sequence[float],
    fresh_tuned: Sequence[float],
    *,
    settings: int,
    higher_is_better: bool,
    is_default: bool = False,
) -> Gain:
    """Compares tuned parameters with the defaults.

    The best of N settings that do not differ but for noise is, in the mean, ``e_N · s / √S``
    better than another of them, with e_N the expected largest of N standard normal values
    (:func:`~mtmbench.stats.best_of.expected_largest`), s the defaults' standard deviation over all
    their seeds, and S the seeds of a trial: the winner's curse, as if noise were normal and alike
    everywhere.

    Args:
        defaults: the defaults' values under the S seeds of tuning.
        tuned: those of the tuned parameters.
        fresh_defaults: the defaults' values under fresh seeds.
        fresh_tuned: those of the tuned parameters.
        settings: N, how many different settings were tried.
        higher_is_better: the metric's direction.
        is_default: whether no trial was better than the defaults, which are then the tuned ones.
    """
    sign = 1.0 if higher_is_better else -1.0
    spread = stdev([*defaults, *fresh_defaults])
    expected = expected_largest(settings) * spread / math.sqrt(len(defaults)) if settings else 0.0
    if is_default:
        return Gain(0.0, None, None, 0.0, 0.0, expected, spread)
    on, off = ([sign * value for value in values] for values in (fresh_tuned, fresh_defaults))
    gain, lo, hi = welch(on, off)
    seen = sign * (fmean(tuned) - fmean(defaults))
    return Gain(gain, lo, hi, seen, seen - gain, expected, spread)


def finding(gain: Gain, what: str, metric: str, *, is_default: bool, settings: int) -> str:
    """Returns what tuning came to, in a sentence or two.

    Args:
        gain: the figures.
        what: which model, on what, with how many topics.
        metric: the metric's name.
        is_default: whether no trial was better than the defaults.
        settings: how many different settings were tried.
    """
    if is_default:
        return (
            f"By {metric}, none of {settings} settings of {what} was better than the defaults, "
            "which stay."
        )
    better, form = "better" if gain.gain >= 0 else "worse", gain.form
    sure = gain.lo is not None and gain.hi is not None and gain.lo <= 0 <= gain.hi
    doubt = ", which is not told from no difference" if sure else ""
    luck = (
        f"{form(gain.luck)} was luck of the seeds"
        if gain.luck > 0
        else "none was luck of the seeds"
    )
    return (
        f"By {metric}, tuned {what} is {form(abs(gain.gain))} {better} than the defaults under "
        f"fresh seeds{within(gain.lo, gain.hi, form)}{doubt}. Of the gain of {form(gain.seen)} "
        f"seen while tuning, {luck}; the best of {settings} settings that are all alike would "
        f"have shown {form(gain.expected_luck)}."
    )
