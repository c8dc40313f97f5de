"""Sequential Elo, for reference only: it depends on the order of the comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import TypeVar

import numpy as np

from mtmbench.core.types import Float64Array

SEQUENTIAL_K = 32.0

_K = TypeVar("_K")


def level_shift(before: Mapping[_K, float], after: Mapping[_K, float]) -> float | None:
    """Returns what to add to a league's Elos to hold them against another's.

    Elo is relative: the mean over the competitors of a league is 1500. Where these are not the
    same, the mean over those of both is brought to what it was before.

    Returns:
        Zero where the competitors are the same; None where no competitor is in both.
    """
    if before.keys() == after.keys():
        return 0.0
    shared = [who for who in before if who in after]
    return fmean(before[who] - after[who] for who in shared) if shared else None


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
