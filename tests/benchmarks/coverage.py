"""How often 95 % intervals cover the truth, over simulated tournaments.

Run it: ``python tests/benchmarks/coverage.py [--tournaments 1000] [--bootstrap 1000]``. A scripted
judge of known strengths rules on every pair of six models over every document, in both orders, with
position bias, ties and unparsed answers. The truth is the Bradley-Terry fit to the expected folded
scores, uniform over pairs. In the scenario "clustered" each document favours some models, so its
15 comparisons are correlated.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtmbench.rating.bradley_terry import fit_wins, to_elo
from mtmbench.rating.rate import rate

STRENGTHS = (-0.8, -0.4, -0.1, 0.1, 0.4, 0.8)
NAMES = tuple(f"model-{i}" for i in range(len(STRENGTHS)))
PAIRS = np.array(list(itertools.combinations(range(len(STRENGTHS)), 2)))


@dataclass(frozen=True)
class Scenario:
    """A scripted judge over documents.

    Attributes:
        name: what it is called.
        position_bias: added to the log-odds of the option shown first.
        tie_width: Rao-Kupper threshold; 0 for no ties in a single order.
        document_effect: standard deviation of a document's own liking for each model, shared by
            all comparisons of that document.
        unparsed: chance that an answer cannot be read, which removes the comparison.
    """

    name: str
    position_bias: float = 0.3
    tie_width: float = 0.2
    document_effect: float = 0.0
    unparsed: float = 0.02


SCENARIOS = (Scenario("independent"), Scenario("clustered", document_effect=1.2))


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
    orders = []
    for bias in (scenario.position_bias, -scenario.position_bias):
        first = _sigmoid(lead + bias - scenario.tie_width)
        second = _sigmoid(-lead - bias - scenario.tie_width)
        draw = random.random(lead.shape)
        orders.append((draw < first).astype(int) - (draw > 1 - second).astype(int))
    forward, backward = orders
    score = np.where(forward == backward, (1 + forward) / 2, 0.5)
    kept = (random.random((2, *lead.shape)) >= scenario.unparsed).all(axis=0)
    document, pair = np.nonzero(kept)
    return document, pair, score[document, pair]


def true_elo(scenario: Scenario) -> NDArray[np.float64]:
    """Returns the Elo that the expected folded scores imply, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    spread = np.sqrt(2) * scenario.document_effect * nodes
    expected = np.zeros((len(STRENGTHS), len(STRENGTHS)))
    for i, j in PAIRS:
        lead = STRENGTHS[i] - STRENGTHS[j] + spread
        up, down = scenario.position_bias, -scenario.position_bias
        width = scenario.tie_width
        win = _sigmoid(lead + up - width) * _sigmoid(lead + down - width)
        loss = _sigmoid(-lead - up - width) * _sigmoid(-lead - down - width)
        score = float(np.sum(weights * (1 + win - loss) / 2) / np.sum(weights))
        expected[i, j], expected[j, i] = score, 1 - score
    return to_elo(fit_wins(expected))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


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
