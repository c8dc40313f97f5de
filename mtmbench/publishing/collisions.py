"""Two records of one key: the same value, the same but for float noise, or another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mtmbench.core.records import CellRecord

NOISE = 1e-5
"""Of the larger of two numbers, or of 1: by so much sums of float32 differ between processors."""

_HASHES = frozenset({"result"})
"""Fields that hash numbers, which differ with the last bit of any of them."""

_NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """How two values of one cell differ.

    Attributes:
        where: the field with the largest difference, or the first that is not noise.
        held: what the board holds there.
        given: what the contributor's record holds.
        size: |given − held| where both are numbers; None where it is no noise.
    """

    where: str
    held: object
    given: object
    size: float | None


def difference(held: CellRecord, given: CellRecord) -> Difference | None:
    """Returns how two records of one key differ, None if they are the same.

    Versions of packages are no value. A difference with a ``size`` is float noise alone: all
    numbers agree to within :data:`NOISE`, and all else is equal but for hashes of numbers.
    """
    if held.status != given.status:
        return Difference("status", held.status, given.status, None)
    largest: Difference | None = None
    for found in _differing(held.payload, given.payload, ""):
        if found.size is None:
            return found
        if largest is None or found.size > (largest.size or 0.0):
            largest = found
    return largest


def _differing(held: object, given: object, where: str) -> Iterator[Difference]:
    if isinstance(held, dict) and isinstance(given, dict):
        for name in sorted({*held, *given}):
            place = f"{where}.{name}" if where else name
            ours, theirs = held.get(name, _NOTHING), given.get(name, _NOTHING)
            if name not in held or name not in given:
                yield Difference(place, ours, theirs, None)
            elif name in _HASHES and isinstance(ours, str) and isinstance(theirs, str):
                if ours != theirs:
                    yield Difference(place, ours, theirs, 0.0)
            else:
                yield from _differing(ours, theirs, place)
    elif isinstance(held, list) and isinstance(given, list) and len(held) == len(given):
        for i, (ours, theirs) in enumerate(zip(held, given, strict=True)):
            yield from _differing(ours, theirs, f"{where}[{i}]")
    elif _is_number(held) and _is_number(given):
        size = abs(given - held)  # type: ignore[operator]
        if size:
            alike = size <= NOISE * max(1.0, abs(held), abs(given))  # type: ignore[arg-type]
            noise = alike and isinstance(held, float) | isinstance(given, float)
            yield Difference(where, held, given, float(size) if noise else None)
    elif type(held) is not type(given) or held != given:
        yield Difference(where, held, given, None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
