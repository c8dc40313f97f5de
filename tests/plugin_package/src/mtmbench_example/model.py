"""A topic model: k-means on TF-IDF vectors."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfTransformer

from mtmbench import TopicModel, TopicResult, Views
from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray


class Clusters(TopicModel):
    """Topics are k-means clusters of the documents' TF-IDF vectors.

    A topic's items are the words of its documents; θ is the cosine with each cluster's centre,
    raised to ``sharpness`` and normalised. A document without words has no topic.
    """

    name = "clusters"
    needs = ("words",)

    def __init__(self, n_topics: int = 20, sharpness: float = 4.0) -> None:
        self.n_topics = n_topics
        self.sharpness = sharpness

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        self._check_n_topics()
        words = views.require("words", self.name)
        if self.n_topics > len(views.corpus):
            raise InputError(f"{len(views.corpus)} documents cannot form {self.n_topics} clusters")
        self.tfidf_ = TfidfTransformer().fit(words.matrix)
        vectors = self.tfidf_.transform(words.matrix)
        found = KMeans(self.n_topics, n_init=4, random_state=seed).fit(vectors)
        self.centres_ = found.cluster_centers_
        members = np.eye(self.n_topics)[found.labels_]
        return self._result(
            views, words, seed=seed,
            doc_topic=self.transform(views), topic_item=(words.matrix.T @ members).T,
        )  # fmt: skip

    def transform(self, views: Views) -> FloatArray:
        if not hasattr(self, "centres_"):
            raise InputError("clusters: fit comes before transform")
        vectors = self.tfidf_.transform(views.require("words", self.name).matrix)
        norms = np.maximum(np.linalg.norm(self.centres_, axis=1), 1e-12)
        cosine = np.maximum(np.asarray(vectors @ self.centres_.T) / norms, 0) ** self.sharpness
        sums = cosine.sum(axis=1, keepdims=True)
        shares = np.divide(cosine, sums, out=np.zeros_like(cosine), where=sums > 0)
        return np.asarray(shares, dtype=np.float32)
