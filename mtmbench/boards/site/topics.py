"""The topic explorer's parts: every model's topics on one corpus, matched and laid out as a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TypedDict

import numpy as np

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.labels import labels_by_fit, source_of
from mtmbench.boards.site.parts import Part
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.fit_payloads import FittedItems
from mtmbench.core.match_payloads import RewrittenTopic
from mtmbench.core.records import FitRecord
from mtmbench.core.serialise import rounded
from mtmbench.core.types import Float64Array

_MOST_ON_MAP = 900
"""With more topics than that a map is neither readable nor laid out in a second."""
_ROUNDS = 60


class ExploredTopic(TypedDict, total=False):
    """A topic: share, items, projected words, its summary and the documents of that."""

    s: float | None
    i: Sequence[str]
    w: Sequence[str]
    y: str
    d: Sequence[str]


class ExploredModel(TypedDict):
    """A fit: display name, kind of its items, its record's key, where labels are from, topics."""

    n: str
    kind: str | None
    key: str
    labels: str | None
    about: str
    t: Sequence[ExploredTopic]


def topic_parts(board: BoardRecords, names: Mapping[Competitor, str]) -> list[Part]:
    """Returns a part per corpus, K and seed; the first seeds come first where room is short."""
    groups: dict[tuple[str, int | str, int], list[FitRecord]] = {}
    for fit in board.fits:
        if fit.status == "ok" and fit.payload.get("topics"):
            key = fit.payload["corpus"], fit.payload["k_spec"], fit.payload["seed"]
            groups.setdefault(key, []).append(fit)
    first: dict[tuple[str, int | str], int] = {}
    for corpus, k_spec, seed in groups:
        first[corpus, k_spec] = min(seed, first.get((corpus, k_spec), seed))
    over, summaries = labels_by_fit(board), _summaries(board)
    parts = []
    for corpus, k_spec, seed in sorted(groups, key=lambda key: (key[0], *k_order(key[1]), key[2])):
        fits = sorted(groups[corpus, k_spec, seed], key=lambda fit: Competitor.of(fit.payload))
        models: list[ExploredModel] = []
        for fit in fits:
            named = over.get(fit.key)
            source = source_of(fit, named)
            payload = fit.payload
            called = None if named is None else named.payload["topics"]
            items = payload.get("items")
            models.append(
                {
                    "n": names[Competitor.of(payload)],
                    "kind": items["kind"] if items else None,
                    "key": fit.key,
                    "labels": None if source is None else str(source.get("source")),
                    "about": _about(payload.get("items")),
                    "t": [
                        {
                            "s": rounded(topic["share"], 4),
                            "i": topic["items"] if called is None else called[k],
                            "w": topic["words"],
                            **_summary(summaries.get(fit.key), k),
                        }
                        for k, topic in enumerate(payload["topics"])
                    ],
                }
            )
        content = {
            "models": models,
            "pairs": matched_pairs([[topic["w"] for topic in model["t"]] for model in models]),
            "map": topic_map([topic["w"] for model in models for topic in model["t"]]),
        }
        of = {"corpus": corpus, "k": fits[0].payload["k"], "spec": k_spec, "seed": seed}
        parts.append(Part("topics", of, content, 0 if seed == first[corpus, k_spec] else 3))
    return parts


def matched_pairs(
    topics: Sequence[Sequence[Sequence[str]]],
) -> dict[str, list[tuple[int, int, float]]]:
    """Returns, by "i,j", which topics of two models go together, and their words' overlap.

    Topics are matched one to one so that the summed Jaccard indices of their words are largest
    (Hungarian algorithm); two without a word in common are no match.

    Args:
        topics: words by model and topic.
    """
    from scipy.optimize import linear_sum_assignment

    found = {}
    for i, j in combinations(range(len(topics)), 2):
        overlap = overlaps(topics[i], topics[j])
        rows, columns = linear_sum_assignment(overlap, maximize=True)
        found[f"{i},{j}"] = [
            (int(a), int(b), round(float(overlap[a, b]), 2))
            for a, b in zip(rows, columns, strict=True)
            if overlap[a, b] > 0
        ]
    return found


def overlaps(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> Float64Array:
    """Returns the Jaccard index of the words of each topic of one list with each of another."""
    known = {word: i for i, word in enumerate(sorted({w for t in (*first, *second) for w in t}))}
    left, right = (_incidence(topics, known) for topics in (first, second))
    common = left @ right.T
    union = left.sum(1)[:, None] + right.sum(1)[None, :] - common
    return np.asarray(common / np.maximum(union, 1), np.float64)


def topic_map(topics: Sequence[Sequence[str]]) -> list[tuple[float, float]]:
    """Returns a place in the plane for every topic, near those that share words with it.

    The distance of two topics is 1 − the Jaccard index of their words. Classical scaling gives a
    start, SMACOF (de Leeuw 1977) lessens the stress from there; nothing is drawn by chance. Both
    coordinates lie within −1 and 1.

    Args:
        topics: words by topic.

    Returns:
        A place a topic; none at all where there are fewer than 3 topics or too many.
    """
    n = len(topics)
    if not 3 <= n <= _MOST_ON_MAP:
        return []
    distance = 1 - overlaps(topics, topics)
    np.fill_diagonal(distance, 0)
    centred = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centred @ distance**2 @ centred)
    place = vectors[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 1e-9))
    # An eigenvector has no sign of its own: what lies farthest lies to the right, and up.
    farthest = np.abs(np.round(place, 9)).argmax(0)
    place *= np.where(place[farthest, [0, 1]] < 0, -1.0, 1.0)
    # Topics of equal words would lie on one point and never part, so they start a little apart.
    angle = 2.399963 * np.arange(n)
    place = place + 1e-3 * np.column_stack([np.cos(angle), np.sin(angle)])
    for _ in range(_ROUNDS):
        apart = np.linalg.norm(place[:, None] - place[None], axis=2)
        ratio = np.divide(distance, apart, out=np.zeros_like(distance), where=apart > 1e-12)
        np.fill_diagonal(ratio, 0)
        place = (ratio.sum(1)[:, None] * place - ratio @ place) / n
    place -= place.mean(0)
    place /= max(float(np.abs(place).max()), 1e-9)
    return [(round(float(x), 3) + 0.0, round(float(y), 3) + 0.0) for x, y in place]


def _incidence(topics: Sequence[Sequence[str]], known: Mapping[str, int]) -> Float64Array:
    table = np.zeros((len(topics), max(1, len(known))))
    for row, words in enumerate(topics):
        table[row, [known[word] for word in words]] = 1
    return table


def _summaries(board: BoardRecords) -> dict[str, Sequence[RewrittenTopic]]:
    return {
        record.payload["fits"][0]: record.payload["topics"]
        for record in board.shown
        if record.status == "ok" and record.payload["task"] == "summary"
    }


def _summary(topics: Sequence[RewrittenTopic] | None, k: int) -> ExploredTopic:
    if topics is None or not isinstance(topics[k]["value"], str):
        return {}
    told: ExploredTopic = {"y": str(topics[k]["value"])}
    if topics[k].get("documents"):
        told["d"] = topics[k]["documents"]
    return told


def _about(items: FittedItems | None) -> str:
    """Returns how many items a fit is over, and for features whose they are."""
    if items is None:
        return ""
    source = items["source"]
    told = [f"{items['n']:,} {items['kind']}"]
    told += [str(source[name]) for name in ("backbone", "hook_point") if name in source]
    return " · ".join(told)
