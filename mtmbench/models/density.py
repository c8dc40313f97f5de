"""Clusters of document vectors by UMAP and HDBSCAN: what BERTopic, mBERTopic and Top2Vec share.

How UMAP is run says :mod:`mtmbench.models.reduction`.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, FloatArray, IntArray, Views
from mtmbench.models.base import TopicModel, checked_vectors
from mtmbench.models.reduction import Reduction

if TYPE_CHECKING:
    from hdbscan import HDBSCAN

Selection = Literal["eom", "leaf"]
"""Which clusters of HDBSCAN's tree: those of the most excess of mass, or its leaves."""

PUBLISHED_MIN_CLUSTER_SIZE = 10
SMALLEST_MIN_CLUSTER_SIZE = 3


class DensityModel(TopicModel):
    """A topic model that looks for dense areas of document vectors; a subclass says of which.

    A subclass without a parameter of these has the value that stands here.
    """

    warms: ClassVar[str] = "umap"

    min_cluster_size: int | Literal["auto"]
    min_samples: int | None = None
    n_neighbors: int
    n_components: int
    min_dist: float = 0.0
    leaf_above: float

    @abstractmethod
    def _vectors(self, views: Views, counts: Counts) -> FloatArray:
        """Returns the (D, E) document vectors; a zero row is a document without one."""

    def _reduce(self, vectors: FloatArray, resolved: Mapping[str, int], seed: int) -> Reduction:
        with quiet_single_thread():
            return Reduction(
                vectors, resolved["n_neighbors"], self.n_components, self.min_dist, seed
            )

    def _read(self, views: Views) -> tuple[Counts, FloatArray, IntArray]:
        """Returns the counts, the vectors, and the rows that have a vector."""
        counts = views.require(self.item_view, self.name)
        vectors = checked_vectors(self._vectors(views, counts), counts.matrix.shape[0])
        return counts, vectors, np.flatnonzero(np.any(vectors != 0, axis=1))

    def _resolve(self, n_docs: int) -> dict[str, int]:
        """Returns the parameters as they will be used on ``n_docs`` documents."""
        for name, least in (("n_neighbors", 2), ("n_components", 1)):
            check_whole(name, getattr(self, name), least)
        if not 0 <= self.min_dist <= 1:
            raise InputError(f"min_dist must be between 0 and 1, not {self.min_dist!r}")
        if not 0 <= self.leaf_above <= 1:
            raise InputError(f"leaf_above must be between 0 and 1, not {self.leaf_above!r}")
        if self.min_cluster_size == "auto":
            room = n_docs // (5 * self.n_topics)
            size = max(SMALLEST_MIN_CLUSTER_SIZE, min(PUBLISHED_MIN_CLUSTER_SIZE, room))
        else:
            size = check_whole("min_cluster_size", self.min_cluster_size, 2, " or 'auto'")
        samples = size
        if self.min_samples is not None:
            samples = check_whole("min_samples", self.min_samples, 1, " or None")
        return {
            "min_cluster_size": size,
            "min_samples": samples,
            "n_neighbors": max(2, min(self.n_neighbors, n_docs - 1)),
        }

    def _check_corpus(
        self, vectors: FloatArray, counts: Counts, resolved: Mapping[str, int]
    ) -> None:
        n_docs = len(vectors)
        # Two clusters, the second neighbourhood that HDBSCAN's soft clustering asks for, and
        # more documents than the eigenvectors from which UMAP starts.
        needed = max(
            2 * resolved["min_cluster_size"], 2 * resolved["min_samples"], self.n_components + 2
        )
        if n_docs < needed:
            raise InputError(
                f"model {self.name!r} needs at least {needed} documents with a vector "
                f"(min_cluster_size {resolved['min_cluster_size']}, min_samples "
                f"{resolved['min_samples']}, n_components {self.n_components}); there are {n_docs}"
            )
        n_items = int(np.sum(np.asarray(counts.matrix.sum(axis=0)) > 0))
        if n_items < 2:
            raise InputError(
                f"model {self.name!r} needs at least 2 different {counts.kind} to describe topics "
                f"by; {n_items} of {counts.matrix.shape[1]} occur in the documents"
            )
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        if np.all(unit @ unit[0] > 1 - 1e-6):
            raise InputError(
                f"all {n_docs} documents have the same vector up to its length, so model "
                f"{self.name!r} has nothing to cluster by"
            )


def density_clusters(
    resolved: Mapping[str, int], selection: Selection, *, memberships: bool = False
) -> HDBSCAN:
    """Returns an unfitted HDBSCAN on one thread.

    Args:
        resolved: "min_cluster_size" and "min_samples".
        selection: which clusters of its tree.
        memberships: whether soft memberships will be asked for.
    """
    from hdbscan import HDBSCAN

    return HDBSCAN(
        min_cluster_size=resolved["min_cluster_size"],
        min_samples=resolved["min_samples"],
        metric="euclidean",
        cluster_selection_method=selection,
        prediction_data=memberships,
        core_dist_n_jobs=1,
    )


def largest_share(labels: IntArray) -> float:
    """Returns the share of documents in the largest cluster; −1 is none."""
    return float(np.bincount(labels[labels >= 0]).max() / len(labels))


def no_cluster(n_docs: int, min_cluster_size: int) -> InputError:
    """Returns the error where HDBSCAN finds none."""
    return InputError(
        f"HDBSCAN found no cluster among D = {n_docs} documents with "
        f"min_cluster_size = {min_cluster_size}; give a smaller "
        "min_cluster_size (at least 2), or more documents"
    )


class _StableNumpy:
    """numpy, but that equal values keep their order when sorted."""

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)

    @staticmethod
    def argsort(values: ArrayLike) -> NDArray[np.intp]:
        return np.argsort(values, kind="stable")


@contextmanager
def quiet_single_thread() -> Iterator[None]:
    """Mutes the libraries' warnings and keeps linear algebra on one thread.

    UMAP warns of small and of disconnected neighbourhood graphs, HDBSCAN and scikit-learn of
    their own deprecations, numpy of the rows that :func:`fill_missing_membership` mends: all of it
    is either handled here or of no use to the user. How many threads multiply a matrix changes the
    last bits of the distances, and so which neighbours tie. Equal distances, of which HDBSCAN has
    many, are sorted stably: numpy's default sort leaves their order to the processor.
    """
    from hdbscan import hdbscan_
    from threadpoolctl import threadpool_limits

    numpy = hdbscan_.np
    with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        hdbscan_.np = _StableNumpy()
        try:
            yield
        finally:
            hdbscan_.np = numpy


def check_whole(name: str, value: object, least: int, alternative: str = "") -> int:
    """Returns a parameter; an error unless it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(
            f"{name} must be a whole number of at least {least}{alternative}, not {value!r}"
        )
    return int(value)
