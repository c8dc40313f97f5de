"""Reader of an OCTIS output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtmbench.core.arrays import check_real, dense
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_npz
from mtmbench.core.types import AnyArray, Corpus
from mtmbench.corpora.octis import OCTIS_SPLITS, octis_order
from mtmbench.models.import_arrays import item_names_in
from mtmbench.models.import_draft import Draft

OCTIS_BETA, OCTIS_THETA = "topic-word-matrix", "topic-document-matrix"
OCTIS_HELD_OUT = "test-topic-document-matrix"


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
    trained, held_out = (
        np.asarray(dense(output[key], f"{key} of {where}")).T if key in output else None
        for key in (OCTIS_THETA, OCTIS_HELD_OUT)
    )
    assert trained is not None
    notes: dict[str, object] = {}
    if doc_ids is None:
        theta = _placed_by_split(trained, held_out, corpus, notes)
    elif held_out is not None and len(trained) < len(doc_ids):
        theta = np.concatenate([trained, held_out])
    else:
        theta = trained
    items = item_names_in(source.parent) if isinstance(source, Path) else None
    topics = output.get("topics")
    shown = None if topics is None else [_words_of(topic) for topic in topics]
    return Draft(theta, output[OCTIS_BETA], items, doc_ids, top_items=shown, notes=notes)


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


def _words_of(topic: Iterable[object]) -> list[str]:
    return [word for item in topic if (word := str(item)).strip()]
