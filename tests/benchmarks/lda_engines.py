"""Held-out perplexity, NPMI and CPU time of LDA's engines on one corpus, one thread each, one run.

    python -P tests/benchmarks/lda_engines.py [--corpus 20ng] [--data-dir DIR] [--topics 50 ...]
        [--view words] [--max-documents N] [--engines cvb0:100 memoised:100 tomotopy:1000 ...]

A tenth of the documents is held out; every engine's topics are folded in alike (document
completion, :mod:`mtmbench.metrics.perplexity`); occurrences to which an engine gives no probability
are counted. After an engine stands how many sweeps, passes or Gibbs iterations it may do. "topica"
is that package's CVB0, where it is installed. Times are CPU seconds of the fit, and multiples of
the first engine's; "start" are the clusters at which our own two begin. ``--view features`` reads
counts of the shipped SAE.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import mtmbench as mb
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, Float64Array, Views
from mtmbench.metrics.perplexity import (
    completion_log_likelihood,
    split_documents,
    split_occurrences,
)
from mtmbench.metrics.score import score_result
from mtmbench.models.clusters import cluster_documents
from mtmbench.models.cvb0 import fold_in

ENGINES = ("cvb0:100", "memoised:100", "tomotopy:1000", "topica:50", "gensim:10")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table for each K."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", default="20ng")
    default = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--max-documents", type=int, default=None)
    parser.add_argument("--view", choices=["words", "features"], default="words")
    parser.add_argument("--topics", type=int, nargs="+", default=[50])
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    chosen = parser.parse_args(arguments)
    corpus = mb.load_corpus(
        chosen.corpus, data_dir=chosen.data_dir, max_documents=chosen.max_documents
    )
    counts = mb.views(corpus, labels="shipped").require(chosen.view, "lda")
    rng = np.random.default_rng(0)
    train, held = split_documents(len(corpus), 0.1, rng)
    observed, scored = split_occurrences(counts.select_docs(held), rng)
    fitted_on = corpus.select(train, name=corpus.name)
    views = Views(fitted_on, **{chosen.view: counts.select_docs(train)})
    model = "lda" if chosen.view == "words" else "mlda"
    print(f"{corpus.name}: {len(train)} documents, {len(counts.item_ids)} {chosen.view}")
    matrix = views.require(chosen.view, model).matrix
    # The first fits compile.
    few = Views(corpus.select(held), **{chosen.view: observed})
    for engine in ("cvb0", "memoised"):
        mb.model(model, n_topics=2, iterations=1, engine=engine).fit(few, seed=0)
    for k in chosen.topics:
        started = time.process_time()
        cluster_documents(matrix, k, seed=0)
        print(f"K = {k}; start {time.process_time() - started:.2f} s")
        print("engine    iterations  perplexity  without probability  NPMI   CPU s   times")
        unit = 0.0
        for engine, _, iterations in (each.partition(":") for each in chosen.engines):
            started = time.process_time()
            if engine == "topica":
                result, alpha = fit_topica(views, counts, k, int(iterations))
            else:
                fitting = mb.model(model, n_topics=k, engine=engine, iterations=int(iterations))
                result = fitting.fit(views, seed=0)
                alpha = fitting.alpha_
            seconds = time.process_time() - started
            unit = unit or seconds
            theta = fold_in(observed.matrix, result.topic_item.astype(np.float64), alpha)
            total, n, n_zero = completion_log_likelihood(theta, result, scored)
            told = f"{np.exp(-total / n):<11.1f} {n_zero:<20} {npmi(result, views)}"
            done = result.info["iterations"]
            print(f"{engine:9} {done:<11} {told}  {seconds:<7.2f} {seconds / unit:.2f}", flush=True)


def npmi(result: TopicResult, views: Views) -> str:
    """Returns the mean over topics of NPMI of the ten first words; features have no text."""
    if result.items.kind == "features":
        return "-    "
    table = score_result(result, views.corpus, views, metrics=("npmi",))
    return f"{table[table['view'] == 'own']['value'].iloc[0]:.4f}"


def fit_topica(
    views: Views, counts: Counts, n_topics: int, iterations: int
) -> tuple[TopicResult, Float64Array]:
    """Fits the package's CVB0; its α is re-estimated as often as ours."""
    import topica

    matrix = views.require(counts.kind, "lda").matrix
    names = np.array([str(i) for i in range(matrix.shape[1])], dtype=object)
    rows = np.split(np.repeat(names[matrix.indices], matrix.data),
                    np.cumsum(np.asarray(matrix.sum(axis=1)).ravel())[:-1])  # fmt: skip
    lda = topica.LDA(
        n_topics, alpha_sum=5.0, beta=0.01, optimize_interval=10, seed=0, sampler="cvb0"
    )
    lda.fit([row.tolist() for row in rows if len(row)], iters=iterations, num_samples=1)
    phi = np.zeros((n_topics, matrix.shape[1]), dtype=np.float32)
    phi[:, [int(name) for name in lda.vocabulary]] = lda.topic_word
    used = np.array([len(row) > 0 for row in rows])
    theta = np.zeros((len(rows), n_topics), dtype=np.float32)
    theta[used] = lda.doc_topic
    result = TopicResult(
        "topica", {}, {}, 0, theta, phi, counts.items,
        {"name": views.corpus.name, "revision": views.corpus.revision},
        info={"iterations": iterations},
    )  # fmt: skip
    return result, np.asarray(lda.alpha, dtype=np.float64)


if __name__ == "__main__":
    main()
