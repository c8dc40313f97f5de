"""NMI of mLDA with gold labels under counts, activation sums and idf, and of its start.

    python -P tests/benchmarks/feature_weights.py [--data-dir DIR] [--seeds 5] [--corpora NAME ...]

For each corpus (at most 2,000 documents, 1,500 of yelp) and each way to weigh firings: the mean
over seeds; differences from counts are paired by seed, with 95 % t-intervals over seeds. "start"
are the clusters from which mLDA starts. Features are chosen on ``dbpedia``, ``yelp`` and
held-out ``lm_text``; the other corpora are looked at once, when all is settled. Beside them LDA,
k-means of words and of features, and BERTopic, whose outliers are in the topic of their largest
membership.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import normalized_mutual_info_score

import mtmbench as mb
from mtmbench.core.types import Corpus, Views
from mtmbench.embedded.training.lm_text import held_out, read_documents
from mtmbench.models.clusters import cluster_documents

CORPORA = {"dbpedia": 20, "yelp": 20, "lm_text": 26, "20ng": 20, "bills": 21, "agnews": 20}
"""K by corpus."""
WEIGHTS = {
    "counts": {},
    "idf": {"idf": True},
    "sums": {"values": "sums"},
    "both": {"values": "sums", "idf": True},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line a corpus and way to weigh, and a line a rival."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    default = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    chosen = parser.parse_args(arguments)
    pooled: dict[str, list[np.ndarray]] = {}
    for name in chosen.corpora:
        corpus = corpus_of(name, Path(chosen.data_dir))
        k, seeds = CORPORA[name], range(chosen.seeds)
        tokens = 254 if name == "lm_text" else 512
        views = {
            weights: mb.views(
                corpus, params={"settings": {weights: params}}, setting=weights, max_tokens=tokens
            )
            for weights, params in WEIGHTS.items()
        }
        counted = views["counts"].require("features", "mlda").matrix.tocsr()
        starts = [nmi(corpus, cluster_documents(counted, k, seed=seed)) for seed in seeds]
        found = {
            weights: [fitted("mlda", of, k, seed) for seed in seeds]
            for weights, of in views.items()
        }
        print(f"{name}: start {interval(starts)}, final less start", end=" ")
        print(interval(np.subtract(found["counts"], starts), signed=True))
        for weights, values in found.items():
            moved = interval(np.subtract(values, found["counts"]), signed=True)
            print(f"{name}: mlda by {weights} {interval(values)}, less counts {moved}")
            pooled.setdefault(weights, []).append(np.subtract(values, found["counts"]))
        for rival in ("lda", "k_means", "mk_means", "bertopic"):
            values = [fitted(rival, views["counts"], k, seed) for seed in seeds]
            print(f"{name}: {rival} {interval(values)}", flush=True)
    for weights, moves in pooled.items():
        mean = interval(np.mean(moves, axis=0), signed=True)
        print(f"mean over these corpora: mlda by {weights}, less counts {mean}")


def corpus_of(name: str, data: Path) -> Corpus:
    """Returns a corpus; "lm_text" is what is held out of the SAE's training text."""
    if name == "lm_text":
        kept = [each for each in read_documents(data / name) if held_out(each["id"])][:1000]
        ids, domains = ([each[field] for each in kept] for field in ("id", "domain"))
        texts = [each["text"][:1800] for each in kept]
        return Corpus(name, tuple(ids), tuple(texts), tuple(domains))
    most = 1500 if name == "yelp" else 2000
    return mb.load_corpus(name, data_dir=data, max_documents=most)


def fitted(model: str, views: Views, k: int, seed: int) -> float:
    """Returns the NMI of a fit's strongest topics with the gold labels."""
    result = mb.model(model, n_topics=k).fit(views, seed=seed)
    return nmi(views.corpus, result.doc_topic.argmax(axis=1))


def nmi(corpus: Corpus, groups: np.ndarray) -> float:
    """Returns NMI over the labelled documents."""
    rows = [row for row, label in enumerate(corpus.labels) if label is not None]
    value = normalized_mutual_info_score([corpus.labels[row] for row in rows], groups[rows])
    return float(value)


def interval(values: Sequence[float] | np.ndarray, *, signed: bool = False) -> str:
    """Returns the mean, ± the half-width of its t-interval."""
    width = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    mean = float(np.mean(values))
    return f"{mean:+.3f} ± {width:.3f}" if signed else f"{mean:.3f} ± {width:.3f}"


if __name__ == "__main__":
    main()
