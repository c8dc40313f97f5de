"""What is fitted by tomotopy's collapsed Gibbs samplers: documents in, φ out.

One worker: with more, the order in which their counts are merged is not fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def tomotopy_for(what: str, instead: str = "") -> Any:
    """Returns the library.

    Args:
        what: what needs it.
        instead: what can be done without it.

    Raises:
        InputError: it is not installed.
    """
    try:
        import tomotopy
    except ImportError as error:
        raise InputError(
            f"{what} needs a package that is not installed: pip install 'mtmbench[tomotopy]'"
            f"{instead}"
        ) from error
    return tomotopy


def add_documents(sampler: Any, matrix: csr_matrix) -> IntArray:
    """Adds the documents of csr (D, V) that have any items; words are columns' numbers.

    Returns:
        The rows that were added.
    """
    used = np.flatnonzero(np.asarray(matrix.sum(axis=1)).ravel() > 0)
    names = np.array([str(i) for i in range(matrix.shape[1])], dtype=object)
    for d in used:
        row = slice(matrix.indptr[d], matrix.indptr[d + 1])
        sampler.add_doc(np.repeat(names[matrix.indices[row]], matrix.data[row]).tolist())
    return used


def sampled_topics(
    sampler: Any, topics: Sequence[int] | IntArray, beta: float, n_items: int
) -> Float64Array:
    """Returns φ (K, V) of ``topics``, ``(N_kv + β) / (N_k + V β)`` over all V items.

    The package smooths over the U items that occur in what it was trained on, so that its rows are
    ``(N_kv + β) / (N_k + U β)`` and the other items have none.
    """
    totals = np.asarray(sampler.get_count_by_topics(), np.float64)[np.asarray(topics, np.int64)]
    used = np.array([int(word) for word in sampler.used_vocabs])
    smoothed = np.full((len(topics), n_items), beta)
    for row, (k, total) in enumerate(zip(topics, totals, strict=True)):
        found = np.asarray(sampler.get_topic_word_dist(int(k)))
        smoothed[row, used] = found * (total + len(used) * beta)
    return np.asarray(smoothed / (totals + n_items * beta)[:, None])
