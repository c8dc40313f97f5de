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
from mtmbench.metrics.judged import NO_JUDGE, JudgedMetric
from mtmbench.metrics.left_out import topics_without_value
from mtmbench.metrics.params import read_params, whole_number


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

    @classmethod
    def items_shown(cls, params: Mapping[str, object]) -> int:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        setting = {**cls.variants[0], **params}
        return whole_number(cls.name, "top_n", setting["top_n"], 2)

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = "own",
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`."""
        setting = read_params(self.name, params, self.variants[0])
        top_n = whole_number(self.name, "top_n", setting["top_n"], 2)
        judge = self.judge_of(setting)
        if judge is None:
            return MetricValue.missing(NO_JUDGE)
        topics = context.top_labels(result, view, top_n)
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
