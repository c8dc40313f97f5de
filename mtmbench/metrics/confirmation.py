"""The coherence formulas: from the co-occurrence counts of one topic's words to one number.

All take ``joint``, the (n, n) counts of windows that hold both words (the diagonal: one word) in
the topic's order, and ``n_windows``. They follow Röder, Both and Hinneburg, "Exploring the space of
topic coherence measures" (WSDM 2015), with their ε = 1e-12 added to joint probabilities, so that a
pair that never co-occurs has a finite, very low value. Its exact size depends on ε: NPMI of such a
pair is −1 − log(p_i p_j) / 27.6, above −1 and higher for rare words.
"""

from __future__ import annotations

import numpy as np

from mtmbench.core.types import Float64Array, IntArray
from mtmbench.metrics.cooccurrence import Version

JOINT_EPSILON = 1e-12
"""Added to every joint probability."""


def mean_npmi(joint: IntArray, n_windows: int, version: Version = "exact") -> float:
    """Mean normalised pointwise mutual information over pairs of words (``c_npmi``)."""
    return float(_off_diagonal(npmi_matrix(joint, n_windows, version)).mean())


def mean_pmi(joint: IntArray, n_windows: int, version: Version = "exact") -> float:
    """Mean pointwise mutual information over pairs of words (``c_uci``)."""
    del version
    return float(_off_diagonal(_pmi(joint, n_windows)).mean())


def u_mass(joint: IntArray, n_windows: int, version: Version = "exact") -> float:
    """Mean log p(w_i | w_j) over words w_i and the words w_j ranked before it (``u_mass``)."""
    del version
    together = joint / n_windows + JOINT_EPSILON
    conditional = np.log(together / (np.diag(joint) / n_windows)[None, :])
    return float(conditional[np.tril_indices(len(joint), -1)].mean())


def c_v(joint: IntArray, n_windows: int, version: Version = "exact") -> float:
    """Mean cosine of each word's NPMI vector over the topic's words with their sum (``c_v``)."""
    vectors = npmi_matrix(joint, n_windows, version)
    whole = vectors.sum(axis=0)
    norms = np.sqrt((vectors**2).sum(axis=1)) * np.sqrt((whole**2).sum())
    return float((vectors @ whole / norms).mean())


def npmi_matrix(joint: IntArray, n_windows: int, version: Version = "exact") -> Float64Array:
    """(n, n) NPMI of every pair, each word with itself included.

    Two words that stand in every window have NPMI 1 in the exact version (the limit of words that
    occur only together); ε makes −1 of them in gensim's.
    """
    together = joint / n_windows + JOINT_EPSILON
    values: Float64Array = _pmi(joint, n_windows) / -np.log(together)
    if version == "exact":
        values[joint == n_windows] = 1.0
    return values


def _pmi(joint: IntArray, n_windows: int) -> Float64Array:
    alone = np.diag(joint) / n_windows
    ratio: Float64Array = np.log(
        (joint / n_windows + JOINT_EPSILON) / (alone[:, None] * alone[None, :])
    )
    return ratio


def _off_diagonal(matrix: Float64Array) -> Float64Array:
    values: Float64Array = matrix[~np.eye(len(matrix), dtype=bool)]
    return values
