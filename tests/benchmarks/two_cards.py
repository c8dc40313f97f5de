"""The engine's six models on Lee, judged by two chat cards through the local server over TCP.

Run it: ``python -P tests/benchmarks/two_cards.py [--out FOLDER] [--documents 20]``.
One card reads (it prefers the set more of whose words stand in the document), the other prefers
longer words (tests/support/readers.py). Both rule on top items and on summaries that a
third model writes, with null controls. Exit status 1 if a board is missing or a cell failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.chat_server import ChatServer
from support.readers import MODELS, lay_out_two_cards

from mtmbench.core.card_files import load_suite
from mtmbench.engine.harness import run_suite

N_BOARDS = 4
"""Two judges, two representations."""


def main() -> int:
    """Plays the suite and prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="The run's folder; a temporary one by default.")
    parser.add_argument("--documents", type=int, default=20)
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    start = time.monotonic()
    with ChatServer(keep=False, models=MODELS) as server, tempfile.TemporaryDirectory() as place:
        out = (arguments.out or Path(place) / "out").resolve()
        os.chdir(place)
        suite = lay_out_two_cards(Path(place), server.url, documents=arguments.documents)
        outcome = run_suite(load_suite(str(suite)), out, workers=1)
        board = json.loads((out / "board.json").read_text(encoding="utf-8"))
        print(f"{server.paid.total()} calls over TCP, {time.monotonic() - start:.0f} s")
    n_boards = tell(board)
    for cell, reason in outcome.errors:
        print(f"failed: {cell}: {reason}")
    return 1 if outcome.errors or n_boards != N_BOARDS else 0


def tell(board: Mapping[str, Any]) -> int:
    """Prints what a board says of its judges; returns how many leagues are rated."""
    for row in board["shown"]:
        print(f"{row['task']} by {row['judge']}: {row['questions']} calls, cost {row['cost']:.4f}")
    for judge in board["judges"]:
        reliable = {True: "reliable", False: "NOT reliable", None: "not known"}[judge["reliable"]]
        print(f"judge {judge['id']}: {judge['calls']} calls, cost {judge['cost']:.4f}, {reliable}")
    for row in board["controls"]:
        if row["corpus"] == "all" and row["value"] is not None:
            where = f"{row['judge']}, {row['representation']}, {row['control']}"
            print(f"control {where}: {interval(row, 'value', '')} (n = {row['n']})")
    for row in board["agreement"]:
        print(
            f"agreement on {row['corpus']}, {row['representation']}: kappa "
            f"{interval(row, 'kappa', 'kappa_')}, alpha {interval(row, 'alpha', 'alpha_')}, "
            f"Spearman {row['spearman']}, Kendall {row['kendall_tau']} of {row['n_models']}"
        )
    leagues: dict[tuple[str, str], list[Any]] = {}
    for row in board["ratings"]:
        if row["elo"] is not None:
            leagues.setdefault((row["judge"], row["representation"]), []).append(row)
    for (judge, representation), rows in leagues.items():
        ranked = sorted(rows, key=lambda row: -float(row["elo"]))
        print(f"ratings by {judge}, {representation}:", ", ".join(
            f"{row['model']} {row['elo']:.0f}" for row in ranked
        ))  # fmt: skip
    return len(leagues)


def interval(row: Mapping[str, Any], name: str, prefix: str) -> str:
    """Returns a value with its interval, where it has one."""
    value, lo, hi = (row[key] for key in (name, f"{prefix}lo", f"{prefix}hi"))
    return f"{value}" if lo is None else f"{value} ({lo} to {hi})"


if __name__ == "__main__":
    sys.exit(main())
