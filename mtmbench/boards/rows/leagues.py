"""The rows of leagues: ratings, win rates and sequential Elo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from mtmbench.core.fit_payloads import CompetitorFields

if TYPE_CHECKING:
    from mtmbench.core.specs import Representation


class LeaguePlace(TypedDict):
    """Which league; ``k`` is None where pooled corpora differ in it."""

    judge: str
    corpus: str
    k: int | None
    k_spec: int | str
    representation: Representation


class RatedNumbers(TypedDict):
    """A rating with its interval, and what it rests on."""

    elo: float | None
    lo: float | None
    hi: float | None
    rank: int | None
    wins: int
    losses: int
    ties: int
    reason: str | None


class AdjustedNumbers(TypedDict, total=False):
    """The rating at equal lengths, where lengths were asked for."""

    elo_adjusted: float | None
    lo_adjusted: float | None
    hi_adjusted: float | None


class SeedNumbers(TypedDict, total=False):
    """The rating of each seed's fits among themselves, where matches of several were played.

    The first is the rating; None is a seed that the model has no rateable fit of. ``elo_sd`` is
    their sample standard deviation.
    """

    elo_by_seed: list[float | None]
    elo_sd: float | None


class LeagueRow(LeaguePlace, CompetitorFields, RatedNumbers, AdjustedNumbers, SeedNumbers):
    """A competitor of a league; comparisons that it lost are "unparsed" or "refused"."""

    unparsed: int
    refused: int


class LengthSummary(TypedDict):
    """What twice the length is worth, in Elo."""

    per_doubling: float | None
    lo: float | None
    hi: float | None
    reason: str | None


class AdaptiveSummary(TypedDict):
    """How far an adaptive league has come; ``uniform`` is what every pair would have played."""

    look: int
    looks: int
    level: float | None
    finished: bool
    comparisons: int
    uniform: int
    decided: int | None
    neighbours: int


class WinRateNumbers(TypedDict):
    """Win rates and counts in the order of ``names``, and what the ratings rest on.

    ``sandwich`` are half-widths by the sandwich estimator; ``nu`` is Davidson's tie parameter,
    where ties have one; ``intervals`` is "sandwich" where models were too many for a bootstrap.
    """

    names: Sequence[str]
    rates: Sequence[Sequence[float | None]]
    comparisons: Sequence[Sequence[int]]
    n_documents: int
    n_bootstrap: int
    n_unrateable: int
    confidence: float | None
    reason: str | None
    sandwich: Sequence[float | None]
    nu: NotRequired[float | None]
    intervals: NotRequired[Literal["sandwich"]]


class LeagueExtras(TypedDict, total=False):
    """What only some leagues have."""

    length: LengthSummary
    adaptive: AdaptiveSummary


class WinRateTable(LeaguePlace, WinRateNumbers, LeagueExtras):
    """The win rates of a league."""


class SequentialRow(LeaguePlace, CompetitorFields):
    """A competitor's sequential Elo."""

    elo: float | None
