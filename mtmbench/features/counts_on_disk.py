"""Counts that are larger than memory: written block by block, read where they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.arrays import checked_csr
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def write_counts(folder: Path, blocks: Iterable[csr_matrix]) -> csr_matrix:
    """Writes rows as they come into a new folder, and opens them (:func:`open_counts`).

    Args:
        folder: made if need be; ``data.bin``, ``indices.bin`` (int32) and ``index.npz`` in it.
        blocks: csr (n, V) of whole counts, all of the same V; one in memory at a time.

    Raises:
        InputError: the folder holds counts, there are no blocks, they differ in V, or a count is
            no whole number below 2³¹.
    """
    if (folder / "index.npz").exists():
        raise InputError(f"{folder} holds counts; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    ends, n_items = [np.zeros(1, dtype=np.int64)], -1
    with (folder / "data.bin").open("wb") as data, (folder / "indices.bin").open("wb") as indices:
        for block in blocks:
            if n_items not in (-1, block.shape[1]):
                raise InputError(f"blocks of counts have {n_items} and {block.shape[1]} items")
            n_items = block.shape[1]
            ends.append(ends[-1][-1] + block.indptr[1:].astype(np.int64))
            whole = block.data.astype(np.int32)
            if not np.array_equal(whole, block.data):
                wrong = block.data[whole != block.data][0]
                raise InputError(
                    f"counts are whole numbers below 2^31; {wrong} cannot be written into {folder}"
                )
            whole.tofile(data)
            block.indices.astype(np.int32).tofile(indices)
    if n_items < 0:
        raise InputError(f"no counts to write into {folder}")
    np.savez(folder / "index.npz", indptr=np.concatenate(ends), n_items=n_items)
    return open_counts(folder)


def open_counts(folder: Path) -> csr_matrix:
    """Returns csr (D, V) int32 whose parts stay on disk until rows of it are read.

    Raises:
        InputError: the folder holds no counts, or damaged ones.
    """
    try:
        with np.load(folder / "index.npz") as index:
            indptr, n_items = index["indptr"], int(index["n_items"])
        data, indices = (
            np.memmap(folder / name, dtype=np.int32, mode="r") if indptr[-1] else np.zeros(0, "i4")
            for name in ("data.bin", "indices.bin")
        )
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{folder} holds no counts: {error}") from error
    return checked_csr(data, indices, indptr, (len(indptr) - 1, n_items), str(folder))
