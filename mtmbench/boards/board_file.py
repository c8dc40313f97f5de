"""``board.json`` read back as values that can be held against those of another board."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json
from mtmbench.core.records import SCHEMA_VERSION
from mtmbench.core.serialise import canonical_json


@dataclass(frozen=True)
class BoardValue:
    """A metric value or an Elo of a board.

    Attributes:
        what: says which, in words; unique on a board.
        kind: "metric", or "judge" for an Elo.
        name: the metric or the judge.
        model: whose it is.
        corpus: its corpus, or "all".
        league: for an Elo, whose competitors it is relative to.
        value: the number, None with ``reason``.
        lo: lower end of its interval, or None.
        hi: upper end, or None.
        reason: why there is no value.
        projected: whether it is an Elo of topics that are shown by projected words.
    """

    what: str
    kind: Literal["metric", "judge"]
    name: str
    model: str
    corpus: str
    league: str
    value: float | None
    lo: float | None
    hi: float | None
    reason: str | None
    projected: bool = False

    def shifted(self, by: float) -> BoardValue:
        """Returns the value and its interval, moved by a number."""
        moved = [None if x is None else x + by for x in (self.value, self.lo, self.hi)]
        return replace(self, value=moved[0], lo=moved[1], hi=moved[2])


@dataclass(frozen=True)
class BoardFile:
    """What of a board is compared.

    Attributes:
        values: by ``what``.
        corpora: revision by name, None where the board does not state it.
        metrics: "version" and "higher_is_better" by name.
        judges: the judge's fields by id.
    """

    values: Mapping[str, BoardValue]
    corpora: Mapping[str, str | None]
    metrics: Mapping[str, Mapping[str, object]]
    judges: Mapping[str, Mapping[str, object]]


def read_board(path: Path) -> BoardFile:
    """Reads a ``board.json``, or the one in a folder.

    Raises:
        InputError: there is none, or it is not a board; the message names the file.
    """
    file = path / "board.json" if path.is_dir() else path
    return parse_board(read_json(file, " is not a board"), str(file))


def parse_board(data: object, where: str) -> BoardFile:
    """Checks a parsed ``board.json``; ``where`` names it in errors.

    Raises:
        InputError: it is not a board, or of a later schema.
    """
    lists = ("judges", "ratings", "metrics")
    if not isinstance(data, Mapping) or not all(isinstance(data.get(x), list) for x in lists):
        raise InputError(f"{where} is not a board: it lacks a list of judges, ratings or metrics")
    schema = data.get("schema")
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA_VERSION:
        raise InputError(
            f"{where} is a board of schema {schema!r}; this mtmbench reads up to {SCHEMA_VERSION}"
        )
    try:
        values: dict[str, BoardValue] = {}
        for row in data["metrics"]:
            _add(values, _metric_value(row))
        for row in data["ratings"]:
            _add(values, _rating_value(row))
        return BoardFile(
            values,
            {str(row["name"]): row.get("revision") for row in data.get("corpora", [])},
            {str(name): dict(stated) for name, stated in data.get("metric_versions", {}).items()},
            {str(row["id"]): row for row in data["judges"]},
        )
    except InputError as error:
        raise InputError(f"{where} is not a board: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where} is not a board: {type(error).__name__}: {error}") from error


def _add(values: dict[str, BoardValue], value: BoardValue) -> None:
    if value.what in values:
        raise InputError(f"two rows are about {value.what}")
    values[value.what] = value


def _metric_value(row: Mapping[str, object]) -> BoardValue:
    view = f" [{row['view']}]" if row["view"] else ""
    params = f" {canonical_json(row['params'])}" if row["params"] else ""
    what = f"{row['metric']}{view}{params} of {_place(row)}"
    return _value(row, what, "metric", str(row["metric"]), "value", league="")


def _rating_value(row: Mapping[str, object]) -> BoardValue:
    what = f"Elo by {row['judge']} over {row['representation']} of {_place(row)}"
    league = canonical_json([row["judge"], row["representation"], row["corpus"], _k(row)])
    value = _value(row, what, "judge", str(row["judge"]), "elo", league=league)
    return replace(value, projected=row["representation"] == "projected")


def _value(
    row: Mapping[str, object],
    what: str,
    kind: Literal["metric", "judge"],
    name: str,
    field: str,
    league: str,
) -> BoardValue:
    if field not in row:
        raise InputError(f"no {field!r} in {dict(row)!r}")
    ends = _number(row, "lo"), _number(row, "hi")
    reason = row.get("reason")
    return BoardValue(
        what, kind, name, str(row["model"]), str(row["corpus"]), league, _number(row, field),
        *ends, None if reason is None else str(reason),
    )  # fmt: skip


def _place(row: Mapping[str, object]) -> str:
    setting = f":{row['setting']}" if row["setting"] else ""
    return f"{row['model']}{setting} on {row['corpus']}, K = {_k(row)}"


def _k(row: Mapping[str, object]) -> object:
    # K = "labels" may equal a number that the suite plays too; they are different rows.
    return row.get("k_spec") or row["k"]


def _number(row: Mapping[str, object], name: str) -> float | None:
    number = row.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise InputError(f"{name} must be a number or null, not {number!r}: {dict(row)!r}")
    return float(number)
