"""Matches in little memory: what the records of a league say alike is held once.

A record of a match says of its judge, its corpus and its documents what thousands beside it say. As
parsed it takes five kilobytes; what it says by itself takes a tenth of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple, cast

from mtmbench.core.match_payloads import MatchPayload
from mtmbench.core.records import MatchRecord, Record

_OWN = frozenset(
    {
        "a", "b", "backward", "calls", "cost", "cut", "empty", "forward", "lengths", "paid",
        "reason", "seed", "unread", "usage", "wordless",
    }
)  # fmt: skip
"""What a match says that others of its league do not."""
_MOST_ALIKE = 8
"""Of records that differ in more than that, as many of the last ones are looked through."""

_MOST_SHARED = 3
"""Entries of a mapping that is looked for among equal ones."""


class PackedPayload(Mapping[str, Any]):
    """A payload in two parts.

    Attributes:
        alike: what others say as well; one object for all of them.
        places: where in ``values`` each of the other fields stands; likewise one object.
        values: what this one says.
    """

    __slots__ = ("alike", "places", "values_")

    def __init__(
        self, alike: Mapping[str, Any], places: Mapping[str, int], values: tuple[Any, ...]
    ) -> None:
        self.alike, self.places, self.values_ = alike, places, values

    def __getitem__(self, name: str) -> Any:
        place = self.places.get(name)
        return self.alike[name] if place is None else self.values_[place]

    def get(self, name: str, default: Any = None) -> Any:
        """Returns a field, or the default where the record lacks it."""
        place = self.places.get(name)
        return self.alike.get(name, default) if place is None else self.values_[place]

    def __contains__(self, name: object) -> bool:
        return name in self.places or name in self.alike

    def __iter__(self) -> Iterator[str]:
        yield from self.alike
        yield from self.places

    def __len__(self) -> int:
        return len(self.alike) + len(self.places)


def alike_part(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a payload says that others say as well; all of one that is not packed."""
    return payload.alike if isinstance(payload, PackedPayload) else payload


class _Shape(NamedTuple):
    """Payloads of the same fields in the same order, and how they are parted.

    Attributes:
        alike: the fields that others say as well.
        alike_of: returns their values.
        places: where each of the other fields stands.
        own_of: returns their values.
    """

    alike: tuple[str, ...]
    alike_of: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    places: Mapping[str, int]
    own_of: Callable[[Mapping[str, Any]], tuple[Any, ...]]

    @classmethod
    def of(cls, names: Iterable[str]) -> _Shape:
        alike = tuple(name for name in names if name not in _OWN)
        own = tuple(name for name in names if name in _OWN)
        return cls(
            alike, itemgetter(*alike), {name: i for i, name in enumerate(own)}, itemgetter(*own)
        )


class Packer:
    """Packs records of matches; all that one packer packs share what they say alike."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._alike: dict[tuple[object, ...], list[tuple[tuple[Any, ...], str, dict[str, Any]]]]
        self._alike = {}
        self._equal: dict[str, Any] = {}

    def packed(self, record: MatchRecord) -> MatchRecord:
        """Returns the record with a payload of the same fields; the given one stays as it is."""
        payload = cast("dict[str, Any]", record.payload)
        names = tuple(payload)
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._shapes[names] = _Shape.of(names)
        own = [
            self._shared(value) if type(value) is dict else value for value in shape.own_of(payload)
        ]
        packed = PackedPayload(self._alike_part(payload, shape), shape.places, tuple(own))
        return Record(
            record.kind, record.key, record.status, cast(MatchPayload, packed),
            self._shared(record.versions), record.schema,
        )  # fmt: skip

    def _alike_part(self, payload: Mapping[str, Any], shape: _Shape) -> dict[str, Any]:
        values = shape.alike_of(payload)
        place = (
            shape.alike, payload["judge"], payload["corpus"], payload["k_spec"],
            payload["representation"], payload.get("nth_seed"), payload.get("start"),
        )  # fmt: skip
        # 1, 1.0 and true are equal, but not the same JSON. Lists are of documents' ids.
        written = repr([value for value in values if not isinstance(value, list)])
        known = self._alike.setdefault(place, [])
        for told, as_written, found in known[-_MOST_ALIKE:]:
            if as_written == written and told == values:
                return found
        new = dict(zip(shape.alike, values, strict=True))
        known.append((values, written, new))
        return new

    def _shared(self, value: Mapping[str, Any]) -> Any:
        """Returns one object for all that are written alike, where they are small."""
        return value if len(value) > _MOST_SHARED else self._equal.setdefault(repr(value), value)
