"""Adaptive against uniform schedules: coverage with the stopping rule on, and calls spent.

Run it: ``python -P tests/benchmarks/adaptive.py [--leagues 200]``. In each
simulated league a judge like the scripted one rules on every document in both orders, with ties
and a liking of the document for each model. All schedules look at the same shares of the documents
and stop by the same rule; :func:`play` says what each plays. Coverage is of every model's Elo and
of the differences of final neighbours, by intervals at the level of the look where a league stops.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from mtmbench.stats.adaptive import (
    BLOCK,
    Neighbours,
    Standing,
    look_limits,
    neighbours,
    next_documents,
    spent_levels,
    standing,
)
from mtmbench.stats.bradley_terry import ELO_PER_NAT, fit_wins

ALPHA = 0.05


@dataclass(frozen=True)
class Kind:
    """Models, spread of Elo, how strengths lie, resolution asked for, documents that there are."""

    n: int
    spread: float
    spacing: str
    resolution: float
    documents: int


@dataclass(frozen=True)
class Played:
    """What became of a league: calls, whether every neighbour was decided, what was covered."""

    calls: int
    decided: bool
    elo_covered: NDArray[np.bool_]
    neighbours_covered: NDArray[np.bool_]


SCHEDULES = ("adaptive", "uniform", "planned")
WIDE = tuple(
    Kind(n, spread, spacing, resolution, documents)
    for n in (12, 16, 20)
    for spread in (600.0, 900.0)
    for spacing in ("uniform", "normal")
    for resolution, documents in ((15.0, 1000), (30.0, 300))
)
TIGHT = (
    Kind(6, 200.0, "uniform", 20.0, 1000),
    Kind(9, 300.0, "uniform", 20.0, 1000),
    Kind(12, 300.0, "uniform", 20.0, 1000),
    Kind(16, 600.0, "even", 15.0, 1000),
)
TIE_RATE = 0.1
DOCUMENT_EFFECT = 0.5


def strengths(kind: Kind, random: np.random.Generator) -> NDArray[np.float64]:
    """Returns natural-log strengths, strongest first, whose extremes lie ``spread`` Elo apart."""
    drawn = {
        "uniform": lambda: random.random(kind.n),
        "normal": lambda: random.standard_normal(kind.n),
        "even": lambda: np.linspace(0, 1, kind.n),
    }[kind.spacing]()
    drawn = np.sort(drawn)[::-1]
    spread: NDArray[np.float64] = (drawn - drawn[-1]) / (drawn[0] - drawn[-1])
    return spread * kind.spread / ELO_PER_NAT


def league(
    kind: Kind, n_documents: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Returns the true Elo, the (D, P) score table of every document, and the (P, 2) pairs."""
    random = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(kind.n), 2)))
    strength = strengths(kind, random)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    expected = np.zeros((kind.n, kind.n))
    gap = (strength[:, None] - strength[None, :])[..., None] + np.sqrt(2) * DOCUMENT_EFFECT * nodes
    chance = (1 - TIE_RATE) / (1 + np.exp(-gap))
    other = (1 - TIE_RATE) - chance
    expected = (0.5 + 0.5 * (chance**2 - other**2)) @ (weights / weights.sum())
    np.fill_diagonal(expected, 0)
    truth = ELO_PER_NAT * fit_wins(expected)
    liking = strength + DOCUMENT_EFFECT * random.standard_normal((n_documents, kind.n))
    lead = liking[:, pairs[:, 0]] - liking[:, pairs[:, 1]]
    answers = []
    for _ in range(2):
        tie, win = random.random((2, *lead.shape))
        named = np.where(win < 1 / (1 + np.exp(-lead)), 1.0, 0.0)
        answers.append(np.where(tie < TIE_RATE, 0.5, named))
    forward, backward = answers
    return truth, np.where(forward == backward, forward, 0.5), pairs


def play(
    table: NDArray[np.float64],
    pairs: NDArray[np.int64],
    truth: NDArray[np.float64],
    resolution: float,
    schedule: str,
) -> Played:
    """Plays a league look by look until it is decided or out of documents.

    Schedules: "adaptive"; "uniform", which plays every pair on all documents of a look; "planned",
    which is uniform too, but plays only as many as the hardest difference is predicted to need.
    """
    n_documents, n_pairs = table.shape
    levels, limits = spent_levels(ALPHA), look_limits(n_documents)
    played = np.full(n_pairs, limits[0])
    for k, level in enumerate(levels):
        shown = np.where(np.arange(n_documents)[:, None] < played, table, np.nan)
        state = standing(shown, *pairs.T, len(truth))
        found = neighbours(state, level, resolution)
        if found.decided.all() or k == len(levels) - 1:
            break
        if schedule == "adaptive":
            played = next_documents(
                state, found, (levels[k + 1], levels[-1]), resolution, offered=played,
                limit=limits[k + 1], most=n_documents,
            )  # fmt: skip
        elif schedule == "planned":
            needed = _needed(state, found, levels[k + 1], resolution)
            played = np.full(n_pairs, int(min(limits[k + 1], max(needed, played.max() + BLOCK))))
        else:
            played = np.full(n_pairs, limits[k + 1])
    return _result(state, found, level, truth)


def _needed(state: Standing, found: Neighbours, level: float, resolution: float) -> float:
    """Returns the documents of every pair at which the hardest difference is decided."""
    above, below = found.order[:-1][~found.decided], found.order[1:][~found.decided]
    variance = (
        state.covariance[above, above]
        + state.covariance[below, below]
        - 2 * state.covariance[above, below]
    )
    aim = np.maximum(found.difference[~found.decided], resolution) / ELO_PER_NAT
    share = variance * (ndtri(1 - level / 2) / aim) ** 2
    return float(np.ceil(share.max() * state.played.max() / BLOCK) * BLOCK)


def _result(state: Standing, found: Neighbours, level: float, truth: NDArray[np.float64]) -> Played:
    quantile = float(stdtrit(state.played.max() - 1, 1 - level / 2))
    half = ELO_PER_NAT * quantile * np.sqrt(np.diag(state.covariance))
    elo = np.abs(ELO_PER_NAT * state.abilities - truth) <= half
    gaps = truth[found.order[:-1]] - truth[found.order[1:]]
    covered = np.abs(found.difference - gaps) <= found.half_width
    return Played(int(state.played.sum()), bool(found.decided.all()), elo, covered)


def main() -> int:
    """Prints a row per kind of league; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leagues", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    missed = False
    for kind in (*WIDE, *TIGHT):
        began = time.perf_counter()
        runs: dict[str, list[Played]] = {schedule: [] for schedule in SCHEDULES}
        for i in range(options.leagues):
            truth, table, pairs = league(kind, kind.documents, options.seed + i)
            for schedule in SCHEDULES:
                runs[schedule].append(play(table, pairs, truth, kind.resolution, schedule))
        ours = runs["adaptive"]
        ratio = {
            other: float(
                np.mean([a.calls / b.calls for a, b in zip(ours, runs[other], strict=True)])
            )
            for other in SCHEDULES[1:]
        }
        elo = float(np.mean([run.elo_covered.mean() for run in ours]))
        near = float(np.mean([run.neighbours_covered.mean() for run in ours]))
        missed |= min(elo, near) < 0.93 or (kind in WIDE and ratio["uniform"] > 0.6)
        decided = ", ".join(
            f"{name} {np.mean([r.decided for r in runs[name]]):.2f}" for name in runs
        )
        print(
            f"{kind.n:3} models, {kind.spread:4.0f} Elo {kind.spacing:8} {kind.documents:4} "
            f"documents, resolution {kind.resolution:.0f}: calls {ratio['uniform']:.3f} of "
            f"uniform's, {ratio['planned']:.3f} of planned uniform's; decided: {decided}; "
            f"coverage: Elo {elo:.4f}, neighbours {near:.4f}; {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
