"""Products of sparse counts and their gradients, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse

from mtmbench.models.count_batches import product

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("density", [0.05, 0.6], ids=["sparse", "dense"])
def test_a_product_and_its_gradient_are_those_of_dense_matrices(density):
    matrix = random_sparse(30, 50, density, format="csr", random_state=0)
    rng = np.random.default_rng(0)
    given = torch.from_numpy(rng.normal(size=(50, 4))).requires_grad_()
    weights = torch.from_numpy(rng.normal(size=(30, 4)))
    (product(matrix, given) * weights).sum().backward()
    dense = torch.from_numpy(matrix.toarray())
    torch.testing.assert_close(product(matrix, given), dense @ given)
    torch.testing.assert_close(given.grad, dense.T @ weights)
