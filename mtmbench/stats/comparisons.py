"""Comparisons as they are written: rows of CSV, JSON or a data frame, read and checked."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, parse_json, read_text
from mtmbench.core.text_files import long_cells

if TYPE_CHECKING:
    import pandas as pd

CLUSTER = "cluster"
WEIGHTS = ("weight", "count")
_OPTIONAL = (CLUSTER, *WEIGHTS)
_MOST_WEIGHT = 1e12
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""Python would also read 1_0 as ten."""
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class _Form:
    """One way in which comparisons are written.

    Attributes:
        a: the column of one competitor.
        b: the column of the other.
        outcome: the column that says who won.
        scores: the score of ``a`` by what that column holds.
    """

    a: str
    b: str
    outcome: str
    scores: Mapping[str, float]

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that there must be."""
        return self.a, self.b, self.outcome


_PLAIN = _Form("a", "b", "outcome", {"a": 1.0, "b": 0.0, "tie": 0.5})
_ARENA = _Form(
    "model_a",
    "model_b",
    "winner",
    {
        "model_a": 1.0,
        "model_b": 0.0,
        "tie": 0.5,
        "tie (bothbad)": 0.5,
        "both_bad": 0.5,
        "tie (inconsistent)": 0.5,
    },
)
"""As arenas publish their battles. That both were bad is a tie; so is, as FastChat counts it, that
a judge who was asked in both orders named two winners."""


@dataclass(frozen=True)
class Comparison:
    """A comparison: where it stands, for messages, how it is written, and its texts by column."""

    where: str
    form: _Form
    cells: Mapping[str, str]


@dataclass
class Comparisons:
    """Comparisons as they are read.

    Attributes:
        read: the comparisons, once.
        empty: what to say if there are none.
        unread: columns that are not read, in order; all of them once ``read`` is at its end.
    """

    read: Iterator[Comparison]
    empty: str
    unread: dict[str, None] = field(default_factory=dict)

    def form(self, where: str, columns: Sequence[str]) -> _Form:
        """Returns how comparisons under these columns are written, and notes what is not read."""
        form = _form(where, columns)
        read = (*form.columns, *_OPTIONAL)
        self.unread.update(dict.fromkeys(name for name in columns if name not in read))
        return form


def read_comparisons(path: Path) -> Comparisons:
    """Reads a file of comparisons: ``.jsonl``, ``.ndjson`` and ``.json`` are JSON, all else CSV.

    The file may be gzipped. It is opened when the first comparison is taken; what is wrong with it
    is an :class:`InputError` then, which names file and line.
    """
    name = path.name.lower().removesuffix(".gz")
    is_json = name.endswith((".jsonl", ".ndjson", ".json"))
    return _json_rows(path) if is_json else _csv_rows(path)


def frame_comparisons(frame: pd.DataFrame) -> Comparisons:
    """Reads the rows of a data frame, its cells as texts.

    Raises:
        InputError: a column is missing, stands twice, or is a known one misspelt.
    """
    rows = Comparisons(iter(()), "the data frame has no comparisons")
    columns = [str(name).strip() for name in frame.columns]
    form = rows.form("the data frame", columns)
    kept = [i for i, name in enumerate(columns) if name in (*form.columns, *_OPTIONAL)]

    def read() -> Iterator[Comparison]:
        part = frame.iloc[:, kept]
        told = zip(part.itertuples(name=None), part.isna().to_numpy(), strict=True)
        for (label, *values), missing in told:
            texts = [
                "" if gone else str(value).strip()
                for value, gone in zip(values, missing, strict=True)
            ]
            cells = dict(zip([columns[i] for i in kept], texts, strict=True))
            yield Comparison(f"row {label!r} of the data frame", form, cells)

    rows.read = read()
    return rows


def score_and_weight(row: Comparison) -> tuple[float, float]:
    """Returns a row's score of the first competitor, and its weight.

    Raises:
        InputError: a cell is empty, or its value is wrong.
    """
    form, cells = row.form, row.cells
    for name in (form.a, form.b, *_OPTIONAL):
        text = cells.get(name, "-")
        if not text:
            raise InputError(f"{row.where}: column {name!r} is empty")
        if _HALF.search(text):
            raise InputError(f"{row.where}: {name} {text!r} has half a character, as cut texts do")
    outcome = cells[form.outcome]
    if outcome not in form.scores:
        told = ", ".join(map(repr, form.scores))
        raise InputError(f"{row.where}: {form.outcome} {outcome!r} is not one of {told}")
    if cells[form.a] == cells[form.b]:
        raise InputError(f"{row.where}: {cells[form.a]!r} is compared with itself")
    return form.scores[outcome], _weight(row)


def _csv_rows(path: Path) -> Comparisons:
    rows = Comparisons(iter(()), f"{path} has no comparisons below its header")

    def read() -> Iterator[Comparison]:
        # Columns that are not read may hold whole conversations.
        with long_cells():
            reader = csv.reader(io.StringIO(_content(path), newline=""), strict=True)
            try:
                columns = [name.strip() for name in next(filter(None, reader), [])]
                where = f"{path}, line {max(1, reader.line_num)}"
                parted = next((mark for mark in ";\t|" if mark in "".join(columns[:1])), None)
                if len(columns) == 1 and parted is not None:
                    raise InputError(f"{where}: cells are parted by commas, not by {parted!r}")
                form = rows.form(where, columns)
                for texts in filter(None, reader):
                    where = f"{path}, line {reader.line_num}"
                    if len(texts) != len(columns):
                        raise InputError(f"{where}: {len(texts)} cells for {len(columns)} columns")
                    stripped = (text.strip() for text in texts)
                    yield Comparison(where, form, dict(zip(columns, stripped, strict=True)))
            except csv.Error as error:
                raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error

    rows.read = read()
    return rows


def _json_rows(path: Path) -> Comparisons:
    """Reads JSON lines, or one JSON list of objects; what it begins with says which."""
    rows = Comparisons(iter(()), f"{path} has no comparisons")

    def read() -> Iterator[Comparison]:
        forms: dict[tuple[str, ...], _Form] = {}
        optional: list[str] | None = None
        for where, item in _json_items(path, _content(path)):
            if not isinstance(item, dict):
                raise InputError(
                    f"{where} is no JSON object; comparisons are objects, a line each or in a list"
                )
            columns = tuple(name.strip() for name in item)
            if columns not in forms:
                forms[columns] = rows.form(where, columns)
            form, own = forms[columns], [name for name in _OPTIONAL if name in columns]
            optional = own if optional is None else optional
            if own != optional:
                name = next(iter({*own} ^ {*optional}))
                raise InputError(f"{where}: either every comparison has {name!r}, or none")
            found = dict(zip(columns, item.values(), strict=True))
            used = (*form.columns, *own)
            yield Comparison(where, form, {name: _text(where, name, found[name]) for name in used})

    rows.read = read()
    return rows


def _weight(row: Comparison) -> float:
    name = next((name for name in WEIGHTS if name in row.cells), None)
    if name is None:
        return 1.0
    weight = float(row.cells[name]) if _NUMBER.fullmatch(row.cells[name]) else math.nan
    if not 0 <= weight <= _MOST_WEIGHT:
        raise InputError(
            f"{row.where}: {name} {row.cells[name]!r} is no number from 0 to {_MOST_WEIGHT:,.0f}"
        )
    return weight


def _json_items(path: Path, text: str) -> Iterator[tuple[str, object]]:
    """Yields JSON values, and where each stands."""
    if text.lstrip().startswith("["):
        content = parse_json(text, str(path))
        assert isinstance(content, list)
        yield from ((f"{path}, item {i}", item) for i, item in enumerate(content, start=1))
        return
    for number, line in enumerate(lines_of(text), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            hint = "; an object stands in one line" if line.strip() == "{" else ""
            yield where, parse_json(line, where, f" is not JSON{hint}")


def _content(path: Path) -> str:
    return read_text(path)


def _text(where: str, name: str, value: object) -> str:
    """Returns a JSON value as a cell: a text or a number; null and NaN are an empty one."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{where}: {name!r} is {value!r:.40}, neither text nor number")
    return str(value).strip()


def _form(where: str, columns: Sequence[str]) -> _Form:
    """Returns how comparisons under these columns are written.

    Raises:
        InputError: a column is missing, stands twice, or is a known one misspelt.
    """
    whole = [form for form in (_PLAIN, _ARENA) if set(form.columns) <= set(columns)]
    near = [form for form in (_ARENA, _PLAIN) if {form.a, form.b} & set(columns)]
    form = (*whole, *near, _PLAIN)[0]
    known = (*form.columns, *_OPTIONAL)
    for name in columns:
        if name in known and columns.count(name) > 1:
            raise InputError(f"{where}: column {name!r} occurs twice")
        if name not in known and (meant := _meant(name, form)):
            raise InputError(f"{where}: unknown column {name!r}; did you mean {meant!r}?")
    missing = [name for name in form.columns if name not in columns]
    if missing:
        raise InputError(
            f"{where}: no column {', '.join(map(repr, missing))}; there must be a,b,outcome or "
            "model_a,model_b,winner and may be cluster, and weight or count"
        )
    if set(WEIGHTS) <= set(columns):
        raise InputError(f"{where}: columns 'weight' and 'count' both weigh the rows; keep one")
    return form


def _meant(name: str, form: _Form) -> str | None:
    """Returns the known column that a name is a misspelling of, or None.

    Of weights only other letter cases and plurals are: "height" and "country" are columns that
    battles may well have.
    """
    low = name.lower()
    for known in (*form.columns, *_OPTIONAL):
        if low == known or (len(known) > 1 and low == f"{known}s"):
            return known
    known_long = (*_PLAIN.columns, CLUSTER) if form is _PLAIN else (CLUSTER,)
    return next(iter(difflib.get_close_matches(low, known_long, n=1, cutoff=0.75)), None)
