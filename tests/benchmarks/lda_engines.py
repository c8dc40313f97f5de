"""Held-out perplexity and time of LDA's three engines on one corpus, one thread each, in one run.

    python -P tests/benchmarks/lda_engines.py [--corpus 20ng] [--data-dir DIR] [--topics 50]

CVB0 at 20 sweeps and at its default against tomotopy's Gibbs sampler at its usual 1,000 iterations
and gensim's variational Bayes. A tenth of the documents is held out; every engine's topics are
folded in alike (document completion, :mod:`mtmbench.metrics.perplexity`); occurrences to which an
engine gives no probability are counted. Times are given as multiples of CVB0's at 20 sweeps.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import mtmbench as mb
from mtmbench.core.types import Views
from mtmbench.metrics.perplexity import (
    completion_log_likelihood,
    split_documents,
    split_occurrences,
)

RUNS = (("cvb0", 20), ("cvb0", 100), ("tomotopy", 1000), ("gensim", 10))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", default="20ng")
    default = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--topics", type=int, default=50)
    chosen = parser.parse_args(arguments)
    corpus = mb.load_corpus(chosen.corpus, data_dir=chosen.data_dir)
    counts = mb.views(corpus).words
    assert counts is not None
    rng = np.random.default_rng(0)
    train, held = split_documents(len(corpus), 0.1, rng)
    observed, scored = split_occurrences(counts.select_docs(held), rng)
    fit_views = Views(corpus.select(train), words=counts.select_docs(train))
    held_views = Views(corpus.select(held), words=observed)
    # The first fit compiles.
    mb.model("lda", n_topics=2, iterations=1).fit(held_views, seed=0)
    print(f"{corpus.name}: {len(train)} documents, {len(counts.item_ids)} words, K {chosen.topics}")
    print("engine    iterations  perplexity  without probability  time")
    unit = 0.0
    for engine, iterations in RUNS:
        model = mb.model("lda", n_topics=chosen.topics, engine=engine, iterations=iterations)
        started = time.process_time()
        fitted = model.fit(fit_views, seed=0)
        seconds = time.process_time() - started
        unit = unit or seconds
        total, n, n_zero = completion_log_likelihood(model.transform(held_views), fitted, scored)
        done = fitted.info["iterations"]
        told = f"{np.exp(-total / n):<11.0f} {n_zero:<20}"
        print(f"{engine:9} {done:<11} {told} {seconds / unit:.1f}", flush=True)


if __name__ == "__main__":
    main()
