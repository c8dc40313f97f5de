"""Sentence embeddings of MiniLM as sentence-transformers makes them, without importing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import FloatArray, Progress
from mtmbench.features.cache import cached
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.token_batches import length_batches

if TYPE_CHECKING:
    import torch

EMBEDDING_MODELS = ("minilm",)
EMBEDDING_SIZE = 384
_BATCH_TOKENS = 4096
_LIMIT = 254
EMBEDDINGS_VERSION = 2
"""Raised whenever the same text may have another embedding.

Fits of models that read embeddings know it. Verdicts, summaries and coherence by embeddings do not:
from version 1 to 2 cosines moved by about a millionth, which decides next to nothing.
"""
EMBEDDING_GRID = 2.0**-20
"""Embeddings are whole multiples of this, a fiftieth of a thousandth of a usual entry (0.05)."""


def embed_texts(
    texts: Sequence[str],
    *,
    model: str = "minilm",
    cache: bool = True,
    progress: Progress | None = None,
) -> FloatArray:
    """Embeds texts: mean over all token states of the last layer, [CLS] and [SEP] included.

    Texts are cut to 256 tokens with these two, as the model's authors do. What is branched on
    (nearest neighbours, clusters, ties) must not rest on the last bit, which differs between
    processors, thread counts and batches: the model runs in f64, where these differ by some 1e-16,
    and what comes out is rounded to :data:`EMBEDDING_GRID`. An entry that lies within that of the
    middle between two grid points can still fall either way, about one in 1e9.

    Args:
        texts: N texts; an empty one has the embedding of [CLS] [SEP].
        model: "minilm" (sentence-transformers/all-MiniLM-L6-v2).
        cache: whether to keep the result on disk under a content hash.
        progress: told how many of how many distinct texts are done.

    Returns:
        (N, 384) f32, rows of length 1 but for the rounding.

    Raises:
        UnknownNameError: there is no such model.
        InputError: the model is neither installed nor to be had from the hub.
    """
    if model not in EMBEDDING_MODELS:
        raise UnknownNameError("embedding model", model, EMBEDDING_MODELS)
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return np.empty((0, EMBEDDING_SIZE), np.float32)
    backbone = minilm_backbone("float64")
    if cache:
        key = content_hash(
            "embeddings", EMBEDDINGS_VERSION, backbone.revision, _LIMIT, _BATCH_TOKENS, distinct
        )
        made = cached(
            "embeddings", key, lambda: {"embeddings": _embed(distinct, backbone, progress)}
        )["embeddings"]
    else:
        made = _embed(distinct, backbone, progress)
    row = {text: i for i, text in enumerate(distinct)}
    return np.ascontiguousarray(made[[row[text] for text in texts]], np.float32)


def _embed(
    texts: Sequence[str],
    backbone: HuggingFaceBackbone,
    progress: Progress | None,
) -> FloatArray:
    import torch

    chunks = [ids[:_LIMIT] for ids in backbone.tokenise(texts)]
    found = torch.empty((len(texts), EMBEDDING_SIZE), dtype=torch.float32)
    done = 0
    for batch in length_batches([len(chunk) for chunk in chunks], _BATCH_TOKENS, extra=2):
        ids, mask = backbone.padded([chunks[i] for i in batch])
        pooled = _pool(backbone.model, ids, mask)
        # Plus nothing, which makes a negative zero a zero.
        found[batch] = (torch.round(pooled / EMBEDDING_GRID) * EMBEDDING_GRID + 0).float()
        done += len(batch)
        if progress is not None:
            progress(done, len(texts))
    array: FloatArray = found.numpy()
    return array


def _pool(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        means = (states * weights).sum(dim=1) / weights.sum(dim=1)
        return torch.nn.functional.normalize(means, dim=1)
