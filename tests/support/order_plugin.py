"""A model that depends on the order of the documents, and not on the seed."""

from __future__ import annotations

import numpy as np

import mtmbench as mb
from mtmbench.core.types import FloatArray


@mb.register_model("first-words")
class FirstWords(mb.TopicModel):
    """Topics are the first words that it meets; documents of other words are outliers."""

    name = "first-words"
    needs = ("words",)

    def __init__(self, n_topics: int = 3) -> None:
        self.n_topics = n_topics

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        words = views.require("words", self.name)
        word = np.asarray(words.matrix.argmax(axis=1)).ravel()
        met = list(dict.fromkeys(word.tolist()))[: self.n_topics]
        topic_item = np.eye(words.matrix.shape[1])[met]
        doc_topic = (word[:, None] == np.asarray(met)).astype(float)
        return self._result(
            views, words, seed=seed, doc_topic=doc_topic, topic_item=topic_item,
            outlier=doc_topic.sum(axis=1) == 0,
        )  # fmt: skip

    def transform(self, views: mb.Views) -> FloatArray:
        return np.full((len(views.corpus), self.n_topics), 1 / self.n_topics, dtype=np.float32)
