"""Intervals by the sandwich estimator: what the bootstrap over documents tends to, in one step.

The Bradley-Terry score equations are sums over documents, so their spread over documents gives the
covariance of the abilities, ``H⁺ M H⁺`` with H the information and M the sum of squares of the
documents' scores about their corpus's mean (Huber 1967; White 1982; Liang and Zeger 1986), however
the comparisons of a document depend on each other.
"""

from __future__ import annotations

import numpy as np

from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.bradley_terry import ELO_PER_NAT, Abilities
from mtmbench.stats.intervals import interval_factor
from mtmbench.stats.outcomes import Outcomes


def clustered_covariance(
    information: Float64Array,
    scores: Float64Array,
    strata: IntArray,
) -> Float64Array:
    """Returns the sandwich covariance of parameters.

    Args:
        information: (p, p), minus the second derivative of the log-likelihood; may be singular.
        scores: (C, p), each cluster's part of its first derivative at the estimate.
        strata: (C,) stratum of each cluster, 0 … S − 1.
    """
    sizes = np.bincount(strata)
    sums = np.zeros((len(sizes), scores.shape[1]))
    np.add.at(sums, strata, scores)
    centred = scores - (sums / np.maximum(sizes, 1)[:, None])[strata]
    bread = np.linalg.pinv(information, hermitian=True)
    covariance: Float64Array = bread @ (centred.T @ centred) @ bread
    return covariance


def sandwich_half_widths(
    outcomes: Outcomes, abilities: Abilities, confidence: float
) -> tuple[Abilities, Abilities]:
    """Returns half-widths of intervals on the Elo scale: (n,) per competitor, (n, n) per pair.

    They are ``t(n − S) · √(n / (n − S)) · sandwich error`` for n documents in S corpora, the
    bootstrap's own formula with another error; NaN where a corpus has only one document.
    """
    n = len(abilities)
    factor = interval_factor(outcomes.strata, confidence)
    chance = 1 / (1 + np.exp(abilities[outcomes.second] - abilities[outcomes.first]))
    surprise = outcomes.points - chance
    scores = np.zeros((len(outcomes.strata), n))
    np.add.at(scores, (outcomes.groups, outcomes.first), surprise)
    np.add.at(scores, (outcomes.groups, outcomes.second), -surprise)
    information = np.zeros((n, n))
    np.add.at(information, (outcomes.first, outcomes.second), -chance * (1 - chance))
    information += information.T
    information[np.arange(n), np.arange(n)] = -information.sum(axis=1)
    covariance = clustered_covariance(information, scores, outcomes.strata)
    variance = np.diag(covariance)
    between = np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0)
    scale = ELO_PER_NAT * factor
    return scale * np.sqrt(np.maximum(variance, 0)), scale * np.sqrt(between)
