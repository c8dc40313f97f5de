"""A judge's numbers against people's: the rows of the judges' board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.serialise import seed_from
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.correlation import (
    Estimate,
    bootstrap,
    kendall_tau,
    mean_over_topics,
    spearman,
    weighted_kappa,
)
from mtmbench.validation import hoyle, proxann
from mtmbench.validation.alternative import Level, alternative_test, duel
from mtmbench.validation.hoyle import HoyleTopic
from mtmbench.validation.proxann import FITS_FROM, ProxannTopic

PEOPLE = "people"
"""The name under which a respondent against the other respondents stands on the board."""


@dataclass(frozen=True)
class Figure:
    """One figure of the judges' board.

    Attributes:
        judge: the judge's name.
        dataset: "proxann-bills", "hoyle-wikitext" or "hoyle-nytimes".
        task: "fit", "rank", "rating" or "intrusion".
        statistic: what the figure is.
        value: the figure; None where it is not defined.
        lo: lower end of its interval; None without one.
        hi: upper end.
        n: topics that it is over.
    """

    judge: str
    dataset: str
    task: str
    statistic: str
    value: float | None
    lo: float | None
    hi: float | None
    n: int


def proxann_rows(
    judge: str, topics: Sequence[ProxannTopic], answers: Mapping[str, Mapping[str, Float64Array]]
) -> list[Figure]:
    """Returns how a judge agrees with people on ProxAnn's topics.

    Args:
        judge: its name.
        topics: the topics, with what people said.
        answers: by task ("fit", "rank") and topic id the (N,) scores of the documents, the better
            the higher; topics that are missing are left out.
    """
    rows = []
    for task, found in answers.items():
        judged = [topic for topic in topics if topic.id in found]
        if not judged:
            continue
        people = [topic.fits if task == "fit" else topic.ranks for topic in judged]
        means = [scores.mean(axis=0) for scores in people]
        ours = [np.asarray(found[topic.id], dtype=np.float64) for topic in judged]
        pairs = list(zip(ours, means, strict=True))
        name = _Namer(judge, proxann.DATASET, task)
        tau = mean_over_topics([kendall_tau(x, y) for x, y in pairs], seed=name.seed("tau"))
        rho = mean_over_topics([spearman(x, y) for x, y in pairs], seed=name.seed("rho"))
        rows.append(name.row("kendall_tau", tau.within(-1, 1)))
        rows.append(name.row("spearman", rho.within(-1, 1)))
        rows.append(name.row("topic_tau", _topic_tau(judged, ours, means, name.seed("topics"))))
        if task == "fit":
            rows += _fit_rows(name, ours, means)
        rows += _alternative_rows(name, judged, ours, people)
    return rows


def people_rows(topics: Sequence[ProxannTopic]) -> list[Figure]:
    """Returns how each respondent agrees with the mean of the others, averaged over respondents."""
    rows = []
    for task in ("fit", "rank"):
        name = _Namer(PEOPLE, proxann.DATASET, task)
        for statistic, measure in (("kendall_tau", kendall_tau), ("spearman", spearman)):
            per_topic = []
            for topic in topics:
                people = topic.fits if task == "fit" else topic.ranks
                found = [
                    measure(people[i], np.delete(people, i, axis=0).mean(axis=0))
                    for i in range(len(people))
                ]
                known = [value for value in found if np.isfinite(value)]
                per_topic.append(float(np.mean(known)) if known else float("nan"))
            rows.append(name.row(statistic, mean_over_topics(per_topic, seed=name.seed("people"))))
    return rows


def proxann_coherence_rows(
    topics: Sequence[ProxannTopic], coherence: Mapping[str, Mapping[str, float]]
) -> list[Figure]:
    """Returns how stored coherence scores order the topics, as people's fits and ranks do."""
    rows = []
    for metric, scores in coherence.items():
        stored = np.array([scores[topic.id] for topic in topics])
        for task in ("fit", "rank"):
            people = [topic.fits if task == "fit" else topic.ranks for topic in topics]
            theirs = _with_model(topics, [scores.mean(axis=0) for scores in people])
            name = _Namer(metric, proxann.DATASET, task)
            tau = _correlation(kendall_tau, stored, theirs, name.seed("topics"))
            rows.append(name.row("topic_tau", tau))
    return rows


def hoyle_rows(
    judge: str,
    topics: Sequence[HoyleTopic],
    answers: Mapping[str, Mapping[str, float]],
    *,
    levels: bool = True,
) -> list[Figure]:
    """Returns how a judge agrees with people on the topics of Hoyle et al. (2021), per data set.

    Args:
        judge: its name.
        topics: the topics, with what people said.
        answers: by task ("rating", "intrusion") and topic id the judge's mean rating, or the share
            of the tasks in which it found the intruder.
        levels: the ratings are levels of 1 to 3, so that κ is defined.
    """
    rows = []
    for dataset in sorted({topic.dataset for topic in topics}):
        for task, found in answers.items():
            judged = [t for t in topics if t.dataset == dataset and t.id in found]
            if not judged:
                continue
            ours = np.array([found[topic.id] for topic in judged])
            theirs = np.array([t.rating if task == "rating" else t.intrusion for t in judged])
            name = _Namer(judge, f"hoyle-{dataset}", task)
            for statistic, measure in (("spearman", spearman), ("kendall_tau", kendall_tau)):
                estimate = _correlation(measure, ours, theirs, name.seed(statistic))
                rows.append(name.row(statistic, estimate))
            if task == "rating" and levels:
                rows.append(name.row("kappa", _kappa(_thirds(ours), _thirds(theirs), 3, name)))
            if task == "intrusion" and levels:
                share = mean_over_topics(ours.tolist(), seed=name.seed("found"))
                rows.append(name.row("found", share.within(0, 1)))
    return rows


def hoyle_coherence_rows(topics: Sequence[HoyleTopic]) -> list[Figure]:
    """Returns how the stored coherence scores agree with people."""
    rows = []
    for metric in ("npmi", "c_v", "uci", "u_mass"):
        scores = {topic.id: topic.coherence[metric] for topic in topics}
        rows += hoyle_rows(metric, topics, {"rating": scores, "intrusion": scores}, levels=False)
    return rows


def unanswered_row(judge: str, dataset: str, task: str, unanswered: int, asked: int) -> Figure:
    """Returns the share of a task's questions to which the reply was no answer."""
    return Figure(judge, dataset, task, "unanswered", unanswered / asked, None, None, asked)


@dataclass(frozen=True)
class _Namer:
    judge: str
    dataset: str
    task: str

    def seed(self, what: str) -> int:
        # Not of the judge, so that judges are compared on the same resamples.
        return seed_from("validate", self.dataset, self.task, what)

    def row(self, statistic: str, estimate: Estimate) -> Figure:
        return Figure(
            self.judge, self.dataset, self.task, statistic, estimate.value, estimate.lo,
            estimate.hi, estimate.n,
        )  # fmt: skip


def _fit_rows(
    name: _Namer, ours: Sequence[Float64Array], means: Sequence[Float64Array]
) -> list[Figure]:
    # Both are asked whether the document fits; a judge's mean over runs is not rounded.
    judge = [scores >= FITS_FROM for scores in ours]
    people = [np.round(scores) >= FITS_FROM for scores in means]
    same = [float((x == y).mean()) for x, y in zip(judge, people, strict=True)]
    agreement = mean_over_topics(same, seed=name.seed("agreement")).within(0, 1)

    def kappa(rows: IntArray) -> float:
        x, y = (np.concatenate([side[i] for i in rows]) for side in (judge, people))
        return weighted_kappa(x, y, levels=2)

    estimate = bootstrap(kappa, len(ours), seed=name.seed("kappa"))
    return [name.row("agreement", agreement), name.row("kappa", estimate.within(-1, 1))]


def _alternative_rows(
    name: _Namer,
    topics: Sequence[ProxannTopic],
    ours: Sequence[Float64Array],
    people: Sequence[Float64Array],
) -> list[Figure]:
    rows = []
    levels: tuple[Level, ...] = ("document", "topic")
    for level in levels:
        duels = [duel(x, y, level) for x, y in zip(ours, people, strict=True)]
        for construction in ("dataset", "model"):
            groups = [topic.model if construction == "model" else "" for topic in topics]
            found = alternative_test(duels, groups, seed=name.seed(f"{construction} {level}"))
            where = f"{level}s, by {construction}"
            rows.append(name.row(f"advantage, {where}", found.advantage))
            rows.append(name.row(f"winning_rate, {where}", found.winning_rate))
    return rows


def _topic_tau(
    topics: Sequence[ProxannTopic],
    ours: Sequence[Float64Array],
    means: Sequence[Float64Array],
    seed: int,
) -> Estimate:
    return _correlation(kendall_tau, _with_model(topics, ours), _with_model(topics, means), seed)


def _with_model(topics: Sequence[ProxannTopic], scores: Sequence[Float64Array]) -> Float64Array:
    """Kendall's τ of the scores with the model's own assignment, per topic."""
    return np.array(
        [kendall_tau(x, topic.assigned) for topic, x in zip(topics, scores, strict=True)]
    )


def _correlation(
    measure: Callable[[ArrayLike, ArrayLike], float], x: ArrayLike, y: ArrayLike, seed: int
) -> Estimate:
    pairs = np.column_stack([x, y])
    known = pairs[np.isfinite(pairs).all(axis=1)]
    return bootstrap(
        lambda rows: measure(known[rows, 0], known[rows, 1]), len(known), seed=seed
    ).within(-1, 1)


def _kappa(x: IntArray, y: IntArray, levels: int, name: _Namer) -> Estimate:
    return bootstrap(
        lambda rows: weighted_kappa(x[rows], y[rows], levels=levels),
        len(x),
        seed=name.seed("kappa"),
    ).within(-1, 1)


def _thirds(ratings: Float64Array) -> IntArray:
    """Levels 0 to 2 of mean ratings of 1 to 3."""
    return np.clip(np.round(ratings), 1, hoyle.RATING_LEVELS).astype(np.int64) - 1
