"""The alternative-annotator test (Calderon, Reichart & Dror, 2025), as ProxAnn runs it.

May a judge stand in for a person? For each person and each item, judge and person are scored by
their nearness to the other people who judged the item; the judge's advantage is the share of
items on which it is at least as near. A respondent of ProxAnn judged one topic, so pseudo-
annotators are put together from one respondent of each topic: of every topic of the data set
("dataset"), or of every topic of one model ("model"), at random, as many as the topic with the
fewest respondents allows. The mean over ten such constructions is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import BoolArray, Float64Array, IntArray
from mtmbench.stats.correlation import Estimate, bootstrap, group_rows

Level = Literal["document", "topic"]

PENALTY = 0.1
"""ε, the cost-benefit penalty for crowd workers: what a person costs over a judge."""
_FALSE_DISCOVERIES = 0.05
_CONSTRUCTIONS = 10
TEST_RESAMPLES = 200


@dataclass(frozen=True)
class Duel:
    """Judge against each respondent of one topic, on its items.

    Attributes:
        judge: (R, M) 1 where the judge is at least as near to the others as the respondent is.
        person: (R, M) 1 where the respondent is at least as near as the judge.
    """

    judge: Float64Array
    person: Float64Array


@dataclass(frozen=True)
class AlternativeTest:
    """What became of the test.

    Attributes:
        advantage: the judge's advantage, averaged over pseudo-annotators.
        winning_rate: share of the pseudo-annotators against whom the judge's advantage is
            significant; from 0.5 on, the judge may stand in for a person.
    """

    advantage: Estimate
    winning_rate: Estimate


def duel(judge: Float64Array, people: Float64Array, level: Level = "document") -> Duel:
    """Scores a judge and each respondent by their nearness to the other respondents.

    Nearness is the negative root mean square of the differences from the others: of a document
    over the others, or, on the level of topics, of the whole topic for each of the others,
    averaged.

    Args:
        judge: (N,) the judge's scores of a topic's documents.
        people: (R, N) those of its respondents.
        level: "document": each document is an item; "topic": the topic is one.

    Raises:
        InputError: fewer than two respondents.
    """
    n = len(people)
    if n < 2:
        raise InputError(f"the alternative-annotator test needs two respondents, not {n}")
    nearness: dict[str, list[Float64Array]] = {"judge": [], "person": []}
    for i in range(n):
        others = np.delete(people, i, axis=0)
        for who, scores in (("judge", judge), ("person", people[i])):
            squares = (scores[None, :] - others) ** 2
            nearness[who].append(
                -np.sqrt(squares.mean(axis=0))
                if level == "document"
                else np.array([-np.sqrt(squares.mean(axis=1)).mean()])
            )
    ours, theirs = np.array(nearness["judge"]), np.array(nearness["person"])
    return Duel((ours >= theirs).astype(np.float64), (theirs >= ours).astype(np.float64))


def alternative_test(
    duels: Sequence[Duel],
    groups: Sequence[str],
    *,
    seed: int = 0,
    constructions: int = _CONSTRUCTIONS,
    resamples: int | None = None,
) -> AlternativeTest:
    """Runs the test on duels over topics; the interval is over topics, within their groups.

    Args:
        duels: one a topic, with one number of items in all.
        groups: each topic's group; a pseudo-annotator has a respondent of every topic of a group.
        seed: seed of the constructions and the resamples.
        constructions: how often pseudo-annotators are put together.
        resamples: bootstrap resamples; None takes :data:`TEST_RESAMPLES`.
    """
    stacked, members = _Stacked(duels), group_rows(groups)

    def estimate(which: int) -> Estimate:
        generator = np.random.default_rng(seed)

        def statistic(rows: IntArray) -> float:
            return stacked.test([rows[group] for group in members], generator, constructions)[which]

        return bootstrap(
            statistic,
            len(duels),
            groups=groups,
            seed=seed + 1,
            resamples=resamples or TEST_RESAMPLES,
        ).within(0, 1)

    return AlternativeTest(estimate(0), estimate(1))


class _Stacked:
    """Duels of all topics in one array, so that many constructions are made at once."""

    def __init__(self, duels: Sequence[Duel]) -> None:
        self.respondents = np.array([len(one.judge) for one in duels])
        shape = (len(duels), int(self.respondents.max()), duels[0].judge.shape[1])
        self.judge, self.person = np.zeros(shape), np.zeros(shape)
        for row, one in enumerate(duels):
            self.judge[row, : len(one.judge)] = one.judge
            self.person[row, : len(one.person)] = one.person

    def test(
        self, groups: Sequence[IntArray], generator: np.random.Generator, constructions: int
    ) -> tuple[float, float]:
        """Returns advantage and winning rate, averaged over constructions."""
        advantages, p_values = [], []
        for topics in groups:
            counts = self.respondents[topics]
            keys = generator.random((constructions, len(topics), self.judge.shape[1]))
            # A respondent that a topic does not have is sorted behind those that it has.
            keys[:, np.arange(keys.shape[2])[None, :] >= counts[:, None]] = 2.0
            chosen = keys.argsort(axis=2)[:, :, : counts.min()]
            at = topics[None, :, None], chosen
            shape = constructions, int(counts.min()), -1
            ours = self.judge[at].swapaxes(1, 2).reshape(shape)
            theirs = self.person[at].swapaxes(1, 2).reshape(shape)
            advantages.append(ours.mean(axis=2))
            p_values.append(_less_than_epsilon(theirs - ours))
        won = benjamini_yekutieli(np.concatenate(p_values, axis=1))
        return float(np.concatenate(advantages, axis=1).mean()), float(won.mean())


def benjamini_yekutieli(p_values: Float64Array, q: float = _FALSE_DISCOVERIES) -> BoolArray:
    """Returns which of the p-values of each row are rejected at false-discovery rate ``q``."""
    m = p_values.shape[1]
    ranks = np.arange(1, m + 1)
    thresholds = ranks / m * q / (1 / ranks).sum()
    below = np.sort(p_values, axis=1) <= thresholds
    n_rejected = np.where(below.any(axis=1), m - below[:, ::-1].argmax(axis=1), 0)
    places = p_values.argsort(axis=1, kind="stable").argsort(axis=1)
    rejected: BoolArray = places < n_rejected[:, None]
    return rejected


def _less_than_epsilon(differences: Float64Array) -> Float64Array:
    """One-sided t-test over the last axis that the mean is below ε."""
    from scipy.stats import t

    n = differences.shape[-1]
    mean, spread = differences.mean(axis=-1), differences.std(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (mean - PENALTY) / (spread / np.sqrt(n))
    # Without spread the t-test has no value; the sign of the mean decides.
    flat = spread == 0
    p_values: Float64Array = np.where(flat, (mean > PENALTY) * 1.0, t.cdf(statistic, n - 1))
    return p_values
