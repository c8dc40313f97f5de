"""How fast mtmbench is beside its peers: writes the table in ``leaderboards/speed``.

    python -P tests/benchmarks/speed.py [--only rating coherence ...] [--repeats 3] [--small]
        [--data-dir DIR] [--out leaderboards/speed]

Every figure is the median of the CPU seconds of several runs; a peer is run beside ours on the same
input, one thread each. The table is written after every task; tasks that are not run keep the rows
that they have, if these were measured on this machine with these versions. Peers are optional: a
row says which are not installed. For all of them, make an environment that holds them beside
mtmbench's own::

    python -m venv peers && peers/bin/pip install -e '.[dev]' evalica topica
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 peers/bin/python -P tests/benchmarks/speed.py

``--small`` runs everything once at a small size, to see that it works; its numbers are no results,
and it writes nothing unless ``--out`` says where.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from importlib.metadata import distributions
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from mtmbench.boards.markdown import MarkdownPage
from mtmbench.boards.numbers import Form, fixed, interval, shown
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.core.tables import csv_text, table_json, write_files

ROOT = Path(__file__).parents[2]
SCHEMA = 1
OURS = "mtmbench"
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKAGES = (
    OURS, "numpy", "scipy", "numba", "torch", "scikit-learn", "gensim", "tomotopy", "topica",
    "choix", "evalica",
)  # fmt: skip
BAR = (2340, 0.31)
"""Held-out perplexity, and NPMI in documents, of 20 Newsgroups' words at K = 50 that do."""

UNTIL = ("cvb0:100", "topica:200", "tomotopy:1000")
"""What is fitted until that is met, with the most iterations it may do."""

BESIDE_BAR = ("tomotopy, 1,000 iterations", "topica, 50 iterations")
"""What ours, fitted until the bar is met, is to be held against."""


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        task: what was done.
        size: to how much of it.
        by: whose code did it; "mtmbench", or what begins so, is ours.
        runs: CPU seconds of each run; empty where there was none.
        note: quality, memory, or why it was not run.
        group: the name in :data:`TASKS` of what measured it.
        date: when that was.
    """

    task: str
    size: str
    by: str
    runs: Sequence[float]
    note: str = ""
    group: str = ""
    date: str = ""


@dataclass(frozen=True)
class Table:
    """Rows, and what they were measured on and with."""

    machine: Mapping[str, object]
    versions: Mapping[str, str]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    repeats: int
    small: bool
    data_dir: Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is asked for, and writes the table after each task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    if not chosen.small and {os.environ.get(name) for name in THREADS} != {"1"}:
        # Libraries read them when they are imported, which is before this.
        parser.error(f"set {' and '.join(f'{name}=1' for name in THREADS)}: one thread each")
    repeats = 1 if chosen.small else chosen.repeats
    settings = Settings(repeats, chosen.small, Path(chosen.data_dir))
    out = chosen.out or (None if chosen.small else ROOT / "leaderboards" / "speed")
    table = Table(machine(), versions(), [])
    if out is not None and (out / "speed.json").exists():
        table = with_rows_of(read_table(out / "speed.json"), table, chosen.only)
    for name in chosen.only:
        began, today = time.perf_counter(), datetime.date.today().isoformat()
        found = []
        for row in TASKS[name](settings):
            runs = [round(seconds, 4) for seconds in row.runs]
            found.append(replace(row, runs=runs, group=name, date=today))
            print(found[-1], flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s by the clock", flush=True)
        rows = [row for row in table.rows if row.group != name] + found
        rows.sort(key=lambda row: list(TASKS).index(row.group))
        table = replace(table, rows=rows)
        if out is not None:
            write_files(out, table_files(table))


def lda(settings: Settings) -> Iterator[Row]:
    """Yields LDA's engines on words and on SAE counts; each run has a seed of its own."""
    import lda_engines

    most, k = (300, 5) if settings.small else (None, 50)
    case = lda_engines.read_case("20ng", "words", most, settings.data_dir)
    task, size = "LDA on words", f"20 Newsgroups, {case.size}, K = {k}"
    fits = [fitted(task, size, each, case, k, settings) for each in lda_engines.ENGINES]
    yield from fits
    bar = lda_engines.Bar(*((np.inf, -1) if settings.small else BAR))
    task = "LDA on words to held-out perplexity {:,} and NPMI in documents {}".format(*BAR)
    for each in UNTIL:
        yield fitted(task, size, each, case, k, settings, bar)
    for row in fits:
        if row.by in BESIDE_BAR:
            yield replace(row, task=task)
    case = lda_engines.read_case("20ng", "features", most or 2500, settings.data_dir)
    for k in (5,) if settings.small else (20, 100):
        size = f"20 Newsgroups, {case.size}, K = {k}"
        for each in ("cvb0:100", "memoised:100"):
            yield fitted("LDA on SAE counts", size, each, case, k, settings)


def fitted(
    task: str,
    size: str,
    engine: str,
    case: Any,
    k: int,
    settings: Settings,
    bar: Any = None,
) -> Row:
    """Fits an engine for as many iterations as its name says, or until the bar is met."""
    import lda_engines

    name, _, iterations = engine.partition(":")
    by = (f"{OURS}, {name}" if name in lda_engines.OWN else name) + (
        f", {int(iterations):,} iterations" if bar is None else ", as long as that takes"
    )
    if name not in lda_engines.OWN and not known(name.partition("-")[0]):
        return missing(task, size, by)
    fit = lda_engines.measure if bar is None else partial(lda_engines.until, bar)
    found = [fit(case, name, k, int(iterations), seed) for seed in range(settings.repeats)]
    values = {
        "iterations": (fixed(0), [each.iterations for each in found]),
        "held-out perplexity": (fixed(0), [each.perplexity for each in found]),
        "NPMI in windows": (fixed(3), [each.npmi[0] for each in found if each.npmi]),
        "in documents": (fixed(3), [each.npmi[1] for each in found if each.npmi]),
    }
    note = ", ".join(
        f"{what} {median_and_range(those, form)}" for what, (form, those) in values.items() if those
    )
    if bar is not None and not all(map(bar.met, found)):
        note += "; not reached"
    return Row(task, size, by, [each.seconds for each in found], note)


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
        yield Row(task, size, OURS, [each.ours for each in measured])
        yield Row(task, size, "gensim", [each.theirs for each in measured], note)


def rating(settings: Settings) -> Iterator[Row]:
    """Yields ratings of 50 models: a fit alone, 1,000 resamples of documents, and a file."""
    import rating_speed

    case = rating_speed.drawn(50, 20_000 if settings.small else 1_000_000, 1000)
    task, size = "rating, one fit", f"{len(case.names)} models, {len(case.score):,} comparisons"
    elo = rating_speed.ours(case)
    for name, run in rating_speed.FITS.items():
        if name != OURS and not known(name):
            yield missing(task, size, name)
            continue
        apart = np.abs(run(case) - elo).max()
        note = "with intervals" if name == OURS else f"without; at most {apart:.1e} Elo apart"
        yield Row(task, size, name, repeated(lambda run=run: run(case), settings), note)
    size += ", 1,000 documents"
    runs = repeated(lambda: rating_speed.bootstrapped(case), settings)
    yield Row("rating, 1,000 bootstraps", size, OURS, runs)
    with tempfile.TemporaryDirectory() as place:
        path = rating_speed.write_csv(case, Path(place) / "comparisons.csv")
        whole = [in_own_process(["rate", str(path)]) for _ in range(settings.repeats)]
    note = f"start-up included; peak {max(each.peak_mb for each in whole):,.0f} MB"
    seconds = [each.seconds for each in whole]
    yield Row("rating a CSV file, 1,000 bootstraps", size, OURS, seconds, note)


def extraction(settings: Settings) -> Iterator[Row]:
    """Yields extraction beside its limit, which is a forward pass and one dense product."""
    import extraction_speed
    import torch

    torch.set_num_threads(1)
    n_tokens = 1000 if settings.small else 12_000
    cache = os.environ.get("MTMBENCH_CACHE")
    for case in extraction_speed.CASES[: 1 if settings.small else None]:
        with tempfile.TemporaryDirectory() as scratch:
            forward, product, whole = extraction_speed.measure(
                case, n_tokens, settings.repeats, "cpu", Path(scratch)
            )
        task, size = f"SAE extraction: {case.name}", f"{n_tokens:,} tokens"
        yield Row(task, size, OURS, [n_tokens * each for each in whole])
        limit = [n_tokens * sum(each) for each in zip(forward, product, strict=True)]
        yield Row(task, size, "forward pass and product", limit, "the limit")
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
    found = [board_size.measure(size) for _ in range(settings.repeats)]
    note = f"peak {max(each.peak_mb for each in found):,.0f} MB"
    seconds = [each.seconds for each in found]
    yield Row("a board from its records", f"{size.records:,} records", OURS, seconds, note)


def quick(settings: Settings) -> Iterator[Row]:
    """Yields ``mtmbench run quick`` with nothing cached."""
    if settings.small:
        return
    found = []
    for _ in range(settings.repeats):
        with tempfile.TemporaryDirectory() as place:
            command = ["run", "quick", "--out", f"{place}/out"]
            found.append(in_own_process(command, cache=Path(place) / "cache"))
    clock = median_and_range([each.clock for each in found], fixed(0))
    note = f"by the clock {clock} s on all processors; peak {max(e.peak_mb for e in found):,.0f} MB"
    yield Row("mtmbench run quick, cold", "the suite", OURS, [e.seconds for e in found], note)


TASKS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "lda": lda, "coherence": coherence, "rating": rating, "extraction": extraction,
    "board": board, "quick": quick,
}  # fmt: skip


def missing(task: str, size: str, by: str) -> Row:
    return Row(task, size, by, [], "not installed")


def known(module: str) -> bool:
    return find_spec(module) is not None


def repeated(run: Callable[[], object], settings: Settings) -> list[float]:
    found = []
    for _ in range(settings.repeats):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return found


BETWEEN = """\
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
clock, told = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(told.ru_utime + told.ru_stime, clock, told.ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Ran:
    """A process and its children: CPU seconds, seconds by the clock, the largest peak in MB."""

    seconds: float
    clock: float
    peak_mb: float


def in_own_process(command: Sequence[str], cache: Path | None = None) -> Ran:
    """Runs ``mtmbench`` as a user does, with as many threads as it takes."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    if cache is not None:
        environment["MTMBENCH_CACHE"] = str(cache)
    # A small process between them, or the peak would be this one's, from which it was forked.
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN, sys.executable, "-m", OURS, *command],
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    return Ran(*map(float, done.stdout.split()))


def median_and_range(values: Sequence[float], form: Form) -> str:
    """Returns "median (least to most)", without the range where it is no range."""
    middle, least, most = (form(pick(values)) for pick in (statistics.median, min, max))
    return middle if least == most else f"{middle} ({least} to {most})"


def read_table(path: Path) -> Table:
    """Reads ``speed.json``.

    Raises:
        InputError: it is no such file, or of another schema.
    """
    content = read_json_object(path)
    if content.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {content.get('schema')!r}; this reads {SCHEMA}")
    names = [field.name for field in fields(Row)]
    rows = [Row(**{name: row[name] for name in names}) for row in content["rows"]]
    return Table(content["machine"], content["versions"], rows)


def with_rows_of(before: Table, now: Table, played: Collection[str]) -> Table:
    """Returns what is measured now, with the rows of those tasks that are not run again.

    Raises:
        InputError: they were measured on another machine or with other versions.
    """
    kept = [row for row in before.rows if row.group not in played]
    if kept and (before.machine, before.versions) != (now.machine, now.versions):
        raise InputError(
            "the table's other rows were measured on another machine or with other versions; "
            "run all tasks, or write to another folder with --out"
        )
    return replace(now, rows=kept)


def table_files(table: Table) -> dict[str, str]:
    """Returns the table's files by name."""
    rows = told_rows(table.rows)
    content = {
        "schema": SCHEMA, "machine": table.machine, "versions": table.versions, "rows": rows,
    }  # fmt: skip
    return {
        "speed.csv": csv_text([name for name in rows[0] if name != "runs"] if rows else [], rows),
        "speed.json": table_json(content),
        "speed.md": page(table),
    }


def told_rows(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Returns rows with their medians, and these as multiples of ours."""
    told = []
    for row in rows:
        least, most = ends(row)
        told.append(
            {
                **asdict(row),
                "seconds": median_of(row),
                "least": least,
                "most": most,
                "ratio": ratio(row, rows),
            }
        )
    return told


def ends(row: Row) -> tuple[float | None, float | None]:
    """Returns the least and the most seconds."""
    return min(row.runs, default=None), max(row.runs, default=None)


def median_of(row: Row) -> float | None:
    return round(statistics.median(row.runs), 4) if row.runs else None


def ratio(row: Row, rows: Sequence[Row]) -> float | None:
    """Returns a row's seconds as a multiple of those of our first row on the same work."""
    work = (row.task, row.size)
    ours = next((each for each in rows if (each.task, each.size) == work and is_ours(each)), None)
    seconds, unit = median_of(row), None if ours is None else median_of(ours)
    return None if seconds is None or not unit else round(seconds / unit, 3)


def is_ours(row: Row) -> bool:
    return row.by.partition(",")[0] == OURS


def page(table: Table) -> str:
    """Returns the table as Markdown, a part for each piece of work."""
    written = MarkdownPage("How fast it is beside its peers")
    written.bullets(
        [
            "CPU seconds, the median of the runs and their range; ours and its peers' on the same "
            "input, one thread each. “times ours” above 1 says that it takes longer than ours.",
            "Runs of LDA have a seed each. A tenth of the documents is held out, and topics of all "
            "are folded in alike; NPMI is of ten words, in windows of ten and in whole documents.",
            "tests/benchmarks/speed.py measures and writes this.",
        ]
    )
    for (task, size), rows in groupby(table.rows, key=lambda row: (row.task, row.size)):
        written.heading(task)
        written.text(f"{size}.")
        written.table(
            ["by", "CPU s", "range", "times ours", "runs", ""],
            [
                [
                    row.by, shown(median_of(row), seconds),
                    interval(*ends(row), seconds) or None,
                    shown(ratio(row, table.rows), fixed(2)), len(row.runs), row.note,
                ]
                for row in rows
            ],
        )  # fmt: skip
    days = sorted({row.date for row in table.rows})
    written.heading("Machine")
    written.bullets(
        [
            ", ".join(f"{name} {value}" for name, value in table.machine.items()),
            ", ".join(f"{name} {value}" for name, value in table.versions.items()),
            f"measured {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else "",
        ]
    )
    return str(written)


def seconds(value: float) -> str:
    """Returns seconds with three digits that tell."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def versions() -> dict[str, str]:
    """Returns the version of each package that is installed."""
    installed = {each.metadata["Name"]: each.version for each in distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


def machine() -> dict[str, object]:
    """Returns what the figures depend on: processor, its number, memory, system, Python."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        told = info.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
        cpu = names[0] if names else cpu
    return {
        "processor": cpu,
        "processors": os.cpu_count(),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "Python": platform.python_version(),
        "threads": 1,
    }


if __name__ == "__main__":
    main()
