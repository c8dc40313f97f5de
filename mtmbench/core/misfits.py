"""Values read from JSON, held against the types that say what they are."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from mtmbench.core import (
    cards,
    fit_payloads,
    judge_facts,
    match_payloads,
    records,
    specs,
    steering_payloads,
)
from mtmbench.core import types as values

CELL_PAYLOADS: Mapping[str, Any] = {
    "fit": fit_payloads.FitPayload,
    "labels": fit_payloads.LabelsPayload,
    "metric": fit_payloads.MetricPayload,
    "shown": match_payloads.RewritePayload,
    "match": match_payloads.MatchPayload,
    "null": match_payloads.MatchPayload,
}
"""The type of the payload of every kind of record that a board is made of."""

_VALUES: Mapping[str, Any] = {
    "fit": fit_payloads.FitValues,
    "labels": fit_payloads.LabelsValues,
    "metric": fit_payloads.MetricValues,
    "shown": match_payloads.RewriteValues,
    "match": match_payloads.OutcomeValues,
    "null": match_payloads.OutcomeValues,
}

CELL_VALUES: Mapping[str, frozenset[str]] = {
    kind: hint.__required_keys__ | hint.__optional_keys__ for kind, hint in _VALUES.items()
}
"""The fields that these hold beside the identity of their cell: what came of playing it."""

_NAMES = {
    name: value
    for module in (
        values, specs, cards, judge_facts, fit_payloads, match_payloads, steering_payloads, records
    )
    for name, value in vars(module).items()
}  # fmt: skip
"""What a module may import for its annotations alone."""


def misfits(value: object, hint: Any, where: str = "it") -> Iterator[str]:
    """Says where a value read from JSON is not of a type; yields nothing where it is.

    Args:
        value: the value.
        hint: the type: a TypedDict, a mapping, a sequence, a union, a literal or a plain one.
        where: what the value is called in what is said.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object:
        return
    if typing.is_typeddict(hint):
        yield from _fields(value, hint, where)
    elif origin in (typing.Union, types.UnionType):
        found = [list(misfits(value, part, where)) for part in parts]
        if all(found):
            yield min(found, key=len)[0]
    elif origin is typing.Literal:
        # JSON's lists and objects are equal to no literal, but 1 is equal to True.
        if not any(type(value) is type(part) and value == part for part in parts):
            yield f"{where} is {value!r:.40}, none of {parts}"
    elif origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            yield f"{where} is no object but {value!r:.40}"
            return
        for key, item in value.items():
            yield from misfits(item, parts[1], f"{where}.{key:.40}")
    elif origin is not None and issubclass(origin, Sequence):
        if not isinstance(value, list):
            yield f"{where} is no list but {value!r:.40}"
            return
        fixed = origin is tuple and parts[-1] is not Ellipsis
        if fixed and len(value) != len(parts):
            yield f"{where} has {len(value)} items, not {len(parts)}"
            return
        for number, item in enumerate(value):
            yield from misfits(item, parts[number if fixed else 0], f"{where}[]")
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{where} is no number but {value!r:.40}"
    elif type(value) is not hint:
        yield f"{where} is no {hint} but {value!r:.40}"


def _fields(value: object, hint: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object but {value!r:.40}"
        return
    fields = _hints(hint)
    for name, field in fields.items():
        optional = typing.get_origin(field) is typing.NotRequired
        inner = typing.get_args(field)[0] if optional else field
        if name in value:
            yield from misfits(value[name], inner, f"{where}.{name}")
        elif not optional and name in hint.__required_keys__:
            yield f"{where} lacks {name}"
    yield from (f"{where} has {name:.40}, which no type names" for name in value.keys() - fields)


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return typing.get_type_hints(hint, localns=_NAMES, include_extras=True)
