"""95 % intervals cover the truth; the whole table is ``tests/benchmarks/rating_coverage.py``."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from support.benchmarks import load_benchmark

from mtmbench.stats.bradley_terry import fit_wins, to_elo
from mtmbench.stats.rate import rate


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    return load_benchmark("rating_coverage")


@pytest.mark.slow
@pytest.mark.parametrize("n_documents", [30, 100])
def test_intervals_cover_the_truth_with_clustered_documents(
    coverage: ModuleType, n_documents: int
) -> None:
    clustered = coverage.SCENARIOS[1]
    assert clustered.document_effect > 0
    result = coverage.measure(
        clustered, n_documents=n_documents, n_tournaments=1000, n_bootstrap=200, seed=7
    )
    assert result.n_without == 0
    assert 0.93 <= result.overall <= 0.97
    assert result.per_model.min() >= 0.91


def test_the_truth_is_what_many_documents_converge_to(coverage: ModuleType) -> None:
    first, second = coverage.PAIRS.T
    for scenario in coverage.SCENARIOS:
        wins = np.zeros((6, 6))
        for seed in range(6):
            _, pair, score = coverage.play(scenario, 20_000, seed=seed)
            np.add.at(wins, (first[pair], second[pair]), score)
            np.add.at(wins, (second[pair], first[pair]), 1 - score)
        # The standard error over 120,000 documents is about 0.4 Elo.
        assert to_elo(fit_wins(wins)) == pytest.approx(coverage.true_elo(scenario), abs=1.5)


@pytest.mark.slow
def test_the_clustered_scenario_punishes_treating_comparisons_as_independent(
    coverage: ModuleType,
) -> None:
    scenario = coverage.SCENARIOS[1]
    truth = coverage.true_elo(scenario)
    held = []
    for tournament in range(120):
        _, pair, score = coverage.play(scenario, 60, seed=tournament)
        first, second = coverage.PAIRS[pair].T
        table = rate(
            coverage.NAMES, first, second, score, np.arange(len(pair)), seed=0, n_bootstrap=100
        )
        held += [row.lo <= true <= row.hi for row, true in zip(table.rows, truth, strict=True)]
    assert np.mean(held) < 0.9
