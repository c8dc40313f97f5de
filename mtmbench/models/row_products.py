"""Inner products of sparse rows, compiled by numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.types import Float64Array, Int32Array, IntArray
from mtmbench.models.compiled import compiled_in_order

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WIDTH = 32
"""Rows that are held against all others at once, where they are dense."""

SPARSE = 0.1
"""Share of non-zeros up to which rows are met through their columns."""


def row_products(rows: csr_matrix) -> Float64Array:
    """Returns the inner products of all pairs of rows (n, n), each added up in a row's order.

    Dense rows are held against :data:`WIDTH` whole rows at a time, whose zeros change no sum; the
    result is the same, bit for bit.
    """
    n_rows, n_columns = rows.shape
    products = np.zeros((n_rows, n_rows))
    if rows.nnz <= SPARSE * n_rows * n_columns:
        columns = rows.tocsc()
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
    for first in range(0, n_rows, WIDTH):
        block = np.ascontiguousarray(rows[first : first + WIDTH].toarray().T)
        _add_block(rows.indptr, rows.indices, rows.data, first, block, products)
    return products


@compiled_in_order
def _add_block(
    indptr: IntArray,
    indices: Int32Array,
    data: Float64Array,
    first: int,
    block: Float64Array,
    products: Float64Array,
) -> None:
    """Adds up the products with some rows, of all from the first of them on."""
    width = block.shape[1]
    for i in range(first, len(indptr) - 1):
        of_row = products[i, first : first + width]
        begin, end = indptr[i], indptr[i + 1]
        fours = end - (end - begin) % 4
        for n in range(begin, fours, 4):
            # Four at a time, one after the other, save reading and writing the sums.
            a, b, c, d = (data[n], data[n + 1], data[n + 2], data[n + 3])
            of_a, of_b = block[indices[n]], block[indices[n + 1]]
            of_c, of_d = block[indices[n + 2]], block[indices[n + 3]]
            for j in range(width):
                of_row[j] = (((of_row[j] + a * of_a[j]) + b * of_b[j]) + c * of_c[j]) + d * of_d[j]
        for n in range(fours, end):
            of_column = block[indices[n]]
            for j in range(width):
                of_row[j] += data[n] * of_column[j]
        for j in range(min(width, i - first)):
            products[first + j, i] = of_row[j]


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
