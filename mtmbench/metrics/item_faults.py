"""What is wrong with a topic's items, as a judge sees it (Tan and D'Souza 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, ClassVar

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.judges.replies import parse_odd
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.metrics.left_out import topics_without_value
from mtmbench.metrics.rating import Rating


class Repetitiveness(Rating):
    """Mean over topics of how little a judge finds the top items to repeat each other, 1 to 3.

    1: much of the same, 3: hardly anything said twice, as the source has it; more is better.
    Otherwise as :class:`~mtmbench.metrics.rating.Rating`. Source: Tan and D'Souza 2025
    (arXiv:2502.07352).
    """

    name = "repetitiveness"
    kind = "repetitiveness"
    people = None


class Outliers(JudgedMetric):
    """Mean over topics of the share of top items that a judge says are not of the topic's theme.

    Topics of fewer than three items are not asked about; they, and those whose reply is unparsed or
    refused, take no part and are counted. Source: Tan and D'Souza 2025 (arXiv:2502.07352), who
    count the items that more than half of several replies name.
    """

    name = "outliers"
    bounds = (0.0, 1.0)
    higher_is_better = False
    kind = "outliers"
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"judge": None, "top_n": 10},)
    least: ClassVar[Mapping[str, int]] = {"top_n": 3}

    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        topics = context.top_labels(result, view, setting["top_n"])
        answers, details = self.ask(
            context, judge, topics,
            lambda reply, items: parse_odd(reply, len(items), most=len(items)), least=3,
        )  # fmt: skip
        shares = [
            None if answer.value is None else len(answer.value) / len(items)
            for answer, items in zip(answers, topics, strict=True)
        ]
        details |= topics_without_value(shares.count(None), len(shares))
        known = [share for share in shares if share is not None]
        if not known:
            return MetricValue.missing("the judge answered about no topic", **details)
        return MetricValue(fmean(known), tuple(shares), details=details)
