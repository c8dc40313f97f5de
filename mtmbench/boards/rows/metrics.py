"""The rows of metrics, and of how alike models sort the documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from mtmbench.core.fit_payloads import CompetitorFields


class LeftOutNumbers(TypedDict, total=False):
    """What a metric leaves out, over all seeds, where its records say so.

    Words of topics that the reference does not know, topics without a value, and a note about them.
    """

    n_out_of_vocabulary: int
    n_topics_without_value: int
    note: str


class MetricRow(CompetitorFields, LeftOutNumbers):
    """A metric of a competitor: the mean over seeds, or one value over all of them."""

    corpus: str
    k: int
    k_spec: int | str
    metric: str
    view: str | None
    params: Mapping[str, object]
    value: float | None
    lo: float | None
    hi: float | None
    n_seeds: int
    reason: str | None


class CorrelationRow(CompetitorFields):
    """How alike two competitors sort the documents: the mean over the seeds that both have."""

    other: CompetitorFields
    corpus: str
    k: int
    k_spec: int | str
    value: float | None
    lo: float | None
    hi: float | None
    n_seeds: int


class MetricFacts(TypedDict):
    """Version and direction of a metric."""

    version: int
    higher_is_better: bool
