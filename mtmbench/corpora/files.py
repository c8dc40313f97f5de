"""Corpora in local files: JSON lines, CSV, Parquet, folders of text, OCTIS folders."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import check_unpacked, lines_of, parse_json, read_bytes
from mtmbench.core.types import Corpus
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus

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
    readers = {".jsonl": _jsonl_rows, ".csv": _csv_rows, ".tsv": _csv_rows}
    rows = _parquet_rows(path, columns) if plain == ".parquet" else readers[plain](path)
    return build_corpus(
        name or path.name.removesuffix(suffix),
        rows,
        columns,
        where=str(path),
        source={"format": plain[1:], "file": path.name},
        unit="row" if plain == ".parquet" else "line",
    )


def load_text_folder(folder: Path, name: str | None = None) -> Corpus:
    """Loads a folder of ``.txt`` files, one document each, in the order of their paths.

    The id is the path within the folder without its suffix; where files lie in sub-folders, the
    first sub-folder is the label (scikit-learn's layout), and a file beside them has none.

    Raises:
        InputError: no ``.txt`` file, or one that is not UTF-8; the message names file and line.
    """
    paths = sorted(folder.rglob("*.txt"), key=lambda path: path.relative_to(folder).parts)
    rows = []
    for number, path in enumerate(paths, start=1):
        inside = path.relative_to(folder)
        values = {"id": inside.with_suffix("").as_posix(), "text": read_text(path)}
        if len(inside.parts) > 1:
            values["label"] = inside.parts[0]
        rows.append(SourceRow(number, values))
    if not rows:
        raise InputError(f"{folder} holds no .txt files")
    source = {"format": "text folder", "folder": folder.name}
    return build_corpus(
        name or folder.name, rows, Columns(), where=str(folder), source=source, unit="file"
    )


def is_octis_folder(folder: Path) -> bool:
    """Whether ``folder`` holds an OCTIS dataset: a vocabulary and a corpus file."""
    return (folder / "vocabulary.txt").is_file() and _octis_corpus_file(folder) is not None


def load_octis_folder(folder: Path, name: str | None = None) -> Corpus:
    """Loads an OCTIS dataset: ``vocabulary.txt`` with ``corpus.tsv`` or ``corpus.jsonl(.gz)``.

    ``corpus.tsv`` has no header: the document's tokens, then its partition, then its label, the
    last two optional. The texts stay tokenised as they are (``pretokenised``), in file order.

    Raises:
        InputError: a file is missing, empty or malformed; the message names file and line.
    """
    path = _octis_corpus_file(folder)
    if path is None:
        raise InputError(f"{folder} holds no corpus.tsv or corpus.jsonl; not an OCTIS dataset")
    rows = _octis_tsv_rows(path) if path.suffix == ".tsv" else _jsonl_rows(path)
    vocabulary = set(read_text(folder / "vocabulary.txt").split())
    if not vocabulary:
        raise InputError(f"{folder / 'vocabulary.txt'} is empty")
    return build_corpus(
        name or folder.name,
        rows,
        Columns(),
        where=str(path),
        source={
            "format": "octis",
            "folder": folder.name,
            "vocabulary": len(vocabulary),
            "tokens_out_of_vocabulary": sum(
                token not in vocabulary
                for row in rows
                for token in str(row.values.get("text") or "").split()
            ),
        },
        pretokenised=True,
    )


def table_suffix(path: Path) -> str | None:
    """Returns the suffix of a table that :func:`load_file` reads, or None."""
    return next((suffix for suffix in TABLE_SUFFIXES if path.name.endswith(suffix)), None)


def read_text(path: Path) -> str:
    """Reads a UTF-8 file, gzipped if its name ends in ``.gz``; a byte order mark is dropped.

    Raises:
        InputError: the file cannot be read, is damaged, or is not UTF-8; the latter names the line.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}); "
            "convert the file to UTF-8"
        ) from error


def _octis_corpus_file(folder: Path) -> Path | None:
    names = ("corpus.tsv", "corpus.jsonl", "corpus.jsonl.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _octis_tsv_rows(path: Path) -> list[SourceRow]:
    rows = []
    for number, line in _lines(path):
        cells = line.split("\t")
        if len(cells) > 3:
            raise InputError(
                f"{path}, line {number}: {len(cells)} columns; OCTIS has at most three "
                "(document, partition, label)"
            )
        rows.append(SourceRow(number, dict(zip(("text", "split", "label"), cells, strict=False))))
    return rows


def _jsonl_rows(path: Path) -> list[SourceRow]:
    rows = []
    for number, line in _lines(path):
        values = parse_json(line, f"{path}, line {number}", ": not JSON")
        if not isinstance(values, dict):
            raise InputError(f"{path}, line {number}: {line[:40]!r} is not a JSON object")
        rows.append(SourceRow(number, values))
    return rows


def _csv_rows(path: Path) -> list[SourceRow]:
    content = read_text(path)
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    # A document may be longer than the 128 KiB that the csv module allows a cell by default.
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    rows: list[SourceRow] = []
    start = 1
    try:
        header = next(reader, None)
        if header is None:
            raise InputError(f"{path} is empty")
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
        raise InputError(f"{path}, line {start}: not valid CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)
    return rows


def _parquet_rows(path: Path, columns: Columns) -> list[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    records: list[dict[str, object]] = []
    unpacked, packed = 0, path.stat().st_size
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            known = file.schema_arrow.names
            wanted = {"text", "label", "id", "split", *columns.named}
            # With a wrong column name, read all of them, so that the error can list them.
            chosen = None if set(columns.named) - set(known) else [c for c in known if c in wanted]
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


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if line.strip():
            yield number, line
