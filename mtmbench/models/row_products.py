"""Inner products of sparse rows, compiled by numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.types import Float64Array, Int32Array, IntArray
from mtmbench.models.compiled import compiled_in_order

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def row_products(rows: csr_matrix) -> Float64Array:
    """Returns the inner products of all pairs of rows (n, n), each added up in a row's order."""
    columns = rows.tocsc()
    products = np.zeros((rows.shape[0], rows.shape[0]))
    _add_products(
        rows.indptr,
        rows.indices,
        rows.data,
        columns.indptr,
        columns.indices,
        columns.data,
        products,
    )
    return products


@compiled_in_order
def _add_products(
    indptr: IntArray,
    indices: Int32Array,
    data: Float64Array,
    column_ptr: IntArray,
    column_rows: Int32Array,
    column_data: Float64Array,
    products: Float64Array,
) -> None:
    for i in range(len(indptr) - 1):
        of_row = products[i]
        for n in range(indptr[i], indptr[i + 1]):
            for m in range(column_ptr[indices[n]], column_ptr[indices[n] + 1]):
                j = column_rows[m]
                if j > i:
                    break
                of_row[j] += data[n] * column_data[m]
        for j in range(i):
            products[j, i] = of_row[j]
