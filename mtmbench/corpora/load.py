"""``load_corpus``: one function for every place that texts come from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtmbench.core.card_reading import parse_card
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.names import check_name, check_path
from mtmbench.core.specs import CorpusSpec, WordSpec
from mtmbench.core.types import Corpus
from mtmbench.corpora.files import (
    is_text_file,
    load_file,
    load_text_folder,
    table_suffix,
    visible_files,
)
from mtmbench.corpora.hub import is_data_file, is_hub_id, is_saved_dataset, load_hub
from mtmbench.corpora.octis import is_octis_folder, load_octis_folder, refuse_older_octis
from mtmbench.corpora.parts import part_of
from mtmbench.corpora.registry import CORPORA
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus, count_duplicates


def load_corpus(
    source: str | Path | Sequence[str] | Sequence[Sequence[str]],
    *,
    text: str | None = None,
    label: str | None = None,
    id: str | None = None,
    split: str | None = None,
    subset: str | None = None,
    max_documents: int | None = None,
    sample_seed: int = 0,
    data_dir: Path | None = None,
    name: str | None = None,
    language: str | None = None,
    stop_words: bool | str | Sequence[str] | None = None,
    tokeniser: str | None = None,
) -> Corpus:
    """Loads a corpus.

    ``source`` is, tried in this order: a sequence of texts, or of lists of words; a registered
    name (``lee``, ``20ng``, a plugin's); a file (``.jsonl``, ``.csv``, ``.tsv``, each also gzipped,
    or ``.parquet``); a folder (an OCTIS dataset; a Hugging Face dataset saved to disk; ``.txt``
    files or a dataset in the hub's format, whichever are more); the id ``owner/name`` of a dataset
    on the Hugging Face hub. A ``Path`` is never taken for a name. Data files beside more texts are
    named in ``source["not_read"]``; hidden files and folders never count, and lists of stop words,
    vocabularies and the like are no documents of a dataset.

    Args:
        source: where the texts are.
        text: the column of the text, for files and datasets with columns; ``text`` by default. A
            column of lists of words is a tokenised text, that called ``tokens`` by default where
            there is no ``text``.
        label: the column of the gold label; ``label`` by default, where there is one.
        id: the column of the document id; ``id`` by default, else the row number.
        split: the column of the split's name; ``split`` by default, where there is one.
        subset: a dataset's configuration, or another file of a registered corpus's data folder.
        max_documents: take a sample of this size, in the corpus's order, where it has more.
        sample_seed: seed of that sample.
        data_dir: folder of local copies of the registered corpora; ``MTMBENCH_DATA`` by default.
        name: name of the corpus; by default the registered name, or the last part of the path.
        language: the texts', by name or ISO code; English by default.
        stop_words: whether those of the language are left out, or which, as in a suite's
            ``[words]``.
        tokeniser: name of what cuts the texts into words, such as "jieba".

    Raises:
        InputError: there is no such source, or something in it is wrong; the message names file and
            line. Or there is no such language.
        UnknownNameError: a bare name that is not registered; the nearest one is given.
    """
    if name is not None:
        check_name(name, "a corpus")
    columns = Columns(text, label, id, split)
    if isinstance(source, str | Path):
        corpus = _load_named(source, columns, subset, resolve_data_dir(data_dir), name)
    else:
        _refuse_columns(columns, subset, "a sequence of texts")
        if isinstance(source, Mapping) or hasattr(source, "columns"):
            raise InputError(
                f"a {type(source).__name__} is no sequence of texts; give its column of texts, or "
                "write it to a file (.csv, .jsonl, .parquet), which keeps labels and ids"
            )
        rows = [SourceRow(number, {"text": item}) for number, item in enumerate(source)]
        corpus = build_corpus(
            name or "texts",
            rows,
            columns,
            where="the texts",
            source={"format": "python"},
            unit="text",
        )
    asked = {"language": language, "stop_words": stop_words, "tokeniser": tokeniser}
    if given := {field: value for field, value in asked.items() if value is not None}:
        corpus = corpus.with_words(parse_card(given, WordSpec, "the words of a corpus"))
    return corpus if max_documents is None else sample(corpus, max_documents, sample_seed)


def load_spec(spec: CorpusSpec, data_dir: Path | None = None) -> Corpus:
    """Loads one corpus of a suite: the part of it that is asked for, and of that the sample."""
    corpus = load_corpus(
        spec.name,
        text=spec.text,
        label=spec.label,
        id=spec.id,
        split=spec.split,
        subset=spec.subset,
        data_dir=data_dir,
    )
    if spec.part is not None:
        corpus = part_of(corpus, spec.part, spec.tuning_share, spec.tuning_seed)
    if spec.max_documents is None:
        return corpus
    return sample(corpus, spec.max_documents, spec.sample_seed)


def corpus_notes(corpus: Corpus) -> list[str]:
    """Returns, a sentence each, what a corpus left out or put in another order than its source."""
    said, name = corpus.source, corpus.name
    notes = []
    if isinstance(not_read := said.get("not_read"), list):
        more = f" and {len(not_read) - 3} more" if len(not_read) > 3 else ""
        shown = ", ".join(map(str, not_read[:3]))
        notes.append(f"corpus {name}: its documents are the .txt files; not read: {shown}{more}")
    if isinstance(dropped := said.get("splits_dropped"), dict):
        counts = ", ".join(f"{split or '(none)'} {n}" for split, n in dropped.items())
        notes.append(f"corpus {name}: documents of other partitions are dropped: {counts}")
    if "order" in said:
        notes.append(f"corpus {name}: documents are in the order {said['order']}")
    return notes


def sample(corpus: Corpus, n_documents: int, seed: int) -> Corpus:
    """Returns a uniform sample without replacement, in the corpus's order.

    A corpus of at most ``n_documents`` is returned as it is. ``source["sample"]`` says what was
    taken of what.
    """
    if n_documents < 1:
        raise InputError(f"max_documents must be at least 1, not {n_documents}")
    if len(corpus) <= n_documents:
        return corpus
    chosen = np.random.default_rng(seed).choice(len(corpus), size=n_documents, replace=False)
    taken = corpus.select(np.sort(chosen))
    return replace(
        taken,
        n_duplicates=count_duplicates(taken.texts),
        source={
            **corpus.source,
            "sample": {"documents": n_documents, "of": len(corpus), "seed": seed},
        },
    )


def _load_named(
    source: str | Path,
    columns: Columns,
    subset: str | None,
    data_dir: Path | None,
    name: str | None,
) -> Corpus:
    if isinstance(source, str) and source in CORPORA:
        _refuse_columns(columns, None, f"the registered corpus {source!r}")
        corpus = CORPORA.get(source)(data_dir=data_dir, subset=subset)
        if not isinstance(corpus, Corpus):
            raise InputError(
                f"the loader of corpus {source!r} ({CORPORA.origin(source)}) returned "
                f"{type(corpus).__name__}, not a Corpus"
            )
        return replace(corpus, name=name or corpus.name)
    path = Path(check_path(str(source), "corpus")).expanduser()
    if path.is_dir():
        return _load_folder(path.resolve(), columns, subset, name)
    if path.is_file():
        _refuse_columns(Columns(), subset, f"the file {path}")
        return load_file(path, columns, name)
    if isinstance(source, Path) or table_suffix(path) or source.startswith((".", "/", "~")):
        raise InputError(f"there is no file or folder {path}")
    if is_hub_id(source):
        return load_hub(source, columns, subset, name)
    raise UnknownNameError("corpus", source, CORPORA.names())


def _load_folder(folder: Path, columns: Columns, subset: str | None, name: str | None) -> Corpus:
    if is_octis_folder(folder):
        _refuse_columns(columns, subset, f"the OCTIS folder {folder}")
        return load_octis_folder(folder, name)
    if is_saved_dataset(folder):
        _refuse_columns(Columns(), subset, f"the saved dataset {folder}")
        return load_hub(folder, columns, None, name)
    refuse_older_octis(folder)
    files = visible_files(folder)
    data = [path for path in files if is_data_file(path)]
    texts = [path for path in files if is_text_file(path)]
    if texts and _texts_are_the_documents(folder, texts, data, columns):
        _refuse_columns(columns, subset, f"the folder of text files {folder}")
        return load_text_folder(folder, name, [_inside(path, folder) for path in data])
    if data:
        return load_hub(folder, columns, subset, name)
    raise InputError(
        f"{folder} holds no corpus: no .txt, .jsonl, .csv or .parquet file, no saved dataset "
        "and no OCTIS dataset"
    )


def _texts_are_the_documents(
    folder: Path, texts: Sequence[Path], data: Sequence[Path], columns: Columns
) -> bool:
    """Says whether a folder's ``.txt`` files are its corpus, or its data files.

    The more numerous are; a licence, a list of stop words or the like is no document of a dataset.
    Where there are as many, or data files named after splits lie beside more texts, or one that
    holds at least as many, only the user can tell.
    """
    documents = [path for path in texts if not _NOTES.match(path.stem)]
    if not data or len(documents) < len(data):
        return not data
    unclear = [
        path for path in data
        if _SPLIT_FILES.match(path.name) or _n_texts(path, columns) >= len(documents)
    ]  # fmt: skip
    if len(documents) > len(data) and not unclear:
        return True
    named = ", ".join(_inside(path, folder) for path in (unclear or data)[:3])
    raise InputError(
        f"{folder} holds {len(documents)} .txt files such as {_inside(documents[0], folder)}, and "
        f"{len(data)} data files such as {named}; move those that are not the corpus elsewhere, or "
        "name the data file itself"
    )


def _n_texts(path: Path, columns: Columns) -> int:
    """Returns how many texts a data file holds; none where it has no column of them."""
    try:
        return len(load_file(path, columns)) if table_suffix(path) else 0
    except InputError:
        return 0


_NOTES = re.compile(
    r"(readme|licen[cs]e|copying|notice|changelog|citation"
    r"|(stop[ _-]?words?|vocab(ulary)?|requirements|labels?|class(es)?|categories|notes?)$)",
    re.IGNORECASE,
)
_SPLIT_FILES = re.compile(r"(train|test|val|valid|validation|dev)(?![a-z])", re.IGNORECASE)


def _inside(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _refuse_columns(columns: Columns, subset: str | None, what: str) -> None:
    if columns.named:
        raise InputError(f"{what} has no columns to choose; columns named: {columns.named}")
    if subset is not None:
        raise InputError(f"{what} has no subsets; subset {subset!r} was asked for")


def resolve_data_dir(given: Path | None) -> Path | None:
    """Returns the folder of local corpora: ``given``, else ``MTMBENCH_DATA``, else None."""
    named = given or os.environ.get("MTMBENCH_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "data_dir" if given else "MTMBENCH_DATA"
        raise InputError(f"{origin} names {folder}, which is not a folder")
    return folder
