"""Plain against centred cosines (versions 1 and 2 of ``embedding``), by gold labels and by people.

    python -P tests/benchmarks/judge_centring.py [--data-dir DIR]

Gold labels: of 1,000 documents of each corpus one half describes the classes (by projected words of
the hard classes; by their names), and up to 300 documents of the other are judged: how often a
document's own class has a higher cosine than another, ties as a half, and how often the highest.
People: ProxAnn's 24 topics, by their words; how far cosines with documents follow the mean of the
people's ratings, within a topic and between topics (Kendall's τ), and how many pairs of topics that
share a document both order as people do. Intervals are of differences, bootstrapped over documents
and over topics.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

import mtmbench as mb
from mtmbench.core.types import BoolArray, Corpus, Float64Array, IntArray
from mtmbench.features.embeddings import embed_texts
from mtmbench.features.words import word_counts
from mtmbench.metrics.projected import projected_words
from mtmbench.stats.correlation import Estimate, bootstrap, kendall_tau
from mtmbench.validation.proxann import read_proxann

CORPORA = ("20ng", "bills", "agnews", "goemotions", "dbpedia")
JUDGED = 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line a corpus and kind of description, and a line a statistic of people's."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    default = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    data = Path(parser.parse_args(arguments).data_dir)
    for name in CORPORA:
        gold_labels(mb.load_corpus(name, data_dir=data, max_documents=1000))
    people(data)


def gold_labels(corpus: Corpus) -> None:
    """Prints how often documents are nearer to their own class than to others."""
    corpus = corpus.select([row for row, label in enumerate(corpus.labels) if label is not None])
    labels = np.array(corpus.labels)
    order = np.random.default_rng(0).permutation(len(corpus))
    described = np.sort(order[: len(corpus) // 2])
    own = np.array([np.sum(labels[described] == name) for name in np.unique(labels)])
    classes = np.unique(labels)[own >= 5]
    judged = [row for row in order[len(corpus) // 2 :][:JUDGED] if labels[row] in classes]
    theta = labels[described][:, None] == classes[None, :]
    words, _ = projected_words(theta, word_counts(corpus.select(described)))
    documents = embed_texts([corpus.texts[row] for row in judged]).astype(np.float64)
    right = np.searchsorted(classes, labels[judged])
    names = [str(name).replace(".", " ").replace("_", " ") for name in classes]
    for kind, described_by in (("words", [", ".join(row) for row in words]), ("names", names)):
        plain = documents @ embed_texts(described_by).astype(np.float64).T
        centred = plain - plain.mean(axis=0)
        wins = [_wins(cosines, right) for cosines in (plain, centred)]
        first = [(cosines.argmax(axis=1) == right).astype(float) for cosines in (plain, centred)]
        print(
            f"{corpus.name} by {kind}, {len(judged)} documents, {len(classes)} classes: "
            f"own against another {_both(wins)}; own is first {_both(first)}"
        )


def people(data: Path) -> None:
    """Prints how cosines with documents follow what people say of them."""
    topics = read_proxann(data)
    texts = list(dict.fromkeys(text for topic in topics for text in topic.documents))
    row = {text: i for i, text in enumerate(texts)}
    said = np.concatenate([embed_texts([", ".join(topic.words)]) for topic in topics])
    cosines = embed_texts(texts).astype(np.float64) @ said.T.astype(np.float64)
    shown = [[row[text] for text in topic.documents] for topic in topics]
    plain = [cosines[rows, k] for k, rows in enumerate(shown)]
    centred = [values - cosines[:, k].mean() for k, values in enumerate(plain)]
    fits = [topic.fits.mean(axis=0) for topic in topics]

    def within(values: Sequence[Float64Array], drawn: IntArray) -> float:
        return float(np.nanmean([kendall_tau(values[k], fits[k]) for k in drawn]))

    def across(values: Sequence[Float64Array], drawn: IntArray) -> float:
        of = np.concatenate([np.full(len(values[k]), k) for k in drawn])
        apart = of[:, None] != of[None, :]
        signs = [
            np.sign(each[:, None] - each[None, :])[apart]
            for each in (np.concatenate([from_[k] for k in drawn]) for from_ in (values, fits))
        ]
        ordered = [(sign != 0).sum() for sign in signs]
        return float((signs[0] * signs[1]).sum() / np.sqrt(ordered[0] * ordered[1]))

    statistics: dict[str, Callable[[Sequence[Float64Array], IntArray], float]] = {
        "within a topic": within, "across topics": across,
    }  # fmt: skip
    for name, of in statistics.items():
        every = np.arange(len(topics))
        moved = bootstrap(lambda drawn, of=of: of(centred, drawn) - of(plain, drawn), len(topics))
        print(
            f"people, τ {name}: {of(plain, every):.3f}, centred {of(centred, every):.3f}, "
            f"difference {_interval(moved)}"
        )
    places: dict[str, list[tuple[int, int]]] = {}
    for k, topic in enumerate(topics):
        for j, text in enumerate(topic.documents):
            places.setdefault(text, []).append((k, j))
    pairs = [
        pair
        for found in places.values()
        for pair in combinations(found, 2)
        if fits[pair[0][0]][pair[0][1]] != fits[pair[1][0]][pair[1][1]]
    ]
    agree = [
        sum((values[k][i] > values[m][j]) == (fits[k][i] > fits[m][j]) for (k, i), (m, j) in pairs)
        for values in (plain, centred)
    ]
    n = len({text for text, found in places.items() if len(found) > 1})
    print(
        f"people, {len(pairs)} pairs of topics of {n} documents: {agree[0]} ordered as people do, "
        f"centred {agree[1]}"
    )


def _wins(cosines: Float64Array, right: IntArray) -> Float64Array:
    own = cosines[np.arange(len(cosines)), right][:, None]
    others: BoolArray = np.ones(cosines.shape, dtype=bool)
    others[np.arange(len(cosines)), right] = False
    score = (cosines < own) + 0.5 * (cosines == own)
    mean: Float64Array = (score * others).sum(axis=1) / others.sum(axis=1)
    return mean


def _both(values: Sequence[Float64Array]) -> str:
    plain, centred = values
    moved = bootstrap(lambda drawn: float((centred - plain)[drawn].mean()), len(plain))
    return f"{plain.mean():.3f}, centred {centred.mean():.3f}, difference {_interval(moved)}"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} ({estimate.lo:+.4f} to {estimate.hi:+.4f})"


if __name__ == "__main__":
    main()
