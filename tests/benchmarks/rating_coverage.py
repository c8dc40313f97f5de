"""How often 95 % intervals cover the truth, over simulated tournaments.

Run it: ``python -P tests/benchmarks/rating_coverage.py [--tournaments 1000] [--bootstrap 1000]``.
A judge that answers as the scripted one does (drawn here for all documents at once) rules on every
pair of six models over every document, in both orders, with position bias, ties and unparsed
answers. The truth is the Bradley-Terry fit to its expected folded scores, uniform over pairs. In
the scenario "clustered" each document favours some models, so its 15 comparisons are correlated.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.expected_scores import expected_scores

from mtmbench.stats.bradley_terry import fit_wins, to_elo
from mtmbench.stats.rate import rate

STRENGTHS = (-0.8, -0.4, -0.1, 0.1, 0.4, 0.8)
NAMES = tuple(f"model-{i}" for i in range(len(STRENGTHS)))
PAIRS = np.array(list(itertools.combinations(range(len(STRENGTHS)), 2)))


@dataclass(frozen=True)
class Scenario:
    """A scripted judge over documents.

    Attributes:
        name: what it is called.
        tie_rate: as in :class:`mtmbench.judges.clients.scripted.ScriptedJudge`.
        position_bias: likewise.
        failure_rate: likewise; a comparison with an answer that cannot be read is removed.
        document_effect: standard deviation of a document's own liking for each model, shared by
            all comparisons of that document.
    """

    name: str
    tie_rate: float = 0.1
    position_bias: float = 0.2
    failure_rate: float = 0.02
    document_effect: float = 0.0


SCENARIOS = (Scenario("independent"), Scenario("clustered", document_effect=2.0))


@dataclass(frozen=True)
class Coverage:
    """Shares of tournaments whose interval holds the true Elo, overall and per model."""

    overall: float
    per_model: NDArray[np.float64]
    n_intervals: int
    n_without: int
    mean_width: float


def measure(
    scenario: Scenario, *, n_documents: int, n_tournaments: int, n_bootstrap: int, seed: int
) -> Coverage:
    """Plays and rates the tournaments; a tournament without intervals is counted apart."""
    truth = true_elo(scenario)
    inside, widths, without = [], [], 0
    for tournament in range(n_tournaments):
        document, pair, score = play(scenario, n_documents, seed=seed * 1_000_003 + tournament)
        table = rate(
            NAMES, PAIRS[pair, 0], PAIRS[pair, 1], score, document,
            seed=tournament, n_bootstrap=n_bootstrap,
        )  # fmt: skip
        ends = [(row.lo, row.hi) for row in table.rows]
        if any(lo is None or hi is None for lo, hi in ends):
            without += 1
            continue
        lo, hi = np.array(ends, dtype=np.float64).T
        inside.append((lo <= truth) & (truth <= hi))
        widths.append(hi - lo)
    held = np.array(inside, dtype=np.float64)
    return Coverage(
        float(held.mean()), held.mean(axis=0), len(inside), without, float(np.mean(widths))
    )


def play(
    scenario: Scenario, n_documents: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Returns document, pair and folded score of each comparison of one tournament."""
    random = np.random.default_rng(seed)
    liking = np.array(STRENGTHS) + scenario.document_effect * random.standard_normal(
        (n_documents, len(STRENGTHS))
    )
    lead = liking[:, PAIRS[:, 0]] - liking[:, PAIRS[:, 1]]
    forward, backward = _answers(scenario, lead, random), -_answers(scenario, -lead, random)
    score = np.where(forward == backward, (1 + forward) / 2, 0.5)
    kept = (random.random((2, *lead.shape)) >= scenario.failure_rate).all(axis=0)
    document, pair = np.nonzero(kept)
    return document, pair, score[document, pair]


def true_elo(scenario: Scenario) -> NDArray[np.float64]:
    """Returns the Elo that the expected folded scores imply, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    expected = np.zeros((len(STRENGTHS), len(STRENGTHS)))
    for i, j in PAIRS:
        for node, weight in zip(nodes, weights, strict=True):
            # The difference of two documents' likings has √2 times their deviation.
            lead = STRENGTHS[i] - STRENGTHS[j] + np.sqrt(2) * scenario.document_effect * node
            scores = expected_scores([lead, 0.0], scenario.tie_rate, scenario.position_bias)
            expected[i, j] += weight * scores[0, 1]
            expected[j, i] += weight * scores[1, 0]
    return to_elo(fit_wins(expected))


def _answers(
    scenario: Scenario, lead: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Returns 1 where the first option is named, -1 the second, 0 for a tie."""
    tie, blind, win = random.random((3, *lead.shape))
    named = np.where(win < 1 / (1 + np.exp(-lead)), 1, -1)
    slot = 1 if scenario.position_bias > 0 else -1
    named = np.where(blind < abs(scenario.position_bias), slot, named)
    return np.where(tie < scenario.tie_rate, 0, named)


def main() -> int:
    """Prints the coverage table; exit code 1 if a figure is out of bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tournaments", type=int, default=1000)
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failed = False
    for scenario in SCENARIOS:
        for n_documents in (30, 100):
            began = time.perf_counter()
            result = measure(
                scenario,
                n_documents=n_documents,
                n_tournaments=options.tournaments,
                n_bootstrap=options.bootstrap,
                seed=options.seed,
            )
            good = 0.93 <= result.overall <= 0.97 and result.per_model.min() >= 0.91
            failed |= not good or result.n_without > 0
            print(
                f"{scenario.name:12} {n_documents:4} documents: coverage {result.overall:.4f}, "
                f"per model {result.per_model.min():.3f} to {result.per_model.max():.3f}, "
                f"mean width {result.mean_width:.0f} Elo, {result.n_without} of "
                f"{options.tournaments} without interval, {time.perf_counter() - began:.0f} s"
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
