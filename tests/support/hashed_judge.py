"""The embedding judge with a vector drawn for each text, loaded with ``--plugin``: no encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import mtmbench as mb
from mtmbench.core.serialise import seed_from
from mtmbench.core.types import FloatArray
from mtmbench.judges.clients.embedding import EmbeddingJudge


def drawn_vectors(texts: Sequence[str]) -> FloatArray:
    """Vectors with a part in common that grows with the batch: what is beside a text shows."""
    rows = [np.random.default_rng(seed_from(text)).standard_normal(16) for text in texts]
    return np.array(rows, np.float32) + np.float32(0.5 + 0.02 * len(texts))


@mb.register_judge("hashed")
class HashedJudge(EmbeddingJudge):
    """Judges by those vectors."""

    name = "hashed"
    encoder = None

    def __init__(self, **params: Any) -> None:
        super().__init__(embed=drawn_vectors, **params)
