"""Sparse matrices of strangers: the honest are read, those that lie never reach their C code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from mtmbench.core.arrays import dense
from mtmbench.core.errors import InputError

FORMATS = ("csr", "csc", "bsr", "coo", "lil", "dok", "dia")
VALUES = np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])


def made(form: str, *, array: bool = False) -> Any:
    kind = scipy.sparse.coo_array if array else scipy.sparse.coo_matrix
    return kind(VALUES).asformat(form)


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read(form: str, array: bool) -> None:
    np.testing.assert_array_equal(dense(made(form, array=array), "beta"), VALUES)


def test_what_is_not_sparse_comes_back_as_it_is() -> None:
    assert dense(VALUES, "beta") is VALUES


def _far_index(matrix: Any) -> None:
    matrix.indices[0] = 10**8


def _falling_rows(matrix: Any) -> None:
    matrix.indptr[1] = 10**8


def _far_column(matrix: Any) -> None:
    matrix.coords = (matrix.coords[0], np.full(len(matrix.data), 10**9))


def _negative_row(matrix: Any) -> None:
    matrix.coords = (np.full(len(matrix.data), -(10**6)), matrix.coords[1])


def _short_data(matrix: Any) -> None:
    matrix.data = matrix.data[:1]


def _far_in_a_list(matrix: Any) -> None:
    matrix.rows[0][0] = 10**6


def _long_list(matrix: Any) -> None:
    matrix.data[0] += [1.0] * 10**6


def _too_many_lists(matrix: Any) -> None:
    matrix.rows = np.array([[0]] * 10**5 + [[0, 1]], dtype=object)[:-1]


def _far_key(matrix: Any) -> None:
    matrix._dict[(0, 10**9)] = 1.0


def _far_diagonal(matrix: Any) -> None:
    matrix.offsets = np.full_like(matrix.offsets, 10**9)


def _more_diagonals(matrix: Any) -> None:
    matrix.offsets = np.arange(10**5)


LIES: list[tuple[str, Callable[[Any], None]]] = [
    *((form, lie) for form in ("csr", "csc", "bsr") for lie in (_far_index, _falling_rows)),
    ("coo", _far_column), ("coo", _negative_row), ("coo", _short_data),
    ("csr", _short_data), ("csc", _short_data), ("bsr", _short_data),
    ("lil", _far_in_a_list), ("lil", _long_list), ("lil", _too_many_lists),
    ("dok", _far_key), ("dia", _far_diagonal), ("dia", _more_diagonals), ("dia", _short_data),
]  # fmt: skip


@pytest.mark.parametrize(("form", "lie"), LIES)
def test_a_matrix_that_lies_is_refused(form: str, lie: Callable[[Any], None]) -> None:
    matrix = made(form)
    lie(matrix)
    with pytest.raises(InputError, match="beta is no whole sparse matrix: "):
        dense(matrix, "beta")


def test_a_matrix_that_fits_into_no_memory_is_refused() -> None:
    with pytest.raises(InputError, match="theta"):
        dense(scipy.sparse.coo_matrix((2**40, 2**40)), "theta")
