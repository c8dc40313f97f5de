"""What documents are about that their topic does not say (Tan and D'Souza 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.judges.replies import parse_missing
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.stats.correlation import mean_over_topics


class MissingThemes(JudgedMetric):
    """Mean over documents of how many of their themes a judge misses in their topic's items.

    A document is shown with the ``top_n`` items of its topic of largest θ; the judge lists the
    themes of the document that are not among them. ``n_documents`` are drawn by ``seed`` from those
    that have a topic. Documents whose reply is unparsed or refused take no part; details count
    them, and hold the bootstrap interval over documents. Source: Tan and D'Souza 2025
    (arXiv:2502.07352), whose documents are cut to 200 words.
    """

    name = "missing_themes"
    bounds = (0.0, float("inf"))
    higher_is_better = False
    needs = ("judge", "theta")
    kind = "themes"
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"judge": None, "n_documents": 100, "top_n": 10, "seed": 0},
    )
    least: ClassVar[Mapping[str, int]] = {"n_documents": 1, "top_n": 1, "seed": 0}

    @classmethod
    def template(cls, params: Mapping[str, object]) -> Template:  # noqa: ARG003
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return load_template(cls.name, {"fence", "items", "document"}, {"document_characters": 100})

    @classmethod
    def text_shown(cls, params: Mapping[str, object]) -> int:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return cls.template(params).settings["document_characters"]

    @classmethod
    def n_questions(cls, params: Mapping[str, object], n_topics: int) -> int:  # noqa: ARG003
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return cls.numbers(params)["n_documents"]

    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`; topics have no values of their own."""
        with_topic = np.flatnonzero(~context.unassigned(result))
        if not len(with_topic):
            return MetricValue.missing("no document has a topic")
        generator = np.random.default_rng(seed_from("missing themes", setting["seed"]))
        rows = np.sort(generator.permutation(with_topic)[: setting["n_documents"]])
        labels = context.top_labels(result, view, setting["top_n"])
        limit = self.template(setting).settings["document_characters"]
        answers, details = self.ask(
            context, judge, [labels[int(k)] for k in result.doc_topic[rows].argmax(axis=1)],
            lambda reply, _: parse_missing(reply), least=1,
            documents=[cut_at_sentence(context.corpus.texts[row], limit) for row in rows],
        )  # fmt: skip
        counts = [float(len(answer.value)) for answer in answers if answer.value is not None]
        mean = mean_over_topics(counts, seed=setting["seed"]).within(*self.bounds)
        details |= {"lo": mean.lo, "hi": mean.hi, "n": mean.n, "n_documents": len(rows)}
        if mean.value is None:
            return MetricValue.missing("the judge answered about no document", **details)
        return MetricValue(mean.value, details=details)
