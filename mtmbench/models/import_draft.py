"""Topics as a reader of one format leaves them, before they are checked against a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

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


def without_empty_names(draft: Draft) -> Draft:
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
