"""A metric: how decided a model is about its documents."""

from __future__ import annotations

from typing import Any

from mtmbench import Metric, MetricValue, TopicResult
from mtmbench.metrics.base import ItemView
from mtmbench.metrics.context import MetricContext


class Sharpness(Metric):
    """Mean over documents with a topic of the largest share in θ."""

    name = "sharpness"
    version = 1
    higher_is_better = True

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> MetricValue:
        if params:
            raise TypeError(f"sharpness has no parameters; got {sorted(params)}")
        assigned = result.doc_topic.sum(axis=1) > 0
        if not assigned.any():
            return MetricValue.missing("no document has a topic")
        value = float(result.doc_topic[assigned].max(axis=1).mean())
        return MetricValue(value, details={"documents": int(assigned.sum())})
