"""What every model's fit costs on 20 Newsgroups, and how good it is there: one Markdown table.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python -P tests/benchmarks/models.py [MODEL ...]
        [--corpus 20ng] [--max-documents N] [--k 20] [--seed 0] [--data-dir DIR]

Models are registered names; without any, all that need no judge and no file. Each is fitted with
its card's parameters in a process of its own, on words as suites make them with min_df 5, after a
fit to the first 200 documents with K = 4 that loads and compiles what it needs. CPU seconds are of
the second fit alone, and memory is by how much its peak (ru_maxrss) lies above what the process
held before it, with the views there already. NMI is of the strongest topic with the gold labels;
NPMI is of ten words, in whole documents, for models over features of the words of their topics'
documents. A model that fails has the reason in place of its figures. One seed, no interval: a table
of costs.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import inspect
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import speed

import mtmbench as mb
from mtmbench.boards.markdown import MarkdownPage
from mtmbench.boards.numbers import fixed, shown
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus, Views
from mtmbench.features.words import tokenise
from mtmbench.metrics.alignment import NMI
from mtmbench.metrics.coherence import NPMI
from mtmbench.metrics.context import MetricContext
from mtmbench.models.registry import MODELS, load_model_card

WORDS = WordSpec(min_df=5)
FIRST_DOCUMENTS, FIRST_TOPICS = 200, 4
PACKAGES = (
    "mtmbench", "numpy", "scipy", "numba", "torch", "scikit-learn", "umap-learn", "hdbscan",
    "bertopic", "tomotopy", "topica", "turftopic",
)  # fmt: skip
SECOND, MEGABYTE = fixed(1), fixed(0)
THREE = fixed(3)


@dataclass(frozen=True)
class Fit:
    """One fit: CPU seconds, MB beyond the views, quality, topics; or why there is none."""

    model: str
    seconds: float | None = None
    memory_mb: float | None = None
    nmi: float | None = None
    npmi: float | None = None
    topics: int | None = None
    failed: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits each model in a process of its own, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = speed.ROOT.parent / "shared" / "data"
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--corpus", default="20ng")
    parser.add_argument("--max-documents", type=int)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if {os.environ.get(name) for name in speed.THREADS} != {"1"}:
        parser.error(f"set {' and '.join(f'{name}=1' for name in speed.THREADS)}: one thread each")
    unknown = sorted(name for name in chosen.models if name not in MODELS)
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS.names())}")
    corpus = mb.load_corpus(
        chosen.corpus, data_dir=Path(chosen.data_dir), max_documents=chosen.max_documents
    )
    if chosen.alone:
        print(json.dumps(asdict(measured(chosen.models[0], corpus, chosen.k, chosen.seed))))
        return
    fits = []
    for name in chosen.models or fitted_by_default():
        fits.append(in_own_process(name, sys.argv[1:] if arguments is None else arguments))
        print(fits[-1], file=sys.stderr, flush=True)
    print(page(fits, f"{chosen.corpus}, {len(corpus):,} documents, K = {chosen.k}, one seed"))


def fitted_by_default() -> list[str]:
    """Returns the registered models that can be fitted with nothing but views."""

    def asks(name: str) -> bool:
        parameters = inspect.signature(MODELS.get(name)).parameters
        return any(
            "judge" in each.name or each.default is each.empty for each in parameters.values()
        )

    return [name for name in MODELS.names() if MODELS.get(name).needs and not asks(name)]


def in_own_process(name: str, arguments: Sequence[str]) -> Fit:
    """Fits one model as the last of ``arguments`` without the other models' names."""
    options = [each for each in arguments if each not in MODELS]
    done = subprocess.run(
        [sys.executable, "-P", __file__, name, "--alone", *options],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode:
        return Fit(name, failed=f"its process ended with {done.returncode}")
    return Fit(**json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, corpus: Corpus, k: int, seed: int) -> Fit:
    """Fits a model twice, the second time to the whole corpus, which is measured."""
    views = mb.views(corpus, words=WORDS)
    try:
        load(views, MODELS.get(name).needs)
        few = views.select_docs(range(min(FIRST_DOCUMENTS, len(corpus))))
        mb.model(name, n_topics=FIRST_TOPICS).fit(few, seed=seed)
        give_back()
        forget_peak()
        before, began = peak_mb(), time.process_time()
        result = mb.model(name, n_topics=k).fit(views, seed=seed)
        seconds, memory = time.process_time() - began, peak_mb() - before
    except Exception as error:
        return Fit(name, failed=f"{type(error).__name__}: {error}")
    counts = {"words": views.words}
    if result.items.kind == "features":
        counts["features"] = views.features
    context = MetricContext(corpus, tokens=cache(partial(tokenise, corpus)), counts=counts)
    in_documents = next(each for each in NPMI.variants if each["window"] == "document")
    view = "own" if result.items.kind == "words" else "projected"
    return Fit(
        name,
        seconds,
        memory,
        NMI().compute(result, context, view=None).value,
        NPMI().compute(result, context, view=view, **in_documents).value,
        result.n_topics,
    )


def load(views: Views, needs: Sequence[str]) -> None:
    """Makes the views that a model reads; words are counted in any case, to be scored by."""
    for view in {"words", *needs}:
        getattr(views, view)
    if "embeddings" in needs:
        _ = views.word_embeddings


def give_back() -> None:
    """Returns what is free to the system, which a fit would else take without being seen."""
    gc.collect()
    with suppress(AttributeError, OSError):  # glibc's
        ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> None:
    """Has Linux count the peak from what is held now: making views may have taken more."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Returns the most memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def page(fits: Sequence[Fit], size: str) -> str:
    """Returns the table, and what it was measured on and with."""
    written = MarkdownPage("What a fit costs")
    written.text(f"{size}, words with min_df {WORDS.min_df}, one thread.")
    written.table(
        ["model", "card", "CPU s", "memory, MB", "NMI", "NPMI in documents", "topics", ""],
        [
            [
                each.model, load_model_card(each.model).description or None,
                shown(each.seconds, SECOND), shown(each.memory_mb, MEGABYTE),
                shown(each.nmi, THREE), shown(each.npmi, THREE), each.topics, each.failed,
            ]
            for each in fits
        ],
    )  # fmt: skip
    written.bullets(
        [", ".join(f"{name} {value}" for name, value in speed.machine().items()), versions()]
    )
    return str(written)


def versions() -> str:
    """Returns name and version of each library that is installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    main()
