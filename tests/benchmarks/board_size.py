"""How long a board of many comparisons takes to rebuild from its records, and how much memory.

Run it: ``python -P tests/benchmarks/board_size.py [--corpora 8] [--models 40] [--documents 10]
[--judges 4] [--ks 4] [--representations 2] [--seeds 5] [--profile]``. The records are drawn, not
played: every pair of models under every judge, K and representation on every corpus, by fits of
every seed, in both orders. By default they are 998,400 matches with 9,984,000 comparisons, in 288
leagues of first seeds, pooled ones among them, and as many of each later seed. A child process of
its own rebuilds the board, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import itertools
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from mtmbench.boards.write import write_board
from mtmbench.core.records import Record
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import Representation

SUITE = """\
name = "size"
corpora = [{corpora}]
models = [{models}]
k = [{ks}]

[judging]
judges = [{judges}]
documents = {documents}
"""
REPRESENTATIONS: tuple[Representation, ...] = ("items", "projected", "summary")


@dataclass(frozen=True)
class Size:
    """How large a board is: how many there are of each."""

    corpora: int = 8
    models: int = 40
    documents: int = 10
    judges: int = 4
    ks: int = 4
    representations: int = 2
    seeds: int = 5

    @property
    def records(self) -> int:
        pairs = self.models * (self.models - 1) // 2
        return pairs * self.corpora * self.judges * self.ks * self.representations * self.seeds


@dataclass(frozen=True)
class Rebuilt:
    """What it took: CPU seconds, and the peak of memory in MB."""

    records: int
    seconds: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Size):
        parser.add_argument(f"--{field.name}", type=int, default=field.default)
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    parser.add_argument("--folder", type=Path, help="rebuild the board of this folder")
    given = vars(parser.parse_args())
    profiled, folder = given.pop("profile"), given.pop("folder")
    if folder is not None:
        rebuild(folder, profiled=profiled)
        return
    found = measure(Size(**given), profiled=profiled)
    print(f"{found.records:,} records: {found.seconds:.1f} s of CPU, peak {found.peak_mb:,.0f} MB")


def measure(size: Size, *, profiled: bool = False) -> Rebuilt:
    """Rebuilds a board of this size in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        write_store(Path(place), size)
        command = [sys.executable, "-P", __file__, "--folder", place]
        command += ["--profile"] if profiled else []
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    *before, last = told.splitlines()
    print(*before, sep="\n", end="")
    seconds, peak = map(float, last.split())
    return Rebuilt(size.records, seconds, peak)


def write_store(folder: Path, size: Size) -> None:
    """Writes a suite, and the records that a run of it would export."""
    corpora, models, judges = (
        [f"{what}-{i:03d}" for i in range(n)]
        for what, n in (("corpus", size.corpora), ("model", size.models), ("judge", size.judges))
    )
    ks = [10 * (i + 1) for i in range(size.ks)]
    listed = {
        "corpora": quoted(corpora), "models": quoted(models), "judges": quoted(judges),
        "ks": ", ".join(map(str, ks)), "documents": size.documents,
    }  # fmt: skip
    (folder / "suite.toml").write_text(SUITE.format(**listed), encoding="utf-8")
    leagues = itertools.product(
        corpora, judges, ks, REPRESENTATIONS[: size.representations], range(size.seeds)
    )
    random = np.random.default_rng(0)
    strength = random.normal(0, 0.7, len(models))
    lines = [
        record.to_json() + "\n"
        for league in leagues
        for record in matches(*league, models, strength, size.documents, random)
    ]
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(sorted(lines))


def quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def matches(
    corpus: str,
    judge: str,
    k: int,
    representation: Representation,
    nth: int,
    models: list[str],
    strength: np.ndarray,
    n_documents: int,
    random: np.random.Generator,
) -> Iterator[Record]:
    for i, j in itertools.combinations(range(len(models)), 2):
        lead = strength[i] - strength[j] + random.normal(0, 0.5, n_documents)
        orders = []
        for bias in (0.3, -0.3):
            noisy = lead + bias + random.logistic(size=n_documents)
            orders.append(
                "".join(np.where(np.abs(noisy) < 0.2, "t", np.where(noisy > 0, "a", "b")))
            )
        a, b = (content_hash(corpus, k, nth, models[side]) for side in (i, j))
        payload = {
            "judge": judge, "judge_is_llm": True, "order_free": False, "encoder": None,
            "judge_client": "openai", "judge_version": 1, "judge_model": "a-chat-model",
            "judge_params": {"temperature": 0.0}, "prompt": content_hash("prompt"),
            "corpus": corpus, "corpus_revision": content_hash(corpus), "k": k, "k_spec": k,
            "representation": representation, "seed": {"a": nth, "b": nth},
            "a": {"model": models[i], "setting": None, "fit": a},
            "b": {"model": models[j], "setting": None, "fit": b},
            "documents": [f"{corpus}-{i}" for i in range(n_documents)],
            "protocol": {"documents": n_documents, "max_topics": 2, "share": 0.75, "top_items": 10},
            "forward": orders[0], "backward": orders[1], "calls": 2 * n_documents,
            "judge_revisions": ["a-chat-model-2026"], "unread": {},
            "usage": {
                "input": int(random.integers(380, 420)) * n_documents, "output": 4 * n_documents,
            },
            "cost": None, "paid": {}, **({"nth_seed": nth} if nth else {}),
        }  # fmt: skip
        key = content_hash(a, b, judge, representation)
        yield Record("match", key, "ok", payload, {"mtmbench": "0.1.0"})


def rebuild(folder: Path, *, profiled: bool) -> None:
    """Rebuilds a board, and prints CPU seconds and peak memory in one line."""
    began = time.process_time()
    if profiled:
        import cProfile
        import pstats

        profile = cProfile.Profile(time.process_time)
        profile.runcall(write_board, folder)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    else:
        write_board(folder)
    print(time.process_time() - began, peak_mb())


def peak_mb() -> float:
    """Returns the peak of this process alone: what getrusage tells outlives an exec."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
    return int(peak) / 1024


if __name__ == "__main__":
    main()
