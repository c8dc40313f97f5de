"""Comparisons as they are written: rows of CSV, JSON or a data frame, read and checked."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, parse_json, read_text
from mtmbench.core.text_files import long_cells

if TYPE_CHECKING:
    import pandas as pd

CLUSTER = "cluster"
WEIGHTS = ("weight", "count")
_OPTIONAL = (CLUSTER, *WEIGHTS)
_BATCH = 256
"""Rows that are looked at together.

Few enough to lie in a processor's cache and to be gone before the next search for garbage, which
passes all that is held: with 2,048 a file of a million rows takes half as long again.
"""
_REMEMBERED = 100_000
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
class Batch:
    """Comparisons that follow each other and are written alike.

    Attributes:
        form: how they are written.
        cells: the texts of all rows by column.
        where: says where a row stands, for messages.
    """

    form: _Form
    cells: Mapping[str, Sequence[str]]
    where: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.cells[self.form.a])

    @property
    def weighed_by(self) -> str | None:
        """The column that weighs the rows, if any."""
        return next((name for name in WEIGHTS if name in self.cells), None)

    def scores_and_weights(
        self, right: dict[tuple[str, ...], set[tuple[str, ...]]]
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Returns each row's score of the first competitor, and its weight.

        Args:
            right: what rows of earlier batches hold, by the columns that they stand in, which need
                not be checked again; it takes on what these hold.

        Raises:
            InputError: a cell is empty, or its value is wrong; the message names the first such.
        """
        form, by = self.form, self.weighed_by
        columns = (*form.columns, *filter(None, [by]))
        for i in self._to_check(columns, right.setdefault(columns, set())):
            self._check(i)
        scores = list(map(form.scores.__getitem__, self.cells[form.outcome]))
        if by is None:
            return scores, [1.0] * len(scores)
        weight = {text: float(text) for text in set(self.cells[by])}
        return scores, list(map(weight.__getitem__, self.cells[by]))

    def _to_check(self, columns: Sequence[str], right: set[tuple[str, ...]]) -> Sequence[int]:
        """Returns rows such that, if they are right, all are: those that hold something new."""
        clusters = self.cells.get(CLUSTER, ())
        if "" in clusters or _HALF.search("".join(clusters)):
            return range(len(self))
        rows = list(zip(*(self.cells[name] for name in columns), strict=True))
        new = set(rows).difference(right)
        if len(right) > _REMEMBERED:
            right.clear()
        right.update(new)
        return [i for i, row in enumerate(rows) if row in new] if new else ()

    def _check(self, i: int) -> None:
        form, where = self.form, self.where(i)
        cells = {name: column[i] for name, column in self.cells.items()}
        for column in (form.a, form.b, *_OPTIONAL):
            text = cells.get(column, "-")
            if not text:
                raise InputError(f"{where}: column {column!r} is empty")
            if _HALF.search(text):
                raise InputError(
                    f"{where}: {column} {text!r} has half a character, as cut texts do"
                )
        outcome = cells[form.outcome]
        if outcome not in form.scores:
            told = ", ".join(map(repr, form.scores))
            raise InputError(f"{where}: {form.outcome} {outcome!r} is not one of {told}")
        if cells[form.a] == cells[form.b]:
            raise InputError(f"{where}: {cells[form.a]!r} is compared with itself")
        name = self.weighed_by
        if name is None:
            return
        text = cells[name]
        weight = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not 0 <= weight <= _MOST_WEIGHT:
            raise InputError(f"{where}: {name} {text!r} is no number from 0 to {_MOST_WEIGHT:,.0f}")


@dataclass
class Comparisons:
    """Comparisons as they are read.

    Attributes:
        read: the comparisons, once, many at a time.
        empty: what to say if there are none.
        unread: columns that are not read, in order; all of them once ``read`` is at its end.
    """

    read: Iterator[Batch]
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

    def read() -> Iterator[Batch]:
        part = frame.iloc[:, kept]
        missing = part.isna().to_numpy()
        cells = {
            columns[number]: [
                "" if gone else str(value).strip()
                for value, gone in zip(part.iloc[:, i], missing[:, i], strict=True)
            ]
            for i, number in enumerate(kept)
        }
        labels = list(part.index)
        if labels:
            yield Batch(form, cells, lambda i: f"row {labels[i]!r} of the data frame")

    rows.read = read()
    return rows


def _csv_rows(path: Path) -> Comparisons:
    rows = Comparisons(iter(()), f"{path} has no comparisons below its header")

    def read() -> Iterator[_Row]:
        # Columns that are not read may hold whole conversations.
        with long_cells():
            reader = csv.reader(io.StringIO(_content(path), newline=""), strict=True)
            try:
                columns = [name.strip() for name in next(filter(None, reader), [])]
                where = f"{path}, line {max(1, reader.line_num)}"
                parted = next((mark for mark in ";\t|" if mark in "".join(columns[:1])), None)
                if len(columns) == 1 and parted is not None:
                    raise InputError(f"{where}: cells are parted by commas, not by {parted!r}")
                layout = _Layout(rows.form(where, columns), columns, f"{path}, line ")
                width = len(columns)
                for texts in filter(None, reader):
                    if len(texts) != width:
                        where = f"{path}, line {reader.line_num}"
                        raise InputError(f"{where}: {len(texts)} cells for {width} columns")
                    yield layout, reader.line_num, texts
            except csv.Error as error:
                raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error

    rows.read = _batches(read())
    return rows


def _json_rows(path: Path) -> Comparisons:
    """Reads JSON lines, or one JSON list of objects; what it begins with says which."""
    rows = Comparisons(iter(()), f"{path} has no comparisons")

    def read() -> Iterator[_Row]:
        layouts: dict[tuple[str, ...], _Layout] = {}
        optional: list[str] | None = None
        for where, item in _json_items(path, _content(path)):
            if not isinstance(item, dict):
                raise InputError(
                    f"{where} is no JSON object; comparisons are objects, a line each or in a list"
                )
            columns = tuple(name.strip() for name in item)
            own = [name for name in _OPTIONAL if name in columns]
            if columns not in layouts:
                form = rows.form(where, columns)
                layouts[columns] = _Layout(form, (*form.columns, *own), "")
            optional = own if optional is None else optional
            if own != optional:
                name = next(iter({*own} ^ {*optional}))
                raise InputError(f"{where}: either every comparison has {name!r}, or none")
            found = dict(zip(columns, item.values(), strict=True))
            layout = layouts[columns]
            yield layout, where, [_text(where, name, found[name]) for name in layout.columns]

    rows.read = _batches(read())
    return rows


class _Layout(NamedTuple):
    """How rows are laid out: their form, their columns, and what stands before a row's place."""

    form: _Form
    columns: Sequence[str]
    before: str


_Row = tuple[_Layout, int | str, Sequence[str]]
"""A row as read: how it is laid out, where it stands, and its texts."""


def _batches(rows: Iterator[_Row]) -> Iterator[Batch]:
    """Yields rows in batches; those before one that cannot be read come before its error."""
    held: list[_Row] = []
    try:
        for _, alike in groupby(rows, key=itemgetter(0)):
            # Where a row raises, those before it are held.
            while True:
                held.extend(islice(alike, _BATCH))  # noqa: B031 - goes on where it ended
                if not held:
                    break
                yield _batch(held)
                held = []
    except InputError:
        if held:
            yield _batch(held)
        raise


def _batch(rows: Sequence[_Row]) -> Batch:
    layout = rows[0][0]
    read = (*layout.form.columns, *_OPTIONAL)
    texts = zip(layout.columns, zip(*(row[2] for row in rows), strict=True), strict=True)
    places = [row[1] for row in rows]
    return Batch(
        layout.form,
        {name: tuple(map(str.strip, column)) for name, column in texts if name in read},
        lambda i: f"{layout.before}{places[i]}",
    )


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
