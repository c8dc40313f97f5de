"""Imports topics that were fitted elsewhere: read, checked against the corpus, made a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.arrays import dense
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import BoolArray, Corpus, Float64Array, ItemKind, ItemSpace
from mtmbench.features.token_index import TokenIndex
from mtmbench.features.words import all_tokens, item_splitter, tokenise
from mtmbench.models.base import normalise_rows
from mtmbench.models.import_arrays import ITEM_NAMES
from mtmbench.models.import_draft import Draft, Words
from mtmbench.models.import_formats import Format, format_of, read_draft
from mtmbench.models.import_tables import names_of, read_names
from mtmbench.models.import_theta import (
    check_unique,
    given_theta,
    matrix_of,
    rows_in_order,
    sampled,
)

_NAMED = 5
"""Items that never occur in the corpus which the result names."""

TOLERANCE = 1e-3
"""A row is a distribution where its sum is this near to one; it is then made exact."""


def import_result(
    source: Any,
    *,
    corpus: Corpus,
    name: str | None,
    format: Format | str = "auto",
    items: Path | str | Sequence[str] | None = None,
    doc_ids: Path | str | Sequence[str] | None = None,
    theta: Path | str | ArrayLike | None = None,
    kind: ItemKind = "words",
    words: Words | None = None,
    normalise: bool = False,
    trust: bool = False,
    seed: int = 0,
) -> TopicResult:
    """Makes a result of topics fitted elsewhere, after checking them against the corpus.

    Formats, each recognised by ``"auto"``:

    * ``npz``, ``csv``: θ (D × K), called doc_topic, theta or document_topic; β (K × V), called
      topic_item, beta, topic_word or phi; V item names, called items, vocab, vocabulary or words;
      optionally doc_ids (or ids), by which the rows of θ are put in the corpus's order, and
      outlier (or outliers), D truth values. In one npz file, in a mapping, or as files of these
      names in a folder: θ, β, outlier as ``.csv`` or ``.npy``; names as ``.txt`` (one a line),
      ``.json`` or ``.npy``. The header of β's csv serves as item names, the first column of θ's
      as document ids, but not running numbers under no name, one for each document.
    * ``bertopic``: a fitted model, or a folder saved with ``serialization="safetensors"``.
    * ``gensim``: an ``LdaModel`` with its dictionary, or its file; θ is inferred for the corpus,
      over the words that ``words`` finds in it, unless ``theta`` is given. gensim's files are
      pickles, so that a file has to be trusted.
    * ``mallet``: a folder with the files of ``train-topics``, or one of them: document topics and
      word weights, or the state.
    * ``octis``: an output dictionary, or the npz of ``save_model_output``; item names are given
      by ``items`` or a vocabulary file beside it, in the order of the model's columns.
    * ``tomotopy``: a fitted model, not its file, which only the class that saved it can load.
    * ``result``: a file of :meth:`TopicResult.save`, fitted on this very corpus.

    Without document ids the rows of θ must be the corpus's documents, in order; with them, rows
    of documents that the corpus does not have are dropped and counted in ``info``.

    Args:
        source: a path, or an object as above.
        corpus: the corpus that the topics are of.
        name: the name under which the result plays; None keeps a saved result's own, and takes
            a file's.
        format: one of the formats.
        items: V item names (or a file of them), in place of the source's.
        doc_ids: ids of θ's rows (or a file of them), in place of the source's.
        theta: θ (or an npz, npy or csv file of it), in place of the source's.
        kind: whether the items are words or SAE features.
        words: for gensim: splits a text into the words that its dictionary has.
        normalise: accept rows of θ and β that do not sum to one, and normalise them.
        trust: allow reading pickled objects, which can run any code.
        seed: recorded as the result's seed; gensim's inference starts from it.

    Returns:
        The result; ``info["imported"]`` says what was read, normalised and dropped, and how many
        items never occur in the corpus (``items_not_in_corpus``): in another case or as words that
        follow each other an item does occur, unless θ was inferred here over texts that are split
        otherwise.

    Raises:
        InputError: anything does not fit; the message names the value and what would be right.
    """
    if isinstance(source, str):
        source = Path(source)
    if isinstance(source, Path) and not source.exists():
        raise InputError(f"there is no file or folder {source}")
    form = format_of(source, format, trust)
    if form == "result":
        if theta is not None:
            raise InputError("a saved result holds its own θ; leave theta out")
        loaded = source if isinstance(source, TopicResult) else TopicResult.load(source)
        return replace(_of_this_corpus(loaded, corpus), model=name or loaded.model)
    if name is None:
        name = source.stem if isinstance(source, Path) else form
    names = None if items is None else _given_names(items, "items")
    ids = None if doc_ids is None else _given_names(doc_ids, "doc_ids")
    draft = read_draft(
        source, form, corpus, items=names, doc_ids=ids, needs_theta=theta is None, words=words,
        trust=trust, seed=seed,
    )  # fmt: skip
    if theta is not None:
        table = given_theta(theta, trust)
        draft.theta, draft.doc_ids = table.values, table.ids_of(len(corpus))
    if ids is not None:
        draft.doc_ids = ids
    return _result(draft, corpus, name, form, kind, normalise, words, seed, source)


def _of_this_corpus(result: TopicResult, corpus: Corpus) -> TopicResult:
    if result.corpus["revision"] != corpus.revision:
        raise InputError(
            f"the result was fitted on corpus {result.corpus['name']!r}, revision "
            f"{result.corpus['revision']}; corpus {corpus.name!r} is revision {corpus.revision}"
            f"{sampled(corpus)}"
        )
    return result


def _result(
    draft: Draft,
    corpus: Corpus,
    name: str,
    form: str,
    kind: ItemKind,
    normalise: bool,
    words: Words | None,
    seed: int,
    source: object,
) -> TopicResult:
    theta, beta = matrix_of(draft.theta, "theta"), matrix_of(draft.beta, "beta")
    if theta.shape[1] != beta.shape[0]:
        hint = "; theta looks transposed" if theta.shape[0] == beta.shape[0] else ""
        hint = "; beta looks transposed" if theta.shape[1] == beta.shape[1] else hint
        raise InputError(
            f"theta has {theta.shape[1]} topics (columns), beta {beta.shape[0]} (rows){hint}"
        )
    item_names = _checked_items(draft, beta)
    rows, dropped = rows_in_order(draft.doc_ids, len(theta), corpus)
    notes: dict[str, object] = {"format": form, **draft.notes}
    if isinstance(source, Path):
        notes["file"] = source.name
    accept = normalise or draft.are_weights
    n_rows = len(theta)
    theta = _distributions(theta, "theta", accept, notes)[rows]
    beta = _distributions(beta, "beta", accept, notes)
    outlier = _checked_outlier(draft.outlier, n_rows)
    if kind == "words":
        absent = _absent_items(item_names, corpus, words)
        unseen = absent if draft.unseen is None else draft.unseen
        notes["items_not_in_corpus"] = len(unseen)
        if unseen:
            notes["absent_items"] = list(unseen[:_NAMED])
    notes["documents_dropped"] = dropped
    notes["documents_without_mass"] = int(np.sum(theta.sum(axis=1) == 0))
    return TopicResult(
        model=name,
        params={"format": form, "normalise": normalise},
        params_given={"normalise": True} if normalise else {},
        seed=seed,
        doc_topic=normalise_rows(theta),
        topic_item=normalise_rows(beta),
        items=ItemSpace(kind, item_names, item_names, {"imported": form}),
        corpus={"name": corpus.name, "revision": corpus.revision},
        outlier=None if outlier is None else outlier[rows],
        info={"found": int(beta.shape[0]), "imported": notes},
    )


def _given_names(given: Path | str | Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(given, str | Path):
        return read_names(Path(given))
    return names_of(given, what)


def _checked_items(draft: Draft, beta: Float64Array) -> tuple[str, ...]:
    if draft.items is None:
        raise InputError(
            f"beta has {beta.shape[1]} columns without item names; call them "
            f"{', '.join(ITEM_NAMES)} or give items="
        )
    if len(draft.items) != beta.shape[1]:
        hint = "; beta looks transposed" if len(draft.items) == beta.shape[0] else ""
        raise InputError(
            f"{len(draft.items)} item names for the {beta.shape[1]} columns of beta{hint}"
        )
    check_unique(draft.items, "item name")
    if draft.top_items is not None:
        _check_columns(draft.top_items, draft.items, beta)
    return draft.items


def _check_columns(
    shown: Sequence[Sequence[str]], items: Sequence[str], beta: Float64Array
) -> None:
    """Refuses item names in another order than β's columns, by the source's own top items."""
    if len(shown) != len(beta):
        raise InputError(f"{len(shown)} lists of top words for {len(beta)} topics")
    hits = [
        len({items[int(i)] for i in np.argsort(-row, kind="stable")[: len(top)]} & set(top))
        for row, top in zip(beta, shown, strict=True)
    ]
    asked = sum(len(set(top)) for top in shown)
    if asked and sum(hits) < asked / 2:
        raise InputError(
            f"{sum(hits)} of the {asked} top words that the source shows are the strongest by the "
            "item names given: the names are not in the order of beta's columns"
        )


def _distributions(
    matrix: Float64Array, what: str, accept_weights: bool, notes: dict[str, object]
) -> Float64Array:
    sums = matrix.sum(axis=1)
    off = np.flatnonzero((np.abs(sums - 1) > TOLERANCE) & (sums > 0))
    if len(off) and not accept_weights:
        raise InputError(
            f"row {off[0]} of {what} sums to {sums[off[0]]:.6g}; each of its {len(matrix)} rows "
            "must be a distribution (sum 1) or all zero; normalise them, or pass normalise=True "
            "(--normalise)"
        )
    if len(off):
        notes[f"{what}_normalised"] = {
            "rows": len(off),
            "least_sum": round(float(sums[off].min()), 6),
            "greatest_sum": round(float(sums[off].max()), 6),
        }
    return matrix


def _checked_outlier(values: object, n_rows: int) -> BoolArray | None:
    if values is None:
        return None
    array = np.asarray(dense(values, "outlier")).ravel()
    if array.shape != (n_rows,) or not np.isin(array, (0, 1)).all():
        raise InputError(
            f"outlier must hold 0 or 1 (or false or true) for each of the {n_rows} rows of theta"
        )
    return array.astype(bool)


def _absent_items(items: Sequence[str], corpus: Corpus, words: Words | None) -> Sequence[str]:
    """Returns the items that never occur in the corpus; none that does is an error."""
    known: set[str] = set()
    for text in corpus.texts:
        known.update(text.split())
        known.update(() if words is None else words(text))
    known |= {word.lower() for word in known}
    left = [item for item in items if item not in known and item.lower() not in known]
    # Words that follow each other may do so only once stop words are left out. Texts for which
    # ``words`` is given may have none that anything else can tell.
    for cut in (all_tokens, tokenise) if words is None else (all_tokens,):
        if left:
            tokens = cut(corpus)
            index = TokenIndex(tokens.vocabulary, tokens.sequences, item_splitter(corpus))
            left = [item for item in left if index.find(item) is None]
    if len(left) == len(items):
        raise InputError(
            f"none of the {len(items)} items occurs in corpus {corpus.name!r}; they begin with "
            f"{', '.join(items[:5])}"
        )
    return left
