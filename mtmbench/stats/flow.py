"""Where the mass of one set of groups lies in another: two memberships of the same documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array

_STEPS, _TOLERANCE = 500, 1e-5


@dataclass(frozen=True)
class Flow:
    """Shares of K groups in K' others.

    Attributes:
        forward: (K, K') which share of each group lands in each other one; rows sum to one, or to
            zero for a group without mass.
        backward: (K, K') which share of each other group comes from each of the K; columns sum to
            one, or to zero.
    """

    forward: Float64Array
    backward: Float64Array


def mass_flow(first: ArrayLike, second: ArrayLike) -> Flow:
    """Explains one membership by another: the T of most likely ``second ≈ first · T``.

    T maximises ``Σ_db second_db log Σ_a first_da T_ab`` over row-stochastic T, a concave problem,
    by EM from T of equal entries (the mixing of PLSA, Hofmann 1999, with known memberships). Where
    every document is in one group it is the share of a's documents that are in b. A plain product
    of memberships would not do: documents of two topics each would make a topic flow into others
    that has not changed at all.

    Documents without mass on either side take no part.

    Args:
        first: (D, K) non-negative weights of each document's groups.
        second: (D, K') weights of its other groups.

    Raises:
        InputError: the two are of different documents.
    """
    left, right = (np.asarray(each, dtype=np.float64) for each in (first, second))
    if len(left) != len(right):
        raise InputError(f"memberships of {len(left)} documents cannot flow into {len(right)}")
    kept = (left.sum(axis=1) > 0) & (right.sum(axis=1) > 0)
    left, right = left[kept], right[kept]
    shape = left.shape[1], right.shape[1]
    mixing, mass = np.full(shape, 1 / shape[1]), np.zeros(shape)
    for _ in range(_STEPS if len(left) else 0):
        expected = left @ mixing
        ratio = np.divide(right, expected, out=np.zeros_like(right), where=expected > 0)
        mass = mixing * (left.T @ ratio)
        before, mixing = mixing, _shares(mass, axis=1)
        if np.abs(mixing - before).max() < _TOLERANCE:
            break
    return Flow(_shares(mass, axis=1), _shares(mass, axis=0))


def _shares(mass: Float64Array, axis: int) -> Float64Array:
    sums = mass.sum(axis=axis, keepdims=True)
    shares: Float64Array = np.divide(mass, sums, out=np.zeros_like(mass), where=sums > 0)
    return shares
