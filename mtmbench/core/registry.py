"""Lazy registries: names to classes, from entry points, placeholders and decorators.

Nothing is imported until a name is asked for, so listing models never imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from mtmbench.core.errors import DuplicateNameError, MtmbenchError, UnknownNameError

_T = TypeVar("_T")


class PluginError(MtmbenchError, ImportError):
    """A registered plugin cannot be imported or is not what its group asks for."""


class Registry(Generic[_T]):
    """Names to objects of one kind, resolved on first use.

    Args:
        kind: what the names stand for, for error messages ("model", "metric").
        group: entry-point group that is read on first use, such as ``mtmbench.models``.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._targets: dict[str, str | _T] = {}
        self._origins: dict[str, str] = {}
        self._entry_points_read = False

    def register(self, name: str, target: str | _T | None = None) -> Callable[[_T], _T]:
        """Registers ``target`` (an object, or ``"module:attribute"``) or decorates one.

        Raises:
            DuplicateNameError: ``name`` already stands for something else.
        """
        if target is not None:
            self._add(name, target, origin=target if isinstance(target, str) else repr(target))
            return lambda obj: obj

        def decorate(obj: _T) -> _T:
            self._add(name, obj, origin=_origin(obj))
            return obj

        return decorate

    def get(self, name: str) -> _T:
        """Returns the object registered as ``name``, importing it if need be.

        Raises:
            UnknownNameError: nothing has this name; the nearest valid one is named.
            PluginError: the module behind the name cannot be imported.
        """
        self._read_entry_points()
        if name not in self._targets:
            raise UnknownNameError(self.kind, name, self._targets)
        target = self._targets[name]
        if isinstance(target, str):
            target = self._load(name, target)
            self._targets[name] = target
        return target

    def names(self) -> list[str]:
        """Returns every registered name, sorted, without importing anything."""
        self._read_entry_points()
        return sorted(self._targets)

    def origin(self, name: str) -> str:
        """Returns ``module:attribute`` (or a description) of where ``name`` comes from."""
        self._read_entry_points()
        if name not in self._origins:
            raise UnknownNameError(self.kind, name, self._targets)
        return self._origins[name]

    def __contains__(self, name: object) -> bool:
        self._read_entry_points()
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _add(self, name: str, target: str | _T, origin: str) -> None:
        self._read_entry_points()
        if name in self._targets and self._origins[name] != origin:
            raise DuplicateNameError(
                f"{self.kind} {name!r} is registered twice: by {self._origins[name]} and by "
                f"{origin}; rename one of them"
            )
        self._targets[name] = target
        self._origins[name] = origin

    def _read_entry_points(self) -> None:
        if self._entry_points_read:
            return
        self._entry_points_read = True
        # An editable install seen from its own checkout lists a distribution twice.
        for point in sorted(set(entry_points(group=self.group)), key=_entry_point_key):
            self._add(point.name, point.value, origin=point.value)

    def _load(self, name: str, target: str) -> _T:
        module_name, _, attribute = target.partition(":")
        try:
            loaded: object = importlib.import_module(module_name)
            for part in attribute.split("."):
                loaded = getattr(loaded, part)
        except (ImportError, AttributeError) as error:
            raise PluginError(
                f"{self.kind} {name!r} ({target}) cannot be loaded: {error}"
            ) from error
        return cast(_T, loaded)


def _entry_point_key(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.value


def _origin(obj: object) -> str:
    module = getattr(obj, "__module__", None)
    qualname = getattr(obj, "__qualname__", None)
    return f"{module}:{qualname}" if module and qualname else repr(obj)
