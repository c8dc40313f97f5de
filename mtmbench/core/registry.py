"""Lazy registries: names to classes, from entry points, placeholders and decorators.

Nothing is imported until a name is asked for, so listing models never imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar, cast

from mtmbench.core.errors import DuplicateNameError, MtmbenchError, UnknownNameError

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class PluginError(MtmbenchError, ImportError):
    """A registered plugin cannot be imported or is not what its group asks for."""


class Family(Protocol[_T_co]):
    """Many objects behind one entry point, such as the models of another library.

    What a family of the prefix ``topica`` calls ``stm`` has the name ``topica:stm``. Importing a
    family imports nothing heavy.
    """

    def names(self) -> Sequence[str]:
        """Returns the names, without prefix, of what can be had here."""

    def get(self, name: str) -> _T_co:
        """Returns the object of a name, without prefix.

        Raises:
            MtmbenchError: there is none, it cannot be used, or its library is not installed.
        """


class Registry(Generic[_T]):
    """Names to objects of one kind, resolved on first use.

    A name with a colon, ``PREFIX:NAME``, is that of an object of a :class:`Family`, whose prefix is
    an entry point of the group ``GROUP.families``.

    Args:
        kind: what the names stand for, for error messages ("model", "metric").
        group: entry-point group that is read on first use, such as ``mtmbench.models``.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._targets: dict[str, str | _T] = {}
        self._origins: dict[str, str] = {}
        self._families: dict[str, str] = {}
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
            MtmbenchError: a family does not have it, or cannot give it here.
        """
        self._read_entry_points()
        if (prefix := _prefix(name)) in self._families:
            return self.family(prefix).get(name.partition(":")[2])
        if name not in self._targets:
            raise UnknownNameError(self.kind, name, self._targets)
        target = self._targets[name]
        if isinstance(target, str):
            target = self._load(name, target)
            self._targets[name] = target
        return target

    def names(self) -> list[str]:
        """Returns every registered name, sorted, without importing anything but families."""
        self._read_entry_points()
        of_families = [
            f"{prefix}:{name}" for prefix in self._families for name in self.family(prefix).names()
        ]
        return sorted([*self._targets, *of_families])

    def families(self) -> list[str]:
        """Returns the prefixes of all families, sorted."""
        self._read_entry_points()
        return sorted(self._families)

    def family(self, prefix: str) -> Family[_T]:
        """Returns the family of a prefix.

        Raises:
            UnknownNameError: no family has this prefix.
            PluginError: the module behind it cannot be imported.
        """
        self._read_entry_points()
        if prefix not in self._families:
            raise UnknownNameError(f"family of {self.kind}s", prefix, self._families)
        return cast(Family[_T], self._load(prefix, self._families[prefix]))

    def origin(self, name: str) -> str:
        """Returns ``module:attribute`` (or a description) of where ``name`` comes from."""
        self._read_entry_points()
        found = self._families.get(_prefix(name)) or self._origins.get(name)
        if found is None:
            raise UnknownNameError(self.kind, name, self._targets)
        return found

    def __contains__(self, name: object) -> bool:
        """Whether a name is registered; a family says itself, when asked, which it has."""
        self._read_entry_points()
        return name in self._targets or _prefix(name) in self._families

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
        for point in sorted(
            set(entry_points(group=f"{self.group}.families")), key=_entry_point_key
        ):
            first = self._families.setdefault(point.name, point.value)
            if first != point.value:
                raise DuplicateNameError(
                    f"the family {point.name!r} of {self.kind}s is registered twice: by {first} "
                    f"and by {point.value}; rename one of them"
                )

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


def _prefix(name: object) -> str:
    """Returns what stands before a name's colon; nothing where there is none."""
    prefix, colon, _ = name.partition(":") if isinstance(name, str) else ("", "", "")
    return prefix if colon else ""


def _entry_point_key(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.value


def _origin(obj: object) -> str:
    module = getattr(obj, "__module__", None)
    qualname = getattr(obj, "__qualname__", None)
    return f"{module}:{qualname}" if module and qualname else repr(obj)
