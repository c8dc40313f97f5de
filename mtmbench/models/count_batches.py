"""Documents as torch reads them: batches of sparse counts, in parts that bound memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mtmbench.core.types import Counts, FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PART_CELLS = 2**22
"""Documents times items that are worked on at once (32 MiB for each f64 array)."""
DENSE_FROM = 0.2
"""Density of counts from which a dense product takes less time than a sparse one."""


@dataclass(frozen=True)
class CountBatch:
    """Documents as one entry per non-zero count.

    Attributes:
        matrix: csr (B, V) f64 counts.
        rows, columns, counts: (n,) document within the batch, item, and count of each entry.
        n_tokens: (B,) tokens counted over.
        vectors: (B, E) embeddings of the documents, where the encoder reads them.
    """

    matrix: csr_matrix
    rows: Tensor
    columns: Tensor
    counts: Tensor
    n_tokens: Tensor
    vectors: Tensor | None = None

    @classmethod
    def of(
        cls, matrix: csr_matrix, n_tokens: IntArray, vectors: FloatArray | None = None
    ) -> CountBatch:
        """Returns all documents of ``matrix`` (B, V) as one batch."""
        given = matrix.astype(np.float64)
        rows = np.repeat(np.arange(given.shape[0]), np.diff(given.indptr))
        return cls(
            given,
            torch.from_numpy(rows),
            torch.from_numpy(given.indices.astype(np.int64)),
            torch.from_numpy(given.data),
            torch.from_numpy(np.asarray(n_tokens, dtype=np.float64)),
            None if vectors is None else torch.from_numpy(vectors.astype(np.float64)),
        )

    @property
    def n_docs(self) -> int:
        """B."""
        return len(self.n_tokens)

    @property
    def shares(self) -> csr_matrix:
        """Counts divided by their document's sum, csr (B, V)."""
        sums = np.maximum(np.asarray(self.matrix.sum(axis=1)).ravel(), 1.0)
        shares = self.matrix.copy()
        shares.data /= sums[self.rows.numpy()]
        return shares

    def sum_entries(self, values: Tensor) -> Tensor:
        """Sums (n,) values of entries by document (B,)."""
        return torch.zeros(self.n_docs).index_add(0, self.rows, values)


def document_batch(counts: Counts, rows: IntArray, vectors: FloatArray | None = None) -> CountBatch:
    """Returns the documents ``rows`` of ``counts``, with their rows of ``vectors`` (D, E)."""
    return CountBatch.of(
        counts.matrix.tocsr()[rows],
        counts.n_tokens[rows],
        None if vectors is None else vectors[rows],
    )


def row_parts(rows: IntArray, counts: Counts) -> Iterator[IntArray]:
    """Cuts ``rows`` so that a part's documents times items stay below :data:`PART_CELLS`."""
    # Noise for a multiple of 16 values is drawn the same at once and in pieces.
    size = max(1, PART_CELLS // counts.matrix.shape[1] // 16) * 16
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def product(matrix: csr_matrix, weight: Tensor) -> Tensor:
    """Returns ``matrix`` (B, V) @ ``weight`` (V, H); gradients reach the weight."""
    result: Tensor = _Product.apply(matrix, weight)  # type: ignore[no-untyped-call]
    return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: csr_matrix, weight: Tensor) -> Tensor:
        if matrix.nnz >= DENSE_FROM * matrix.shape[0] * matrix.shape[1]:
            ctx.by_item = dense = torch.from_numpy(matrix.toarray())
            return dense @ weight
        # Item by item, so that each row of the large weight, and of its gradient, is passed once;
        # a sum's terms keep the order that they have document by document.
        ctx.by_item = by_item = matrix.tocsc()
        return torch.from_numpy(by_item @ weight.numpy())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient,) = gradients
        if isinstance(ctx.by_item, Tensor):
            return None, ctx.by_item.T @ gradient
        return None, torch.from_numpy(ctx.by_item.T @ gradient.numpy())
