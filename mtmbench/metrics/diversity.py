"""Diversity: do the topics differ in their top items?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.left_out import topics_without_value
from mtmbench.metrics.params import read_params, share, whole_number


class Diversity(Metric):
    """Share of unique items among the top ``top_n`` of all topics (Dieng et al. 2020).

    Topics that list fewer than ``top_n`` items add what they list.
    """

    name = "diversity"
    bounds = (0.0, 1.0)
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
        topics = context.top_keys(result, view, top_n)
        listed = [item for topic in topics for item in topic]
        if not listed:
            return MetricValue.missing("no topic has an item")
        return MetricValue(len(set(listed)) / len(listed), details={"n_listed": len(listed)})


class InvertedRBO(Metric):
    """One minus the mean rank-biased overlap of all pairs of topics (Bianchi et al. 2021).

    As OCTIS computes it: extrapolated overlap (Webber et al. 2010, eq. 32) of the top ``top_n``
    items at persistence ``p``. Topics without any item are left out.
    """

    name = "inverted_rbo"
    bounds = (0.0, 1.0)
    item_views = ("own", "projected")
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"top_n": 10, "p": 0.9},)

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
        p = share(self.name, "p", setting["p"])
        topics = [topic for topic in context.top_keys(result, view, top_n) if topic]
        details = topics_without_value(result.n_topics - len(topics), result.n_topics)
        if len(topics) < 2:
            return MetricValue.missing("fewer than two topics have items", **details)
        overlaps = [rank_biased_overlap(a, b, p) for a, b in combinations(topics, 2)]
        return MetricValue(1.0 - float(np.mean(overlaps)), details=details)


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], p: float = 0.9) -> float:
    """Returns the extrapolated rank-biased overlap of two non-empty lists without repeats.

    RBO_ext of Webber, Moffat and Zobel (2010), eq. 32: 1 for equal lists, 0 for disjoint ones.

    Args:
        first: items, best first.
        second: items, best first; may be of another length.
        p: persistence, between 0 and 1; the weight of depth d is p^(d − 1).
    """
    shorter, longer = sorted((first, second), key=len)
    s, length = len(shorter), len(longer)
    place = {item: depth for depth, item in enumerate(longer, 1)}
    overlap = np.zeros(length + 1)
    for depth, item in enumerate(shorter, 1):
        if item in place:
            overlap[max(depth, place[item])] += 1
    overlap = np.cumsum(overlap)
    depths = np.arange(1, length + 1)
    agreement = overlap[1:] / depths
    unseen = depths > s
    agreement[unseen] += overlap[s] * (depths[unseen] - s) / (s * depths[unseen])
    tail = (overlap[length] - overlap[s]) / length + overlap[s] / s
    return float((1 - p) / p * (p**depths * agreement).sum() + tail * p**length)
