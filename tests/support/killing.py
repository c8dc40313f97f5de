"""Runs that are killed while a judge answers, and what was paid for; tests and a benchmark use it.

Every run is the whole command, on a corpus and models of milliseconds, against the local server.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from support import SUPPORT

PLUGIN = SUPPORT / "fast_plugin.py"
BOARD_FILES = ("records.jsonl", "board.json", "board.csv", "board.md", "index.html")
CONCURRENCY = 8
WORDS = tuple(f"{what}{i}" for what in ("team", "bread", "orbit", "bill", "song") for i in range(9))
SUITE = """
name = "judged"
corpora = ["tiny.jsonl"]
models = ["drawn", "drawn-sharp", "third"]
k = [5]
metrics = ["coverage"]
words = {{ max_df = 1.0 }}
params = {{ drawn-sharp = {{ sharpness = 5.0 }} }}

[judging]
judges = ["chat"]
documents = {documents}
bootstrap = 100
"""
CARD = """
client = "openai"
model = "small"

[endpoint]
base_url = "{url}"

[decoding]
temperature = 0
max_tokens = 50

[prices]
input = 1.0
output = 4.0

[limits]
concurrency = {concurrency}
timeout = 20
"""


def lay_out(folder: Path, url: str, *, documents: int = 30) -> None:
    """Writes a corpus, a suite of three models and one judge, and its card."""
    draw = random.Random(0)
    rows = [
        {"id": f"d{i}", "text": " ".join(draw.choices(WORDS, k=30))} for i in range(documents + 10)
    ]
    (folder / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "suite.toml").write_text(SUITE.format(documents=documents))
    for kind in ("judges", "baselines"):
        (folder / kind).mkdir(exist_ok=True)
    third = 'model = "drawn"\n[params]\nsharpness = 3.0\n'
    (folder / "baselines" / "third.toml").write_text(third)
    card = CARD.format(url=url, concurrency=CONCURRENCY)
    (folder / "judges" / "chat.toml").write_text(card)


def command(out: str, *more: str) -> list[str]:
    """Returns the command that plays the suite; to be run in its folder."""
    return [sys.executable, "-P", "-m", "mtmbench", "run", "suite.toml", "--plugin", str(PLUGIN),
            "--workers", "1", "--out", out, *more]  # fmt: skip


def play(folder: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        command(out, *more), cwd=folder, capture_output=True, text=True, check=False
    )


def board_bytes(folder: Path) -> dict[str, bytes]:
    """Returns the files of a board."""
    return {name: (folder / name).read_bytes() for name in BOARD_FILES}


def kept(out: Path) -> int:
    """Returns how many answers a ledger holds."""
    if not (out / "answers.sqlite").exists():
        return 0
    with closing(sqlite3.connect(out / "answers.sqlite")) as ledger:
        try:
            return int(ledger.execute("SELECT count(*) FROM answers").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@dataclass(frozen=True)
class Kills:
    """What became of it.

    Attributes:
        n_kills: runs that were killed while the judge answered.
        in_flight: at each kill, questions that were paid for and whose answer was not yet kept.
        paid_again: answers paid for over and above one a question, in the end.
        n_questions: questions that the board needed.
    """

    n_kills: int
    in_flight: tuple[int, ...]
    paid_again: int
    n_questions: int


def kill_and_resume(folder: Path, out: str, server: object, n_kills: int, seed: int) -> Kills:
    """Kills a run at random moments, as often as asked, then lets it end.

    A moment is a number of questions that the server has begun to answer since the run started:
    what is waited for is progress, not time. What is left when the last kill is due is divided
    among the kills that are left.

    Args:
        folder: as :func:`lay_out` left it.
        out: the run's folder in it.
        server: the :class:`ChatServer`.
        n_kills: how often.
        seed: of the moments.
    """
    paid = server.paid  # type: ignore[attr-defined]
    draw, before = random.Random(seed), paid.total()
    n_questions = (
        2 * 3 * int((folder / "suite.toml").read_text().split("documents = ")[1].split()[0])
    )
    in_flight: list[int] = []
    for done in range(n_kills):
        left = n_questions - kept(folder / out)
        begun = paid.total()
        due = begun + max(1, int(draw.uniform(0, 2) * left / (n_kills - done + 1)))
        process = subprocess.Popen(
            command(out), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while paid.total() < due and process.poll() is None:
            time.sleep(0.001)
        assert process.poll() is None, "the run ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        settle(server)
        in_flight.append(paid.total() - before - sum(in_flight) - kept(folder / out))
    ended = play(folder, out)
    assert ended.returncode == 0, ended.stderr
    assert kept(folder / out) == n_questions
    return Kills(n_kills, tuple(in_flight), paid.total() - before - n_questions, n_questions)


def settle(server: object) -> None:
    """Waits until the server has seen all that a killed run had sent."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.4 or server.at_once:  # type: ignore[attr-defined]
        total = server.paid.total()  # type: ignore[attr-defined]
        if total != last:
            last, since = total, time.monotonic()
        time.sleep(0.02)
