"""Are topics told apart? Words of two topics are mixed (Prouteau et al. 2026)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.judges.replies import parse_group, parse_n_topics
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.metrics.left_out import topics_without_value
from mtmbench.stats.correlation import mean_over_topics

EACH = 5
"""Items of each of two topics; of one topic alone there are twice as many."""
_COMPARED = 50
"""Top items by which topics are near to each other."""


@dataclass(frozen=True)
class WordSet:
    """Items of one topic, or of two; empty where no set could be made.

    Attributes:
        items: labels in the order shown.
        second: places of those of the second topic; empty where all are of one.
    """

    items: tuple[str, ...] = ()
    second: frozenset[int] = frozenset()


class _Mixing(JudgedMetric):
    """What both metrics share: sets, and the mean over topics with its interval."""

    needs = ("judge", "embeddings")
    least: ClassVar[Mapping[str, int]] = {"seed": 0}

    @classmethod
    def items_shown(cls, params: Mapping[str, object]) -> int:  # noqa: ARG003
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return 2 * EACH

    @staticmethod
    def _value(
        per_topic: Sequence[float | None], details: dict[str, object], seed: int, *, least: float
    ) -> MetricValue:
        known = [value for value in per_topic if value is not None]
        mean = mean_over_topics(known, seed=seed).within(least, 1)
        details |= topics_without_value(len(per_topic) - len(known), len(per_topic))
        details |= {"lo": mean.lo, "hi": mean.hi, "n": mean.n}
        if mean.value is None:
            return MetricValue.missing("the judge answered about no topic", **details)
        return MetricValue(mean.value, tuple(per_topic), details=details)


class WordSplit(_Mixing):
    """Mean over topics of how well a judge sorts the mixed items of it and the topic nearest to it.

    Five top items of a topic and five of the nearest other are shown in a drawn order
    (:func:`mixed_set`); the judge says which belong together. A topic's value is the adjusted Rand
    index of that with the truth: 1 where all are sorted right, 0 on average by chance. The task is
    that of :class:`WordMixing` made harder, so that no proxy has to say how far apart two topics
    must be.
    """

    name = "word_split"
    bounds = (-0.5, 1.0)
    kind = "split"
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"judge": "embedding", "seed": 0},)

    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        from sklearn.metrics import adjusted_rand_score

        seed = setting["seed"]
        sets = _mixed_sets(result, context, view, seed)
        answers, details = self.ask(
            context, judge, [one.items for one in sets],
            lambda reply, items: parse_group(reply, len(items)), least=2 * EACH,
        )  # fmt: skip
        places = range(2 * EACH)
        found = [
            None
            if answer.value is None
            else float(
                adjusted_rand_score(
                    [i in one.second for i in places], [i in answer.value for i in places]
                )
            )
            for answer, one in zip(answers, sets, strict=True)
        ]
        return self._value(found, details, seed, least=-0.5)


class WordMixing(_Mixing):
    """Share of sets of items of which a judge says rightly whether one topic is in them or two.

    Of each topic there are two sets of ten: its own top items, and five of its own with five of the
    topic nearest to it (:func:`mixed_set`). A topic's value is the share of its sets that were
    called rightly, ½ by chance; details hold the share by kind and the F1 of "two". Topics with a
    set or an answer missing are left out and counted. Source: Prouteau, Lareau, Dugué, Lamirel and
    Malaterre 2026 (arXiv:2603.01945), who asked people.
    """

    name = "word_mixing"
    bounds = (0.0, 1.0)
    kind = "mixing"
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"judge": None, "seed": 0},)

    @classmethod
    def n_questions(cls, params: Mapping[str, object], n_topics: int) -> int:  # noqa: ARG003
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return 2 * n_topics

    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        seed = setting["seed"]
        mixed = _mixed_sets(result, context, view, seed)
        alone = [
            _shuffled(items, 0, seed) for items in _distinct_labels(result, context, view, 2 * EACH)
        ]
        answers, details = self.ask(
            context, judge, [one.items for one in (*alone, *mixed)],
            lambda reply, _: parse_n_topics(reply), least=2 * EACH,
        )  # fmt: skip
        said = [answer.value for answer in answers]
        pairs = list(zip(said[: len(alone)], said[len(alone) :], strict=True))
        right = [None if None in pair else ((pair[0] == 1) + (pair[1] == 2)) / 2 for pair in pairs]
        known = [pair for pair in pairs if None not in pair]
        if known:
            one, two = (sum(pair[i] == i + 1 for pair in known) for i in (0, 1))
            details |= {
                "right_of_one": one / len(known), "right_of_two": two / len(known),
                "f1": 2 * two / (2 * two + 2 * len(known) - one - two),
            }  # fmt: skip
        return self._value(right, details, seed, least=0.0)


def mixed_set(first: Sequence[str], second: Sequence[str], seed: int) -> WordSet:
    """Returns five items of one topic and the first five of another that are none of these.

    Topics that say the same give a set that nobody can sort, as they should.
    """
    own = first[:EACH]
    others = [item for item in second if item not in own][:EACH]
    return _shuffled([*own, *others], EACH, seed)


def _mixed_sets(
    result: TopicResult, context: MetricContext, view: ItemView | None, seed: int
) -> list[WordSet]:
    """Returns a set a topic, mixed with the one whose top items, as one text, are nearest to it."""
    labels = _distinct_labels(result, context, view, _COMPARED)
    named = [k for k, items in enumerate(labels) if items]
    sets = [WordSet()] * len(labels)
    if len(named) < 2 or context.embed is None:
        return sets
    texts = [", ".join(labels[k]) for k in named]
    vectors = np.asarray(context.embed(texts), dtype=np.float64)
    nearness = vectors @ vectors.T
    np.fill_diagonal(nearness, -np.inf)
    for row, k in enumerate(named):
        # Of equally near ones the first by its words: the order of topics means nothing.
        best = np.flatnonzero(nearness[row] >= nearness[row].max() - 1e-9)
        nearest = min((texts[i], named[i]) for i in best)[1]
        sets[k] = mixed_set(labels[k], labels[nearest], seed)
    return sets


def _distinct_labels(
    result: TopicResult, context: MetricContext, view: ItemView | None, n: int
) -> list[list[str]]:
    return [list(dict.fromkeys(row)) for row in context.top_labels(result, view, n)]


def _shuffled(items: Sequence[str], n_second: int, seed: int) -> WordSet:
    """Returns a set in an order that is drawn by its items; the last ``n_second`` are another's."""
    if len(items) < 2 * EACH:
        return WordSet()
    generator = np.random.default_rng(seed_from("word mixing", seed, list(items)))
    order = generator.permutation(len(items)).tolist()
    second = frozenset(order.index(i) for i in range(len(items) - n_second, len(items)))
    return WordSet(tuple(items[i] for i in order), second)
