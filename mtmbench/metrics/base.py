"""The interface of every metric."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mtmbench.core.errors import InputError
from mtmbench.core.types import ItemView as ItemView

if TYPE_CHECKING:
    from mtmbench.core.topic_result import TopicResult
    from mtmbench.metrics.context import MetricContext


@dataclass(frozen=True)
class MetricValue:
    """One number, or the reason why there is none.

    Attributes:
        value: the number, or None with ``reason``.
        per_topic: K values, None for a topic without one; or None where the metric has no
            per-topic form.
        reason: why ``value`` is missing.
        details: what the value rests on, such as a reference's hash; and what it leaves out, under
            the names of :mod:`mtmbench.metrics.left_out`, which is shown beside it.
    """

    value: float | None
    per_topic: tuple[float | None, ...] | None = None
    reason: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise InputError("a metric value that is missing needs a reason")

    @classmethod
    def missing(cls, reason: str, **details: object) -> MetricValue:
        """Returns a value that is missing for ``reason``."""
        return cls(None, None, reason, details)


@dataclass(frozen=True)
class People:
    """Where a metric stands beside people's answers, on the board of ``mtmbench validate``.

    Attributes:
        judges: its names there, the best first: its own, or those of judges that answer it.
        tasks: what people did that it is held against, of "rating", "intrusion", "fit" and "rank".
    """

    judges: tuple[str, ...]
    tasks: tuple[str, ...]


class Metric(ABC):
    """A number about one topic result.

    Attributes:
        name: the registry name.
        version: raised whenever the same input may give another number.
        higher_is_better: the direction in which ``compare`` calls a change a regression.
        bounds: the least and the largest value that there can be; infinite where there is none.
        needs: what the context must offer beside the corpus: any of "labels", "words" (reference
            token sequences), "embeddings" (a text encoder), "siblings" (the same model under other
            seeds), "orders" (the same fit of the documents in other orders), "others" (other
            models with the same K and seed), "refit" (a function that fits the model on other
            documents), "judge" (judge cards that can be asked); or "theta", where own items are
            not enough to score word lists.
        item_views: (None,) for metrics that read no items, else which item views it is played on.
        reads_labels: whether the value on view "own" depends on what items are called, which a
            suite may choose (``[features] labels``); it then gets them as the suite shows them.
        variants: parameter settings that the harness plays by default.
        people: what it was held against; None where nobody was asked.
        faults: what is known to be wrong with it, a sentence that boards show beside its values.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    needs: ClassVar[tuple[str, ...]] = ()
    item_views: ClassVar[tuple[ItemView | None, ...]] = (None,)
    reads_labels: ClassVar[bool] = False
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({},)
    people: ClassVar[People | None] = None
    faults: ClassVar[str] = ""

    @classmethod
    def inputs(cls, params: Mapping[str, object]) -> dict[str, object]:  # noqa: ARG003
        """Returns, as JSON values, the content of what ``params`` name: a judge's card, a prompt.

        It is part of a value's key, so that a changed card gives a new value; most name nothing.
        """
        return {}

    @abstractmethod
    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> MetricValue:
        """Computes the value for one result.

        Args:
            result: the topics.
            context: corpus, counts, reference texts and what else ``needs`` names.
            view: one of ``item_views``.
            params: one of ``variants``, or what a suite sets.

        Raises:
            InputError: a parameter is wrong. A value that cannot be had is returned as missing.
        """
