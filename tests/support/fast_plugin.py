"""Models of milliseconds for the harness's tests, loaded with ``--plugin``."""

from __future__ import annotations

import os
import time

import numpy as np

import mtmbench as mb
from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray


class Drawn(mb.TopicModel):
    """Topics drawn around the corpus's word frequencies; ``sharpness`` sets how far from them."""

    name = "drawn"
    needs = ("words",)

    def __init__(self, n_topics: int = 5, sharpness: float = 1.0, pause: float = 0.0) -> None:
        self.n_topics = n_topics
        self.sharpness = sharpness
        self.pause = pause

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        words = views.require("words", self.name)
        time.sleep(self.pause)
        rng = np.random.default_rng([seed, int(10 * self.sharpness)])
        frequency = np.asarray(words.matrix.sum(axis=0), dtype=float).ravel() + 1.0
        topic_item = rng.dirichlet(frequency / self.sharpness, size=self.n_topics)
        doc_topic = rng.dirichlet(np.full(self.n_topics, 0.3), size=len(views.corpus))
        return self._result(views, words, seed=seed, doc_topic=doc_topic, topic_item=topic_item)

    def transform(self, views: mb.Views) -> FloatArray:
        return np.full((len(views.corpus), self.n_topics), 1 / self.n_topics, dtype=np.float32)


@mb.register_model("drawn")
class PlainDrawn(Drawn):
    """The plain one."""


@mb.register_model("drawn-sharp")
class SharpDrawn(Drawn):
    """Another competitor."""

    name = "drawn-sharp"


@mb.register_model("drawn-embedded")
class EmbeddedDrawn(Drawn):
    """Asks for embeddings, which take seconds."""

    name = "drawn-embedded"
    needs = ("words", "embeddings")


@mb.register_model("failing")
class Failing(Drawn):
    """Fails for seed 1 alone."""

    name = "failing"

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        if seed == 1:
            raise InputError("seed 1 is not to my liking")
        return super().fit(views, seed=seed)


@mb.register_model("dying")
class Dying(Drawn):
    """Takes its worker down for seed 1 alone, as the kernel's out-of-memory killer would."""

    name = "dying"

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        if seed == 1:
            os._exit(9)
        return super().fit(views, seed=seed)
