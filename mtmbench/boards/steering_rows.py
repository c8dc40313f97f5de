"""The rows of ``steering.json``: what makes them and what shows them agree on these fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

LambdaFields = TypedDict("LambdaFields", {"lambda": float | None, "lambda_unit": str | None})
"""λ in its unit; None where nothing was steered."""

CONTROLS = ("none", "random", "permuted", "other_topic")
"""Methods drawn across curves: text as it is, and directions that do not mean the topic."""


class AspectMeans(TypedDict):
    """AxBench's scores and their harmonic mean, each a mean over texts; None without a rater."""

    concept: float | None
    instruction: float | None
    fluency: float | None
    overall: float | None


class MeasuredRow(LambdaFields):
    """What a judge and the texts themselves say of one condition.

    ``by_direction`` are the win rates of a control's several directions, None of other conditions;
    tables of schema 1 lack it.
    """

    corpus: str
    model: str
    topic: int
    method: str
    judge: str
    n: int
    win_rate: float | None
    lo: float | None
    hi: float | None
    perplexity: float | None
    perplexity_baseline: float | None
    delta_l: float | None
    drift: float
    wilson_lo: float | None
    wilson_hi: float | None
    n_removed: int
    distinct_2: float | None
    distinct_2_baseline: float | None
    repetition: float | None
    mean_change: float
    by_direction: NotRequired[Sequence[float] | None]


class ExperimentRow(MeasuredRow, AspectMeans):
    """The same with how many directions the condition has, and how far they were to change.

    ``chosen`` says of a topic's λ whether it is the chosen one, and is None of a control;
    ``steered`` says of a chosen λ whether the topic counts as steered, and is None of other rows.
    Means over directions of mean ‖a′ − a‖: ``expected_change`` over the reference text,
    ``target_change`` what λ was calibrated to, ``pilot_change`` what the calibration's texts had.
    The latter two are None of what was not calibrated, and missing from tables of schema 1.
    """

    directions: int
    expected_change: float
    target_change: NotRequired[float | None]
    pilot_change: NotRequired[float | None]
    chosen: bool | None
    steered: bool | None


class SteeringRow(ExperimentRow, total=False):
    """A row of the table, with the number of topics of its model where several may stand there."""

    k: int


class VerdictRow(TypedDict):
    """How far a topic's win rate lies above a control's directions, and the interval's ends."""

    corpus: str
    model: str
    k: int | None
    judge: str
    topic: int
    control: str
    difference: float
    lo: float
    hi: float
    n_directions: int


class SteeredTopic(LambdaFields):
    """One topic: its chosen λ, Δℓ against λ, and by which judges it is steered."""

    corpus: str
    model: str
    k: int | None
    topic: int
    delta_l_spearman: float | None
    n_lambdas: int
    n_judges: int
    steered: Sequence[str]


class SteeringTotals(TypedDict):
    """What a model's topics did before one judge, without its controls."""

    corpus: str
    model: str
    k: int | None
    judge: str
    n_topics: int
    n_chosen: int
    win_rate: float | None
    n_steered: int
    n_steered_by_all: int
    n_spearman: int
    n_spearman_positive: int
    perplexity_ratio: float | None


class SteeringSummary(SteeringTotals):
    """The same with what steered, and the controls by method.

    ``controls`` are mean win rates; ``changes`` mean ‖a′ − a‖ in the scored texts as multiples of
    the topics' own. ``method`` and ``changes`` are missing from tables of schema 1.
    """

    method: NotRequired[str]
    controls: Mapping[str, float]
    changes: NotRequired[Mapping[str, float]]


class SteeringTable(TypedDict):
    """The content of ``steering.json``; of schema 1 it has no verdicts."""

    schema: int
    summary: Sequence[SteeringSummary]
    topics: Sequence[SteeredTopic]
    verdicts: NotRequired[Sequence[VerdictRow]]
    rows: Sequence[SteeringRow]
