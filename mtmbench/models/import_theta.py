"""θ, and matrices like it, as given: read, checked, and put in the order of a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.arrays import check_real, dense
from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus, Float64Array, IntArray
from mtmbench.models.import_arrays import as_table, read_theta
from mtmbench.models.import_tables import Table


def given_theta(theta: Path | str | ArrayLike, trust: bool = False) -> Table:
    """Returns θ, from a file or as it is, with the ids of its rows where it has them.

    Raises:
        InputError: see :func:`~mtmbench.models.import_arrays.read_theta`.
    """
    if isinstance(theta, str | Path):
        return read_theta(Path(theta), trust)
    return as_table(theta)


def matrix_of(values: object, what: str) -> Float64Array:
    """Returns a matrix of doubles.

    Raises:
        InputError: it is none, or holds weights that are negative or not finite.
    """
    check_real(values, what)
    try:
        matrix = np.asarray(dense(values, what), dtype=np.float64)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} is not a matrix of numbers: {error}") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            f"{what} must be a matrix with rows and columns; its shape is {matrix.shape}"
        )
    wrong = ~np.isfinite(matrix) | (matrix < 0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        logs = bool(np.isfinite(matrix).all() and (matrix <= 0).all())
        hint = "; these look like log-probabilities: give their exponentials" if logs else ""
        raise InputError(
            f"{what}[{row}, {column}] is {matrix[row, column]}; weights are finite and not "
            f"negative{hint}"
        )
    return matrix


def rows_in_order(
    doc_ids: Sequence[str] | None, n_rows: int, corpus: Corpus, what: str = "theta"
) -> tuple[IntArray, int]:
    """Returns the rows of θ in the corpus's order, and how many are of other documents.

    Args:
        doc_ids: whose rows they are; None where they are the corpus's documents in order.
        n_rows: how many rows θ has.
        corpus: the documents.
        what: what messages call θ.

    Raises:
        InputError: a document has no row, or an id stands twice.
    """
    if doc_ids is None:
        if n_rows != len(corpus):
            dropped = f" (after {corpus.n_empty} empty ones)" if corpus.n_empty else ""
            raise InputError(
                f"{what} has {n_rows} rows; corpus {corpus.name!r} has {len(corpus)} "
                f"documents{dropped}; give a row for each, or doc_ids to choose them by"
                f"{sampled(corpus)}"
            )
        return np.arange(n_rows), 0
    if len(doc_ids) != n_rows:
        raise InputError(f"{len(doc_ids)} document ids for the {n_rows} rows of {what}")
    check_unique(doc_ids, "document id")
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    missing = [doc_id for doc_id in corpus.doc_ids if doc_id not in row_of]
    if missing:
        raise InputError(
            f"{what} has no row for {len(missing)} of the {len(corpus)} documents of corpus "
            f"{corpus.name!r}, such as {missing[0]!r}; its ids are like {doc_ids[0]!r}"
        )
    return np.array([row_of[doc_id] for doc_id in corpus.doc_ids]), n_rows - len(corpus)


def check_unique(names: Sequence[str], what: str) -> None:
    """Raises :class:`InputError` where a name is empty or stands twice."""
    seen: set[str] = set()
    for position, given in enumerate(names):
        if not given.strip():
            raise InputError(f"{what} {position} is empty")
        if given in seen:
            raise InputError(f"{what} {given!r} is there twice")
        seen.add(given)


def sampled(corpus: Corpus) -> str:
    """Says that a corpus is a suite's sample, on which topics of the whole cannot be played."""
    taken = corpus.source.get("sample")
    if not isinstance(taken, Mapping):
        return ""
    return (
        f"; the suite takes a sample of it (max_documents = {taken['documents']}, of {taken['of']} "
        "documents): leave max_documents out where topics are imported"
    )
