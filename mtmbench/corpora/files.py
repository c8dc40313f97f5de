"""Corpora in local files: JSON lines, CSV, Parquet, folders of text."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import check_unpacked, lines_of, parse_json, read_text
from mtmbench.core.text_files import long_cells, other_separator, separated
from mtmbench.core.types import Corpus
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus, with_lists

_PARQUET_ROWS = 256
"""So many rows are unpacked before it is looked at how large they are."""

TABLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def load_file(path: Path, columns: Columns, name: str | None = None) -> Corpus:
    """Loads one ``.jsonl``, ``.csv``, ``.tsv`` (each also ``.gz``) or ``.parquet`` file.

    Raises:
        InputError: unknown suffix, unreadable or empty file, wrong encoding, malformed line or
            wrong column; the message names file and line.
    """
    suffix = table_suffix(path)
    if suffix is None:
        raise InputError(
            f"{path}: unknown format; a corpus file ends in {', '.join(TABLE_SUFFIXES)} "
            "(a text file is one document of a folder of .txt files)"
        )
    plain = suffix.removesuffix(".gz")
    readers = {".jsonl": jsonl_rows, ".csv": _csv_rows, ".tsv": _csv_rows}
    rows: Sequence[SourceRow]
    rows = _parquet_rows(path, columns) if plain == ".parquet" else readers[plain](path)
    if plain in (".csv", ".tsv"):
        rows = with_lists(rows, columns, str(path))
    return build_corpus(
        name or path.name[: -len(suffix)],
        rows,
        columns,
        where=str(path),
        source={"format": plain[1:], "file": path.name},
        unit="row" if plain == ".parquet" else "line",
    )


def load_text_folder(folder: Path, name: str | None = None, not_read: Sequence[str] = ()) -> Corpus:
    """Loads a folder of ``.txt`` files, one document each, in the order of their paths.

    The id is the path within the folder without its suffix; where files lie in sub-folders, the
    first sub-folder is the label (scikit-learn's layout), and a file beside them has none. Where
    these sub-folders are all named as partitions ("train", "test"), they are the partitions, and
    the labels are the folders within (aclImdb's layout). Hidden files and folders are neither.
    ``source["not_read"]`` names what lies beside the texts.

    Raises:
        InputError: no ``.txt`` file, or one that is not UTF-8; the message names file and line.
    """
    paths = [path for path in visible_files(folder) if is_text_file(path)]
    by_split = _lie_by_split([path.relative_to(folder) for path in paths])
    rows = []
    for number, path in enumerate(paths, start=1):
        inside = path.relative_to(folder)
        values = {"id": inside.with_suffix("").as_posix(), "text": read_text(path)}
        folders = list(inside.parts[:-1])
        if by_split:
            values["split"] = folders.pop(0) if folders else ""
        if folders:
            values["label"] = folders[0]
        rows.append(SourceRow(number, values))
    if not rows:
        raise InputError(f"{folder} holds no .txt files")
    source: dict[str, object] = {"format": "text folder", "folder": folder.name}
    if not_read:
        source["not_read"] = list(not_read)
    return build_corpus(
        name or folder.name, rows, Columns(), where=str(folder), source=source, unit="file"
    )


def visible_files(folder: Path) -> list[Path]:
    """Returns the files of a folder and its sub-folders, in the order of their paths.

    What is hidden (``.ipynb_checkpoints``, ``.git``, ``._x.txt``, and the ``__MACOSX`` that macOS
    puts into archives) is left out at every depth; the folder itself may lie in a hidden one.
    """
    found = []
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(at, name) for name in names if not _is_hidden(name)]
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def is_text_file(path: Path) -> bool:
    """Whether ``path`` is named as a document of a folder of text files."""
    return path.suffix.lower() == ".txt"


def _lie_by_split(paths: Sequence[Path]) -> bool:
    firsts = {path.parts[0] for path in paths if len(path.parts) > 1}
    return bool(firsts) and all(_SPLIT_FOLDER.fullmatch(name) for name in firsts)


_SPLIT_FOLDER = re.compile(r"(train|training|test|testing|val|valid|validation|dev)", re.IGNORECASE)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def table_suffix(path: Path) -> str | None:
    """Returns the suffix of a table that :func:`load_file` reads, or None."""
    name = path.name.lower()
    return next((suffix for suffix in TABLE_SUFFIXES if name.endswith(suffix)), None)


def jsonl_rows(path: Path) -> list[SourceRow]:
    """Reads one JSON object a line; a line that is none is an InputError that names it."""
    rows = []
    for number, line in numbered_lines(path):
        values = parse_json(line, f"{path}, line {number}", ": not JSON")
        if not isinstance(values, dict):
            raise InputError(f"{path}, line {number}: {line[:40]!r} is not a JSON object")
        rows.append(SourceRow(number, values))
    return rows


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, each with its number in the file."""
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if line.strip():
            yield number, line


def _csv_rows(path: Path) -> list[SourceRow]:
    content = read_text(path)
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    if not content:
        raise InputError(f"{path} is empty")
    if (mark := other_separator(content.split("\n", 1)[0].rstrip("\r"), delimiter)) is not None:
        raise InputError(f"{path}, line 1: {separated(mark)}")
    with long_cells():
        literal = delimiter == "\t" and _has_literal_quotes(content)
        return _table_rows(path, content, delimiter, literal)


def _table_rows(path: Path, content: str, delimiter: str, literal: bool) -> list[SourceRow]:
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter=delimiter, strict=True,
        quoting=csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL,
    )  # fmt: skip
    rows: list[SourceRow] = []
    start = 1
    try:
        header = [cell.strip() for cell in next(reader)]
        if len(set(header)) != len(header):
            raise InputError(f"{path}, line 1: two columns have the same name: {header}")
        start = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise InputError(
                    f"{path}, line {start}: {len(cells)} cells for {len(header)} columns"
                )
            if cells:
                rows.append(SourceRow(start, dict(zip(header, cells, strict=True))))
            start = reader.line_num + 1
    except csv.Error as error:
        hint = (
            "; a cell that begins with a quotation mark ends with one, and those in it are doubled"
            if '"' in content and not literal
            else ""
        )
        raise InputError(f"{path}, line {start}: not valid CSV: {error}{hint}") from error
    return rows


def _has_literal_quotes(content: str) -> bool:
    """Whether quotation marks in a TSV are part of its texts, as in many that no CSV writer made.

    So it is where every line has the header's number of cells as it stands, but quotation marks
    that enclosed cells would be misplaced, or join lines. A cell that does hold a line break leaves
    lines of fewer cells, unless it holds as many tabs on each of them: then it counts that a CSV
    writer has doubled marks within a cell that they enclose.
    """
    lines = [line for line in lines_of(content) if line]
    n_cells = lines[0].count("\t")
    if '"' not in content or n_cells == 0 or any(line.count("\t") != n_cells for line in lines):
        return False
    reader = csv.reader(io.StringIO(content, newline=""), delimiter="\t", strict=True)
    try:
        joins_lines = sum(bool(cells) for cells in reader) != len(lines)
    except csv.Error:
        return True
    return joins_lines and not any(map(_DOUBLED.search, lines))


_DOUBLED = re.compile(r'(?:^|\t)"(?:[^"\t]|"")*""(?:[^"\t]|"")*"(?:\t|$)')


def _parquet_rows(path: Path, columns: Columns) -> list[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    records: list[dict[str, object]] = []
    unpacked, packed = 0, path.stat().st_size
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            chosen = columns.chosen(file.schema_arrow.names)
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
            stated = sum(group.total_byte_size for group in groups)
            check_unpacked(stated, packed, str(path))
            # One value repeated a million times takes a few bytes of the file.
            for batch in file.iter_batches(_PARQUET_ROWS, columns=chosen or None):
                unpacked += batch.nbytes
                check_unpacked(unpacked, packed, str(path))
                records += batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a readable Parquet file: {error}") from error
    return [SourceRow(number, values) for number, values in enumerate(records)]
