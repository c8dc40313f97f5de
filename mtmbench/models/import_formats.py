"""Readers of topics made elsewhere: array files, BERTopic, gensim LDA, OCTIS.

Each returns a :class:`Draft`, which :mod:`mtmbench.models.importers` checks against a corpus.
Nothing is unpickled here but what the caller has asked for by format or by ``trust``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from mtmbench.core.arrays import check_real, checked_csr
from mtmbench.core.errors import InputError
from mtmbench.core.files import check_unpacked, read_json_object
from mtmbench.core.types import AnyArray, Corpus, Float64Array, IntArray
from mtmbench.corpora.octis import OCTIS_SPLITS, octis_order
from mtmbench.models.import_tables import (
    ARRAY_SUFFIXES,
    NAME_SUFFIXES,
    Table,
    name_of,
    names_of,
    read_names,
    read_npz,
    read_table,
)

if TYPE_CHECKING:
    from bertopic import BERTopic
    from gensim.models import LdaModel
    from scipy.sparse import csr_matrix

THETA_NAMES = ("doc_topic", "theta", "document_topic")
BETA_NAMES = ("topic_item", "beta", "topic_word", "phi")
ITEM_NAMES = ("items", "vocab", "vocabulary", "words")
DOC_ID_NAMES = ("doc_ids", "ids")
OUTLIER_NAMES = ("outlier", "outliers")

OCTIS_BETA, OCTIS_THETA = "topic-word-matrix", "topic-document-matrix"
OCTIS_HELD_OUT = "test-topic-document-matrix"
BERTOPIC_TOPICS, BERTOPIC_CONFIG = "topics.json", "config.json"

_Part = TypeVar("_Part")
Words = Callable[[str], Iterable[str]]


@dataclass
class Draft:
    """Topics as read, before any check.

    Attributes:
        theta: (D', K) weights of topics in documents.
        beta: (K, V) weights of items in topics.
        items: V names, or None where the source has none.
        doc_ids: D' ids, or None where the rows are the corpus's documents in order.
        outlier: D' truth values, or None.
        top_items: per topic, the names that the source itself shows, to check the columns by.
        unseen: items that never occur in the texts as θ's inference split them, or None where θ
            was not inferred here.
        are_weights: the format's numbers are weights, not probabilities, so that normalising them
            is part of reading it.
        notes: JSON values for the result's ``info``: what was read and what was made of it.
    """

    theta: object
    beta: object
    items: tuple[str, ...] | None = None
    doc_ids: tuple[str, ...] | None = None
    outlier: object = None
    top_items: Sequence[Sequence[str]] | None = None
    unseen: tuple[str, ...] | None = None
    are_weights: bool = False
    notes: dict[str, object] = field(default_factory=dict)


def read_named_arrays(
    source: Path | Mapping[str, object],
    n_documents: int,
    trust: bool = False,
    *,
    needs_theta: bool = True,
) -> Draft:
    """Reads θ, β, item names and, where there are any, document ids and outliers, by their names.

    ``source`` is a mapping, an npz file, a folder of files with the accepted names, or the θ file
    in such a folder; ``n_documents`` is how many the corpus has.

    Raises:
        InputError: a part is missing, there twice, or cannot be read.
    """
    parts: Mapping[str, object]
    if isinstance(source, Mapping):
        parts, where = source, "the mapping"
    elif source.suffix == ".npz":
        parts, where = read_npz(source, trust), str(source)
    else:
        folder = source if source.is_dir() else source.parent
        if folder != source and source.stem not in (*THETA_NAMES, *BETA_NAMES):
            raise InputError(
                f"{source}: a file of theta is called one of {', '.join(THETA_NAMES)}, with the "
                f"other parts beside it"
            )
        parts, where = _folder_parts(folder), str(folder)
    theta, beta = (
        as_table(_one_of(parts, names, where, required=needed))
        for names, needed in ((THETA_NAMES, needs_theta), (BETA_NAMES, True))
    )
    items = _one_of(parts, ITEM_NAMES, where)
    doc_ids = _one_of(parts, DOC_ID_NAMES, where)
    outlier = _one_of(parts, OUTLIER_NAMES, where)
    return Draft(
        theta.values,
        beta.values,
        beta.columns if items is None else names_of(items, f"the item names of {where}"),
        theta.ids_of(n_documents)
        if doc_ids is None
        else names_of(doc_ids, f"the document ids of {where}"),
        None if outlier is None else as_table(outlier).values,
    )


def read_theta(path: Path, trust: bool = False) -> Table:
    """Reads θ alone, with the ids of its rows where the file has them.

    Args:
        path: npy, csv (ids in its first column), or npz: an array called as θ is, or one alone,
            and perhaps document ids.
        trust: objects may be unpickled.

    Raises:
        InputError: the file cannot be read, or holds several arrays none of which is called θ.
    """
    if path.suffix in ARRAY_SUFFIXES:
        return read_table(path)
    arrays = read_npz(path, trust)
    ids = next((arrays.pop(name) for name in DOC_ID_NAMES if name in arrays), None)
    found = [name for name in THETA_NAMES if name in arrays] or list(arrays)
    if len(found) != 1:
        held = ", ".join(map(repr, sorted(arrays))) or "none"
        raise InputError(
            f"{path} must be an npy, a csv, or an npz with an array 'theta'; its arrays: {held}"
        )
    return Table(arrays[found[0]], rows=None if ids is None else tuple(map(name_of, ids)))


def has_theta(folder: Path) -> bool:
    """Whether a folder has a file that is named as θ is in ``npz`` and ``csv``."""
    return any(
        (folder / f"{name}{suffix}").is_file() for name in THETA_NAMES for suffix in ARRAY_SUFFIXES
    )


def read_octis(
    source: Path | Mapping[str, Any],
    corpus: Corpus,
    trust: bool = False,
    doc_ids: tuple[str, ...] | None = None,
) -> Draft:
    """Reads an OCTIS output: a dictionary, or the npz file that its ``save_model_output`` writes.

    OCTIS saves no vocabulary with it: item names come from ``items=`` of the import, or from a
    file ``items``, ``vocab`` or ``vocabulary`` (``.txt`` or ``.json``) beside the npz.

    The rows of its θ are documents of partition train, then val, then test, in whatever order the
    corpus's file has them; the test documents may have a matrix of their own. They are put on the
    corpus's documents by its splits, or, where ids are given, are these documents' in turn.

    Raises:
        InputError: a key is missing, documents of a partition have no θ, or the file cannot be
            read.
    """
    output = source if isinstance(source, Mapping) else read_npz(source, trust)
    where = "the OCTIS output" if isinstance(source, Mapping) else str(source)
    for key in (OCTIS_BETA, OCTIS_THETA):
        if key not in output:
            raise InputError(f"{where} has no {key!r}; it has {sorted(map(str, output))}")
    for key in (OCTIS_BETA, OCTIS_THETA, OCTIS_HELD_OUT):
        check_real(output.get(key), f"{key} of {where}")
    trained = np.asarray(output[OCTIS_THETA]).T
    held_out = np.asarray(output[OCTIS_HELD_OUT]).T if OCTIS_HELD_OUT in output else None
    notes: dict[str, object] = {}
    if doc_ids is None:
        theta = _placed_by_split(trained, held_out, corpus, notes)
    elif held_out is not None and len(trained) < len(doc_ids):
        theta = np.concatenate([trained, held_out])
    else:
        theta = trained
    items = None
    if isinstance(source, Path):
        names = _folder_parts(source.parent, (ITEM_NAMES,))
        found = _one_of(names, ITEM_NAMES, str(source.parent))
        items = None if found is None else names_of(found, "the item names")
    topics = output.get("topics")
    shown = None if topics is None else [_words_of(topic) for topic in topics]
    return Draft(theta, output[OCTIS_BETA], items, doc_ids, top_items=shown, notes=notes)


def read_bertopic_folder(folder: Path) -> Draft:
    """Reads a BERTopic model saved with ``serialization="safetensors"``.

    Such a folder holds each document's topic, but no soft memberships: θ is one-hot. β is the
    whole c-TF-IDF where the model was saved with ``save_ctfidf=True``, else the shown words.

    Raises:
        InputError: a file is missing or damaged.
    """
    topics = read_json_object(folder / BERTOPIC_TOPICS)
    try:
        labels = np.array(topics["topics"], dtype=np.int64)
        shown = {
            int(k): [(str(word), float(weight)) for word, weight in words]
            for k, words in topics["topic_representations"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{folder / BERTOPIC_TOPICS} is not BERTopic's: {error!r}") from error
    if labels.ndim != 1 or (labels < -1).any():
        raise InputError(
            f"{folder / BERTOPIC_TOPICS}: topics must be a list of whole numbers from -1 up"
        )
    packed = (folder / BERTOPIC_TOPICS).stat().st_size
    if (folder / "ctfidf.safetensors").is_file():
        weights, items = _saved_ctfidf(folder)
        path = folder / "ctfidf.safetensors"
        check_unpacked(8 * math.prod(weights.shape), packed + path.stat().st_size, str(path))
        beta, note = _topic_rows(weights, labels), "whole c-TF-IDF"
    elif (folder / "ctfidf.bin").is_file():
        raise InputError(
            f"{folder} has its c-TF-IDF in a pickle (ctfidf.bin); save the model again with "
            'serialization="safetensors"'
        )
    else:
        n_words = len({word for words in shown.values() for word, _ in words})
        check_unpacked(8 * len(shown) * n_words, packed, str(folder / BERTOPIC_TOPICS))
        beta, items = _shown_words(shown)
        note = "the words that BERTopic shows of each topic; all others are zero"
    check_unpacked(8 * len(labels) * len(beta), packed, f"θ of {folder}")
    return _without_empty_names(
        Draft(
            _one_hot(labels, len(beta)), beta, items, outlier=labels < 0, are_weights=True,
            notes={"theta": "one-hot: the saved model has no soft memberships", "beta": note},
        )
    )  # fmt: skip


def read_bertopic(model: BERTopic) -> Draft:
    """Reads a fitted ``bertopic.BERTopic``: its c-TF-IDF, and soft memberships if it has them.

    Raises:
        InputError: the model is not fitted, or its c-TF-IDF is of other topics than its documents.
    """
    from mtmbench.models.clustering import fill_missing_membership

    if model.topics_ is None or model.c_tf_idf_ is None:
        raise InputError("the BERTopic model is not fitted, or was loaded without its c-TF-IDF")
    labels = np.asarray(model.topics_, dtype=np.int64)
    beta = _topic_rows(model.c_tf_idf_, labels)
    items = tuple(str(word) for word in model.vectorizer_model.get_feature_names_out())
    membership = model.probabilities_
    if membership is None or np.ndim(membership) != 2:
        theta = _one_hot(labels, len(beta))
        note = "one-hot: the model was fitted without calculate_probabilities"
    else:
        theta, n_hard = fill_missing_membership(membership, labels)
        note = f"soft memberships, renormalised; {n_hard} documents without any by their label"
    return _without_empty_names(
        Draft(
            theta, beta, items, outlier=labels < 0, are_weights=True,
            notes={"theta": note, "beta": "whole c-TF-IDF"},
        )
    )  # fmt: skip


def read_gensim(
    source: Path | LdaModel,
    corpus: Corpus,
    words: Words | None,
    seed: int,
    names: Sequence[str] | None = None,
    *,
    infer: bool = True,
) -> Draft:
    """Reads a gensim ``LdaModel`` or its file, and infers θ of the corpus with its dictionary.

    gensim's own files are pickles. A document none of whose words the model knows has no mass.

    Args:
        source: the model, or the path given to its ``save``.
        corpus: the corpus whose θ is inferred.
        words: splits a text into words; by default at spaces where the corpus is pretokenised,
            else into runs of letters, digits and underscores, each looked up as it stands and
            in lower case.
        seed: seed of the random start of gensim's inference.
        names: the words of its columns, in place of its dictionary's.
        infer: whether θ is inferred at all; if not, it is empty.

    Raises:
        InputError: the source is no LdaModel, it has no dictionary, its dictionary has not as many
            words as its topics, or it knows no word of the corpus.
    """
    from gensim.models import LdaModel

    model = _load_gensim(source) if isinstance(source, Path) else source
    if not isinstance(model, LdaModel):
        raise InputError(f"expected a gensim LdaModel, not {type(model).__name__}")
    beta = model.get_topics()
    items = _dictionary(model, beta.shape[1]) if names is None else tuple(names)
    if len(items) != beta.shape[1]:
        raise InputError(f"{len(items)} item names for the {beta.shape[1]} columns of the model")
    if not infer:
        return _without_empty_names(Draft(None, beta, items))
    index = {item: i for i, item in enumerate(items)}
    split: Words = words or (str.split if corpus.pretokenised else _word_runs)
    bags = [_bag(split(text), index) for text in corpus.texts]
    known = np.array([len(bag) > 0 for bag in bags])
    if not known.any():
        raise InputError(
            f"the gensim model knows no word of corpus {corpus.name!r}; its dictionary begins "
            f"with {', '.join(items[:5])}"
        )
    state, model.random_state = model.random_state, np.random.RandomState(seed)
    try:
        gamma, _ = model.inference(bags)
    finally:
        model.random_state = state
    theta = np.where(known[:, None], gamma / gamma.sum(axis=1, keepdims=True), 0.0)
    found = {column for bag in bags for column, _ in bag}
    return _without_empty_names(
        Draft(
            theta, beta, items,
            notes={"theta": "inferred by gensim over the words that its dictionary knows"},
            unseen=tuple(
                item for i, item in enumerate(items) if i not in found and item.strip()
            ),
        )
    )  # fmt: skip


def _folder_parts(
    folder: Path,
    wanted: Sequence[Sequence[str]] = (
        THETA_NAMES, BETA_NAMES, ITEM_NAMES, DOC_ID_NAMES, OUTLIER_NAMES,
    ),
) -> dict[str, Table | tuple[str, ...]]:  # fmt: skip
    """Returns the parts found in a folder by their names; a name twice is an error later."""
    parts: dict[str, Table | tuple[str, ...]] = {}
    for names in wanted:
        are_names = names in (ITEM_NAMES, DOC_ID_NAMES)
        for name in names:
            for suffix in NAME_SUFFIXES if are_names else ARRAY_SUFFIXES:
                path = folder / f"{name}{suffix}"
                if path.is_file() and name in parts:
                    raise InputError(f"{folder} has {name!r} in two files; keep one")
                if path.is_file():
                    parts[name] = read_names(path) if are_names else read_table(path)
    return parts


def _one_of(
    parts: Mapping[str, _Part], names: Sequence[str], where: str, required: bool = False
) -> _Part | None:
    found = [name for name in names if name in parts]
    if len(found) > 1:
        raise InputError(f"{where} has {' and '.join(found)}, which mean the same; keep one")
    if not found and required:
        raise InputError(
            f"{where} has none of {', '.join(names)}; it has {sorted(map(str, parts)) or 'nothing'}"
        )
    return parts[found[0]] if found else None


def as_table(value: object) -> Table:
    """Returns an array, a sparse matrix or a frame with the names of its rows and columns."""
    if isinstance(value, Table):
        return value
    if hasattr(value, "columns") and hasattr(value, "index"):  # a frame of pandas or the like
        return Table(np.asarray(value), _axis_names(value.columns), _axis_names(value.index))
    # numpy would wrap a sparse matrix as one object; it is made dense where it is checked.
    return Table(cast(AnyArray, value) if hasattr(value, "toarray") else np.asarray(value))


def _axis_names(axis: Iterable[object]) -> tuple[str, ...] | None:
    """Returns the names of a frame's rows or columns; running numbers are none."""
    names = tuple(map(name_of, axis))
    return None if names == tuple(map(str, range(len(names)))) else names


def _placed_by_split(
    trained: AnyArray, held_out: AnyArray | None, corpus: Corpus, notes: dict[str, object]
) -> AnyArray:
    """Puts rows in OCTIS's order on the corpus's documents, by its splits where they are OCTIS's.

    Otherwise, and where the numbers of rows do not fit, the rows come back as they are.
    """
    splits = corpus.split
    if splits is None or not set(splits) <= set(OCTIS_SPLITS):
        return trained
    n_train, n_val, n_test = (splits.count(split) for split in OCTIS_SPLITS)
    rows = trained
    if held_out is not None and len(trained) != len(corpus):
        if n_val and (len(trained), len(held_out)) == (n_train, n_test):
            raise InputError(
                f"OCTIS's θ has {n_train} rows for train and {n_test} for test; the {n_val} val "
                f"documents of corpus {corpus.name!r} have none; fit with use_partitions=False, "
                "or import on a corpus without them"
            )
        if len(trained) in (n_train, n_train + n_val):
            rows = np.concatenate([trained, held_out])
    if len(rows) != len(corpus):
        return trained
    order = octis_order(splits)
    if order != list(range(len(corpus))):
        notes["theta"] = "rows put from OCTIS's order (train, val, test) on the documents by split"
    theta = np.empty_like(rows)
    theta[order] = rows
    return theta


def _saved_ctfidf(folder: Path) -> tuple[csr_matrix, tuple[str, ...]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / "ctfidf.safetensors"
    try:
        parts = load_file(path)
        vocabulary = read_json_object(folder / "ctfidf_config.json")["vectorizer_model"]["vocab"]
        names = names_of(vocabulary, str(folder / "ctfidf_config.json"))
        matrix = checked_csr(
            parts["data"], parts["indices"], parts["indptr"], parts["shape"], str(path)
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} or its config is not BERTopic's: {error!r}") from error
    if matrix.shape[1] != len(names):
        raise InputError(
            f"{path} has {matrix.shape[1]} columns; its vocabulary has {len(names)} words"
        )
    return matrix, names


def _topic_rows(weights: csr_matrix, labels: IntArray) -> AnyArray:
    """Returns the rows of real topics; the outliers' row comes first where there are any."""
    n_outliers = int((labels < 0).any())
    n_topics = int(labels.max(initial=-1)) + 1
    if not n_topics:
        raise InputError(
            f"BERTopic found no topic: all its {len(labels)} documents are outliers; fit it with a "
            "smaller min_topic_size"
        )
    if weights.shape[0] != n_topics + n_outliers:
        raise InputError(
            f"BERTopic's c-TF-IDF has {weights.shape[0]} rows, but its documents are of {n_topics} "
            f"topics{' and outliers' if n_outliers else ''}; call update_topics before the import"
        )
    return np.asarray(weights[n_outliers:].toarray())


def _shown_words(
    shown: Mapping[int, Sequence[tuple[str, float]]],
) -> tuple[Float64Array, tuple[str, ...]]:
    """Returns β over the words that the topics show, from word-weight pairs."""
    real = [shown[topic] for topic in sorted(shown) if topic >= 0]
    # BERTopic pads short topics with empty words.
    pairs = [
        [(str(w), float(x)) for w, x in words if str(w).strip() and float(x) > 0] for words in real
    ]
    items = tuple(sorted({word for words in pairs for word, _ in words}))
    column = {item: i for i, item in enumerate(items)}
    beta = np.zeros((len(pairs), len(items)))
    for topic, words in enumerate(pairs):
        for word, weight in words:
            beta[topic, column[word]] = weight
    return beta, items


def _words_of(topic: Iterable[object]) -> list[str]:
    return [word for item in topic if (word := str(item)).strip()]


def _one_hot(labels: IntArray, n_topics: int) -> Float64Array:
    if labels.max(initial=-1) >= n_topics:
        raise InputError(f"a document has topic {labels.max()}; there are {n_topics} topics")
    theta = np.zeros((len(labels), n_topics))
    assigned = np.flatnonzero(labels >= 0)
    theta[assigned, labels[assigned]] = 1.0
    return theta


def _dictionary(model: LdaModel, n_items: int) -> tuple[str, ...]:
    """Returns the words of a gensim model; one without a dictionary makes up numbers."""
    id2word = model.id2word
    if not id2word:
        raise InputError("the gensim model has no dictionary (id2word)")
    try:
        items = tuple(str(id2word[i]) for i in range(n_items))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the dictionary of the gensim model has no word for one of its {n_items} columns: "
            f"{error}"
        ) from error
    if items == tuple(map(str, range(n_items))):
        raise InputError(
            "the gensim model was fitted without a dictionary, so that its items are the numbers "
            f"0 … {n_items - 1}; set its id2word to the dictionary that made its bags of words, or "
            "give the words in their order (items=, --items)"
        )
    return items


def _without_empty_names(draft: Draft) -> Draft:
    """Drops the columns of β whose name is empty, which is no word; a note says how many."""
    assert draft.items is not None
    kept = [i for i, item in enumerate(draft.items) if item.strip()]
    if len(kept) == len(draft.items):
        return draft
    beta = np.asarray(draft.beta, dtype=np.float64)[:, kept]
    sums = beta.sum(axis=1, keepdims=True)
    return replace(
        draft,
        beta=np.divide(beta, sums, out=np.zeros_like(beta), where=sums > 0),
        items=tuple(draft.items[i] for i in kept),
        notes={**draft.notes, "empty_items_dropped": len(draft.items) - len(kept)},
    )


def _load_gensim(path: Path) -> LdaModel:
    from gensim.models import LdaModel

    try:
        return LdaModel.load(str(path))
    except Exception as error:  # whatever unpickling a wrong or damaged file leads to
        raise InputError(f"cannot load {path} as a gensim LdaModel: {error!r}") from error


def _word_runs(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def _bag(words: Iterable[str], index: Mapping[str, int]) -> list[tuple[int, int]]:
    counts: dict[int, int] = {}
    for word in words:
        item = index.get(word, index.get(word.lower()))
        if item is not None:
            counts[item] = counts.get(item, 0) + 1
    return sorted(counts.items())
