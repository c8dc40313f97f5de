"""Muon in float32 (Jordan et al. 2024): momentum, made orthogonal by Newton and Schulz's iteration.

torch's own does the iteration in bfloat16; on a processor without it that takes longer than the
whole gradient (eight seconds a step of the small LM, against half a second here).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """``torch.optim.Muon`` with Nesterov momentum and updates scaled to AdamW's, in float32.

    An update of an (m, n) matrix has root mean square 0.2, AdamW's usual one (Liu et al. 2025), so
    rates and weight decays of AdamW carry over.

    Args:
        params: matrices.
        lr: learning rate.
        weight_decay: decoupled, times the learning rate.
        momentum: of the running sum of gradients.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        lr: float,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Moves every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                updates = orthogonal(
                    torch.stack([self._momentum(m, group["momentum"]) for m in matrices])
                )
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=scale)

    def _momentum(self, matrix: torch.Tensor, momentum: float) -> torch.Tensor:
        gradient = matrix.grad
        assert gradient is not None
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer: torch.Tensor = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Returns (B, m, n) matrices of the same singular vectors and singular values near one."""
    a, b, c = _COEFFICIENTS
    wide = matrices.shape[1] <= matrices.shape[2]
    x: torch.Tensor = matrices if wide else matrices.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide else x.mT
