"""Inner products of sparse rows: the same bits, however they are met."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.models import row_products as module
from mtmbench.models.row_products import WIDTH, row_products


@pytest.mark.parametrize("sparse", [0.0, 1.0])
@pytest.mark.parametrize("n_rows", [1, WIDTH, 2 * WIDTH + 5])
def test_products_add_up_in_the_order_of_a_row(
    n_rows: int, sparse: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(n_rows)
    dense = rng.random((n_rows, 23)) * (rng.random((n_rows, 23)) < 0.5)
    monkeypatch.setattr(module, "SPARSE", sparse)
    expected = np.zeros((n_rows, n_rows))
    for column in dense.T:
        expected += np.outer(column, column)
    assert row_products(csr_matrix(dense)).tobytes() == expected.tobytes()
