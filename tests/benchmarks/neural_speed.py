"""CPU seconds of ETM's and mETM's fits on Lee, and mETM's memory at the size of the paper's SAE.

    python -P tests/benchmarks/neural_speed.py lee [--seeds 5]
    python -P tests/benchmarks/neural_speed.py scale [--docs 20000] [--infer 20000] [--steps 10]

``lee`` exits with 1 where the median fit takes more than 3 s of CPU; the first fit, which imports,
is not counted. ``scale`` draws counts (16,384 features, 2,500 non-zero in each document, K = 100)
and a random encoder of 2,304 inputs, trains on a part of them, takes a held-out bound and θ of
``--infer`` documents, and exits with 1 where the process held more than 4 GB at any time. It leaves
out the start at clusters.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence

import numpy as np

import mtmbench as mb
from mtmbench.core.types import Counts, EncoderParams

MOST_SECONDS = 3.0
MOST_BYTES = 4e9
N_TOPICS, N_FEATURES, N_INPUTS, PER_DOCUMENT, N_TOKENS = 100, 16384, 2304, 2500, 512


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; returns 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=["lee", "scale"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--docs", type=int, default=20000)
    parser.add_argument("--infer", type=int, default=20000)
    parser.add_argument("--steps", type=int, default=10)
    chosen = parser.parse_args(arguments)
    if chosen.what == "lee":
        return _lee(chosen.seeds)
    return _scale(chosen.docs, chosen.infer, chosen.steps)


def _lee(n_seeds: int) -> int:
    corpus = mb.load_corpus("lee")
    missed = False
    for name, setting in (("etm", "default"), ("metm", "default"), ("metm", "paper")):
        views = mb.views(corpus, setting=setting, max_tokens=512)
        mb.model(name, n_topics=10, epochs=1).fit(views, seed=0)
        seconds = [
            _seconds(lambda s=seed, n=name, v=views: mb.model(n, n_topics=10).fit(v, seed=s))
            for seed in range(n_seeds)
        ]
        print(f"{name:5} {setting:8} median {np.median(seconds):.2f} s, most {max(seconds):.2f} s")
        missed |= bool(np.median(seconds) > MOST_SECONDS)
    return int(missed)


def _scale(n_docs: int, n_inferred: int, n_steps: int) -> int:
    from mtmbench.models.amortised import Encoder, infer
    from mtmbench.models.evidence import Split, Training, maximise_bound
    from mtmbench.models.metm import _FiringTopics
    from mtmbench.models.reproducible import reproducible

    counts = _counts(n_docs)
    print(f"{n_docs} documents, {counts.matrix.nnz:,} counts: {_peak() / 1e9:.2f} GB")
    assert counts.encoder is not None
    with reproducible(0):
        decoder = _FiringTopics(N_TOPICS, counts.encoder)
        decoder.switch_off(np.full(N_FEATURES, 0.003))
        encoder = Encoder(N_FEATURES, N_TOPICS, 800, 0.0)
        rows = np.arange(n_docs)
        step = Split(rows[: 1000 * n_steps], rows[-100:])
        training = Training(epochs=1, batch_size=1000)
        seconds = _seconds(lambda: maximise_bound(encoder, decoder, counts, training, step))
        _, size = training.schedule(len(step.train))
        print(f"{len(step.train)} documents trained on, {size} a step, and 100 held out:")
        print(f"  {seconds:.1f} s, {_peak() / 1e9:.2f} GB")
        chosen = counts.select_docs(rows[:n_inferred]) if n_inferred < n_docs else counts
        seconds = _seconds(lambda: infer(encoder, chosen))
        print(f"θ of {n_inferred} documents: {seconds:.1f} s, {_peak() / 1e9:.2f} GB")
    return int(_peak() > MOST_BYTES)


def _counts(n_docs: int) -> Counts:
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    gap = N_FEATURES // PER_DOCUMENT
    columns = np.empty((n_docs, PER_DOCUMENT), dtype=np.int32)
    values = np.empty((n_docs, PER_DOCUMENT), dtype=np.int32)
    for row in range(n_docs):
        columns[row] = gap * np.arange(PER_DOCUMENT) + rng.integers(gap, size=PER_DOCUMENT)
        values[row] = rng.integers(1, 4, size=PER_DOCUMENT)
    starts = np.arange(0, columns.size + 1, PER_DOCUMENT, dtype=np.int32)
    names = tuple(map(str, range(N_FEATURES)))
    weight = rng.standard_normal((N_INPUTS, N_FEATURES), dtype=np.float32) / N_INPUTS**0.5
    return Counts(
        "features",
        csr_matrix((values.ravel(), columns.ravel(), starts), shape=(n_docs, N_FEATURES)),
        np.full(n_docs, N_TOKENS),
        names,
        names,
        encoder=EncoderParams(
            weight, np.zeros(N_FEATURES, np.float32), np.zeros(N_INPUTS, np.float32)
        ),
    )


def _seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    raise SystemExit(main())
