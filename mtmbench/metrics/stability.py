"""Stability: does the same model find the same topics under another seed, or in another order?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.params import read_params, whole_number


class Stability(Metric):
    """Mean over pairs of seeds of the matched overlap of the topics' top items.

    The topics of two results are matched one to one so that their summed Jaccard indices of the top
    ``top_n`` items are largest (Hungarian algorithm); the sum is divided by the larger number of
    topics, so a topic without a partner counts as zero.
    """

    name = "stability"
    bounds = (0.0, 1.0)
    needs = ("siblings",)
    item_views = ("own", "projected")
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"top_n": 10},)

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
        top_n = whole_number(self.name, "top_n", setting["top_n"], 1)
        runs, details = self._runs(result, context)
        if len(runs) < 2:
            return MetricValue.missing("there is no result of another seed to compare", **details)
        topics = [context.top_keys(run, view, top_n) for run in runs]
        pairs = [matched_overlap(a, b) for a, b in combinations(topics, 2)]
        return MetricValue(
            float(np.mean(pairs)), details={**details, "n_pairs": len(pairs), "overlaps": pairs}
        )

    def _runs(
        self, result: TopicResult, context: MetricContext
    ) -> tuple[list[TopicResult], dict[str, object]]:
        """Returns the results that are compared, and what records say of them."""
        by_seed = {other.seed: other for other in (*context.siblings, result)}
        return [by_seed[seed] for seed in sorted(by_seed)], {"seeds": sorted(by_seed)}


class OrderStability(Stability):
    """The same over fits of one seed whose documents came in other orders.

    The first order is the corpus's own; each other one is a seeded permutation.
    """

    name = "stability_order"
    needs = ("orders",)

    def _runs(
        self, result: TopicResult, context: MetricContext
    ) -> tuple[list[TopicResult], dict[str, object]]:
        runs = [result, *context.reordered]
        return runs, {"orders": len(runs)}


def matched_overlap(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> float:
    """Returns the mean Jaccard index of the best one-to-one match of two lists of topics.

    The mean is over the longer list's topics; two empty topics have index 0.
    """
    from scipy.optimize import linear_sum_assignment

    left, right = [set(topic) for topic in first], [set(topic) for topic in second]
    jaccard = np.array([[len(a & b) / max(1, len(a | b)) for b in right] for a in left])
    rows, columns = linear_sum_assignment(jaccard, maximize=True)
    return float(jaccard[rows, columns].sum() / max(jaccard.shape))
