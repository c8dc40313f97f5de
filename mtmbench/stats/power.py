"""How small a difference a schedule of matches can detect, before anything is judged.

Near equality every pair's score equations carry the same information, so the difference of two
models over a round robin of n models and D documents has variance ``8 (1 − τ) / (n D)`` in natural
log, τ being the share of ties (folded ties have no variance), if the comparisons of a document are
independent of each other. At the other end, a document may put all models in one order: then a
document's n (n − 1) / 2 comparisons hold no more than that order, and the variance is (n + 1) / 3
times as large. Judges lie between the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtmbench.core.errors import InputError
from mtmbench.stats.bradley_terry import ELO_PER_NAT
from mtmbench.stats.intervals import t_quantile

POWER = 0.8


@dataclass(frozen=True)
class Detectable:
    """The least Elo difference of two models that is found with the asked-for power.

    Attributes:
        independent: if a document's comparisons are independent: the least there can be.
        ordered: if each document puts all models in one order: about the most.
        half_width: (independent, ordered) half-widths of the difference's interval.
    """

    independent: float
    ordered: float
    half_width: tuple[float, float]


def detectable_difference(
    n_documents: int,
    n_models: int,
    *,
    tie_rate: float = 0.0,
    confidence: float = 0.95,
    power: float = POWER,
) -> Detectable:
    """Returns the difference whose interval excludes zero with probability ``power``.

    The interval is the board's: ``t(D − 1) · √(D / (D − 1))`` standard errors to either side.

    Args:
        n_documents: D, documents on which every pair is judged.
        n_models: n, models of the league.
        tie_rate: τ, share of folded ties; 0 gives the largest variance.
        confidence: level of the interval.
        power: probability of finding a difference of that size.

    Raises:
        InputError: fewer than two documents or models, or a share out of range.
    """
    for what, value, least in (("documents", n_documents, 2), ("models", n_models, 2)):
        if value < least:
            raise InputError(f"at least {least} {what} are needed, not {value}")
    if not 0 <= tie_rate < 1 or not 0 < confidence < 1 or not 0.5 <= power < 1:
        raise InputError(
            f"tie_rate {tie_rate!r} must lie in [0, 1), confidence {confidence!r} in (0, 1) and "
            f"power {power!r} in [0.5, 1)"
        )
    freedom = n_documents - 1
    error = ELO_PER_NAT * math.sqrt(8 * (1 - tie_rate) / (n_models * n_documents))
    error *= math.sqrt(n_documents / freedom)
    width = t_quantile(freedom, confidence) * error
    least = width + t_quantile(freedom, 2 * power - 1) * error
    spread = math.sqrt((n_models + 1) / 3)
    return Detectable(least, least * spread, (width, width * spread))
