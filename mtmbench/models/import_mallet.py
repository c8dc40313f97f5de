"""Reader of what MALLET's ``train-topics`` writes: document topics, word weights, its state."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, read_text
from mtmbench.core.text_files import finite, is_number, whole
from mtmbench.core.types import Corpus, Float64Array
from mtmbench.core.word_weights import is_complete, word_weights
from mtmbench.models.import_draft import Draft

_STATE_HEAD = "#doc source pos typeindex type topic"
_SPARSE_HEAD = "#doc name topic proportion"
_WANTED = (
    "MALLET's topics are read from the file of --output-doc-topics with that of "
    "--topic-word-weights-file beside it, or from that of --output-state alone"
)


_SPARSE_TOPICS = 10_000
"""So many topics may be without a document in the form of pairs, which names a few a document."""


@dataclass(frozen=True)
class MalletFiles:
    """MALLET's files of one model, as far as they are there."""

    doc_topics: Path | None = None
    word_weights: Path | None = None
    state: Path | None = None

    @property
    def is_model(self) -> bool:
        """Whether θ is among them, by which MALLET's files are told from others."""
        return self.doc_topics is not None or self.state is not None


def find_mallet(source: Path) -> MalletFiles:
    """Finds MALLET's files in a folder, or beside one of them, by what they hold.

    Raises:
        InputError: there are two of a kind, none of which is ``source``.
    """
    candidates = [source] if source.is_file() else []
    folder = source if source.is_dir() else source.parent
    if not candidates or _kind(source) is not None:
        candidates += sorted(
            path for path in folder.iterdir()
            if path.is_file() and path != source and not path.name.startswith(".")
        )  # fmt: skip
    found: dict[str, list[Path]] = {}
    for path in candidates:
        if (kind := _kind(path)) is not None:
            found.setdefault(kind, []).append(path)
    for kind, paths in found.items():
        if len(paths) > 1 and paths[0] != source:
            names = " and ".join(path.name for path in paths[:2])
            raise InputError(
                f"{folder} has {names}, both MALLET's {kind.replace('_', ' ')}; keep one, or "
                "name it"
            )
    return MalletFiles(**{kind: paths[0] for kind, paths in found.items()})


def read_mallet(source: Path, corpus: Corpus, *, has_ids: bool = False) -> Draft:
    """Reads MALLET's topics from a folder, or from one of its files with the others beside it.

    θ is that of ``--output-doc-topics`` (also the older form of pairs), else of the state: counts
    with α added. β is that of ``--topic-word-weights-file``, else of the state: counts and its β.
    A document is found by its name in MALLET where the names are ids of the corpus, or paths that
    end in one; rows of names that say nothing (one for all, such as "null-source", or running
    numbers) are the corpus's documents in order.

    Args:
        source: the folder or file.
        corpus: the corpus that the topics are of.
        has_ids: ids of the documents are given otherwise, so that names do not matter.

    Raises:
        InputError: a file is missing or malformed, or the names are of other documents; the
            message names file and line.
    """
    files = find_mallet(source)
    state = None if files.state is None else _read_state(files.state)
    if files.doc_topics is not None:
        names, theta = _read_doc_topics(files.doc_topics)
    elif state is not None:
        names, theta = state.names, state.theta
    else:
        raise InputError(f"{source} has no topics of documents; {_WANTED}")
    if files.word_weights is not None:
        items, beta = _read_word_weights(files.word_weights)
    elif state is not None:
        items, beta = state.items, state.beta
    else:
        raise InputError(f"{source} has no weights of words; {_WANTED}")
    ids = None if has_ids else _doc_ids(names, corpus, files.doc_topics or files.state or source)
    read = [path.name for path in (files.doc_topics, files.word_weights, files.state) if path]
    notes: dict[str, object] = {
        "files": read, "documents": "in order" if ids is None else "by their names in MALLET",
    }  # fmt: skip
    return Draft(theta, beta, items, ids, are_weights=True, notes=notes)


def _kind(path: Path) -> str | None:
    """Returns which of MALLET's files this is, by its first lines."""
    if path.suffix not in (".txt", ".tsv", ".dat", ".gz", ".state", ".doctopics", ""):
        return None
    try:
        head = _head(path)
    except (OSError, EOFError, zlib.error):  # no whole gzip file, for one
        return None
    if not head:
        return None
    if head[0].startswith(_STATE_HEAD):
        return "state"
    if head[0].startswith(_SPARSE_HEAD):
        return "doc_topics"
    rows = [line.split("\t") for line in head]
    if all(len(row) == 3 and row[0].isdecimal() and is_number(row[2]) for row in rows):
        return "word_weights"
    is_dense = all(
        len(row) > 3 and row[0].isdecimal() and all(map(is_number, row[2:])) for row in rows
    )
    return "doc_topics" if is_dense else None


def _head(path: Path, n_bytes: int = 65_536) -> list[str]:
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
        data: bytes = file.read(n_bytes)
    lines = data.decode("utf-8", errors="ignore").split("\n")
    whole = lines[:-1] if len(data) == n_bytes else lines
    return [line.rstrip("\r").rstrip("\t") for line in whole if line.strip()][:3]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if line.strip():
            yield number, line


def _read_doc_topics(path: Path) -> tuple[list[str], Float64Array]:
    names: list[str] = []
    rows: list[list[float]] = []
    pairs = False
    for number, line in _lines(path):
        if line.startswith("#"):
            pairs = True
            continue
        cells = line.rstrip().split("\t") if "\t" in line else line.split()
        where = f"{path}, line {number}"
        if cells[:1] != [str(len(names))]:
            raise InputError(f"{where}: document {cells[0]!r:.20} where {len(names)} is next")
        names.append(cells[1] if len(cells) > 1 else "")
        rows.append([finite(cell, f"{where}, the share of a topic") for cell in cells[2:]])
    if not rows:
        raise InputError(f"{path} has no documents")
    if pairs:
        return names, _from_pairs(rows, path)
    width = len(rows[0])
    for place, row in enumerate(rows):
        if len(row) != width:
            raise InputError(
                f"{path}: document {place} has {len(row)} topics, those before {width}"
            )
    return names, np.array(rows)


def _from_pairs(rows: Sequence[Sequence[float]], path: Path) -> Float64Array:
    """Returns θ from the older form, in which each document has topics with their shares."""
    if any(len(row) % 2 for row in rows):
        raise InputError(f"{path}: a document has a topic without a share")
    n_topics = 1 + int(max((max(row[::2], default=0) for row in rows), default=0))
    if n_topics > _SPARSE_TOPICS + sum(map(len, rows)):
        raise InputError(f"{path}: a document has topic {n_topics - 1}; that is no topic's number")
    theta = np.zeros((len(rows), n_topics))
    for place, row in enumerate(rows):
        for topic, share in zip(row[::2], row[1::2], strict=True):
            if topic < 0 or topic != int(topic):
                raise InputError(
                    f"{path}: document {place} has topic {topic:g}, which is no number"
                )
            theta[place, int(topic)] = share
    return theta


def _read_word_weights(path: Path) -> tuple[tuple[str, ...], Float64Array]:
    rows = [(f"{path}, line {number}", line.split("\t")) for number, line in _lines(path)]
    for where, row in rows:
        if len(row) != 3:
            raise InputError(f"{where}: {' '.join(row)!r:.60} is no topic, word and weight")
    weights = word_weights(rows)
    items = tuple(dict.fromkeys(word for words in weights.values() for word in words))
    if not is_complete(weights):
        raise InputError(
            f"{path} has {len(rows)} lines for {1 + max(weights)} topics and {len(items)} words; "
            "MALLET writes one for each word of each topic"
        )
    return items, np.array(
        [[weights[topic][item] for item in items] for topic in range(len(weights))]
    )


@dataclass(frozen=True)
class _State:
    names: list[str]
    items: tuple[str, ...]
    theta: Float64Array
    beta: Float64Array


def _read_state(path: Path) -> _State:
    """Reads the state of Gibbs sampling: a line a token, its topic last."""
    names: dict[int, str] = {}
    column: dict[str, int] = {}
    alpha: list[float] = []
    smoothing = 0.0
    tokens: list[tuple[int, int, int]] = []
    for number, line in _lines(path):
        if line.startswith("#alpha"):
            alpha = _numbers(line, path, number)
        elif line.startswith("#beta"):
            smoothing = _numbers(line, path, number)[0]
        elif not line.startswith("#"):
            cells = line.split(" ")
            if len(cells) < 6 or not (cells[0].isdecimal() and cells[-1].isdecimal()):
                raise InputError(f"{path}, line {number}: {line!r:.60} is no token of MALLET's")
            # The source may hold spaces.
            doc, topic = (whole(cell, f"{path}, line {number}") for cell in (cells[0], cells[-1]))
            names[doc] = " ".join(cells[1:-4])
            item = column.setdefault(cells[-2], len(column))
            tokens.append((doc, item, topic))
    if not tokens or not alpha:
        raise InputError(f"{path} has no {'tokens' if alpha else 'line #alpha'}; {_WANTED}")
    docs, items, topics = np.array(tokens).T
    if topics.max() >= len(alpha):
        raise InputError(f"{path}: a token has topic {topics.max()}; #alpha is of {len(alpha)}")
    order = sorted(names)
    theta = np.tile(np.array(alpha), (len(order), 1))
    np.add.at(theta, (np.searchsorted(order, docs), topics), 1)
    beta = np.full((len(alpha), len(column)), smoothing)
    np.add.at(beta, (topics, items), 1)
    return _State([names[doc] for doc in order], tuple(column), theta, beta)


def _numbers(line: str, path: Path, number: int) -> list[float]:
    where = f"{path}, line {number}"
    numbers = [finite(cell, where) for cell in line.partition(":")[2].split()]
    if not numbers:
        raise InputError(f"{where}: {line!r:.60} is not of MALLET's form")
    return numbers


def _doc_ids(names: Sequence[str], corpus: Corpus, path: Path) -> tuple[str, ...] | None:
    """Returns the ids of MALLET's documents; None where its names say nothing of them."""
    known = set(corpus.doc_ids)
    if len(set(names)) == len(names) and known <= set(names):
        return tuple(names)
    if len(set(names)) < len(names) or _count_documents(names):
        return None
    resolve: Callable[[str], str] = _path_tail(known)
    ids = tuple(resolve(name) for name in names)
    if known <= set(ids):
        return ids
    if known & set(ids) or _has_id_column(corpus) or any("/" in name for name in names):
        missing = next(doc_id for doc_id in corpus.doc_ids if doc_id not in set(ids))
        raise InputError(
            f"{path} has no document called {missing!r} of corpus {corpus.name!r}; its names are "
            f"like {names[0]!r:.60}; give the documents' ids in its order (doc_ids=, --doc-ids)"
        )
    return None


def _has_id_column(corpus: Corpus) -> bool:
    columns = corpus.source.get("columns")
    return isinstance(columns, Mapping) and "id" in columns


def _count_documents(names: Sequence[str]) -> bool:
    """Whether names are but running numbers, from 0, 1 or any other."""
    numbers = [name.removeprefix("array:") for name in names]
    if not all(re.fullmatch(r"\d{1,18}", number) for number in numbers):
        return False
    first = int(numbers[0])
    return [int(number) for number in numbers] == list(range(first, first + len(numbers)))


def _path_tail(known: set[str]) -> Callable[[str], str]:
    """Returns a function that finds the id that a path ends in, with or without its suffix."""

    def resolve(name: str) -> str:
        if name in known:
            return name
        parts = unquote(name.removeprefix("file:")).replace("\\", "/").split("/")
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for given in (tail, tail.rsplit(".", 1)[0]):
                if given in known:
                    return given
        return name

    return resolve
