"""Parameters of a metric, checked by name before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping

from mtmbench.core.errors import InputError, did_you_mean


def read_params(
    metric: str, given: Mapping[str, object], defaults: Mapping[str, object]
) -> dict[str, object]:
    """Returns ``defaults`` updated by ``given``.

    Raises:
        InputError: a name is not among the defaults; the nearest valid one is named.
    """
    for name in given:
        if name not in defaults:
            known = did_you_mean(name, defaults) if defaults else "; it takes none"
            raise InputError(f"metric {metric!r} has no parameter {name!r}{known}")
    return {**defaults, **given}


def whole_number(metric: str, name: str, value: object, at_least: int) -> int:
    """Returns ``value`` as an int.

    Raises:
        InputError: it is not a whole number of at least ``at_least``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InputError(
            f"{name} of metric {metric!r} must be a whole number of at least {at_least}, "
            f"not {value!r}"
        )
    return value


def share(metric: str, name: str, value: object) -> float:
    """Returns ``value`` as a float strictly between 0 and 1.

    Raises:
        InputError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError(
            f"{name} of metric {metric!r} must lie strictly between 0 and 1, not {value!r}"
        )
    return float(value)
