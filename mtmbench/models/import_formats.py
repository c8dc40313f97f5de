"""Readers of topics made elsewhere: array files, BERTopic, gensim LDA, OCTIS.

Each returns a :class:`Draft`, which :mod:`mtmbench.models.importers` checks against a corpus.
Nothing is unpickled here but what the caller has asked for by format or by ``trust``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mtmbench.core.arrays import check_real, checked_csr
from mtmbench.core.errors import InputError
from mtmbench.core.files import check_unpacked, read_json_object
from mtmbench.core.types import AnyArray, Corpus, Float64Array, IntArray
from mtmbench.models.import_tables import (
    ARRAY_SUFFIXES,
    NAME_SUFFIXES,
    Table,
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
    are_weights: bool = False
    notes: dict[str, object] = field(default_factory=dict)


def read_named_arrays(source: Path | Mapping[str, object], trust: bool = False) -> Draft:
    """Reads θ, β, item names and, where there are any, document ids and outliers, by their names.

    ``source`` is a mapping, an npz file, a folder of files with the accepted names, or the θ file
    in such a folder.

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
        _table(_one_of(parts, names, where, required=True)) for names in (THETA_NAMES, BETA_NAMES)
    )
    items = _one_of(parts, ITEM_NAMES, where)
    doc_ids = _one_of(parts, DOC_ID_NAMES, where)
    outlier = _one_of(parts, OUTLIER_NAMES, where)
    return Draft(
        theta.values,
        beta.values,
        beta.columns if items is None else names_of(items, f"the item names of {where}"),
        theta.rows if doc_ids is None else names_of(doc_ids, f"the document ids of {where}"),
        None if outlier is None else _table(outlier).values.ravel(),
    )


def read_octis(source: Path | Mapping[str, Any], corpus: Corpus, trust: bool = False) -> Draft:
    """Reads an OCTIS output: a dictionary, or the npz file that its ``save_model_output`` writes.

    OCTIS saves no vocabulary with it: item names come from ``items=`` of the import, or from a
    file ``items``, ``vocab`` or ``vocabulary`` (``.txt`` or ``.json``) beside the npz. Documents of
    the test split, which OCTIS keeps in a matrix of their own, are put in their places.

    Raises:
        InputError: a key is missing, or the file cannot be read.
    """
    output = source if isinstance(source, Mapping) else read_npz(source, trust)
    where = "the OCTIS output" if isinstance(source, Mapping) else str(source)
    for key in (OCTIS_BETA, OCTIS_THETA):
        if key not in output:
            raise InputError(f"{where} has no {key!r}; it has {sorted(map(str, output))}")
    for key in (OCTIS_BETA, OCTIS_THETA, OCTIS_HELD_OUT):
        check_real(output.get(key), f"{key} of {where}")
    theta = _placed_by_split(
        np.asarray(output[OCTIS_THETA]).T,
        np.asarray(output[OCTIS_HELD_OUT]).T if OCTIS_HELD_OUT in output else None,
        corpus,
    )
    items = None
    if isinstance(source, Path):
        names = _folder_parts(source.parent, (ITEM_NAMES,))
        found = _one_of(names, ITEM_NAMES, str(source.parent))
        items = None if found is None else names_of(found, "the item names")
    topics = output.get("topics")
    shown = None if topics is None else [[str(word) for word in topic] for topic in topics]
    return Draft(theta, output[OCTIS_BETA], items, top_items=shown)


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
    return Draft(
        _one_hot(labels, len(beta)), beta, items, outlier=labels < 0, are_weights=True,
        notes={"theta": "one-hot: the saved model has no soft memberships", "beta": note},
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
    return Draft(
        theta, beta, items, outlier=labels < 0, are_weights=True,
        notes={"theta": note, "beta": "whole c-TF-IDF"},
    )  # fmt: skip


def read_gensim(source: Path | LdaModel, corpus: Corpus, words: Words | None, seed: int) -> Draft:
    """Reads a gensim ``LdaModel`` or its file, and infers θ of the corpus with its dictionary.

    gensim's own files are pickles. A document none of whose words the model knows has no mass.

    Args:
        source: the model, or the path given to its ``save``.
        corpus: the corpus whose θ is inferred.
        words: splits a text into words; by default at spaces where the corpus is pretokenised,
            else into runs of letters, digits and underscores, each looked up as it stands and
            in lower case.
        seed: seed of the random start of gensim's inference.

    Raises:
        InputError: the source is no LdaModel, or it knows no word of the corpus.
    """
    from gensim.models import LdaModel

    model = _load_gensim(source) if isinstance(source, Path) else source
    if not isinstance(model, LdaModel):
        raise InputError(f"expected a gensim LdaModel, not {type(model).__name__}")
    n_items = model.get_topics().shape[1]
    items = tuple(str(model.id2word[i]) for i in range(n_items))
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
    return Draft(
        theta, model.get_topics(), items,
        notes={"theta": "inferred by gensim over the words that its dictionary knows"},
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


def _table(value: object) -> Table:
    return value if isinstance(value, Table) else Table(np.asarray(value))


def _placed_by_split(trained: AnyArray, held_out: AnyArray | None, corpus: Corpus) -> AnyArray:
    """Returns θ of all documents where it comes in two matrices, by the corpus's splits."""
    if held_out is None or len(trained) == len(corpus) or corpus.split is None:
        return trained
    is_test = np.array([split == "test" for split in corpus.split])
    if len(trained) != np.sum(~is_test) or len(held_out) != np.sum(is_test):
        return trained
    theta = np.empty((len(corpus), trained.shape[1]), dtype=trained.dtype)
    theta[~is_test], theta[is_test] = trained, held_out
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
    pairs = [[(word, weight) for word, weight in words if word and weight > 0] for words in real]
    items = tuple(sorted({word for words in pairs for word, _ in words}))
    column = {item: i for i, item in enumerate(items)}
    beta = np.zeros((len(pairs), len(items)))
    for topic, words in enumerate(pairs):
        for word, weight in words:
            beta[topic, column[word]] = weight
    return beta, items


def _one_hot(labels: IntArray, n_topics: int) -> Float64Array:
    if labels.max(initial=-1) >= n_topics:
        raise InputError(f"a document has topic {labels.max()}; there are {n_topics} topics")
    theta = np.zeros((len(labels), n_topics))
    assigned = np.flatnonzero(labels >= 0)
    theta[assigned, labels[assigned]] = 1.0
    return theta


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
