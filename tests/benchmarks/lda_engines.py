"""Held-out perplexity, NPMI and CPU time of LDA's engines on one corpus, one thread each, one run.

    python -P tests/benchmarks/lda_engines.py [--corpus 20ng] [--data-dir DIR] [--topics 50 ...]
        [--view words] [--max-documents N] [--seeds 0 1 2] [--engines cvb0:100 topica:50 ...]
        [--until 2340 .31]

A tenth of the documents is held out; every engine's topics are folded in alike (document
completion, :mod:`mtmbench.metrics.perplexity`); occurrences to which an engine gives no probability
are counted. NPMI is of ten words in windows of ten and, second, in whole documents. After an engine
stands how many sweeps, passes or Gibbs iterations it may do. "topica" is that package's CVB0,
"sklearn-online" and "sklearn-batch" are scikit-learn's variational Bayes; the α of these stays as
it is given, and so does that of "cvb0-fixed", while others re-estimate it. Times are CPU seconds of
the fit, and multiples of the first engine's; "start" are the clusters at which our own begin.
``--until`` asks instead how many sweeps an engine needs to come to that perplexity and that NPMI in
documents, in steps of :data:`STEPS`, each a fit of its own. ``--view features`` reads counts of the
shipped SAE. ``speed.py`` takes its rows from here.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mtmbench as mb
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts, Float64Array, ViewName, Views
from mtmbench.features.words import tokenise
from mtmbench.metrics.coherence import NPMI
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.perplexity import (
    completion_log_likelihood,
    split_documents,
    split_occurrences,
)
from mtmbench.models.base import normalise_rows
from mtmbench.models.clusters import cluster_documents
from mtmbench.models.cvb0 import fold_in

ENGINES = ("cvb0:100", "cvb0-fixed:50", "memoised:100", "tomotopy:1000", "topica:50", "gensim:10",
           "sklearn-online:5", "sklearn-batch:10")  # fmt: skip
OWN: Mapping[str, Mapping[str, object]] = {
    "cvb0": {"engine": "cvb0"},
    "cvb0-fixed": {"engine": "cvb0", "optimise_alpha_every": 0},
    "memoised": {"engine": "memoised"},
}
"""Our engines, and what sets them."""

STEPS = {"cvb0": 10, "memoised": 10, "topica": 25, "tomotopy": 100}
ALPHA, BETA = 5.0, 0.01
"""LDA's defaults: the sum over topics of α, and β of every item."""


@dataclass(frozen=True)
class Case:
    """A corpus of which a tenth is held out.

    Attributes:
        name: "lda" over words, "mlda" over features.
        views: what is fitted.
        counts: of all documents.
        observed, scored: halves of the held-out documents' occurrences.
        context: what NPMI is counted in, the documents that are fitted.
    """

    name: str
    views: Views
    counts: Counts
    observed: Counts
    scored: Counts
    context: MetricContext

    @property
    def size(self) -> str:
        """How much is fitted."""
        matrix = fitted_counts(self).matrix
        return f"{matrix.shape[0]:,} documents, {matrix.nnz:,} non-zeros"


@dataclass(frozen=True)
class Measured:
    """One fit: iterations done, CPU seconds, and how good it is.

    ``n_zero`` held-out occurrences have no probability. NPMI is of ten words in windows of ten and
    in whole documents; features have none.
    """

    iterations: int
    seconds: float
    perplexity: float
    n_zero: int
    npmi: tuple[float, float] | None


class Bar(NamedTuple):
    """What is good enough: held-out perplexity at most, NPMI in documents at least."""

    perplexity: float
    npmi: float

    def met(self, found: Measured) -> bool:
        """Says whether a fit is good enough; features have no NPMI."""
        coherent = found.npmi is None or found.npmi[1] >= self.npmi
        return coherent and found.perplexity <= self.perplexity


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table for each K."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", default="20ng")
    default = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--max-documents", type=int, default=None)
    parser.add_argument("--view", choices=["words", "features"], default="words")
    parser.add_argument("--topics", type=int, nargs="+", default=[50])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--until", type=float, nargs=2, default=None)
    chosen = parser.parse_args(arguments)
    case = read_case(chosen.corpus, chosen.view, chosen.max_documents, chosen.data_dir)
    matrix = fitted_counts(case).matrix
    print(
        f"{case.views.corpus.name}: {matrix.shape[0]} documents, {matrix.shape[1]} {chosen.view}, "
        f"{matrix.nnz:,} non-zeros"
    )
    for k in chosen.topics:
        started = time.process_time()
        cluster_documents(matrix, k, seed=0)
        print(f"K = {k}; start {time.process_time() - started:.2f} s")
        print("engine          seed  done  perplexity  no probability  NPMI, doc.   CPU s   times")
        unit = 0.0
        for engine, _, iterations in (each.partition(":") for each in chosen.engines):
            for seed in chosen.seeds:
                if chosen.until is None:
                    found = measure(case, engine, k, int(iterations), seed)
                else:
                    found = until(Bar(*chosen.until), case, engine, k, int(iterations), seed)
                unit = unit or found.seconds
                both = "-" if found.npmi is None else "{:.3f}  {:.3f}".format(*found.npmi)
                print(
                    f"{engine:15} {seed:<5} {found.iterations:<5} {found.perplexity:<11.1f} "
                    f"{found.n_zero:<15} {both:12} {found.seconds:<7.2f} "
                    f"{found.seconds / unit:.2f}",
                    flush=True,
                )


def read_case(corpus_name: str, view: ViewName, max_documents: int | None, data_dir: Path) -> Case:
    """Reads a corpus and compiles our own engines, so that no fit that is timed does."""
    corpus = mb.load_corpus(corpus_name, data_dir=data_dir, max_documents=max_documents)
    counts = mb.views(corpus, labels="shipped").require(view, "lda")
    rng = np.random.default_rng(0)
    train, held = split_documents(len(corpus), 0.1, rng)
    observed, scored = split_occurrences(counts.select_docs(held), rng)
    fitted_on = corpus.select(train, name=corpus.name)
    views = Views(fitted_on, **{view: counts.select_docs(train)})
    context = MetricContext(
        fitted_on, tokens=cache(partial(tokenise, fitted_on)), counts={counts.kind: counts}
    )
    case = Case("lda" if view == "words" else "mlda", views, counts, observed, scored, context)
    few = Views(corpus.select(held), **{view: observed})
    for setting in OWN.values():
        mb.model(case.name, n_topics=2, iterations=1, **setting).fit(few, seed=0)
    return case


def fitted_counts(case: Case) -> Counts:
    return case.views.require(case.counts.kind, case.name)


def measure(case: Case, engine: str, k: int, iterations: int, seed: int = 0) -> Measured:
    """Fits once."""
    started = time.process_time()
    if engine in PEERS:
        result, alpha = PEERS[engine](case, k, iterations, seed)
    else:
        setting = OWN.get(engine, {"engine": engine})
        model = mb.model(case.name, n_topics=k, iterations=iterations, **setting)
        result = model.fit(case.views, seed=seed)
        alpha = model.alpha_
    seconds = time.process_time() - started
    theta = fold_in(case.observed.matrix, result.topic_item.astype(np.float64), alpha)
    total, n, n_zero = completion_log_likelihood(theta, result, case.scored)
    perplexity = float(np.exp(-total / n))
    return Measured(result.info["iterations"], seconds, perplexity, n_zero, npmi(result, case))


def until(bar: Bar, case: Case, engine: str, k: int, most: int, seed: int = 0) -> Measured:
    """Returns the first fit that is good enough, else the longest."""
    for iterations in range(STEPS[engine], most + 1, STEPS[engine]):
        found = measure(case, engine, k, iterations, seed)
        if bar.met(found):
            break
    return found


def npmi(result: TopicResult, case: Case) -> tuple[float, float] | None:
    """Returns the mean over topics in both of NPMI's variants."""
    if result.items.kind == "features":
        return None
    windows, documents = (
        NPMI().compute(result, case.context, **variant).value for variant in NPMI.variants
    )
    assert windows is not None
    assert documents is not None
    return windows, documents


def fit_topica(
    case: Case, n_topics: int, iterations: int, seed: int
) -> tuple[TopicResult, Float64Array]:
    """Fits the package's CVB0, which keeps α as it is given."""
    import topica

    matrix = fitted_counts(case).matrix
    names = np.array([str(i) for i in range(matrix.shape[1])], dtype=object)
    rows = np.split(np.repeat(names[matrix.indices], matrix.data),
                    np.cumsum(np.asarray(matrix.sum(axis=1)).ravel())[:-1])  # fmt: skip
    lda = topica.LDA(n_topics, alpha_sum=ALPHA, beta=BETA, seed=seed, sampler="cvb0")
    lda.fit([row.tolist() for row in rows if len(row)], iters=iterations, num_samples=1)
    used = np.array([len(row) > 0 for row in rows])
    theta = np.zeros((len(rows), n_topics))
    theta[used] = lda.doc_topic
    # The package smooths over the words that occur in what it fits, of which there are fewer.
    known = [int(name) for name in lda.vocabulary]
    totals = (np.asarray(matrix.sum(axis=1)).ravel() @ theta)[:, None]
    smoothed = np.full((n_topics, matrix.shape[1]), BETA)
    smoothed[:, known] = lda.topic_word * (totals + BETA * len(known))
    phi = smoothed / (totals + BETA * matrix.shape[1])
    alpha = np.asarray(lda.alpha, dtype=np.float64)
    return packed("topica", case, theta, phi, iterations, seed), alpha


def fit_sklearn(method: str) -> Callable[..., tuple[TopicResult, Float64Array]]:
    """Returns a fit by scikit-learn's variational Bayes, "online" or "batch"."""

    def fit(
        case: Case, n_topics: int, iterations: int, seed: int
    ) -> tuple[TopicResult, Float64Array]:
        from sklearn.decomposition import LatentDirichletAllocation

        lda = LatentDirichletAllocation(
            n_topics, doc_topic_prior=ALPHA / n_topics, topic_word_prior=BETA,
            learning_method=method, max_iter=iterations, random_state=seed, n_jobs=1,
        )  # fmt: skip
        theta = lda.fit_transform(fitted_counts(case).matrix)
        result = packed(f"sklearn-{method}", case, theta, lda.components_, lda.n_iter_, seed)
        return result, np.full(n_topics, ALPHA / n_topics)

    return fit


PEERS: Mapping[str, Callable[..., tuple[TopicResult, Float64Array]]] = {
    "topica": fit_topica,
    "sklearn-online": fit_sklearn("online"),
    "sklearn-batch": fit_sklearn("batch"),
}


def packed(
    name: str, case: Case, theta: Float64Array, phi: Float64Array, iterations: int, seed: int
) -> TopicResult:
    corpus: Corpus = case.views.corpus
    return TopicResult(
        name, {}, {}, seed, normalise_rows(theta), normalise_rows(phi), case.counts.items,
        {"name": corpus.name, "revision": corpus.revision}, info={"iterations": iterations},
    )  # fmt: skip


if __name__ == "__main__":
    main()
