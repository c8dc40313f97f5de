"""OCTIS datasets: a folder with ``vocabulary.txt`` and ``corpus.tsv`` or ``corpus.jsonl(.gz)``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_text
from mtmbench.core.types import Corpus
from mtmbench.corpora.files import jsonl_rows, numbered_lines
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus

OCTIS_SPLITS = ("train", "val", "test")
"""The partitions that OCTIS knows, in the order in which its Dataset puts the documents."""

_COLUMNS = "(document, partition, label)"
_PARTITION_HEADS = ("partition", "split", "subset", "set", "fold", "part")
_DOCUMENT_HEADS = (
    "text", "texts", "document", "documents", "doc", "docs", "content", "tokens", "sentence",
)  # fmt: skip


def is_octis_folder(folder: Path) -> bool:
    """Whether ``folder`` holds an OCTIS dataset: a vocabulary and a corpus file."""
    return (folder / "vocabulary.txt").is_file() and _corpus_file(folder) is not None


def refuse_older_octis(folder: Path) -> None:
    """Raises an error if a folder is a dataset of OCTIS's first form, with ``corpus.txt``."""
    if (folder / "vocabulary.txt").is_file() and (folder / "corpus.txt").is_file():
        raise InputError(
            f"{folder} holds corpus.txt beside vocabulary.txt, an older form of OCTIS's datasets; "
            f"write corpus.tsv instead: a line a document, {_COLUMNS} separated by tabs"
        )


def load_octis_folder(folder: Path, name: str | None = None) -> Corpus:
    """Loads an OCTIS dataset: ``vocabulary.txt`` with ``corpus.tsv`` or ``corpus.jsonl(.gz)``.

    ``corpus.tsv`` has no header: the document's tokens, then its partition, then its label, the
    last two optional; quotation marks around a cell are those of the CSV writer (pandas), which
    OCTIS undoes as well. The texts stay tokenised as they are (``pretokenised``). They come in the
    order of OCTIS's own Dataset, on which the rows of its θ lie: partition train, then val, then
    test, each in file order; documents of any other partition are dropped, and counted in
    ``source["splits_dropped"]``. An id is the row's number in the file.

    Raises:
        InputError: a file is missing, empty or malformed, has a header or an index column, or
            shares no token with the vocabulary; the message names file and line.
    """
    path = _corpus_file(folder)
    if path is None:
        raise InputError(f"{folder} holds no corpus.tsv or corpus.jsonl; not an OCTIS dataset")
    vocabulary = set(read_text(folder / "vocabulary.txt").split())
    if not vocabulary:
        raise InputError(f"{folder / 'vocabulary.txt'} is empty")
    if path.suffix == ".tsv":
        rows = _tsv_rows(path)
        _refuse_header_and_index(path, rows, vocabulary)
    else:
        rows = jsonl_rows(path)
    if not any("id" in row.values for row in rows):
        rows = [replace(row, values={**row.values, "id": str(n)}) for n, row in enumerate(rows)]
    dropped: Counter[str] = Counter()
    moved = False
    splits = [_split(row) for row in rows]
    if any(splits) and all("split" in row.values for row in rows):
        dropped = Counter(split for split in splits if split not in OCTIS_SPLITS)
        order = octis_order(splits)
        moved = order != sorted(order)
        rows = [rows[i] for i in order]
        if not rows:
            held = ", ".join(repr(split) for split in sorted(dropped)[:5])
            raise InputError(
                f"{path}: no document is of partition {', '.join(OCTIS_SPLITS)}; its partitions "
                f"are {held}; OCTIS's columns are {_COLUMNS}"
            )
    tokens = [token for row in rows for token in str(row.values.get("text") or "").split()]
    unknown = sum(token not in vocabulary for token in tokens)
    if tokens and unknown == len(tokens):
        raise InputError(
            f"{path}, line {rows[0].place}: no token of any document is in vocabulary.txt; they "
            f"begin with {', '.join(tokens[:5])}; the first column must be the document, its "
            "tokens separated by spaces, and the vocabulary this corpus's"
        )
    source: dict[str, object] = {
        "format": "octis",
        "folder": folder.name,
        "vocabulary": len(vocabulary),
        "tokens_out_of_vocabulary": unknown,
    }
    if moved:
        source["order"] = "train, val, test, as OCTIS has it, not the file's"
    if dropped:
        source["splits_dropped"] = dict(sorted(dropped.items()))
    return build_corpus(
        name or folder.name, rows, Columns(), where=str(path), source=source, pretokenised=True
    )


def octis_order(splits: Sequence[str]) -> list[int]:
    """Returns which documents OCTIS's Dataset keeps, in its order, of documents by partition."""
    return [i for part in OCTIS_SPLITS for i, split in enumerate(splits) if split == part]


def _corpus_file(folder: Path) -> Path | None:
    names = ("corpus.tsv", "corpus.jsonl", "corpus.jsonl.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _split(row: SourceRow) -> str:
    return str(row.values.get("split") or "")


def _tsv_rows(path: Path) -> list[SourceRow]:
    rows = []
    for number, line in numbered_lines(path):
        cells = [_unquoted(cell) for cell in line.split("\t")]
        if len(cells) > 3:
            first = cells[0].strip()
            hint = "" if first and not first.isdecimal() else "; leave out the index column"
            raise InputError(
                f"{path}, line {number}: {len(cells)} columns; OCTIS has at most three "
                f"{_COLUMNS}{hint}"
            )
        rows.append(SourceRow(number, dict(zip(("text", "split", "label"), cells, strict=False))))
    without = [row for row in rows if "split" not in row.values]
    if without and len(without) < len(rows):
        raise InputError(
            f"{path}, line {without[0].place}: no partition, which other lines have; OCTIS's "
            f"columns are {_COLUMNS}"
        )
    return rows


def _unquoted(cell: str) -> str:
    if re.fullmatch(r'"(?:[^"]|"")*"', cell) is None:
        return cell
    return cell[1:-1].replace('""', '"')


def _refuse_header_and_index(
    path: Path, rows: Sequence[SourceRow], vocabulary: Collection[str]
) -> None:
    """Refuses what pandas writes unless told otherwise, which would be read as documents."""
    firsts = [str(row.values["text"]).strip() for row in rows]
    if any("split" in row.values for row in rows) and (_is_index(firsts) or _is_index(firsts[1:])):
        raise InputError(
            f"{path}, line {rows[0].place}: the first column holds numbers "
            f"({', '.join(firsts[:3])}), an index; it must be the document: leave the index out "
            "(pandas: index=False, header=False)"
        )
    if _has_header(rows, vocabulary):
        shown = " | ".join(str(value) for value in rows[0].values.values())
        raise InputError(
            f"{path}, line {rows[0].place}: {shown!r:.80} is a header, which OCTIS's corpus.tsv "
            "does not have; remove the line (pandas: header=False)"
        )


def _is_index(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and all(map(str.isdecimal, cells)) and len(set(cells)) == len(cells)


def _has_header(rows: Sequence[SourceRow], vocabulary: Collection[str]) -> bool:
    if len(rows) < 2:
        return False
    words = str(rows[0].values["text"]).lower().split()
    names_a_column = words == [] or (len(words) == 1 and words[0] in _DOCUMENT_HEADS)
    if "split" not in rows[0].values:
        return names_a_column and words[0] not in vocabulary
    split, others = _split(rows[0]), {_split(row) for row in rows[1:]}
    if split in {*OCTIS_SPLITS, *others} or not others & set(OCTIS_SPLITS):
        return False
    return (
        names_a_column
        or split.strip().lower() in _PARTITION_HEADS
        or not any(word in vocabulary for word in words)
    )
