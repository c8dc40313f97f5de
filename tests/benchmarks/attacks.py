"""What is done to mtmbench by accident or on purpose, again and again: tried, held, failed.

Run it: ``python -P tests/benchmarks/attacks.py [--times 40] [--only bits,files] [--data-dir D]``.
Every attack is drawn at random from its seed, played on real commands in a child process, and
judged by what is left: held is the right result, byte for byte, or a refusal in one sentence with
exit status 2. Failed is everything else: a traceback, a signal, another result, a lost answer, a
script that ran, two gigabytes of memory. Exit status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent))
from attack_groups.files import hostile_files
from attack_groups.kills import killed
from attack_groups.pages import scripts
from attack_groups.runs import damaged_caches, damaged_runs
from attack_groups.servers import hostile_servers, votes


def main() -> int:
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=40, help="tries of each attack")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="attacks whose name holds one of these")
    parser.add_argument("--data-dir", type=Path, help="human judgements, for `validate`")
    arguments = parser.parse_args()
    os.environ.update(NO_PROXY="127.0.0.1", OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    wanted = [part for part in arguments.only.split(",") if part]
    rows: list[tuple[str, int, int, float]] = []
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["MTMBENCH_CACHE"] = str(place / "shared-cache")
        draw = random.Random(arguments.seed)
        groups = (
            damaged_runs(arguments.times, draw, place),
            damaged_caches(arguments.times, draw, place),
            hostile_files(arguments.times, draw, place),
            hostile_servers(arguments.times, draw, place),
            votes(arguments.times, draw, place),
            scripts(arguments.times, draw, place),
            killed(arguments.times, draw, place, arguments.data_dir),
        )
        for group in groups:
            for attack, outcomes in group:
                if wanted and not any(part in attack for part in wanted):
                    continue
                began = time.monotonic()
                found = list(outcomes)
                bad = [fault for fault in found if fault is not None]
                rows.append((attack, len(found), len(bad), time.monotonic() - began))
                faults += [f"{attack}: {fault}" for fault in bad]
                print(f"{attack}: {len(found)} tried, {len(bad)} failed", flush=True)
    print("\n| attack | tried | held | failed |\n|---|---|---|---|")
    for attack, tried, failed, _ in rows:
        print(f"| {attack} | {tried} | {tried - failed} | {failed} |")
    print(*sorted(set(faults)), sep="\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{sum(row[3] for row in rows):.0f} s, {peak:.2f} GiB at most in this process")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
