"""Coherence as a judge rates it, from 1 to 3 (Newman et al. 2010)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, ClassVar

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.judges.base import QuestionKind
from mtmbench.judges.replies import parse_level, parse_rating
from mtmbench.metrics.base import MetricValue, People
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.metrics.left_out import topics_without_value


class Rating(JudgedMetric):
    """Mean over topics of how related a judge finds the top items: 1 not very, 3 very.

    Topics whose reply is unparsed or refused have no value and take no part in the mean; details
    count them; a proxy's ratings may be fractions. A topic of fewer than two items is not asked
    about.
    """

    name = "rating"
    bounds = (1.0, 3.0)
    kind: ClassVar[QuestionKind] = "rating"
    people: ClassVar[People | None] = People(("embedding",), ("rating",))
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"judge": None, "top_n": 10},)
    least: ClassVar[Mapping[str, int]] = {"top_n": 2}

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
            context, judge, topics, lambda reply, _: parse_rating(reply), least=2,
            read_proxy=lambda reply, _: parse_level(reply, "RATING", self.bounds[1]),
        )  # fmt: skip
        ratings = [None if a.value is None else float(a.value) for a in answers]
        details |= topics_without_value(ratings.count(None), len(ratings))
        rated = [rating for rating in ratings if rating is not None]
        if not rated:
            return MetricValue.missing("the judge rated no topic", **details)
        return MetricValue(fmean(rated), tuple(ratings), details=details)
