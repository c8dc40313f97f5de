"""Drawing a token from logits with random numbers that are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.types import Float64Array

if TYPE_CHECKING:
    import torch


def draw(
    logits: torch.Tensor, uniforms: Float64Array, temperature: float, top_p: float
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
    if top_p == 1:
        return _invert(probabilities, uniforms)
    likeliest = _descending(probabilities)
    sums = likeliest.cumsum(dim=1)
    inside = sums - likeliest < top_p
    likeliest = likeliest.where(inside, 0.0)[:, : int(inside.sum(dim=1).max())]
    place = _invert(likeliest, uniforms)[:, None]
    value = likeliest.gather(1, place)
    equal = probabilities == value
    chosen = equal.byte().argmax(dim=1)
    # Equal ones stand in the order of their numbers: the place among them says which is meant.
    among = place[:, 0] - (likeliest > value).sum(dim=1)
    for row in among.nonzero()[:, 0].tolist():
        chosen[row] = equal[row].nonzero()[int(among[row]), 0]
    return chosen


def _invert(weights: torch.Tensor, uniforms: Float64Array) -> torch.Tensor:
    """Returns (B,) columns where the running sums of weights pass the uniforms' share of them."""
    import torch

    sums = weights.cumsum(dim=1)
    levels = torch.from_numpy(uniforms).to(sums)[:, None] * sums[:, -1:]
    chosen = torch.searchsorted(sums, levels, right=True)
    # Rounding may carry a level up to the whole sum: the last token with mass is meant.
    last = sums.shape[1] - 1 - (weights > 0).flip(1).int().argmax(dim=1, keepdim=True)
    return torch.minimum(chosen, last)[:, 0]


def _descending(values: torch.Tensor) -> torch.Tensor:
    import torch

    if values.device.type != "cpu":
        return values.sort(dim=1, descending=True).values
    # numpy sorts with vector instructions: ten times as fast as torch on a CPU.
    return torch.from_numpy(np.sort(values.numpy(), axis=1)[:, ::-1].copy())
