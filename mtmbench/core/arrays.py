"""Arrays that come from elsewhere: looked at whole before anything is built of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import AnyArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def checked_csr(
    data: AnyArray, indices: AnyArray, indptr: AnyArray, shape: object, where: str
) -> csr_matrix:
    """Returns the csr matrix of parts that a file gave.

    scipy trusts ``indices`` and ``indptr``: out of range, they make it read and write past the
    arrays. Here all of them are looked at first.

    Args:
        data: (n,) real values.
        indices: (n,) whole numbers, the column of each value, 0 … V − 1.
        indptr: (D + 1,) whole numbers, where each row begins: from 0 up to n, never falling.
        shape: (D, V).
        where: the file, for messages.

    Raises:
        InputError: they are no such parts; the message says which.
    """
    from scipy.sparse import csr_matrix

    n_rows, n_columns = _shape(shape, where)
    data, indices, indptr = np.asarray(data), np.asarray(indices), np.asarray(indptr)
    for name, array, kinds in (("data", data, "fiu"), ("indices", indices, "iu"),
                               ("indptr", indptr, "iu")):  # fmt: skip
        if array.ndim != 1 or array.dtype.kind not in kinds:
            raise InputError(
                f"{where}: {name} of a sparse matrix must be a row of "
                f"{'numbers' if name == 'data' else 'whole numbers'}, not {array.dtype} of shape "
                f"{array.shape}"
            )
    if len(indices) != len(data):
        raise InputError(f"{where}: {len(indices)} indices for the {len(data)} values of its data")
    if len(indptr) != n_rows + 1:
        raise InputError(
            f"{where}: indptr has {len(indptr)} numbers; {n_rows} rows need {n_rows + 1}"
        )
    # Compared pair by pair, not by differences: those of unsigned numbers are never below zero.
    if (
        int(indptr[0]) != 0
        or int(indptr[-1]) != len(data)
        or np.any(np.less(indptr[1:], indptr[:-1]))
    ):
        raise InputError(f"{where}: indptr must rise from 0 to {len(data)}, the number of values")
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < n_columns:
        wrong = int(indices.min()) if int(indices.min()) < 0 else int(indices.max())
        raise InputError(f"{where}: index {wrong} is no column of 0 … {n_columns - 1}")
    if indices.dtype.kind == "u" or indptr.dtype.kind == "u":
        indices, indptr = indices.astype(np.int64), indptr.astype(np.int64)
    return csr_matrix((data, indices, indptr), shape=(n_rows, n_columns))


def memory() -> int:
    """Returns the bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_real(values: Any, what: str) -> None:
    """Refuses numbers that numpy would make real by leaving a part of them out.

    Raises:
        InputError: they are complex, dates or records.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if (kind and kind in "cmMV") or np.iscomplexobj(values):
        shown = getattr(values, "dtype", "complex")
        raise InputError(f"{what} holds {shown}; real numbers are expected")


def dense(values: Any, what: str) -> Any:
    """Returns a scipy matrix that its user made as an array, and anything else as it is.

    ``toarray`` trusts the parts of a matrix, which anybody may have set: indices out of range make
    it write past the array. Here they are looked at first.

    Raises:
        InputError: the parts are no matrix of its shape, or it does not fit into memory.
    """
    from scipy.sparse import issparse

    if not issparse(values):
        return values
    try:
        return _checked(values).toarray()
    except (ValueError, TypeError, IndexError, ArithmeticError, AttributeError) as error:
        raise InputError(f"{what} is no whole sparse matrix: {error}") from error
    except MemoryError:
        raise InputError(f"{what}: {values.shape} numbers do not fit into memory") from None


def _checked(matrix: Any) -> Any:
    """Returns the same matrix in a form of which every part has been looked at."""
    if matrix.ndim != 2:
        raise ValueError(f"it has {matrix.ndim} dimensions, not two")
    if matrix.format in ("csr", "csc", "bsr"):
        matrix.check_format(full_check=True)
        return matrix
    if matrix.format == "lil":
        if len(matrix.rows) != matrix.shape[0] or len(matrix.data) != matrix.shape[0]:
            raise ValueError(f"it has lists for {len(matrix.rows)} rows")
        if any(len(a) != len(b) for a, b in zip(matrix.rows, matrix.data, strict=True)):
            raise ValueError("a row has other numbers of columns and of values")
    elif matrix.format == "dia":
        matrix = type(matrix)((matrix.data, matrix.offsets), shape=matrix.shape)
        if np.any(np.abs(matrix.offsets.astype(np.float64)) > max(matrix.shape)):
            raise ValueError("a diagonal lies outside of it")
    coo = matrix.tocoo()
    # What makes a matrix of coordinates compares them with the shape.
    return type(coo)((coo.data, coo.coords), shape=coo.shape)


def _shape(shape: object, where: str) -> tuple[int, int]:
    sizes = np.asarray(shape)
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise InputError(f"{where}: a shape is two whole numbers, not {shape!r:.60}")
    return int(sizes[0]), int(sizes[1])
