"""The sentence encoder of judges; nothing is loaded before a text is encoded."""

from __future__ import annotations

from collections.abc import Sequence

from mtmbench.core.types import FloatArray


def encode(texts: Sequence[str]) -> FloatArray:
    """Returns the (N, 384) embeddings of texts by all-MiniLM-L6-v2."""
    from mtmbench.features.embeddings import embed_texts

    return embed_texts(texts, model="minilm")
