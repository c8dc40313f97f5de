"""What can be read off generated texts without a judge: variety, repetition, semantic drift."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray

_TOKEN = re.compile(r"\w+|[^\w\s]")

Embed = Callable[[Sequence[str]], FloatArray]


def distinct(texts: Sequence[str], n: int = 2) -> float | None:
    """Returns distinct-n (Li et al. 2016): different n-grams over all n-grams of the texts.

    Tokens are words and single marks, in lower case. Sets of different size do not compare, since
    longer ones repeat more. None where no text has n tokens.
    """
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else None


def repetition(texts: Sequence[str], n: int = 4) -> float | None:
    """Returns the mean over texts of the share of n-grams that repeat one before in the text.

    Welleck et al. 2020 call it seq-rep-n. Texts of fewer than n tokens have none and are left
    out; None where that is all.
    """
    all_grams = [_grams(text, n) for text in texts]
    shares = [1 - len(set(grams)) / len(grams) for grams in all_grams if grams]
    return fmean(shares) if shares else None


def semantic_drift(
    texts: Sequence[str], others: Sequence[str], embed: Embed | None = None
) -> NDArray[np.float64]:
    """Returns (N,) one minus the cosine of each text's embedding with that of its counterpart.

    Two unsteered samples of a prompt drift apart too: that is what a drift is to be held against.

    Each side is embedded in one batch of sorted texts, as the ``embedding`` judge does, so that
    what one of them embedded is in the cache for the other.

    Args:
        texts: N steered texts.
        others: the N unsteered texts of the same prompts.
        embed: texts → (N, E) embeddings; all-MiniLM-L6-v2 by default.

    Raises:
        InputError: there are not as many of the one as of the other.
    """
    if len(texts) != len(others):
        raise InputError(f"{len(texts)} texts cannot be paired with {len(others)}")
    if not texts:
        return np.empty(0)
    first, second = (_unit_rows(side, embed or _minilm) for side in (texts, others))
    drift: NDArray[np.float64] = 1 - (first * second).sum(axis=1)
    return drift


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    if n < 1:
        raise InputError(f"n-grams have at least 1 token, not {n!r}")
    tokens = _TOKEN.findall(text.lower())
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def _unit_rows(texts: Sequence[str], embed: Embed) -> NDArray[np.float64]:
    distinct_texts, rows = np.unique(np.array(texts, dtype=object), return_inverse=True)
    embedded = np.asarray(embed(distinct_texts.tolist()), np.float64)
    norms = np.linalg.norm(embedded, axis=1, keepdims=True)
    unit = np.divide(embedded, norms, out=np.zeros_like(embedded), where=norms > 0)
    whole: NDArray[np.float64] = unit[rows]
    return whole


def _minilm(texts: Sequence[str]) -> FloatArray:
    from mtmbench.features.embeddings import embed_texts

    return embed_texts(texts, model="minilm")
