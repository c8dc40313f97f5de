"""BERTopic over words: clusters of sentence embeddings, described by class-based TF-IDF."""

from __future__ import annotations

from typing import ClassVar

from mtmbench.core.types import Counts, FloatArray, ItemKind, ViewName, Views
from mtmbench.models.clustering import ClusteringModel


class BERTopic(ClusteringModel):
    """BERTopic (Grootendorst 2022, arXiv:2203.05794) by its own library, every random step seeded.

    Documents are clustered by ``views.embeddings``; topics are described by the words of
    ``views.words``, whose columns are the items. Parameters and what comes out of a fit:
    :class:`~mtmbench.models.clustering.ClusteringModel`.
    """

    name: ClassVar[str] = "bertopic"
    needs: ClassVar[tuple[ViewName, ...]] = ("words", "embeddings")
    item_view: ClassVar[ItemKind] = "words"

    def _vectors(self, views: Views, counts: Counts) -> FloatArray:  # noqa: ARG002
        return views.require("embeddings", self.name)
