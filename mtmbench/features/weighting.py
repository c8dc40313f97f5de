"""Weights of firings: activation sums in place of counts, and inverse document frequency.

What a model of counts reads must weigh about what counts do, since the strength of priors and the
certainty of θ depend on a document's mass. Sums therefore carry their scale: each feature's
activations are divided by their mean in the corpus, so that its mass over all documents is the
number of its firings. Inverse document frequency is ``log(D / df)``, without the additive one of
scikit-learn's: a feature in every document tells none apart and gets weight zero. It is followed by
one factor for all, so that the corpus keeps its mass.

Both are the corpus's own. Documents that a fitted model folds in are to be weighed together with
those of the fit: weighed by themselves, under another idf and another scale, they get another θ.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, Float64Array

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def weigh(counts: Counts, *, sums: csr_matrix | None = None, idf: bool = False) -> Counts:
    """Returns the counts with ``weighted`` beside them; ``matrix`` stays.

    ``w_di = a_di · (Σ_d c_di / Σ_d a_di)`` with sums, else ``w_di = c_di``; with ``idf``, w_di is
    multiplied by ``log(D / df_i)`` and by one constant that restores ``Σ w = Σ c``. ``weighted``
    has the entries of ``matrix``, some of which may weigh nothing.

    Args:
        counts: after all filters, which do not look at weights.
        sums: csr (D, V) a_di, sums of activations over the tokens that ``matrix`` counts: above
            zero where counts are, and nowhere else. None for counts.
        idf: whether mass is weighed by inverse document frequency in this corpus.

    Raises:
        InputError: sums and counts have different entries, or every feature is in every document,
            so that no mass is left.
    """
    from scipy.sparse import csr_matrix

    matrix = _sorted(counts.matrix)
    shape = n_docs, n_items = matrix.shape
    mass = matrix.data.astype(np.float64)
    total = mass.sum()
    report: dict[str, object] = {"values": "counts" if sums is None else "sums", "idf": idf}
    if sums is not None:
        sums = _sorted(sums)
        same = sums.shape == shape and all(
            np.array_equal(ours, theirs)
            for ours, theirs in ((sums.indptr, matrix.indptr), (sums.indices, matrix.indices))
        )
        if not same:
            raise InputError("sums of activations and counts are of different firings")
        mass = sums.data * (_by_item(matrix) / np.maximum(_by_item(sums), 1e-30))[sums.indices]
    if idf:
        mass = mass * inverse_document_frequency(matrix)[matrix.indices]
        if not mass.any():
            raise InputError(
                f"every one of the {n_items} features is in all of the {n_docs} documents, so that "
                "idf leaves none any weight; set idf to false, or give more documents"
            )
        mass *= total / mass.sum()
    weighted = csr_matrix((mass, matrix.indices, matrix.indptr), shape)
    left = np.asarray(weighted.sum(axis=1)).ravel() > 0
    lost = (np.asarray(matrix.sum(axis=1)).ravel() > 0) & ~left
    report["documents_without_mass"] = int(lost.sum())
    return replace(
        counts, matrix=matrix, weighted=weighted, source={**counts.source, "weighting": report}
    )


def inverse_document_frequency(matrix: csr_matrix) -> Float64Array:
    """Returns ``log(D / df_i)`` (V,); zero for an item in every document, or in none."""
    held = np.bincount(matrix.indices[matrix.data > 0], minlength=matrix.shape[1])
    rarity: Float64Array = np.log(matrix.shape[0] / np.where(held > 0, held, matrix.shape[0]))
    return rarity


def _sorted(matrix: csr_matrix) -> csr_matrix:
    ordered: csr_matrix = matrix.tocsr().sorted_indices()
    return ordered


def _by_item(matrix: csr_matrix) -> Float64Array:
    totals: Float64Array = np.asarray(matrix.sum(axis=0), np.float64).ravel()
    return totals
