"""Which values a metric has of a result, and one value at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemKind, ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.registry import METRICS

Variant = tuple[str, ItemView | None, Mapping[str, object]]
"""A metric's name, the item view it is played on, and its parameters."""


def metric_variants(names: Sequence[str] = ()) -> list[Variant]:
    """Returns every variant of the named metrics (of all registered ones if none is named).

    Raises:
        UnknownNameError: a name is not registered.
    """
    variants: list[Variant] = []
    for name in names or METRICS.names():
        metric = METRICS.get(name)
        variants.extend(
            (name, view, dict(params)) for view in metric.item_views for params in metric.variants
        )
    return variants


def compute_value(
    result: TopicResult,
    context: MetricContext,
    name: str,
    view: ItemView | None,
    params: Mapping[str, object],
) -> MetricValue:
    """Computes one value; what the context cannot offer makes the value missing, with the reason.

    Raises:
        InputError: the metric is not played on ``view``, has no such parameter, or the result is
            not of the context's documents.
    """
    metric = METRICS.get(name)
    if view not in metric.item_views:
        raise InputError(f"metric {name!r} is played on {metric.item_views}, not on {view!r}")
    context.check(result)
    reason = _unmet(metric, context, view)
    if not reason and reads_words(name, view, result.items.kind):
        reason = context.no_words
    if reason is not None:
        return MetricValue.missing(reason)
    return metric().compute(result, context, view=view, **params)


def reads_words(name: str, view: ItemView | None, kind: ItemKind) -> bool:
    """Whether a metric needs the words of the documents for items of a kind, seen in a view."""
    return view == "projected" or (kind == "words" and "words" in METRICS.get(name).needs)


def _unmet(metric: type[Metric], context: MetricContext, view: ItemView | None) -> str | None:
    if view == "projected" and "words" not in context.counts:
        return "projected words need the word counts of the corpus, which were not given"
    offers = {
        "labels": (context.gold is not None, f"corpus {context.corpus.name!r} has no gold labels"),
        "embeddings": (context.embed is not None, "there is no text encoder here"),
        "siblings": (bool(context.siblings), "there is no result of another seed to compare"),
        "orders": (
            bool(context.reordered),
            "there is no result of another order of the documents; set orders in the suite",
        ),
        "others": (bool(context.others), "there is no result of another model to compare"),
        "refit": (context.refit is not None, "the model cannot be fitted anew here"),
        "judge": (context.consult is not None, "no judge can be asked here; play it in a suite"),
    }
    for need in metric.needs:
        met, reason = offers.get(need, (True, ""))
        if not met:
            return reason
    return None
