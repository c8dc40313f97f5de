"""Time and memory of LDA's engine for large counts, read from disk, at the paper's size and beyond.

    python -P tests/benchmarks/lda_scale.py [--passes 6] [--folder DIR] [--whole]

Counts are drawn from K topics over 16,384 features whose shares in a topic are gamma(0.1) times a
log-normal popularity, and documents' topics from Dirichlet(0.05). First 20,000 documents with about
2,500 features each (50 M non-zeros), then three numbers of short documents (about 100 features),
where the cost of a document should be flat. CPU seconds are of the whole process, so they do not
depend on what else runs; memory is the peak of what the process holds for itself (anonymous pages)
less what it held before the fit: counts on disk are no part of it. Fits are cut to ``--passes``;
the seconds of the first are those of all that is done once, plus one pass. ``--whole`` fits instead
until the engine stops by itself, or after 100 passes.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from mtmbench.features.counts_on_disk import write_counts
from mtmbench.models.clusters import cluster_documents
from mtmbench.models.cvb0 import LDAFit
from mtmbench.models.lda import LDA
from mtmbench.models.memoised import fit_memoised

N_ITEMS, N_TOPICS, BLOCK = 16_384, 100, 500


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line a corpus."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--sizes", nargs="+", default=["20000x2500", "20000x100", "60000x100",
                                                       "200000x100"])  # fmt: skip
    parser.add_argument("--whole", action="store_true")
    chosen = parser.parse_args(arguments)
    fit(csr_matrix(np.eye(40, dtype=np.int32)), 1, 1)
    if chosen.whole:
        whole(chosen.sizes, chosen.threads, chosen.folder)
        return
    print("documents  non-zeros  clusters s  a pass s  a pass, ms a document  100 passes s  GiB")
    for size in chosen.sizes:
        n_docs, n_features = map(int, size.split("x"))
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            counts = write_counts(Path(folder), drawn(n_docs, n_features))
            # The start is timed by itself, and again inside of both fits.
            start = seconds(lambda c=counts: cluster_documents(c, N_TOPICS, seed=0))
            once = seconds(lambda c=counts: fit(c, 1, chosen.threads))
            with Memory() as memory:
                several = seconds(lambda c=counts: fit(c, chosen.passes, chosen.threads))
            a_pass = (several - once) / (chosen.passes - 1)
            print(
                f"{n_docs:<10,} {counts.nnz:<10,} {start:<11.1f} {a_pass:<9.2f} "
                f"{1000 * a_pass / n_docs:<22.3f} {once + 99 * a_pass:<13.0f} {memory.gib:.2f}",
                flush=True,
            )


def whole(sizes: Sequence[str], threads: int, folder: Path | None) -> None:
    """Prints how long whole fits take, by the processor and by the clock, and their peak."""
    print("documents  non-zeros   passes  stopped by itself  CPU s  clock s  GiB")
    for size in sizes:
        n_docs, n_features = map(int, size.split("x"))
        with tempfile.TemporaryDirectory(dir=folder) as place:
            counts = write_counts(Path(place), drawn(n_docs, n_features))
            began, clock = time.process_time(), time.perf_counter()
            with Memory() as memory:
                found = fit(counts, 100, threads, tolerance=LDA().tolerance)
            print(
                f"{n_docs:<10,} {counts.nnz:<11,} {found.sweeps:<7} {found.converged!s:<18} "
                f"{time.process_time() - began:<6.0f} {time.perf_counter() - clock:<8.0f} "
                f"{memory.gib:.2f}",
                flush=True,
            )


def drawn(n_docs: int, n_features: int) -> Iterator[csr_matrix]:
    """Yields blocks of documents with about ``n_features`` features each."""
    rng = np.random.default_rng(0)
    topics = rng.gamma(0.1, size=(N_TOPICS, N_ITEMS)) * rng.lognormal(sigma=1.0, size=N_ITEMS)
    topics = (topics / topics.sum(axis=1, keepdims=True)).astype(np.float32)
    length = float(n_features)
    trial = rng.dirichlet(np.full(N_TOPICS, 0.05), 200).astype(np.float32) @ topics
    while -np.expm1(-length * trial).sum(axis=1).mean() < n_features:
        length *= 1.05
    for first in range(0, n_docs, BLOCK):
        n = min(BLOCK, n_docs - first)
        shares = rng.dirichlet(np.full(N_TOPICS, 0.05), n).astype(np.float32)
        yield csr_matrix(rng.poisson(length * (shares @ topics)).astype(np.int32))


def fit(counts: csr_matrix, passes: int, threads: int, tolerance: float = 0.0) -> LDAFit:
    """Fits with LDA's defaults."""
    return fit_memoised(
        counts, N_TOPICS, alpha=np.full(N_TOPICS, 5 / N_TOPICS), beta=0.01, passes=passes,
        tolerance=tolerance, optimise_alpha_every=10, seed=0, n_threads=threads,
    )  # fmt: skip


def seconds(work: object) -> float:
    """Returns the CPU seconds of a call."""
    assert callable(work)
    started = time.process_time()
    work()
    return time.process_time() - started


class Memory:
    """Watches the anonymous memory of this process."""

    def __enter__(self) -> Memory:
        self._done = threading.Event()
        self._before = self._peak = held()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    @property
    def gib(self) -> float:
        """The peak less what was held before, in GiB."""
        return (self._peak - self._before) / 2**20

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self._peak = max(self._peak, held())


def held() -> int:
    """Returns the anonymous memory of this process, in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0])


if __name__ == "__main__":
    main()
