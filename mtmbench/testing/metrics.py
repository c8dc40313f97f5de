"""Does a metric keep the contract of :class:`~mtmbench.metrics.base.Metric`?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from mtmbench.core.serialise import content_hash, plain
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.testing.contract import ContractError, check_identity, made, require
from mtmbench.testing.planted import planted_context, planted_result
from mtmbench.testing.topic_judge import PLANTED_JUDGE

_METRIC_NEEDS = (
    "labels",
    "words",
    "embeddings",
    "siblings",
    "orders",
    "others",
    "refit",
    "judge",
    "theta",
)
"""What a metric may name in ``needs``."""

_OTHER_ORDER = (2, 0, 3, 1)
# Optimisers inside metrics see columns in another order; values still agree to three digits.
_TOLERANCE = 1e-3

_ROUNDING = 1e-9
"""How far a value may lie outside its bounds: sums of floats, and epsilons in logarithms."""


def check_metric(metric: type[Metric] | Metric) -> None:
    """Checks a metric: what it returns, repeatability, needs, independence of the topics' order.

    Computes it on planted word topics, in every item view and variant. A metric that needs a judge
    is given one, as its parameter ``judge``, that knows the planted themes.

    Args:
        metric: a class, which is then made without arguments, or an instance.

    Raises:
        ContractError: what is wrong, in one sentence.
    """
    checked: Metric = made(metric, Metric)  # type: ignore[type-abstract]
    name = check_identity(checked)
    require(
        isinstance(checked.higher_is_better, bool),
        f"{name}: higher_is_better must be True or False",
    )
    unknown = sorted(set(checked.needs) - set(_METRIC_NEEDS))
    require(not unknown, f"{name}: needs names {unknown}; valid are {list(_METRIC_NEEDS)}")
    require(
        len(checked.item_views) > 0 and set(checked.item_views) <= {None, *get_args(ItemView)},
        f"{name}: item_views must be (None,) or of 'own' and 'projected', not "
        f"{checked.item_views!r}",
    )
    require(len(checked.variants) > 0, f"{name}: variants is empty; ({{}},) is the plain metric")
    judge = {"judge": PLANTED_JUDGE} if "judge" in checked.needs else {}
    values = [
        _check_cell(checked, view, {**params, **judge}, name)
        for view in checked.item_views
        for params in checked.variants
    ]
    require(
        any(value.value is not None for value in values),
        f"{name}: no value on the planted topics, though the context offers all it needs: "
        f"{values[0].reason}",
    )


def _check_cell(
    metric: Metric, view: ItemView | None, params: dict[str, Any], name: str
) -> MetricValue:
    where = f"{name} (view {view!r}, {params})"
    value = _compute(metric, view, params, where, metric.needs)
    again = _compute(metric, view, params, where, metric.needs)
    require(value == again, f"{where}: two computations give {value.value} and {again.value}")
    everything = _compute(metric, view, params, where, _METRIC_NEEDS)
    require(
        everything.value == value.value,
        f"{where}: {value.value} turns to {everything.value} when the context offers more than "
        f"needs {metric.needs!r} names",
    )
    turned = _compute(metric, view, params, where, metric.needs, _OTHER_ORDER)
    require(
        _close(turned.value, value.value),
        f"{where}: the order of the topics means nothing, but turns {value.value} to "
        f"{turned.value}",
    )
    return value


def _compute(
    metric: Metric,
    view: ItemView | None,
    params: dict[str, Any],
    where: str,
    needs: Sequence[str],
    order: Sequence[int] = (0, 1, 2, 3),
) -> MetricValue:
    result, context = planted_result(0, order), planted_context(needs)
    before = _content(result)
    try:
        value = metric.compute(result, context, view=view, **params)
    except Exception as error:
        raise ContractError(
            f"{where}: compute raises {type(error).__name__}: {error}; a value that cannot be had "
            "is MetricValue.missing(reason)"
        ) from error
    if not isinstance(value, MetricValue):
        raise ContractError(f"{where}: compute returns {type(value).__name__}, not a MetricValue")
    require(
        value.value is None or (isinstance(value.value, float) and bool(np.isfinite(value.value))),
        f"{where}: the value is {value.value!r}; it must be a finite float, or missing",
    )
    low, high = metric.bounds
    require(
        value.value is None or low - _ROUNDING <= value.value <= high + _ROUNDING,
        f"{where}: the value {value.value} lies outside bounds, {low} to {high}",
    )
    require(
        value.per_topic is None or len(value.per_topic) == result.n_topics,
        f"{where}: per_topic has {len(value.per_topic or ())} values for {result.n_topics} topics",
    )
    try:
        plain([value.per_topic, value.details])
    except (TypeError, ValueError) as error:
        raise ContractError(f"{where}: per_topic or details: {error}") from error
    require(_content(result) == before, f"{where}: compute changes the result that it is given")
    return value


def _content(result: TopicResult) -> str:
    """Hashes the arrays themselves; ``TopicResult.revision`` remembers what it was."""
    return content_hash(result.doc_topic, result.topic_item)


def _close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(np.isclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE))
