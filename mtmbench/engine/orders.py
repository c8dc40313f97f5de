"""Fits whose documents come in another order: all else about them is as in the first fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mtmbench.core.cards import Suite
from mtmbench.core.cells import FitCell
from mtmbench.core.serialise import content_hash, seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import IntArray
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS


def reordered_cells(suite: Suite, fits: Sequence[FitCell]) -> list[FitCell]:
    """Returns the fits in other orders that a suite asks for: of each model's first seed.

    None where no metric compares orders, and none of results that were fitted elsewhere.
    """
    if not any("orders" in METRICS.get(name).needs for name in suite.metrics):
        return []
    first: dict[tuple[object, ...], FitCell] = {}
    for fit in fits:
        first.setdefault((fit.corpus, fit.k_spec, fit.competitor), fit)
    return [
        replace(
            fit,
            key=content_hash("fit in another order", fit.key, order),
            order=order,
            twin=None,
        )
        for fit in first.values()
        if MODELS.get(fit.registry).needs
        for order in range(1, suite.orders)
    ]


def document_order(cell: FitCell, n_docs: int) -> IntArray:
    """Returns (D,) rows in the order in which a fit reads them; models of a corpus share orders."""
    # RandomState's stream is frozen by numpy's policy (NEP 19), Generator's is not.
    random = np.random.RandomState(seed_from("document order", cell.corpus_revision, cell.order))
    return random.permutation(n_docs).astype(np.int64)


def in_corpus_order(result: TopicResult, rows: IntArray, cell: FitCell) -> TopicResult:
    """Puts a result of documents that were read as ``rows`` back into the corpus's order."""
    back = np.argsort(rows)
    crossed = result.items.crossed
    return replace(
        result,
        doc_topic=result.doc_topic[back],
        outlier=None if result.outlier is None else result.outlier[back],
        items=result.items
        if crossed is None
        else replace(result.items, crossed=crossed.select_docs(back)),
        corpus={"name": cell.corpus, "revision": cell.corpus_revision},
    )
