"""A model and a metric whose best parameters are known, loaded with ``--plugin``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import mtmbench as mb
from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray, ItemView
from mtmbench.metrics.context import MetricContext

NOISE = 0.1


def quality(level: float, kind: str, seed: int) -> float:
    """Best at level 3 and kind "b", but for "few"; noise by the seed and the setting."""
    if kind == "few":
        return 9.0
    drawn = np.random.default_rng([seed, int(1000 * level), ord(kind[0])]).standard_normal()
    return float(-((level - 3.0) ** 2) - (kind != "b") + NOISE * drawn)


@mb.register_model("knobbed")
class Knobbed(mb.TopicModel):
    """Topics at random; what counts are its parameters."""

    name = "knobbed"
    needs = ("words",)

    def __init__(self, n_topics: int = 5, level: float = 1.0, kind: str = "a") -> None:
        self.n_topics = n_topics
        self.level = level
        self.kind = kind

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        if self.kind == "broken":
            raise InputError("kind 'broken' fits nothing")
        if self.kind == "singular":
            np.linalg.inv(np.zeros((2, 2)))
        if self.kind == "singular tensor":
            import torch

            torch.linalg.inv(torch.zeros(2, 2))
        if self.kind == "wrong parameter":
            from sklearn.decomposition import NMF

            NMF(n_components=-1).fit(np.ones((2, 2)))
        if self.kind == "cut off" and not Path("back").exists():
            raise ConnectionError("nobody is there")
        words = views.require("words", self.name)
        rng = np.random.default_rng(seed)
        found = self.n_topics // 2 if self.kind == "few" else self.n_topics
        topics = rng.dirichlet(np.ones(len(words.item_ids)), size=found)
        shares = rng.dirichlet(np.ones(found), size=len(views.corpus))
        return self._result(views, words, seed=seed, doc_topic=shares, topic_item=topics)

    def transform(self, views: mb.Views) -> FloatArray:
        return np.full((len(views.corpus), self.n_topics), 1 / self.n_topics, dtype=np.float32)


@mb.register_metric("quality")
class Quality(mb.Metric):
    """What the parameters alone are worth."""

    name = "quality"

    def compute(
        self,
        result: mb.TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> mb.MetricValue:
        if result.model != Knobbed.name:
            return mb.MetricValue.missing("it is of the model knobbed alone")
        return mb.MetricValue(
            quality(float(result.params["level"]), str(result.params["kind"]), result.seed)
        )


@mb.register_metric("loss")
class Loss(Quality):
    """The same, lower is better."""

    name = "loss"
    higher_is_better: ClassVar[bool] = False

    def compute(self, *args: Any, **told: Any) -> mb.MetricValue:
        found = super().compute(*args, **told)
        return found if found.value is None else mb.MetricValue(-found.value)
