"""How the BERTopics reduce document vectors: UMAP, less what it would do again and again.

The nearest neighbours of documents depend on no seed: they are found once for given vectors and
kept in the cache, and the seed moves the layout. Of fewer than 4,096 documents they are those that
UMAP finds itself, by all distances; of more, where UMAP would approximate them by a random descent,
they are exact all the same, up to :data:`MOST_EXACT` documents. What UMAP has numba compile is kept
too: a machine compiles it once, not every process.

UMAP starts at :func:`start_layout`, principal components (which serve as well as its own spectral
start: Kobak and Linderman 2021), since the eigenvectors of a sparse graph that an iterative solver
stops at rest on the last bit.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Float64Array, FloatArray, Int32Array
from mtmbench.features.cache import Arrays, cache_dir, cached

LAYOUT_GRID = 2.0**-10
"""Coordinates at which UMAP starts are whole multiples of this; the largest is 10."""
FEWEST_APPROXIMATE = 4096
"""Documents from which on UMAP does not compare all with all."""
MOST_EXACT = 32_768
"""Documents up to which neighbours are exact; more are left to UMAP.

For 20,000 vectors of 384 that takes 18 s of CPU, once for all seeds. UMAP's descent finds 99.99 %
of the neighbours of 5,000 in 0.3 s, but is compiled for 33 s in every process before.
"""
DISTANCE_GRID = 2.0**-20
"""Exact distances are whole multiples of this, so that no neighbour rests on the last bit."""
_CELLS = 2**23
"""Distances that are held at one time, 64 MiB."""
_NEIGHBOURS_VERSION = 1


class Reduction:
    """Document vectors reduced by UMAP, in the shape of what the ``bertopic`` library reduces by.

    UMAP runs when it is made; fitting it to the same vectors again returns what came out.

    Args:
        vectors: (N, E) f32 document vectors, none of them zero.
        n_neighbors: UMAP's neighbourhood, below N.
        n_components: C, dimensions to reduce to.
        min_dist: UMAP's least distance between points.
        seed: seed of the layout.

    Attributes:
        vectors: as given.
    """

    def __init__(
        self, vectors: FloatArray, n_neighbors: int, n_components: int, min_dist: float, seed: int
    ) -> None:
        from umap import UMAP
        from umap.umap_ import find_ab_params

        keep_compiled()
        self.vectors = vectors
        # UMAP's own least-squares fit; its last digits are the processor's, and a layout that is
        # pulled along for hundreds of epochs would take them up.
        a, b = (round(float(value), 6) for value in find_ab_params(1.0, min_dist))
        n_docs = len(vectors)
        known = {}
        if n_docs <= MOST_EXACT:
            known["precomputed_knn"] = (*neighbours(vectors, n_neighbors), _Search(vectors))
        self._umap = UMAP(
            n_neighbors=n_neighbors,
            n_components=n_components,
            min_dist=min_dist,
            metric="cosine",
            init=start_layout(vectors, n_components, seed),
            a=a,
            b=b,
            random_state=seed,
            n_jobs=1,
            **known,
        ).fit(vectors)
        # Other documents find their neighbours as UMAP would have these find theirs.
        self._umap._small_data = n_docs < FEWEST_APPROXIMATE

    def fit(self, vectors: FloatArray, y: object = None) -> Reduction:  # noqa: ARG002
        """Does nothing more."""
        return self

    def fit_transform(self, vectors: FloatArray, y: object = None) -> FloatArray:  # noqa: ARG002
        """Returns the (N, C) layout."""
        layout: FloatArray = self._umap.embedding_
        return layout

    def transform(self, vectors: FloatArray) -> FloatArray:
        """Places other documents in the layout."""
        placed: FloatArray = self._umap.transform(vectors)
        return placed


def neighbours(vectors: FloatArray, n_neighbors: int) -> tuple[Int32Array, FloatArray]:
    """Returns the nearest documents of each by cosine distance, itself among them.

    Args:
        vectors: (N, E) f32, none of them zero.
        n_neighbors: M, at most N.

    Returns:
        (N, M) indices, nearest first and of equal distance the first in order; and the distances.
    """

    def make() -> Arrays:
        if len(vectors) >= FEWEST_APPROXIMATE:
            indices, distances = exact_neighbours(vectors, vectors, n_neighbors, same=True)
        else:
            indices, distances = _all_distances(vectors, n_neighbors)
        return {"indices": indices, "distances": distances}

    key = content_hash(_NEIGHBOURS_VERSION, vectors, n_neighbors)
    found = cached("neighbours", key, make)
    # Copies, since UMAP writes into what it is given.
    return found["indices"].astype(np.int32), found["distances"].astype(np.float32)


def exact_neighbours(
    vectors: FloatArray, among: FloatArray, n_neighbors: int, *, same: bool = False
) -> tuple[Int32Array, FloatArray]:
    """Finds the nearest by cosine distance, rounded to :data:`DISTANCE_GRID`, in f64.

    Args:
        vectors: (N, E), none of them zero.
        among: (D, E), none of them zero.
        n_neighbors: M, at most D.
        same: whether both are the same; then each vector is the first of its own neighbours.

    Returns:
        (N, M) indices into ``among``, nearest first and of equal distance the first in order; and
        (N, M) f32 distances.
    """
    rows, others = _unit(vectors), _unit(among).T
    n_others = others.shape[1]
    indices = np.empty((len(rows), n_neighbors), np.int32)
    distances = np.empty((len(rows), n_neighbors), np.float32)
    step = max(1, _CELLS // n_others)
    for first in range(0, len(rows), step):
        last = min(first + step, len(rows))
        steps = np.rint((1 - rows[first:last] @ others) / DISTANCE_GRID).astype(np.int64)
        np.maximum(steps, 0, out=steps)
        if same:
            steps[np.arange(last - first), np.arange(first, last)] = -1
        # One number that orders by distance and then by index.
        order = steps * n_others + np.arange(n_others)
        nearest = np.sort(np.partition(order, n_neighbors - 1, axis=1)[:, :n_neighbors], axis=1)
        indices[first:last] = nearest % n_others
        distances[first:last] = np.maximum(nearest // n_others, 0) * DISTANCE_GRID
    return indices, distances


def _all_distances(vectors: FloatArray, n_neighbors: int) -> tuple[Int32Array, FloatArray]:
    """Does what UMAP does with fewer than 4,096 vectors, by its own function, to the last bit."""
    from sklearn.metrics import pairwise_distances
    from umap.distances import cosine

    distances = pairwise_distances(np.ascontiguousarray(vectors, np.float32), metric=cosine)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    nearest = np.take_along_axis(distances, indices, axis=1)
    return indices.astype(np.int32), nearest.astype(np.float32)


class _Search:
    """Neighbours of other documents, in the shape of what UMAP asks for them."""

    _angular_trees = True

    def __init__(self, among: FloatArray) -> None:
        self._among = among

    def query(
        self,
        vectors: FloatArray,
        k: int,
        epsilon: float,  # noqa: ARG002
    ) -> tuple[Int32Array, FloatArray]:
        return exact_neighbours(vectors, self._among, k)


def keep_compiled() -> None:
    """Has numba keep in the cache what it compiles for UMAP, under the kind of processor.

    UMAP declares few of its functions to be kept, and to compile them anew takes seconds. numba
    tells by the source file's time and by its own version when what it kept is stale.
    """
    import numba
    from umap import distances, layouts, umap_

    config: Any = numba.config
    slow: tuple[tuple[Any, str], ...] = (
        (distances, "cosine"),
        (umap_, "smooth_knn_dist"),
        (umap_, "compute_membership_strengths"),
        (layouts, "_nb_optimize_layout_euclidean_single_epoch"),
    )
    before, config.CACHE_DIR = config.CACHE_DIR, str(cache_dir() / "numba")
    try:
        for module, name in slow:
            function: Any = getattr(module, name, None)
            # numba says by a RuntimeError that nothing can be kept there.
            if hasattr(function, "enable_caching"):
                with suppress(RuntimeError):
                    function.enable_caching()
    finally:
        config.CACHE_DIR = before


def start_layout(vectors: FloatArray, n_components: int, seed: int) -> FloatArray:
    """Returns where UMAP starts: principal components of unit vectors, the same everywhere.

    They are computed in f64, each has the sign that makes its largest loading positive, the largest
    coordinate is 10, and coordinates are rounded to :data:`LAYOUT_GRID`, far above what differs
    between processors. A component without any spread, which UMAP could not move, is drawn.

    Args:
        vectors: (N, E) document vectors, none of them zero.
        n_components: C.
        seed: seed of what is drawn.

    Returns:
        (N, C) f32.
    """
    rows = _unit(vectors)
    rows = rows - rows.mean(axis=0)
    axes = np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :n_components]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    placed = np.zeros((len(rows), n_components))
    placed[:, : axes.shape[1]] = rows @ (axes * np.sign(largest))
    reach = np.abs(placed).max()
    # Unit vectors this near to each other differ by rounding alone.
    placed = placed * (10 / reach) if reach > 1e-9 else np.zeros_like(placed)
    placed = np.round(placed / LAYOUT_GRID) * LAYOUT_GRID
    flat = np.ptp(placed, axis=0) == 0
    drawn = np.random.default_rng(seed).normal(size=placed.shape)
    return np.where(flat, drawn, placed).astype(np.float32)


def _unit(vectors: FloatArray) -> Float64Array:
    rows = np.asarray(vectors, np.float64)
    unit: Float64Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
