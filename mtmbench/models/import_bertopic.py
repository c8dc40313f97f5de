"""Readers of BERTopic: a fitted model, and a folder that it was saved to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.arrays import checked_csr, dense, memory
from mtmbench.core.errors import InputError
from mtmbench.core.files import check_unpacked, read_json_object
from mtmbench.core.types import AnyArray, Float64Array, IntArray
from mtmbench.models.import_draft import Draft, without_empty_names
from mtmbench.models.import_tables import names_of

if TYPE_CHECKING:
    from bertopic import BERTopic
    from scipy.sparse import csr_matrix

BERTOPIC_TOPICS = "topics.json"


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
    # One-hot, θ is as large as its documents and topics make it, however few bytes name them; it is
    # held twice while rows are normalised.
    if 2 * 8 * len(labels) * len(beta) > memory():
        raise InputError(
            f"{folder}: the weights of {len(beta)} topics in {len(labels)} documents do not fit "
            f"into memory ({memory() / 1e9:,.0f} GB)"
        )
    return without_empty_names(
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
    return without_empty_names(
        Draft(
            theta, beta, items, outlier=labels < 0, are_weights=True,
            notes={"theta": note, "beta": "whole c-TF-IDF"},
        )
    )  # fmt: skip


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
    return np.asarray(dense(weights, "BERTopic's c-TF-IDF"))[n_outliers:]


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


def _one_hot(labels: IntArray, n_topics: int) -> Float64Array:
    if labels.max(initial=-1) >= n_topics:
        raise InputError(f"a document has topic {labels.max()}; there are {n_topics} topics")
    theta = np.zeros((len(labels), n_topics))
    assigned = np.flatnonzero(labels >= 0)
    theta[assigned, labels[assigned]] = 1.0
    return theta
