"""Arrays that come from elsewhere: looked at whole before anything is built of them."""

from __future__ import annotations

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


def check_real(values: Any, what: str) -> None:
    """Refuses numbers that numpy would make real by leaving a part of them out.

    Raises:
        InputError: they are complex, dates or records.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if (kind and kind in "cmMV") or np.iscomplexobj(values):
        shown = getattr(values, "dtype", "complex")
        raise InputError(f"{what} holds {shown}; real numbers are expected")


def check_sparse(matrix: object, what: str) -> None:
    """Checks the indices of a scipy matrix that its user made.

    Raises:
        InputError: they are not within its shape.
    """
    check = getattr(matrix, "check_format", None)
    try:
        if check is not None:
            check(full_check=True)
    except ValueError as error:
        raise InputError(f"{what} is no whole sparse matrix: {error}") from error


def _shape(shape: object, where: str) -> tuple[int, int]:
    sizes = np.asarray(shape)
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise InputError(f"{where}: a shape is two whole numbers, not {shape!r:.60}")
    return int(sizes[0]), int(sizes[1])
