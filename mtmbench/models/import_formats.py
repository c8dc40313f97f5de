"""The formats of topics made elsewhere: which one a source has, and its reader.

Each reader returns a :class:`~mtmbench.models.import_draft.Draft`, which
:mod:`mtmbench.models.importers` checks against a corpus. Nothing is unpickled but what the caller
has asked for by format or by ``trust``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.files import npz_names
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.models.import_arrays import has_theta, read_named_arrays
from mtmbench.models.import_bertopic import BERTOPIC_TOPICS, read_bertopic, read_bertopic_folder
from mtmbench.models.import_draft import Draft, Words
from mtmbench.models.import_gensim import read_gensim
from mtmbench.models.import_mallet import find_mallet, read_mallet
from mtmbench.models.import_octis import OCTIS_BETA, read_octis
from mtmbench.models.import_tomotopy import is_tomotopy_model, read_tomotopy, refuse_tomotopy_file

Format = Literal[
    "auto", "npz", "csv", "bertopic", "gensim", "mallet", "octis", "tomotopy", "result"
]


def format_of(source: object, asked: str, trust: bool) -> str:
    """Returns the format asked for, or, for "auto", the one that the source has.

    Raises:
        InputError: there is no such format, the source has none that is known, or it is a pickle
            that must not be read.
    """
    if asked not in get_args(Format):
        raise InputError(f"unknown format {asked!r}{did_you_mean(asked, get_args(Format))}")
    if isinstance(source, Path) and source.suffix in (".pkl", ".pickle", ".joblib"):
        raise InputError(f"{source} is a pickle; load it yourself and pass the object")
    found = _object_format(source) if not isinstance(source, Path) else _path_format(source)
    form = found if asked == "auto" else asked
    if form == "gensim" and isinstance(source, Path) and not trust:
        raise InputError(
            f"{source}: gensim's files are pickles, which could run any code when they are loaded; "
            "if it is yours, pass trust=True (--trust)"
        )
    if asked == "auto":
        if found is None:
            shown = source if isinstance(source, Path) else f"a {type(source).__name__}"
            raise InputError(
                f"cannot tell the format of {shown}; give one of {', '.join(get_args(Format)[1:])}"
            )
        return found
    return asked


def read_draft(
    source: Any,
    form: str,
    corpus: Corpus,
    *,
    items: Sequence[str] | None = None,
    doc_ids: tuple[str, ...] | None = None,
    needs_theta: bool = True,
    words: Words | None = None,
    trust: bool = False,
    seed: int = 0,
) -> Draft:
    """Reads topics in a format, as they stand there.

    Args:
        source: a path, or an object of the format.
        form: the format, as :func:`format_of` returns it; not a saved result's.
        corpus: the corpus that the topics are of.
        items: V item names, in place of the source's.
        doc_ids: ids of the documents, where they are given otherwise.
        needs_theta: θ is not given otherwise.
        words: for gensim: splits a text into the words that its dictionary has.
        trust: allow reading pickled objects.
        seed: for gensim: seed of its inference.

    Raises:
        InputError: the source cannot be read as that format; the message says why.
    """
    if form == "gensim":
        return read_gensim(source, corpus, words, seed, items, infer=needs_theta)
    draft = _read(source, form, corpus, trust, doc_ids, needs_theta=needs_theta)
    return draft if items is None else replace(draft, items=tuple(items))


def _object_format(source: object) -> str | None:
    if isinstance(source, TopicResult):
        return "result"
    if isinstance(source, Mapping):
        return "octis" if OCTIS_BETA in source else "npz"
    if hasattr(source, "c_tf_idf_") and hasattr(source, "topics_"):
        return "bertopic"
    if hasattr(source, "get_topics") and hasattr(source, "id2word"):
        return "gensim"
    return "tomotopy" if is_tomotopy_model(source) else None


def _path_format(path: Path) -> str | None:
    if path.is_dir():
        if (path / BERTOPIC_TOPICS).is_file():
            return "bertopic"
        return "mallet" if not has_theta(path) and find_mallet(path).is_model else "csv"
    if path.suffix == ".safetensors":
        return "result"
    if path.suffix in (".csv", ".npy"):
        return "csv"
    if path.suffix == ".npz":
        return "octis" if OCTIS_BETA in npz_names(path) else "npz"
    if Path(f"{path}.state").is_file():
        return "gensim"
    refuse_tomotopy_file(path)
    return "mallet" if find_mallet(path).is_model else None


def _read(
    source: Any,
    form: str,
    corpus: Corpus,
    trust: bool,
    doc_ids: tuple[str, ...] | None,
    *,
    needs_theta: bool,
) -> Draft:
    if form == "octis":
        return read_octis(source, corpus, trust, doc_ids)
    if form == "mallet":
        if not isinstance(source, Path):
            raise InputError(f"MALLET's topics are files; give their path, not {source!r:.60}")
        return read_mallet(source, corpus, has_ids=doc_ids is not None)
    if form == "tomotopy":
        return read_tomotopy(source)
    if form == "bertopic" and isinstance(source, Path):
        if not source.is_dir():
            raise InputError(
                f"{source} is not a folder; save the BERTopic model with "
                'serialization="safetensors", or load it yourself and pass the object'
            )
        return read_bertopic_folder(source)
    if form == "bertopic":
        return read_bertopic(source)
    return read_named_arrays(source, len(corpus), trust, needs_theta=needs_theta)
