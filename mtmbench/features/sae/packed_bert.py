"""The forward pass of a BERT over texts laid end to end, so that nothing is computed of padding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.features.sae.token_batches import TokenIds

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class PackedBert:
    """Computes what a ``BertModel`` of transformers does, but for rounding, in less time.

    Everything outside attention is a product of one matrix with the tokens of all texts; attention
    is a call for each run of texts of one length, which needs no mask. Queries, keys and values
    are one product, and embeddings of positions and of the one segment are added up beforehand.

    Args:
        model: a BERT with the exact GELU, whose texts are of segment 0.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        import torch

        bert: Any = model
        self._embeddings, self._layers = bert.embeddings, bert.encoder.layer
        self._heads: int = bert.config.num_attention_heads
        with torch.inference_mode():
            places = self._embeddings.position_embeddings.weight
            self._places = places + self._embeddings.token_type_embeddings.weight[0]
            attentions = [layer.attention.self for layer in self._layers]
            parts = [(own.query, own.key, own.value) for own in attentions]
            self._weights = [torch.cat([part.weight for part in three]) for three in parts]
            self._biases = [torch.cat([part.bias for part in three]) for three in parts]

    def states(self, texts: Sequence[TokenIds]) -> torch.Tensor:
        """Returns the last layer's states (sum of lengths, H), one text behind the other.

        Args:
            texts: token ids with their specials; those of one length best stand together.
        """
        import torch
        from torch.nn.functional import gelu

        lengths = [len(text) for text in texts]
        with torch.inference_mode():
            ids = torch.from_numpy(np.concatenate(texts).astype(np.int64))
            states: torch.Tensor = self._embeddings.word_embeddings(ids)
            states += torch.cat([self._places[:length] for length in lengths])
            states = self._embeddings.LayerNorm(states)
            for layer, weight, bias in zip(self._layers, self._weights, self._biases, strict=True):
                seen = self._attended(torch.nn.functional.linear(states, weight, bias), lengths)
                output = layer.attention.output
                states = output.LayerNorm(output.dense(seen).add_(states))
                inner = gelu(layer.intermediate.dense(states))
                states = layer.output.LayerNorm(layer.output.dense(inner).add_(states))
        return states

    def _attended(self, projected: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """Returns the heads' outputs side by side, from queries, keys and values side by side."""
        import torch

        width = projected.shape[1] // 3
        out = projected.new_empty(len(projected), width)
        begin = 0
        for length, run in groupby(lengths):
            n = len(list(run))
            end = begin + n * length
            three = projected[begin:end].view(n, length, 3, self._heads, width // self._heads)
            seen = torch.nn.functional.scaled_dot_product_attention(*three.permute(2, 0, 3, 1, 4))
            out[begin:end].view(n, length, self._heads, -1).copy_(seen.transpose(1, 2))
            begin = end
        return out
