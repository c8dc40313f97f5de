"""How fast mtmbench is beside its peers: writes the table in ``leaderboards/speed``.

    python -P tests/benchmarks/speed.py [--only rating coherence ...] [--repeats 3] [--small]
        [--data-dir DIR] [--out leaderboards/speed]

Every figure is CPU seconds, the median of the repetitions; a peer is run beside ours in the same
process, on the same input and one thread. Peers are optional: a row says which are not installed.
For all of them, make an environment that holds them beside mtmbench's own::

    python -m venv peers && peers/bin/pip install -e . && peers/bin/pip install evalica topica
    OMP_NUM_THREADS=1 peers/bin/python -P tests/benchmarks/speed.py

``--small`` runs everything at a small size, to see that it works; its numbers are no results, and
it writes nothing unless ``--out`` says where.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from mtmbench.core.tables import csv_text, write_files

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "mtmbench", "numpy", "scipy", "numba", "torch", "scikit-learn", "gensim", "tomotopy", "topica",
    "choix", "evalica",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        task: what was done.
        size: to how much of it.
        by: whose code did it; "mtmbench" is ours.
        seconds: CPU seconds, the median; None where it was not run.
        ratio: ours is 1.
        repeats: how often it was run.
        note: quality, memory, or why it was not run.
    """

    task: str
    size: str
    by: str
    seconds: float | None
    ratio: float | None
    repeats: int
    note: str = ""


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    repeats: int
    small: bool
    data_dir: Path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    settings = Settings(chosen.repeats, chosen.small, Path(chosen.data_dir))
    rows: list[Row] = []
    for name in chosen.only:
        for row in TASKS[name](settings):
            print(row, flush=True)
            rows.append(row)
    out = chosen.out or (None if chosen.small else ROOT / "leaderboards" / "speed")
    if out is not None:
        write_files(out, {"speed.csv": rows_csv(rows), "README.md": page(rows)})


def lda(settings: Settings) -> Iterator[Row]:
    """Yields LDA's engines on words and on SAE counts, as ``lda_engines.py`` prints them."""
    small = settings.small
    own = ("cvb0:100", "memoised:100", "tomotopy:1000")
    for corpus, view, full, engines in (
        ("20ng", "words", 50, (*own, "topica:50", "gensim:10")),
        ("20ng", "features", 20, own),
        ("20ng", "features", 100, own),
    ):
        k = 5 if small else full
        command = [
            sys.executable, "-P", str(Path(__file__).with_name("lda_engines.py")),
            "--corpus", corpus, "--view", view, "--topics", str(k),
            "--max-documents", "300" if small else "2250" if view == "features" else "100000",
            "--data-dir", str(settings.data_dir), "--engines",
            *(each for each in engines if each.partition(":")[0] != "topica" or known("topica")),
        ]  # fmt: skip
        told = subprocess.run(command, capture_output=True, text=True)
        task, size = f"LDA, {view}", f"{corpus}, K = {k}"
        if told.returncode:
            yield Row(task, size, "mtmbench", None, None, 0, told.stderr.splitlines()[-1])
            continue
        names = [each.partition(":")[0] for each in engines]
        cells = [line.split() for line in told.stdout.splitlines()]
        for engine, done, perplexity, _, npmi, seconds, times in (
            row for row in cells if row and row[0] in names
        ):
            ours = engine in ("cvb0", "memoised")
            note = f"{done} iterations, held-out perplexity {perplexity}, NPMI {npmi}"
            by = f"mtmbench ({engine})" if ours else engine
            yield Row(task, size, by, float(seconds), float(times), 1, note)
        if "topica" in names and not known("topica"):
            yield missing(task, size, "topica")


def coherence(settings: Settings) -> Iterator[Row]:
    """Yields our coherences and gensim's of 60 topics, one corpus, all four measures."""
    import coherence_parity

    corpus = coherence_parity.read_lee()
    coherence_parity.compare(corpus.name, corpus)  # the first count compiles
    if not settings.small:
        corpus = coherence_parity.read_octis(settings.data_dir / "octis" / "BBC_News")
    runs = [coherence_parity.compare(corpus.name, corpus) for _ in range(settings.repeats)]
    for measured in zip(*runs, strict=True):
        task, size = f"coherence, {measured[0].measure}", f"{corpus.name}, 60 topics"
        note = f"largest difference {max(each.difference for each in measured):.0e}"
        times = {
            "mtmbench": [each.ours for each in measured],
            "gensim": [each.theirs for each in measured],
        }
        yield from beside(task, size, times, {"gensim": note})


def rating(settings: Settings) -> Iterator[Row]:
    """Yields ratings of 50 models: a fit alone, 1,000 resamples of documents, and a file."""
    import rating_speed

    case = rating_speed.drawn(50, 20_000 if settings.small else 1_000_000, 1000)
    size = f"{len(case.names)} models, {len(case.score):,} comparisons"
    fits = {
        name: run for name, run in rating_speed.FITS.items() if name == "mtmbench" or known(name)
    }
    elo = {name: run(case) for name, run in fits.items()}
    times = {name: repeated(lambda run=run: run(case), settings) for name, run in fits.items()}
    notes = {
        name: f"largest difference {np.abs(found - elo['mtmbench']).max():.1e} Elo"
        for name, found in elo.items()
        if name != "mtmbench"
    }
    yield from beside("rating, one fit", size, times, notes)
    for name in rating_speed.FITS:
        if name not in fits:
            yield missing("rating, one fit", size, name)
    whole = repeated(lambda: rating_speed.bootstrapped(case), settings)
    size += ", 1,000 documents"
    yield from beside("rating, 1,000 bootstraps", size, {"mtmbench": whole})
    with tempfile.TemporaryDirectory() as place:
        path = rating_speed.write_csv(case, Path(place) / "comparisons.csv")
        runs = [in_own_process(["rate", str(path)]) for _ in range(settings.repeats)]
    note = f"start-up included; peak {max(peak for _, _, peak in runs):,.0f} MB"
    times = {"mtmbench": [seconds for seconds, _, _ in runs]}
    yield from beside("rating a CSV file, 1,000 bootstraps", size, times, {"mtmbench": note})


def extraction(settings: Settings) -> Iterator[Row]:
    """Yields extraction beside its limit, which is a forward pass and one dense product."""
    import extraction_speed
    import torch

    torch.set_num_threads(1)
    n_tokens = 1000 if settings.small else 12_000
    cache = os.environ.get("MTMBENCH_CACHE")
    for case in extraction_speed.CASES[: 1 if settings.small else None]:
        with tempfile.TemporaryDirectory() as scratch:
            share, (forward, product, whole) = extraction_speed.measure(
                case, n_tokens, settings.repeats, "cpu", Path(scratch)
            )
        task, size = f"SAE extraction: {case.name}", f"{n_tokens:,} tokens"
        yield Row(task, size, "mtmbench", n_tokens * whole, 1.0, settings.repeats)
        yield Row(
            task, size, "forward pass and product", n_tokens * (forward + product), share,
            settings.repeats, "the limit",
        )  # fmt: skip
    if cache is None:
        os.environ.pop("MTMBENCH_CACHE", None)
    else:
        os.environ["MTMBENCH_CACHE"] = cache


def board(settings: Settings) -> Iterator[Row]:
    """Yields the rebuilding of a large board from its records."""
    import board_size

    size = board_size.Size()
    if settings.small:
        size = board_size.Size(2, models=8, judges=1, ks=1, representations=1, seeds=2)
    found = board_size.measure(size)
    note = f"peak {found.peak_mb:,.0f} MB"
    told = f"{found.records:,} records"
    yield Row("a board from its records", told, "mtmbench", found.seconds, 1.0, 1, note)


def quick(settings: Settings) -> Iterator[Row]:
    """Yields ``mtmbench run quick`` with nothing cached."""
    if settings.small:
        return
    with tempfile.TemporaryDirectory() as place:
        command = ["run", "quick", "--out", f"{place}/out"]
        seconds, wall, peak = in_own_process(command, cache=Path(place) / "cache")
    note = f"{wall:.0f} s by the clock; peak of a process {peak:,.0f} MB"
    yield Row("mtmbench run quick, cold", "the suite", "mtmbench", seconds, 1.0, 1, note)


TASKS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "lda": lda, "coherence": coherence, "rating": rating, "extraction": extraction,
    "board": board, "quick": quick,
}  # fmt: skip


def beside(
    task: str, size: str, times: dict[str, list[float]], notes: dict[str, str] | None = None
) -> Iterator[Row]:
    """Yields a row for each of those that were timed on one input."""
    unit = statistics.median(times["mtmbench"])
    for by, found in times.items():
        seconds = statistics.median(found)
        note = (notes or {}).get(by, "")
        yield Row(task, size, by, seconds, seconds / unit, len(found), note)


def missing(task: str, size: str, by: str) -> Row:
    return Row(task, size, by, None, None, 0, "not installed")


def known(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def repeated(run: Callable[[], object], settings: Settings) -> list[float]:
    found = []
    for _ in range(settings.repeats):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return found


def in_own_process(command: Sequence[str], cache: Path | None = None) -> tuple[float, float, float]:
    """Runs ``mtmbench``; returns CPU seconds, seconds by the clock and the largest peak in MB.

    The peak is that of the largest process of all that were waited for so far.
    """
    environment = {**os.environ, **({"MTMBENCH_CACHE": str(cache)} if cache else {})}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mtmbench", *command],
        check=True, stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, wall, after.ru_maxrss / 1024


def rows_csv(rows: Sequence[Row]) -> str:
    names = [field.name for field in fields(Row)]
    return csv_text(names, [{**asdict(row), **rounded(row)} for row in rows])


def rounded(row: Row) -> dict[str, float | None]:
    return {
        "seconds": None if row.seconds is None else round(row.seconds, 3),
        "ratio": None if row.ratio is None else round(row.ratio, 2),
    }


def page(rows: Sequence[Row]) -> str:
    """Returns the table as Markdown, with the machine and the versions under it."""
    lines = [
        "# How fast it is", "",
        "CPU seconds, medians, one thread each, ours and a peer's in one run; a ratio above 1",
        "means that mtmbench is faster. `tests/benchmarks/speed.py` writes this and says how.", "",
        "| task | size | by | CPU s | ratio | runs | |", "|---|---|---|--:|--:|--:|---|",
    ]  # fmt: skip
    for row in rows:
        seconds = "–" if row.seconds is None else f"{row.seconds:.3g}"
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        cells = (row.task, row.size, row.by, seconds, ratio, str(row.repeats), row.note)
        lines.append(f"| {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES if known(name))
    lines += ["", f"Machine: {machine()}.", "", f"Versions: {versions}.", ""]
    return "\n".join(lines)


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        told = info.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cpu}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
