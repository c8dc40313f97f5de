"""Ratings of many comparisons: a drawn case, and how mtmbench and its peers fit it.

Run by ``speed.py``, which times it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtmbench.stats.bradley_terry import to_elo
from mtmbench.stats.rate import RatingTable, rate

Elo = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Comparisons: names, the numbers of both sides, the score of the first, the document."""

    names: list[str]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    score: NDArray[np.float64]
    document: NDArray[np.int64]


def drawn(n_models: int, n_comparisons: int, n_documents: int, seed: int = 0) -> Case:
    """Draws comparisons of random pairs; documents favour models, so theirs are correlated."""
    random = np.random.default_rng(seed)
    strength = random.normal(0, 0.7, n_models)
    a = random.integers(0, n_models, n_comparisons)
    b = (a + random.integers(1, n_models, n_comparisons)) % n_models
    document = random.integers(0, n_documents, n_comparisons)
    liking = strength + random.normal(0, 0.5, (n_documents, n_models))
    lead = liking[document, a] - liking[document, b] + random.logistic(size=n_comparisons)
    score = np.where(np.abs(lead) < 0.2, 0.5, np.where(lead > 0, 1.0, 0.0))
    return Case([f"model-{i:02d}" for i in range(n_models)], a, b, score, document)


def bootstrapped(case: Case, n_bootstrap: int = 1000) -> RatingTable:
    return rate(
        case.names, case.a, case.b, case.score, case.document, seed=0, n_bootstrap=n_bootstrap
    )


def ours(case: Case) -> Elo:
    """Rates without resamples worth speaking of; the sandwich's intervals are still made."""
    return np.array([row.elo for row in bootstrapped(case, n_bootstrap=2).rows])


def by_choix(case: Case) -> Elo:
    """Rates by iterative Luce spectral ranking of the matrix of wins, a tie half a win each."""
    import choix

    wins = np.zeros((len(case.names), len(case.names)))
    np.add.at(wins, (case.a, case.b), case.score)
    np.add.at(wins, (case.b, case.a), 1 - case.score)
    found = choix.ilsr_pairwise_dense(wins, tol=1e-10, max_iter=1000)
    return to_elo(found - found.mean())


def by_evalica(case: Case) -> Elo:
    from evalica import Winner, bradley_terry

    winner = {1.0: Winner.X, 0.0: Winner.Y, 0.5: Winner.Draw}
    names = np.array(case.names, dtype=object)
    found = bradley_terry(
        names[case.a].tolist(), names[case.b].tolist(),
        [winner[points] for points in case.score.tolist()], tolerance=1e-10, limit=10_000,
    )  # fmt: skip
    logs = np.log(found.scores[case.names].to_numpy())
    return to_elo(logs - logs.mean())


FITS: dict[str, Callable[[Case], Elo]] = {
    "mtmbench": ours, "choix": by_choix, "evalica": by_evalica,
}  # fmt: skip


def write_csv(case: Case, path: Path) -> Path:
    outcome = {1.0: "a", 0.0: "b", 0.5: "tie"}
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("a", "b", "outcome", "cluster"))
        columns = (side.tolist() for side in (case.a, case.b, case.score, case.document))
        for a, b, score, document in zip(*columns, strict=True):
            rows.writerow((case.names[a], case.names[b], outcome[score], f"document-{document}"))
    return path
