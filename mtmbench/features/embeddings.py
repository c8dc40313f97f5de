"""Sentence embeddings of MiniLM as sentence-transformers makes them, without importing it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmbench.core.errors import UnknownNameError
from mtmbench.core.types import FloatArray, Progress
from mtmbench.features.sae.minilm import EMBEDDING_SIZE, minilm_backbone

EMBEDDING_MODELS = ("minilm",)


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
    and what comes out is rounded to whole multiples of 2⁻²⁰. An entry that lies within that of the
    middle between two grid points can still fall either way, about one in 1e9.

    A text that went through the same model for its features is not embedded again.

    Args:
        texts: N texts; an empty one has the embedding of [CLS] [SEP].
        model: "minilm" (sentence-transformers/all-MiniLM-L6-v2).
        cache: whether to look in the cache first, and to keep there what is new.
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
    made = minilm_backbone("float64").embed(distinct, keep=cache, progress=progress)
    row = {text: i for i, text in enumerate(distinct)}
    return made[[row[text] for text in texts]]
