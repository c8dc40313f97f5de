"""Correlation of topic shares across models: do two models sort the same documents alike?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Float64Array, FloatArray, ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.params import read_params


class DocTopicCorrelation(Metric):
    """Mean over other models of the correlation of matched topics' shares in documents.

    Of two models' θ on the same documents, those are read in which both have mass. Topics are
    matched one to one so that the sum of the Pearson correlations of their columns of θ is largest
    (Hungarian algorithm); the sum is divided by the larger number of topics, so that a topic
    without a partner counts as zero. So does one with the same share in every document, which
    correlates with nothing. The value is symmetric in the two models, 1 where one's topics are the
    other's in another order, and compares models over any items, words with SAE features.

    The other models are those of the suite on the same corpus with the same K and seed. The second
    version of the mechanistic topic models paper is said to report a cross-model correlation of
    document shares; how it matches topics could not be found out, so the definition is our own.

    A fit that failed is left out, and named in the details. They hold: ``others``, the value with
    each other model, by its name on the board; ``documents``, how many both have mass in; and
    ``missing``, why there is no value with another one.
    """

    name = "doc_topic_correlation"
    bounds = (-1.0, 1.0)
    needs = ("others",)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,  # noqa: ARG002
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`; a topic's value is its mean over models."""
        read_params(self.name, params, self.variants[0])
        values: dict[str, float] = {}
        documents: dict[str, int] = {}
        missing: dict[str, str] = {}
        by_topic = []
        for name, other in sorted(context.others.items()):
            if other is None:
                missing[name] = "its fit failed"
                continue
            context.check(other)
            both = (result.doc_topic.sum(axis=1) > 0) & (other.doc_topic.sum(axis=1) > 0)
            documents[name] = int(both.sum())
            if documents[name] < 2:
                missing[name] = "fewer than two documents have mass in both models"
                continue
            matched = matched_correlations(result.doc_topic[both], other.doc_topic[both])
            by_topic.append(matched)
            values[name] = float(matched.sum() / max(len(matched), other.n_topics))
        details: dict[str, object] = {"others": values, "documents": documents}
        if missing:
            details["missing"] = missing
        if not values:
            return MetricValue.missing("no other model has topics to compare with", **details)
        per_topic = tuple(float(value) for value in np.mean(by_topic, axis=0))
        return MetricValue(float(np.mean(list(values.values()))), per_topic, details=details)


def matched_correlations(first: FloatArray, second: FloatArray) -> Float64Array:
    """Returns the correlation of each column of ``first`` with its partner in ``second``.

    Columns are matched one to one so that the sum of correlations is largest; one without a
    partner has 0, and so has a constant one.

    Args:
        first: (D, K) θ.
        second: (D, L) θ of the same documents.

    Returns:
        (K,) Pearson correlations.
    """
    from scipy.optimize import linear_sum_assignment

    correlation = _unit_columns(first).T @ _unit_columns(second)
    rows, columns = linear_sum_assignment(correlation, maximize=True)
    matched = np.zeros(len(correlation))
    matched[rows] = correlation[rows, columns]
    return matched


def _unit_columns(theta: FloatArray) -> Float64Array:
    """Returns columns less their mean, of length one; constant ones are zero."""
    centred = theta.astype(np.float64) - theta.mean(axis=0, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=0)
    flat = lengths <= 1e-9 * np.sqrt(len(theta))
    unit: Float64Array = np.where(flat, 0.0, centred / np.where(flat, 1.0, lengths))
    return unit
