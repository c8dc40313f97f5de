"""The errors that mtmbench raises for bad input, and the nearest-name hint they share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MtmbenchError(Exception):
    """Base of every error that a user can cause and mend; the command line prints it bare."""


class InputError(MtmbenchError, ValueError):
    """A value is wrong; the message names it and what would be right."""


class UnknownNameError(MtmbenchError, KeyError):
    """A name is not known; the message gives the nearest valid one."""

    def __init__(self, what: str, name: str, valid: Iterable[str]) -> None:
        known = sorted(valid)
        self.what, self.name, self.valid = what, name, known
        self.message = f"unknown {what} {name!r}{did_you_mean(name, known)}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        return type(self), (self.what, self.name, self.valid)


class DuplicateNameError(MtmbenchError, ValueError):
    """Two different things claim one name; neither wins."""


class StoreInUseError(MtmbenchError, RuntimeError):
    """Another process holds the run store."""


class NotRateableError(MtmbenchError, ValueError):
    """The comparison graph does not determine the ratings."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"``, or the list of valid names when none is near."""
    known = sorted(valid)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid: {', '.join(known)}" if known else "; none is registered"
