"""Can a judge tell which item does not belong? Intrusion (Chang et al. 2009), over any items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.judges.replies import parse_intruder
from mtmbench.metrics.base import MetricValue, People
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.metrics.left_out import topics_without_value
from mtmbench.stats.intervals import wilson

BELONGING = 5
"""Top items shown beside the intruder."""


@dataclass(frozen=True)
class IntrusionSet:
    """Items of one topic with an intruder among them.

    Attributes:
        items: labels in the order shown; empty where no set could be made.
        intruder: place of the intruder.
    """

    items: tuple[str, ...] = ()
    intruder: int = -1


class Intrusion(JudgedMetric):
    """Share of topics in which a judge finds the intruder among six items.

    Shown are the five strongest items of a topic and one that is weak in it (at or below the
    median of the topic's weights) but among the ten strongest of another; which one, and in which
    order, is drawn by ``seed`` and the topic's items. Chance is 1/6. Replies that are unparsed or
    refused, and topics for which there is no such set, take no part; details count them, and hold
    the Wilson interval of the share.
    """

    name = "intrusion"
    bounds = (0.0, 1.0)
    kind = "intrusion"
    people = People(("embedding",), ("intrusion",))
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"judge": None, "seed": 0},)
    least: ClassVar[Mapping[str, int]] = {"seed": 0}

    @classmethod
    def items_shown(cls, params: Mapping[str, object]) -> int:  # noqa: ARG003
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return BELONGING + 1

    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,  # noqa: ARG002
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        sets = intrusion_sets(result, setting["seed"])
        answers, details = self.ask(
            context, judge, [one.items for one in sets],
            lambda reply, items: parse_intruder(reply, len(items)), least=BELONGING + 1,
        )  # fmt: skip
        found = [
            None if answer.value is None else float(answer.value == one.intruder)
            for answer, one in zip(answers, sets, strict=True)
        ]
        parsed = [value for value in found if value is not None]
        rate = wilson(int(sum(parsed)), len(parsed), reason="the judge named no intruder")
        details |= topics_without_value(found.count(None), len(found))
        details = {**details, "lo": rate.lo, "hi": rate.hi, "n": rate.n}
        if rate.value is None:
            return MetricValue.missing(str(rate.reason), **details)
        return MetricValue(rate.value, tuple(found), details=details)


def intrusion_sets(result: TopicResult, seed: int, strongest: int = 10) -> list[IntrusionSet]:
    """Returns one set a topic, its labels all different; an empty one where there is none.

    Args:
        result: the topics.
        seed: of the draw; the draw does not depend on the order of the topics.
        strongest: an intruder is among so many items of another topic.
    """
    top = result.top_items(strongest)
    weights = result.item_weights
    sets = []
    for k, columns in enumerate(top):
        belonging = _distinct(result.items.labels, columns)[:BELONGING]
        shown = {result.items.labels[i] for i in columns}
        weak = weights[k] <= np.median(weights[k])
        candidates = sorted(
            {
                result.items.labels[i]
                for other, items in enumerate(top)
                if other != k
                for i in items
                if weak[i] and result.items.labels[i] not in shown
            }
        )
        if len(belonging) < BELONGING or not candidates:
            sets.append(IntrusionSet())
            continue
        generator = np.random.default_rng(seed_from("intrusion", seed, belonging, candidates))
        intruder = candidates[int(generator.integers(len(candidates)))]
        order = generator.permutation(BELONGING + 1).tolist()
        items = [*belonging, intruder]
        sets.append(IntrusionSet(tuple(items[i] for i in order), order.index(BELONGING)))
    return sets


def _distinct(labels: Sequence[str], columns: Sequence[int]) -> list[str]:
    return list(dict.fromkeys(labels[i] for i in columns))
