"""Quantiles of every feature's activations in one pass and bounded memory.

A sketch holds, for each feature, sorted buffers of at most ``k`` values that stand for 2^h values
each. A full buffer is sorted and every other value moves up, from the first or the second on by a
coin (Karnin, Lang and Liberty 2016, with equal buffers as in Manku, Rajagopalan and Lindsay 1998).
Compactions are unbiased and independent, so by Hoeffding's inequality the rank of a quantile is off
by more than ε with probability at most 2·exp(−ε²k²/2): for k = 800 half a percentile with less
than 0.0007. A feature of at most k values has its exact quantiles. Memory is at most
k·(1 + log₂(n/k)) values for a feature of n.

The libraries' sketches toss unseeded coins; here the coin is a hash of feature, height and number
of the compaction, so that the same text gives the same thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray

DEFAULT_K = 800


class QuantileSketch:
    """Quantiles of F streams of positive activations.

    Args:
        n_features: F.
        k: values of a buffer, even; the error is of the order 1/k of the ranks.
        seed: of the coins.
    """

    def __init__(self, n_features: int, k: int = DEFAULT_K, seed: int = 0) -> None:
        if k < 2 or k % 2:
            raise InputError(f"k is {k}; a sketch needs an even number of at least 2")
        if n_features < 1:
            raise InputError(f"n_features is {n_features}; it must be at least 1")
        self.n_features, self.k, self.seed = n_features, k, seed
        self.n = np.zeros(n_features, np.int64)
        """(F,) values seen of each feature."""
        self._levels: list[list[FloatArray]] = [[] for _ in range(n_features)]
        self._compactions: list[list[int]] = [[] for _ in range(n_features)]

    def update(self, features: NDArray[np.integer], values: NDArray[np.floating]) -> None:
        """Adds activations: the feature (n,) and the value (n,) of each, in any order.

        Raises:
            InputError: the lengths differ, or a feature is not one of F.
        """
        if len(features) != len(values):
            raise InputError(f"{len(features)} features came with {len(values)} values")
        if not len(features):
            return
        if features.min() < 0 or features.max() >= self.n_features:
            wrong = features[(features < 0) | (features >= self.n_features)][0]
            raise InputError(f"feature {wrong} came; the sketch has {self.n_features}")
        order = np.argsort(features, kind="stable")
        ordered = np.asarray(values, np.float32)[order]
        present, starts = np.unique(features[order], return_index=True)
        for feature, part in zip(
            present.tolist(), np.split(ordered, starts[1:].tolist()), strict=True
        ):
            self.n[feature] += len(part)
            self._add(feature, 0, part)

    def quantiles(self, levels: ArrayLike) -> FloatArray:
        """Returns (F, Q) f32: the smallest value whose rank is at least ``level`` · n.

        Level 0 is the smallest value. A feature without values has NaN.

        Raises:
            InputError: a level lies outside [0, 1].
        """
        wanted = np.atleast_1d(np.asarray(levels, np.float64))
        if ((wanted < 0) | (wanted > 1) | np.isnan(wanted)).any():
            raise InputError(f"quantile levels lie in [0, 1], not {wanted.tolist()}")
        found = np.full((self.n_features, len(wanted)), np.nan, np.float32)
        for feature, parts in enumerate(self._levels):
            if not any(len(part) for part in parts):
                continue
            values = np.concatenate(parts)
            weights = np.repeat(2.0 ** np.arange(len(parts)), [len(part) for part in parts])
            order = np.argsort(values, kind="stable")
            ranks = np.cumsum(weights[order])
            # 0.7 · 10 is a little above 7 in floating point.
            at = np.searchsorted(ranks, (wanted - 1e-12) * ranks[-1])
            found[feature] = values[order][np.minimum(at, len(values) - 1)]
        return found

    def _add(self, feature: int, height: int, part: FloatArray) -> None:
        levels, compactions = self._levels[feature], self._compactions[feature]
        while len(levels) <= height:
            levels.append(np.empty(0, np.float32))
            compactions.append(0)
        levels[height] = np.concatenate([levels[height], part])
        while len(levels[height]) > self.k:
            full, levels[height] = np.split(levels[height], [self.k])
            coin = _coin(self.seed, feature, height, compactions[height])
            compactions[height] += 1
            self._add(feature, height + 1, np.sort(full)[coin::2])


def estimate_error(k: int, probability: float = 0.99) -> float:
    """Returns the rank error ε, as a share, that a quantile keeps with this probability."""
    return float(np.sqrt(2 * np.log(2 / (1 - probability))) / k)


def _coin(*numbers: int) -> int:
    """0 or 1 from a mix of the numbers (the finaliser of SplitMix64, one round for each)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state & 1
