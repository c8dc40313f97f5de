"""Sequential Elo, for reference only: it depends on the order of the comparisons."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtmbench.core.types import Float64Array

SEQUENTIAL_K = 32.0


def sequential_elo(
    n_competitors: int,
    comparisons: Iterable[tuple[int, int, float]],
    *,
    k: float = SEQUENTIAL_K,
    initial: float = 1500.0,
) -> Float64Array:
    """Returns ratings after playing the comparisons in order (Elo 1978, 400 points = 10:1).

    Args:
        n_competitors: number of competitors.
        comparisons: ``(a, b, score of a)`` with a score of 1, 0.5 or 0.
        k: points at stake in a comparison.
        initial: everyone's rating at the start, and the mean throughout.
    """
    rating = [float(initial)] * n_competitors
    for a, b, score in comparisons:
        expected = 1 / (1 + 10 ** ((rating[b] - rating[a]) / 400))
        change = k * (score - expected)
        rating[a] += change
        rating[b] -= change
    return np.array(rating)
