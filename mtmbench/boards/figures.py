"""What the figures of boards share: what is chosen of a board, and what is told below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.figure_styles import STYLES
from mtmbench.core.figure_text import shortened

_T = TypeVar("_T")
_MOST_PANELS, _NAMED, _NOTED = 24, 2, 60
KINDS = dict(zip(("over words", "over features", "over unknown items"), STYLES, strict=False))
"""How models over each kind of items are drawn, in the colours of the board's page."""


def chosen(
    what: str, asked: object, found: Sequence[_T], name: Callable[[_T], object]
) -> Sequence[_T]:
    """Returns what bears a name that is asked for; all of it where None is.

    Raises:
        UnknownNameError: nothing does; the message says what there is.
    """
    if asked is None:
        return found
    kept = [each for each in found if str(name(each)) == str(asked)]
    if not kept:
        raise UnknownNameError(what, str(asked), {str(name(each)) for each in found})
    return kept


def check_panels(n: int, what: str) -> None:
    """Checks that a figure can hold so many panels.

    Raises:
        InputError: it cannot.
    """
    if n > _MOST_PANELS:
        raise InputError(
            f"{n} panels are more than the {_MOST_PANELS} that a figure has room for; choose {what}"
        )


def grouped(told: Iterable[tuple[str, str, str]], n_panels: int) -> list[str]:
    """Returns sentences of (reason, name, panel), one a reason, with who it is of.

    Of one panel alone, nothing is said of where.
    """
    by_reason: dict[str, dict[str, list[str]]] = {}
    for reason, name, where in told:
        by_reason.setdefault(reason, {}).setdefault(name, []).append(where)
    sentences = []
    for reason, names in by_reason.items():
        everywhere = n_panels == 1 or all(len(places) == n_panels for places in names.values())
        who = ", ".join(
            short if everywhere else f"{short} ({_places(places, n_panels)})"
            for name, places in names.items()
            for short in [shortened(name, _NOTED)]
        )
        sentences.append(f"{who}: {shortened(reason, 3 * _NOTED).rstrip('.')}.")
    return sentences


def over(kind: str | None) -> str:
    """Returns how models over a kind of items are called, as :data:`KINDS` has it."""
    return f"over {kind or 'unknown items'}"


def _places(places: Sequence[str], n_panels: int) -> str:
    """Returns where something is missing; how often, where that is in many panels."""
    if len(places) > _NAMED:
        return f"{len(places)} of {n_panels} panels"
    return "; ".join(shortened(place, _NOTED) for place in places)
