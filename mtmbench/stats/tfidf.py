"""The second factor of class-based TF-IDF: how much an item tells of a class that it occurs in."""

from __future__ import annotations

import numpy as np

from mtmbench.core.types import Float64Array


def class_rarity(frequency: Float64Array, n_classes: int) -> Float64Array:
    """Returns ``log(1 + A / f_i)`` of class-based TF-IDF (mTM paper, eq. 15).

    Args:
        frequency: (V,) ``f_i``, occurrences of each item in all classes.
        n_classes: how many there are; A is the mean number of occurrences in a class.

    Returns:
        (V,); zero for an item that occurs in no class.
    """
    mean_total = frequency.sum() / n_classes
    rarity: Float64Array = np.log1p(
        np.divide(mean_total, frequency, out=np.zeros_like(frequency), where=frequency > 0)
    )
    return rarity
