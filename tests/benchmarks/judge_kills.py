"""A judged run killed at 100 random moments: is any answer paid for twice, is the board the same?

Run it: ``python -P tests/benchmarks/judge_kills.py [--kills 100] [--documents 250]``.
The whole command plays three models against the local server (tests/support/chat_server.py) and is
killed by SIGKILL while the judge answers, then started again, until the last run ends by itself.
Exit status 1 if more was paid for twice than was in flight, more was in flight than may be lost, or
the board differs by a byte from one that nobody killed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.chat_server import ChatServer
from support.killing import CONCURRENCY, board_bytes, kill_and_resume, lay_out, play

from mtmbench.judges.asker import most_lost


def main() -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--documents", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    start = time.monotonic()
    with ChatServer(delay=0.05, keep=False) as server, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lay_out(folder, server.url, documents=arguments.documents)
        whole = play(folder, "whole")
        if whole.returncode != 0:
            print(whole.stderr)
            return 1
        found = kill_and_resume(folder, "killed", server, arguments.kills, arguments.seed)
        same = board_bytes(folder / "killed") == board_bytes(folder / "whole")
    in_flight = sum(found.in_flight)
    print(f"{found.n_kills} kills over {found.n_questions} questions")
    print(
        f"in flight at a kill: {in_flight} in all, {max(found.in_flight)} at most "
        f"(concurrency {CONCURRENCY}, and at most {most_lost(CONCURRENCY)} may be lost)"
    )
    print(f"paid for twice: {found.paid_again}")
    print(f"the board is {'the same, byte for byte' if same else 'ANOTHER'}")
    print(f"{time.monotonic() - start:.0f} s")
    right = same and found.paid_again <= in_flight
    return 0 if right and max(found.in_flight) <= most_lost(CONCURRENCY) else 1


if __name__ == "__main__":
    sys.exit(main())
