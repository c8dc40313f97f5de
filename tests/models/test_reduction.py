"""What is shared of UMAP: neighbours against brute force, layouts against UMAP by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mtmbench.models import reduction
from mtmbench.models.reduction import (
    DISTANCE_GRID,
    Reduction,
    exact_neighbours,
    neighbours,
    start_layout,
)

pytestmark = pytest.mark.usefixtures("own_cache")


def drawn(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, 12))
    return (centres[rng.integers(6, size=n)] + rng.normal(size=(n, 12))).astype(np.float32)


def by_force(rows: np.ndarray, others: np.ndarray, m: int, same: bool) -> tuple[list, list]:
    indices, distances = [], []
    for i, row in enumerate(rows.astype(np.float64)):
        cosines = [row @ o / np.linalg.norm(row) / np.linalg.norm(o) for o in others.astype(float)]
        steps = [round((1 - cosine) / DISTANCE_GRID) for cosine in cosines]
        order = sorted(range(len(others)), key=lambda j: (not (same and i == j), steps[j], j))[:m]
        indices.append(order)
        distances.append([0.0 if same and i == j else steps[j] * DISTANCE_GRID for j in order])
    return indices, distances


@pytest.mark.parametrize("same", [True, False])
def test_exact_neighbours_are_those_of_brute_force(
    same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = drawn(90)
    others[40:60] = others[7]  # Equal distances go by index, and a document is its own neighbour.
    others[61] = 3 * others[7]
    rows = others if same else drawn(25, seed=1)
    monkeypatch.setattr(reduction, "_CELLS", 700)
    indices, distances = exact_neighbours(rows, others, 15, same=same)
    expected = by_force(rows, others, 15, same)
    assert indices.tolist() == expected[0]
    np.testing.assert_allclose(distances, expected[1], atol=1e-12)


def test_neighbours_of_few_documents_are_nearly_the_exact_ones() -> None:
    vectors = drawn(120)
    indices, distances = neighbours(vectors, 10)
    exact = exact_neighbours(vectors, vectors, 10, same=True)
    np.testing.assert_array_equal(indices, exact[0])
    np.testing.assert_allclose(distances, exact[1], atol=1e-6)


@pytest.mark.slow
def test_layouts_are_those_of_umap_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from umap import UMAP
    from umap.umap_ import find_ab_params

    vectors, others = drawn(150), drawn(20, seed=1)
    a, b = np.round(find_ab_params(1.0, 0.0), 6)
    for seed in (0, 1):
        own = UMAP(
            n_neighbors=9, n_components=3, min_dist=0.0, metric="cosine", a=a, b=b,
            init=start_layout(vectors, 3, seed), random_state=seed, n_jobs=1,
        ).fit(vectors)  # fmt: skip
        found = Reduction(vectors, 9, 3, 0.0, seed)
        np.testing.assert_array_equal(found.fit_transform(vectors), own.embedding_)
        np.testing.assert_array_equal(found.transform(others), own.transform(others))
        # The second seed has a layout of its own over the neighbours of the first.
        monkeypatch.setattr(reduction, "_all_distances", None)
    assert not np.array_equal(
        own.embedding_, Reduction(vectors, 9, 3, 0.0, 0).fit_transform(vectors)
    )


@pytest.mark.slow
def test_many_documents_have_exact_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where UMAP would approximate them; other documents are placed beside theirs."""
    vectors, others = drawn(150), drawn(20, seed=1)
    few = Reduction(vectors, 9, 3, 0.0, 0)
    monkeypatch.setattr(reduction, "FEWEST_APPROXIMATE", 100)
    monkeypatch.setattr(reduction, "_NEIGHBOURS_VERSION", "many")
    many = Reduction(vectors, 9, 3, 0.0, 0)
    np.testing.assert_array_equal(many._umap._knn_indices, few._umap._knn_indices)
    placed = many.transform(others)
    assert placed.shape == (20, 3)
    # What is placed lies among its neighbours.
    near = exact_neighbours(others, vectors, 1)[0][:, 0]
    layout = many.fit_transform(vectors)
    gaps = np.linalg.norm(placed - layout[near], axis=1)
    assert np.median(gaps) < 0.3 * np.median(np.linalg.norm(placed[:, None] - layout, axis=2))


def test_without_a_cache_that_can_be_written_to_neighbours_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = drawn(60)
    kept = neighbours(vectors, 10)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="set MTMBENCH_CACHE"):
        found = neighbours(vectors, 10)
    for one, other in zip(kept, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_what_numba_compiled_is_there_for_the_next_process(own_cache: Path) -> None:
    code = (
        "import numpy as np\n"
        "from mtmbench.models.reduction import Reduction\n"
        "v = np.random.default_rng(0).normal(size=(60, 8)).astype('f4')\n"
        "print(Reduction(v, 9, 3, 0.0, 1).fit_transform(v).tobytes().hex())\n"
        "from umap import distances, layouts, umap_\n"
        "for f in (umap_.smooth_knn_dist, umap_.compute_membership_strengths,\n"
        "          layouts._nb_optimize_layout_euclidean_single_epoch):\n"
        "    print(sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values()))\n"
    )
    told = []
    for _ in range(2):
        environment = {**os.environ, "MTMBENCH_CACHE": str(own_cache), "NUMBA_NUM_THREADS": "1"}
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True,
            check=True, env=environment,
        )  # fmt: skip
        told.append(run.stdout.split("\n"))
    assert told[0][0] == told[1][0]
    assert told[0][1:4] == ["0 1"] * 3
    assert told[1][1:4] == ["1 0"] * 3
