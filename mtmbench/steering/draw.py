"""Drawing a token from logits with random numbers that are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def draw(
    logits: torch.Tensor, uniforms: NDArray[np.float64], temperature: float, top_p: float
) -> torch.Tensor:
    """Draws a token for each row by inverting the distribution function.

    Tokens are drawn from the smallest set of likeliest ones whose probabilities, at the
    temperature, add up to ``top_p`` (nucleus sampling, Holtzman et al. 2020).

    Args:
        logits: (B, V).
        uniforms: (B,) in [0, 1), one for each row.
        temperature: 0 takes the likeliest token, the first of equals.
        top_p: in (0, 1].

    Returns:
        (B,) int64 tokens.
    """
    import torch

    if temperature == 0:
        return logits.argmax(dim=1)
    probabilities = torch.softmax(logits.double() / temperature, dim=1)
    order: Any = None
    if top_p < 1:
        probabilities, order = probabilities.sort(dim=1, descending=True, stable=True)
        before = probabilities.cumsum(dim=1) - probabilities
        probabilities = probabilities.where(before < top_p, 0.0)
    sums = probabilities.cumsum(dim=1)
    levels = torch.from_numpy(uniforms).to(sums)[:, None] * sums[:, -1:]
    chosen = torch.searchsorted(sums, levels, right=True)
    # Rounding may carry a level up to the whole sum: the last token with mass is meant.
    last = sums.shape[1] - 1 - (probabilities > 0).flip(1).int().argmax(dim=1, keepdim=True)
    chosen = torch.minimum(chosen, last)
    if order is not None:
        chosen = order.gather(1, chosen)
    return chosen[:, 0]
