"""What suites and model cards say of tuning: how it is done, over what, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mtmbench.core.specs import Card, Part, Seed, each_once


class SearchRange(Card):
    """Numbers from ``low`` to ``high``, whole ones where both are: in steps, or on a log scale."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _is_a_range(self) -> SearchRange:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log = true goes with a low above 0 and without step")
        if self.is_whole and isinstance(self.step, float):
            raise ValueError(f"a range of whole numbers takes a whole step, not {self.step}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole ones."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Choice = bool | int | float | str
"""One of several values that a parameter may take."""

Search = Annotated[tuple[Choice, ...], Field(min_length=1)] | SearchRange
"""What one parameter may be: one of a list, or a number of a range."""


class TuningSpec(Card):
    """Tunes models before they play, on documents that no board of the suite scores.

    Each of ``models`` (by default all whose card has a ``[search]``) gets ``trials`` trials on each
    corpus that does not name its ``part``, by ``metric`` on ``view`` (the metric's first by
    default), at the corpus's first K and feature setting. A trial is fitted under ``seeds`` seeds
    one after another, unless it is hopeless before; ``at_once`` trials are drawn before the first
    of them is known. The defaults and the best are then fitted under ``fresh_seeds`` others.
    A setting under which fewer topics are found than ``least_topics`` of those that the defaults
    find fails: a metric of few topics is easily high.
    ``share`` and ``split_seed`` say which documents are the tuning part; boards are of the rest.
    """

    metric: str
    view: Literal["own", "projected"] | None = None
    trials: int = Field(default=20, ge=1)
    seeds: int = Field(default=3, ge=1)
    fresh_seeds: int = Field(default=5, ge=2)
    least_topics: float = Field(default=0.9, ge=0, le=1)
    share: float = Field(default=0.5, gt=0, lt=1)
    models: Annotated[tuple[str, ...], AfterValidator(each_once)] = ()
    seed: Seed = 0
    split_seed: Seed = 0
    at_once: int = Field(default=1, ge=1)


class TunedFacts(Card):
    """What is on record of a tuned model card; it enters no key.

    Values, and how many topics were found, are means over fresh seeds. ``gain`` is how much better
    the tuned ones are than the defaults', in the metric's good direction, with Welch's 95 %
    interval; ``gain_seen`` the same difference under the seeds of tuning, ``luck`` what of it was
    gone under fresh ones, and ``expected_luck`` what the best of as many settings gains by noise
    alone. ``documents_hash`` is the content hash of the ids of the documents.
    """

    metric: str
    view: Literal["own", "projected"] | None = None
    higher_is_better: bool
    corpus: str
    corpus_revision: str
    part: Part | None = None
    tuning_share: float | None = None
    split_seed: int | None = None
    documents: int
    documents_hash: str
    k: int
    setting: str | None = None
    trials: int
    settings: int
    pruned: int
    failed: int
    seeds: tuple[int, ...]
    fresh_seeds: tuple[int, ...]
    best_value: float
    default_value: float
    best_topics: float
    default_topics: float
    gain: float
    gain_lo: float | None = None
    gain_hi: float | None = None
    gain_seen: float
    luck: float
    expected_luck: float
    finding: str
    versions: Mapping[str, str]
