"""Ratings at equal lengths of the descriptions, beside the raw ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mtmbench.boards.rows.leagues import AdjustedNumbers, LengthSummary
from mtmbench.core.match_payloads import MatchPayload
from mtmbench.core.serialise import rounded
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.length import LengthFit, fit_length
from mtmbench.stats.outcomes import checked_outcomes
from mtmbench.stats.rate import RatingTable

_NO_LENGTHS = "not adjusted: the records hold no lengths"


class ComparisonColumns(NamedTuple):
    """The comparisons of a league, as :func:`mtmbench.stats.rate.rate` takes them."""

    names: Sequence[str]
    a: IntArray
    b: IntArray
    score: Float64Array
    cluster: IntArray
    stratum: IntArray


@dataclass(frozen=True)
class AdjustedRatings:
    """What a league's length covariate says; ``fit`` is None where nothing could be fitted."""

    fit: LengthFit | None
    reason: str | None

    def row(self, player: int | None) -> AdjustedNumbers:
        """Returns the adjusted rating of the player at a position, as it stands on a board."""
        if self.fit is None or player is None or math.isnan(self.fit.elo[player]):
            return {"elo_adjusted": None, "lo_adjusted": None, "hi_adjusted": None}
        elo, half = float(self.fit.elo[player]), float(self.fit.half[player])
        return {
            "elo_adjusted": rounded(elo, 1),
            "lo_adjusted": None if math.isnan(half) else rounded(elo - half, 1),
            "hi_adjusted": None if math.isnan(half) else rounded(elo + half, 1),
        }

    def summary(self) -> LengthSummary:
        """Returns what twice the length is worth, with its interval, or why it is not known."""
        fit = self.fit
        return {
            "per_doubling": None if fit is None else rounded(fit.per_doubling, 1),
            "lo": None if fit is None else rounded(fit.lo, 1),
            "hi": None if fit is None else rounded(fit.hi, 1),
            "reason": self.reason,
        }


def adjusted_ratings(
    columns: ComparisonColumns,
    log_ratios: Sequence[float | None],
    table: RatingTable | None,
    confidence: float,
) -> AdjustedRatings:
    """Fits a league with the length covariate.

    Args:
        columns: the comparisons.
        log_ratios: their log length ratios; None where a record holds none.
        table: the league as rated without it, None where nobody was compared.
        confidence: level of the intervals.
    """
    if table is None or not table.rateable:
        return AdjustedRatings(None, "not adjusted: there are no ratings")
    known = [ratio for ratio in log_ratios if ratio is not None]
    if len(known) < len(log_ratios):
        return AdjustedRatings(None, _NO_LENGTHS)
    start = [row.ability or 0.0 for row in table.rows]
    outcomes = checked_outcomes(*columns)
    fit = fit_length(outcomes, known, start, confidence)
    return AdjustedRatings(fit, fit.reason)


def log_ratios(payload: MatchPayload) -> list[float | None]:
    """Returns, by document, the log of a's length over b's, None without lengths.

    It is 0 where a rule decided, since no text was compared, and where either shows no text.
    """
    lengths = payload.get("lengths")
    if lengths is None:
        return [None] * len(payload["documents"])
    return [
        math.log(a / b) if a and b and char not in "ABT" else 0.0
        for a, b, char in zip(lengths["a"], lengths["b"], payload["forward"], strict=True)
    ]
