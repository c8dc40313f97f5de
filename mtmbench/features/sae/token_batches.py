"""Tokens in chunks, batches and padded rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtmbench.core.types import Int32Array

if TYPE_CHECKING:
    import torch

TokenIds = Int32Array


def cut(tokens: TokenIds, size: int) -> list[TokenIds]:
    """Cuts tokens into consecutive chunks of at most ``size``; no tokens, no chunk."""
    return [tokens[start : start + size] for start in range(0, len(tokens), size)]


def length_batches(lengths: Sequence[int], batch_tokens: int, extra: int = 0) -> list[list[int]]:
    """Groups indices by rising length into batches of at most ``batch_tokens`` padded tokens.

    Args:
        lengths: tokens of each sequence.
        batch_tokens: limit of sequences × (longest + extra); one sequence always fits.
        extra: specials added to each sequence.
    """
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if batches and (len(batches[-1]) + 1) * (lengths[i] + extra) <= batch_tokens:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def left_padded(
    rows: Sequence[Sequence[int] | TokenIds], padding: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns ids and attention mask (B, longest), all rows ending in the last column."""
    import torch

    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), padding, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, longest - len(tokens) :] = torch.tensor(tokens)
        mask[row, longest - len(tokens) :] = 1
    return ids, mask
