"""What the checks of models, judges and metrics share."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numpy as np

from mtmbench.core.errors import InputError, MtmbenchError

_T = TypeVar("_T")


class ContractError(MtmbenchError, AssertionError):
    """A plugin does not keep its side of an interface; the message says which side."""


def require(condition: bool, message: str) -> None:
    """Raises :class:`ContractError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ContractError(message)


def made(plugin: type[_T] | _T, base: type[_T]) -> _T:
    """Returns an instance of ``base``: ``plugin`` itself, or made of it without arguments."""
    if not inspect.isclass(plugin):
        require(isinstance(plugin, base), f"{type(plugin).__name__} is not a {base.__name__}")
        return plugin
    require(issubclass(plugin, base), f"{plugin.__name__} is not a {base.__name__}")
    try:
        instance = plugin()
    except TypeError as error:
        raise ContractError(
            f"{plugin.__name__} cannot be made without arguments: {error}"
        ) from error
    return cast(_T, instance)


def check_identity(plugin: Any) -> str:
    """Checks ``name`` and ``version``; returns the name."""
    name, version = getattr(plugin, "name", None), plugin.version
    kind = type(plugin).__name__
    require(isinstance(name, str) and bool(name), f"{kind}: `name` must be its registry name")
    require(
        isinstance(version, int) and version >= 1 and not isinstance(version, bool),
        f"{name}: version must be a whole number of at least 1, not {version!r}",
    )
    return str(name)


def expect_input_error(action: Callable[[], object], message: str) -> None:
    """Raises :class:`ContractError` unless ``action`` raises :class:`InputError`."""
    try:
        action()
    except InputError:
        return
    except Exception as error:
        raise ContractError(f"{message}, not {type(error).__name__}: {error}") from error
    raise ContractError(message)


def same_params(first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    """Whether two parameter dictionaries agree; values may be arrays."""
    return first.keys() == second.keys() and all(same_value(first[k], second[k]) for k in first)


def same_value(first: object, second: object) -> bool:
    """Whether two parameter values agree; arrays are compared as wholes."""
    return first is second or bool(np.all(first == second))


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Seeds the global generators, so that a plugin that draws from them gives itself away."""
    state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
