"""Sentence embeddings, of MiniLM as sentence-transformers makes them, without importing it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmbench.core.specs import DEFAULT_ENCODER
from mtmbench.core.types import FloatArray, Progress
from mtmbench.features.encoders import is_default, sentence_encoder
from mtmbench.features.sae.minilm import EMBEDDING_SIZE, minilm_backbone


def embed_texts(
    texts: Sequence[str],
    *,
    model: str = DEFAULT_ENCODER,
    cache: bool = True,
    progress: Progress | None = None,
) -> FloatArray:
    """Embeds texts: mean over all token states of the last layer, [CLS] and [SEP] included.

    So it is of MiniLM; what other encoders do, their folders say.

    Texts are cut to 256 tokens with these two, as the model's authors do. What is branched on
    (nearest neighbours, clusters, ties) must not rest on the last bit, which differs between
    processors, thread counts and batches: the model runs in f64, where these differ by some 1e-16,
    and what comes out is rounded to whole multiples of 2⁻²⁰. An entry that lies within that of the
    middle between two grid points can still fall either way, about one in 1e9.

    A text that went through the same model for its features is not embedded again.

    Args:
        texts: N texts; an empty one has the embedding of [CLS] [SEP].
        model: all-MiniLM-L6-v2 ("minilm"), or a folder in sentence-transformers' own format or a
            hub id (:class:`mtmbench.features.encoders.SentenceEncoder`).
        cache: whether to look in the cache first, and to keep there what is new.
        progress: told how many of how many distinct texts are done.

    Returns:
        (N, E) f32, E = 384 of MiniLM, rows of length 1 but for the rounding.

    Raises:
        UnknownNameError: there is no such model.
        InputError: the model is neither installed nor to be had from the hub.
    """
    encoder = None if is_default(model) else sentence_encoder(model)
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return np.empty((0, EMBEDDING_SIZE if encoder is None else encoder.size), np.float32)
    made = (encoder or minilm_backbone("float64")).embed(distinct, keep=cache, progress=progress)
    row = {text: i for i, text in enumerate(distinct)}
    return made[[row[text] for text in texts]]
