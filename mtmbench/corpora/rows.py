"""From rows of named columns to a :class:`~mtmbench.core.types.Corpus`, with every check."""

from __future__ import annotations

import ast
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.text_files import separated
from mtmbench.core.types import Corpus

NO_LABELS = ("", "nan", "NaN", "NAN", "<NA>", "NaT")
"""What stands for a missing label: nothing, or what pandas makes of nothing in texts."""
TOKENS = "tokens"
"""The column of lists of words."""


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None takes ``text``, ``label``, ``id``, ``split`` where present.

    A column of lists of words is a text that is tokenised; without any ``text`` it is ``tokens``.
    """

    text: str | None = None
    label: str | None = None
    id: str | None = None
    split: str | None = None

    @property
    def named(self) -> list[str]:
        """The columns that were asked for by name."""
        return [column for column in asdict(self).values() if column is not None]

    def chosen(self, known: Sequence[str]) -> list[str]:
        """Returns those of the ``known`` columns that are to be read.

        Where one is missing these are all of them, so that an error can list them.
        """
        wanted = {"text", "label", "id", "split", *self.named}
        needed = {self.text or "text", *self.named}
        if self.text is None and "text" not in known and TOKENS in known:
            wanted.add(TOKENS)
            needed.discard("text")
        missing = needed - set(known)
        return [column for column in known if column in wanted or missing]


@dataclass(frozen=True)
class SourceRow:
    """One document as it was read; ``place`` is its line (or row) number in the source."""

    place: int
    values: Mapping[str, object]


def build_corpus(
    name: str,
    rows: Sequence[SourceRow],
    columns: Columns,
    *,
    where: str,
    source: Mapping[str, object],
    unit: str = "line",
    pretokenised: bool = False,
) -> Corpus:
    """Makes a corpus of rows: drops empty texts, counts duplicates, checks every column.

    A text that is a list of words makes the corpus pre-tokenised; empty words are none.
    A label that is a list counts where it holds exactly one value; with none or several the
    document's label is None, and ``source["labels"]`` says how many there were of each. A number
    that is none, and the text "nan", are no label.
    Without an id column a document's id is its row number in the source, empty rows included.

    Args:
        name: name of the corpus.
        rows: the documents.
        columns: which column holds what.
        where: the file, folder or hub id, for error messages.
        source: what ``Corpus.source`` shall say beside the columns.
        unit: what ``SourceRow.place`` counts ("line" or "row").
        pretokenised: the texts are tokens joined by spaces.

    Raises:
        InputError: no rows, no such column, a value of a wrong type, an id that occurs twice, a
            word with a space in it; the message names source and line.
    """
    if not rows:
        raise InputError(f"{where} holds no documents")
    text_column = _require(_text_column(columns, rows), rows, where, unit, every_row=True)
    listed = any(_listed(row.values[text_column]) is not None for row in rows)
    label_column = _optional(columns.label, "label", rows, where, unit)
    split_column = _optional(columns.split, "split", rows, where, unit)
    id_column = _optional(columns.id, "id", rows, where, unit)
    for column in (split_column, id_column):
        if column is not None:
            _require(column, rows, where, unit, every_row=True)

    texts: list[str] = []
    labels: list[str | None] = []
    splits: list[str] = []
    ids: dict[str, int] = {}
    kinds: Counter[str] = Counter()
    n_empty = 0
    for number, row in enumerate(rows):
        here = f"{where}, {unit} {row.place}"
        read = _joined if listed else _text
        text = read(row.values[text_column], text_column, here)
        if not text.strip():
            n_empty += 1
            continue
        doc_id = (
            str(number) if id_column is None else _scalar(row.values[id_column], id_column, here)
        )
        if not doc_id:
            raise InputError(f"{here}: column {id_column!r} is empty; every document needs an id")
        if doc_id in ids:
            raise InputError(
                f"{here}: id {doc_id!r} was already given in {unit} {ids[doc_id]}; "
                "ids must be unique"
            )
        ids[doc_id] = row.place
        texts.append(text)
        if split_column is not None:
            splits.append(_scalar(row.values[split_column], split_column, here) or "")
        if label_column is not None:
            label, kind = _label(row.values.get(label_column), label_column, here)
            labels.append(label)
            kinds[kind] += 1
    if not texts:
        raise InputError(f"{where}: all {len(rows)} documents are empty (column {text_column!r})")
    used = {"text": text_column, "label": label_column, "id": id_column, "split": split_column}
    described = {**source, "columns": {k: v for k, v in used.items() if v is not None}}
    if kinds["none"] or kinds["several"]:
        described["labels"] = {kind: kinds[kind] for kind in ("one", "none", "several")}
    return Corpus(
        name=name,
        doc_ids=tuple(ids),
        texts=tuple(texts),
        labels=tuple(labels) if any(label is not None for label in labels) else None,
        split=tuple(splits) if any(splits) else None,
        pretokenised=pretokenised or listed,
        n_empty=n_empty,
        n_duplicates=count_duplicates(texts),
        source=described,
    )


def with_lists(rows: Sequence[SourceRow], columns: Columns, where: str) -> Sequence[SourceRow]:
    """Returns rows whose column of texts holds lists of words where every cell is written as one.

    As one counts JSON (``["a", "b"]``) and what Python and pandas write (``['a', 'b']``).

    Raises:
        InputError: most cells are lists and some are not; the message names the first line.
    """
    for column in (columns.text,) if columns.text else ("text", TOKENS):
        cells = [(row, _as_list(row.values[column])) for row in rows if row.values.get(column)]
        lists = [words for _, words in cells if words is not None]
        if not lists or 2 * len(lists) < len(cells):
            continue
        for row, words in cells:
            if words is None:
                raise InputError(
                    f"{where}, line {row.place}: column {column!r} holds "
                    f"{row.values[column]!r:.60}; most other lines hold lists of words"
                )
        listed = {row.place: words for row, words in cells}
        return [
            SourceRow(row.place, {**row.values, column: listed.get(row.place, [])}) for row in rows
        ]
    return rows


def _as_list(cell: object) -> list[str] | None:
    """Returns the words of a cell that is a list of texts, written out; else None."""
    if not isinstance(cell, str) or not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
        # Two texts with nothing between them would be one to Python.
        found = found if str(found) == cell else None
    ok = isinstance(found, list) and all(isinstance(word, str) for word in found)
    return found if ok else None


def count_duplicates(texts: Sequence[str]) -> int:
    """Returns how many texts repeat an earlier one exactly."""
    return len(texts) - len(set(texts))


def _text_column(columns: Columns, rows: Sequence[SourceRow]) -> str:
    """Returns the column of the text; that of lists of words only where there is no text."""
    if columns.text is not None:
        return columns.text
    found = {column for row in rows for column in ("text", TOKENS) if column in row.values}
    has_lists = any(_listed(row.values.get(TOKENS)) is not None for row in rows)
    return TOKENS if found == {TOKENS} and has_lists else "text"


def _listed(value: object) -> Sequence[object] | None:
    """Returns a list as such, one of Parquet's arrays too; None for all else."""
    if isinstance(value, Sequence):
        return None if isinstance(value, str | bytes) else value
    # Duck-typed: numpy is not imported to read texts.
    found: Sequence[object] | None = None
    if getattr(value, "ndim", 0) == 1:
        found = value.tolist()  # type: ignore[attr-defined]
    return found


def _joined(value: object, column: str, here: str) -> str:
    """Returns the words of a document as a pre-tokenised text holds them, one space between two."""
    if value is None:
        return ""
    listed = _listed(value)
    if listed is None:
        raise InputError(
            f"{here}: column {column!r} holds {value!r:.60}; other documents hold lists of words"
        )
    words = [_text(word, column, here).strip() for word in listed]
    for word in words:
        if " " in word:
            raise InputError(
                f"{here}: column {column!r} holds the word {word!r:.60} with a space in it; join "
                "its parts by an underscore"
            )
    return " ".join(word for word in words if word)


def _optional(
    asked: str | None, default: str, rows: Sequence[SourceRow], where: str, unit: str
) -> str | None:
    if asked is not None:
        return _require(asked, rows, where, unit, every_row=False)
    return default if any(default in row.values for row in rows) else None


def _require(
    column: str, rows: Sequence[SourceRow], where: str, unit: str, *, every_row: bool
) -> str:
    lacking = next((row for row in rows if column not in row.values), None)
    if lacking is None or (not every_row and any(column in row.values for row in rows)):
        return column
    here = where if lacking is rows[0] else f"{where}, {unit} {lacking.place}"
    raise InputError(f"{here}: no column {column!r}{_hint(column, list(lacking.values))}")


def _hint(column: str, columns: Sequence[str]) -> str:
    # What a loader adds of its own stands in brackets.
    known = [name for name in columns if not name.startswith("(")]
    if not known:
        return "; it is empty"
    for mark in (";", "\t", "|"):
        if any(mark in key and column in key.split(mark) for key in known):
            return f"; {separated(mark)}"
    named = " (text = … or --text names the column of texts)" if column == "text" else ""
    return f"{did_you_mean(column, known)}{named}"


def _text(value: object, column: str, here: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{here}: column {column!r} holds {value!r:.60}, which is not text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{here}: column {column!r} is not valid Unicode: {error}") from error
    return value


def _label(value: object, column: str, here: str) -> tuple[str | None, str]:
    if isinstance(value, list | tuple):
        if len(value) != 1:
            return None, "several" if value else "none"
        value = value[0]
    # Two forms of one accented letter are one label; macOS names folders in the longer.
    label = unicodedata.normalize("NFC", _scalar(value, column, here))
    return (None, "none") if label in NO_LABELS else (label, "one")


def _scalar(value: object, column: str, here: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if value != value:
            return ""
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, str | int):
        return str(value).strip()
    raise InputError(
        f"{here}: column {column!r} holds {value!r:.60}; a string or a number is expected"
    )
