"""How long a board of many comparisons takes to rebuild from its records, and how much memory.

Run it: ``python -P tests/benchmarks/board_size.py [--corpora 20] [--models 100] [--documents 10]
[--profile]``. The records of one judge are drawn, not played: every pair of models on every corpus,
in both orders. By default they are 99,000 matches with 990,000 comparisons in 21 leagues, the
pooled one among them. A child process of its own rebuilds the board, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mtmbench.boards.write import write_board
from mtmbench.core.records import Record
from mtmbench.core.serialise import content_hash

SUITE = """\
name = "size"
corpora = [{corpora}]
models = [{models}]
k = [10]

[judging]
judges = ["chat"]
documents = {documents}
"""


def main() -> None:
    arguments = parsed()
    if arguments.folder is not None:
        rebuild(arguments.folder, profiled=arguments.profile)
        return
    with tempfile.TemporaryDirectory() as place:
        write_store(Path(place), arguments.corpora, arguments.models, arguments.documents)
        command = [sys.executable, "-P", __file__, "--folder", place]
        command += ["--profile"] if arguments.profile else []
        subprocess.run(command, check=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=int, default=20)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--documents", type=int, default=10, help="documents a corpus")
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    parser.add_argument("--folder", type=Path, help="rebuild the board of this folder")
    return parser.parse_args()


def write_store(folder: Path, n_corpora: int, n_models: int, n_documents: int) -> None:
    """Writes a suite, and the records that a run of it would export."""
    corpora = [f"corpus-{i:02d}" for i in range(n_corpora)]
    models = [f"model-{i:03d}" for i in range(n_models)]
    listed = {"corpora": quoted(corpora), "models": quoted(models), "documents": n_documents}
    (folder / "suite.toml").write_text(SUITE.format(**listed), encoding="utf-8")
    lines = sorted(record.to_json() + "\n" for record in matches(corpora, models, n_documents))
    (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")


def quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def matches(corpora: list[str], models: list[str], n_documents: int) -> Iterator[Record]:
    random = np.random.default_rng(0)
    strength = dict(zip(models, random.normal(0, 0.7, len(models)), strict=True))
    for corpus, (a, b) in itertools.product(corpora, itertools.combinations(models, 2)):
        lead = strength[a] - strength[b] + random.normal(0, 0.5, n_documents)
        orders = []
        for bias in (0.3, -0.3):
            noisy = lead + bias + random.logistic(size=n_documents)
            orders.append(
                "".join(np.where(np.abs(noisy) < 0.2, "t", np.where(noisy > 0, "a", "b")))
            )
        payload = {
            "judge": "chat", "judge_is_llm": True, "order_free": False, "encoder": None,
            "judge_client": "openai", "judge_version": 1, "judge_model": "a-chat-model",
            "judge_params": {"temperature": 0.0}, "prompt": content_hash("prompt"),
            "corpus": corpus, "corpus_revision": content_hash(corpus), "k": 10, "k_spec": 10,
            "representation": "items", "seed": {"a": 0, "b": 0},
            "a": {"model": a, "setting": None, "fit": content_hash(corpus, a)},
            "b": {"model": b, "setting": None, "fit": content_hash(corpus, b)},
            "documents": [f"{corpus}-{i}" for i in range(n_documents)],
            "protocol": {"documents": n_documents, "max_topics": 2, "share": 0.75, "top_items": 10},
            "forward": orders[0], "backward": orders[1], "calls": 2 * n_documents,
            "judge_revisions": ["a-chat-model-2026"], "unread": {},
            "usage": {"input": 400 * n_documents, "output": 4 * n_documents}, "cost": None,
            "paid": {},
        }  # fmt: skip
        key = content_hash(corpus, a, b)
        yield Record("match", key, "ok", payload, {"mtmbench": "0.1.0"})


def rebuild(folder: Path, *, profiled: bool) -> None:
    begun, before = time.process_time(), peak_mb()
    if profiled:
        import cProfile
        import pstats

        profile = cProfile.Profile()
        profile.runcall(write_board, folder)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    else:
        write_board(folder)
    seconds = time.process_time() - begun
    print(f"{seconds:.1f} s of CPU, peak {peak_mb():,.0f} MB ({before:,.0f} MB before)")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
