"""Coverage: how many documents a model speaks about."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.params import read_params


class Coverage(Metric):
    """Share of documents that are no outliers and have mass on a topic."""

    name = "coverage"
    bounds = (0.0, 1.0)

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`."""
        del view
        read_params(self.name, params, {})
        left_out = context.unassigned(result)
        n_outliers = 0 if result.outlier is None else int(result.outlier.sum())
        return MetricValue(
            float(1 - np.mean(left_out)),
            details={"n_outliers": n_outliers, "n_unassigned": int(left_out.sum())},
        )
