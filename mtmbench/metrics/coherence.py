"""Topic coherence: do a topic's top items belong together?

Each measure is played over a model's own items and over projected words, which alone compare across
item spaces. Words are counted in the reference texts; over SAE features, which have no order in the
text, only the document-Boolean measures exist.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Float64Array, IntArray, ItemView
from mtmbench.metrics import confirmation
from mtmbench.metrics.base import Metric, MetricValue, People
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.cooccurrence import Version, check_window
from mtmbench.metrics.left_out import KEPT, topics_without_value, unknown_items
from mtmbench.metrics.params import read_params, whole_number

TOP_N = 10

_WORDS = ("rating", "intrusion")
"""What people did with topics' words (Hoyle et al. 2021)."""


class _Coherence(Metric):
    """A coherence measure over co-occurrence counts.

    Parameters: ``window`` (tokens a window, or "document"), ``version`` ("exact" or "gensim"; see
    :mod:`mtmbench.metrics.cooccurrence`) and ``top_n`` items a topic. A topic with fewer than two
    items that the reference knows has no value and is left out of the mean.
    """

    needs = ("words",)
    item_views = ("own", "projected")

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
        window, version = check_window(setting["window"], setting["version"])
        counts = context.cooccurrence(
            result,
            view,
            n=whole_number(self.name, "top_n", setting["top_n"], 2),
            window=window,
            version=version,
        )
        if isinstance(counts, str):
            return MetricValue.missing(counts)
        values = [
            self._formula(joint, counts.n_windows, version) if len(joint) > 1 else None
            for joint in counts.joint
        ]
        details = {
            "reference": counts.reference,
            "n_windows": counts.n_windows,
            **unknown_items(counts.n_unknown, counts.n_listed, counts.unknown),
            "epsilon": confirmation.JOINT_EPSILON,
        }
        if counts.kept is not None:
            details[KEPT] = counts.kept
        return _mean(values, "two items that occur in the reference", details)

    @staticmethod
    @abstractmethod
    def _formula(joint: IntArray, n_windows: int, version: Version) -> float:
        """Scores one topic (:mod:`mtmbench.metrics.confirmation`)."""


class NPMI(_Coherence):
    """Mean normalised pointwise mutual information of pairs (Bouma 2009; gensim's ``c_npmi``)."""

    name = "npmi"
    bounds = (-1.0, 1.0)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"window": 10, "version": "exact", "top_n": TOP_N},
        {"window": "document", "version": "exact", "top_n": TOP_N},
    )
    people = People(("npmi",), _WORDS)
    _formula = staticmethod(confirmation.mean_npmi)


class CV(_Coherence):
    """C_V of Röder et al. 2015 (gensim's ``c_v``): cosine of NPMI vectors, windows of 110."""

    name = "c_v"
    bounds = (-1.0, 1.0)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"window": 110, "version": "exact", "top_n": TOP_N},
    )
    people = People(("c_v",), _WORDS)
    faults = (
        "It rewards words whose NPMI with each other is alike, even alike and low: ten words of "
        "which no two ever share a window score about 0.7, ten independent ones 0.32. With fewer "
        "words known to the reference it rises. Its first implementation's author advises against "
        "it."
    )
    _formula = staticmethod(confirmation.c_v)


class UCI(_Coherence):
    """Mean pointwise mutual information of pairs (Newman et al. 2010; gensim's ``c_uci``)."""

    name = "uci"
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"window": 10, "version": "exact", "top_n": TOP_N},
    )
    people = People(("uci",), _WORDS)
    _formula = staticmethod(confirmation.mean_pmi)


class UMass(_Coherence):
    """Mean log conditional probability over documents (Mimno et al. 2011; gensim's ``u_mass``)."""

    name = "u_mass"
    bounds = (-math.inf, 0.0)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"window": "document", "version": "exact", "top_n": TOP_N},
    )
    people = People(("u_mass",), _WORDS)
    _formula = staticmethod(confirmation.u_mass)


class EmbeddingCoherence(Metric):
    """Mean pairwise cosine of the embeddings of a topic's top items as they are shown.

    A model over features is read by its feature labels. A topic with fewer than two items has no
    value and is left out of the mean.
    """

    name = "embedding_coherence"
    bounds = (-1.0, 1.0)
    reads_labels = True
    needs = ("embeddings",)
    # The judge of that name rates by this mean.
    people = People(("embedding",), ("rating",))
    item_views = ("own", "projected")
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"top_n": TOP_N},)

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
        if context.embed is None:
            return MetricValue.missing("there is no text encoder here")
        top_n = whole_number(self.name, "top_n", setting["top_n"], 2)
        topics = context.top_labels(result, view, top_n)
        texts = sorted({label for topic in topics for label in topic})
        details = {"encoder": context.encoder}
        if not texts:
            return MetricValue.missing("no topic has an item", **details)
        rows = {text: i for i, text in enumerate(texts)}
        vectors = np.asarray(context.embed(texts), dtype=np.float64)
        ends = np.cumsum([0, *(len(topic) for topic in topics)])
        flat = vectors[[rows[label] for topic in topics for label in topic]]
        values = [
            _mean_cosine(flat[first:last]) if last - first > 1 else None
            for first, last in pairwise(ends)
        ]
        return _mean(values, "two items", details)


def _mean_cosine(vectors: Float64Array) -> float:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    n = len(unit)
    return float(((unit @ unit.T).sum() - n) / (n * (n - 1)))


def _mean(
    values: list[float | None], what_is_short: str, details: Mapping[str, object]
) -> MetricValue:
    present = [value for value in values if value is not None]
    noted = {**details, **topics_without_value(len(values) - len(present), len(values))}
    if not present:
        return MetricValue.missing(f"no topic has {what_is_short}", **noted)
    return MetricValue(float(np.mean(present)), tuple(values), None, noted)
