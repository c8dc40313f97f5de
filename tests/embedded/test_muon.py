"""Muon in float32 against torch's own and against singular values."""

from __future__ import annotations

import pytest
import torch

from mtmbench.embedded.training.muon import Muon, orthogonal


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(24, 60), (60, 24), (32, 32)])
def test_updates_are_those_of_torch(shape: tuple[int, int]):
    theirs_class = getattr(torch.optim, "Muon", None)
    if theirs_class is None:
        pytest.skip("this torch has no Muon to compare with")
    torch.manual_seed(0)
    start, other = torch.randn(shape), torch.randn(shape)
    ours = [torch.nn.Parameter(part.clone()) for part in (start, other)]
    theirs = [torch.nn.Parameter(part.clone()) for part in (start, other)]
    a = Muon(ours, lr=0.02, weight_decay=0.1)
    b = theirs_class(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for left, right in zip(ours, theirs, strict=True):
            left.grad = torch.randn(shape)
            right.grad = left.grad.clone()
        a.step()
        b.step()
    for left, right, first in zip(ours, theirs, (start, other), strict=True):
        # torch iterates in bfloat16, whose digits end at 1 in 256.
        moved = (right - first).norm()
        assert float((left - right).detach().norm() / moved) < 0.02


@pytest.mark.slow
def test_singular_values_come_near_one_and_vectors_stay():
    torch.manual_seed(1)
    matrix = torch.randn(1, 20, 50)
    found = orthogonal(matrix)[0]
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    left, _, right = torch.linalg.svd(matrix[0], full_matrices=False)
    turned = left.T @ found @ right.T
    torch.testing.assert_close(turned, torch.diag(torch.diagonal(turned)), atol=1e-4, rtol=0)
