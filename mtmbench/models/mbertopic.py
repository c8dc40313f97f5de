"""mBERTopic: BERTopic whose document vectors and items are SAE features."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, FloatArray, ItemKind, ViewName, Views
from mtmbench.models.clustering import ClusteringModel


class MBERTopic(ClusteringModel):
    """Clusters of SAE feature vectors (eq. 14), described by class-based TF-IDF (eq. 15).

    Parameters that it shares with BERTopic, and what comes out of a fit:
    :class:`~mtmbench.models.clustering.ClusteringModel`.

    Args:
        embedding: what weighs the directions in a document's vector: "counts", how often each
            feature fires per token (eq. 14) or, under a feature setting that weighs firings, their
            weights; or "activations", its mean continuous activation. Class-based TF-IDF, which has
            an idf of its own, reads counts.
    """

    name: ClassVar[str] = "mbertopic"
    needs: ClassVar[tuple[ViewName, ...]] = ("features",)
    item_view: ClassVar[ItemKind] = "features"

    def __init__(
        self,
        n_topics: int = 20,
        embedding: Literal["counts", "activations"] = "counts",
        min_cluster_size: int | Literal["auto"] = "auto",
        min_samples: int | None = None,
        n_neighbors: int = 15,
        n_components: int = 5,
        min_dist: float = 0.0,
        leaf_above: float = 0.8,
        count_outliers: bool = False,
    ) -> None:
        super().__init__(
            n_topics, min_cluster_size, min_samples, n_neighbors, n_components, min_dist,
            leaf_above, count_outliers,
        )  # fmt: skip
        self.embedding = embedding

    def _vectors(self, views: Views, counts: Counts) -> FloatArray:  # noqa: ARG002
        return document_vectors(counts, self.embedding)


def document_vectors(counts: Counts, embedding: str = "counts") -> FloatArray:
    """Document vectors in the space of the SAE's directions.

    ``e_d = (1 / N_tok(d)) Σ_i c_di w_i`` (eq. 14), with weights of firings in place of c_di where
    there are any (``counts.mass``), or the same sum with the document's mean
    continuous activations in place of ``c_di / N_tok(d)``.

    Args:
        counts: SAE features, with ``directions`` (and, for "activations", ``activation``).
        embedding: "counts" or "activations".

    Returns:
        (D, H) f32; a document without tokens or without any feature has a zero row.

    Raises:
        InputError: ``embedding`` is neither, or the counts lack what it needs.
    """
    if embedding not in ("counts", "activations"):
        raise InputError(f"embedding must be 'counts' or 'activations', not {embedding!r}")
    if counts.directions is None:
        raise InputError(
            f"the {counts.kind} view has no directions; mBERTopic needs SAE features with the "
            "decoder direction of each"
        )
    directions = np.asarray(counts.directions, dtype=np.float64)
    if embedding == "activations":
        if counts.activation is None:
            raise InputError(
                "the features view has no continuous activations; use embedding='counts' or a "
                "feature source that gives them"
            )
        return np.asarray(counts.activation @ directions, dtype=np.float32)
    summed = np.asarray(counts.mass @ directions)
    tokens = np.maximum(counts.n_tokens, 1)[:, None]
    return np.asarray(summed / tokens, dtype=np.float32)
