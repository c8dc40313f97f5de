"""Kernels compiled by numba, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")

REORDERED = frozenset({"reassoc", "contract", "arcp", "nsz"})
"""What LLVM may do to sums for speed; NaN and infinities keep their meaning."""


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compiles with numba and caches on disk; without a writable place, compiles every time."""
    return _compile(function, fastmath=REORDERED)


def compiled_in_order(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same, adding up in the order that is written."""
    return _compile(function, fastmath=False)


def _compile(function: Callable[_P, _R], *, fastmath: frozenset[str] | bool) -> Callable[_P, _R]:
    given = set(fastmath) if isinstance(fastmath, frozenset) else fastmath
    compiler = partial(njit, nogil=True, error_model="numpy", fastmath=given)
    done: Callable[_P, _R]
    try:
        done = compiler(cache=True)(function)
    except RuntimeError:
        done = compiler()(function)
    return done
