"""The errors that mtmbench raises for bad input, under the address that plugins import."""

from mtmbench.core.errors import (
    DuplicateNameError,
    InputError,
    MtmbenchError,
    NotRateableError,
    StoreInUseError,
    UnknownNameError,
    did_you_mean,
)

__all__ = [
    "DuplicateNameError",
    "InputError",
    "MtmbenchError",
    "NotRateableError",
    "StoreInUseError",
    "UnknownNameError",
    "did_you_mean",
]
