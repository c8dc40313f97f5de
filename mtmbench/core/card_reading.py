"""Reading cards: a TOML file, with overrides, is checked against the type of its card."""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.files import parse_toml
from mtmbench.core.specs import Card

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_C = TypeVar("_C", bound=Card)

INCLUDE = "include"
"""Key of a suite file that lists other suites; :func:`mtmbench.core.card_files.load_suite` reads
them, and runs write what all say together."""


def read_card(path: Path, card_type: type[_C], overrides: Mapping[str, object] | None = None) -> _C:
    """Reads and checks one TOML file; ``overrides`` maps dotted keys to values.

    Raises:
        InputError: the file is missing, not TOML, or has a wrong or unknown field; the message
            names the file, the field and the nearest valid one. Or it is the suite of a run or
            board and includes others: it must stand by itself.
    """
    data = read_toml(path)
    if INCLUDE in data and card_type is Suite:
        raise InputError(
            f"{path} includes other suites, and what is read of a run or board must stand by "
            "itself; play it into another folder (--out), where the whole suite is written"
        )
    for key, value in (overrides or {}).items():
        set_dotted(data, key, value)
    return parse_card(data, card_type, str(path))


def read_toml(path: Path) -> dict[str, object]:
    """Reads one TOML file.

    Raises:
        InputError: it is missing or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    return parse_toml(text, str(path))


def parse_card(data: Mapping[str, object], card_type: type[_C], where: str) -> _C:
    """Checks parsed TOML against ``card_type``; see :func:`read_card`."""
    check_values(data, where)
    try:
        return card_type.model_validate(data)
    except ValidationError as error:
        lines = [_explain(problem, card_type) for problem in error.errors()]
        raise InputError(f"{where}: " + "; ".join(lines)) from error


def suite_text(suite: Suite) -> str:
    """Returns a suite as the text of a file, as runs write it; checked by being read again."""
    import tomli_w

    data = suite_data(suite)
    parse_card(data, Suite, "the resolved suite")
    return tomli_w.dumps(data)


def suite_data(suite: Suite) -> dict[str, object]:
    """Returns a suite as the table of a file, without what is so by default.

    Raises:
        InputError: it holds a value that a file cannot, such as one of numpy's.
    """
    try:
        data = suite.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    except PydanticSerializationError as error:
        raise InputError(f"suite {suite.name!r} cannot be written as a file: {error}") from error
    return {**data, "name": suite.name}


def check_values(data: Mapping[str, object], where: str) -> None:
    """Checks what types cannot: numbers are finite, whole ones have at most 64 bits, no dates.

    Raises:
        InputError: one is not; the message names its key.
    """
    waiting: list[tuple[str, object]] = list(data.items())
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{key}.{name}", part) for name, part in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(key, part) for part in value]
        elif isinstance(value, datetime.date | datetime.time):
            raise InputError(f"{where}: {key} is {value}, a date or time; give it in quotes")
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{where}: {key} is {value}; a finite number is expected")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(
                f"{where}: {key} is a whole number of {value.bit_length()} bits; it can have 64"
            )


def parse_overrides(items: Sequence[str], option: str = "--set") -> dict[str, object]:
    """Reads ``KEY=VALUE`` texts: a value is TOML; what is not TOML is a string, as typed.

    Raises:
        InputError: an item is not of that form, or its value is TOML that is too long or too deep.
    """
    parsed: dict[str, object] = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not separator or not key.strip():
            raise InputError(f"{option} takes KEY=VALUE, not {item!r}")
        parsed[key.strip()] = _toml_value(value.strip(), f"{option} {key.strip()}")
    return parsed


def set_dotted(data: dict[str, object], key: str, value: object) -> None:
    """Sets a dotted key of nested tables, making tables on the way.

    Raises:
        InputError: a part of the key holds a value that is no table.
    """
    *parents, last = key.split(".")
    table = data
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError(f"override {key}: {parent!r} is not a table")
        table = inner
    table[last] = value


def _toml_value(text: str, where: str) -> object:
    try:
        return parse_toml(f"value = {text}", where)["value"]
    except InputError as error:
        if isinstance(error.__cause__, tomllib.TOMLDecodeError):
            return text
        raise


def _explain(problem: ErrorDetails, card_type: type[Card]) -> str:
    location = [str(part) for part in problem["loc"]]
    where = ".".join(location)
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):
        # Of a whole table: what is wrong in it the message says.
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}, not {problem['input']!r:.200}"
    owner: type[Card] = card_type
    for part in location[:-1]:
        owner = _field_type(owner, part)
    return f"unknown key {where!r}{did_you_mean(location[-1], owner.model_fields)}"


def _field_type(owner: type[Card], part: str) -> type[Card]:
    field = owner.model_fields.get(part)
    return owner if field is None else _card_in(field.annotation) or owner


def _card_in(annotation: object) -> type[Card] | None:
    if isinstance(annotation, type) and issubclass(annotation, Card):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _card_in(inner)
        if found is not None:
            return found
    return None
