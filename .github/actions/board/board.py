"""Plays a suite, holds it to a committed board, and writes what a pull request is told.

Inputs come from the environment: MTMBENCH_SUITE, MTMBENCH_BOARD, and, if they are not empty,
MTMBENCH_MODELS, MTMBENCH_PLUGINS (one a line), MTMBENCH_DATA_DIR, MTMBENCH_TOLERANCES. The run goes
to ``mtmbench-board`` and the comment to ``mtmbench-board/comment.md``. The exit status is that of
``mtmbench compare``: 0, 1 on a regression, 3 if the boards cannot be compared; or that of a run
that left no board.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

OUT = Path("mtmbench-board")
MOST_CHARACTERS = 60_000
"""Of a table; GitHub takes comments of 65,536 characters."""

HEADINGS = {
    0: "no regression",
    1: "a regression",
    3: "boards that cannot be compared",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def main() -> int:
    """Plays, compares, writes the comment; returns the exit status."""
    suite, board = os.environ["MTMBENCH_SUITE"], os.environ["MTMBENCH_BOARD"]
    OUT.mkdir(exist_ok=True)
    # What a run here left before is no board of this one.
    (OUT / "board.json").unlink(missing_ok=True)
    played = _mtmbench("run", suite, "--out", str(OUT), *_options())
    if (OUT / "board.json").is_file():
        tolerances = os.environ.get("MTMBENCH_TOLERANCES", "")
        more = ["--tolerances", tolerances] if tolerances else []
        done = _mtmbench("compare", board, str(OUT), *more)
        told = done.stdout if done.returncode in HEADINGS else done.stderr
    else:
        done, told = played, played.stderr
    (OUT / "comment.md").write_text(comment(suite, board, done.returncode, told), "utf-8")
    return done.returncode


def comment(suite: str, board: str, status: int, told: str) -> str:
    """Returns the comment's Markdown; it begins with a marker of this suite and board.

    Args:
        suite: the suite.
        board: the board that it was held to.
        status: the exit status.
        told: the table that ``mtmbench compare`` printed, or why there is none.
    """
    lines = _CONTROL.sub("�", told).rstrip().split("\n")
    heading = HEADINGS.get(status, "no board")
    parts = [
        marker(suite, board),
        f"### mtmbench: {heading}",
        f"{_code(suite)} held to {_code(board)}: {_code(lines[-1][-500:])}",
    ]
    if len(lines) > 1:
        parts.append(f"<details{' open' * (status == 1)}><summary>What moved</summary>")
        parts += [_block(lines[:-1]), "</details>"]
    return "\n\n".join(parts) + "\n"


def marker(suite: str, board: str) -> str:
    """Returns the hidden line by which the comment is found again."""
    told = hashlib.sha256(f"{suite}\0{board}".encode()).hexdigest()[:16]
    return f"<!-- mtmbench-board {told} -->"


def _options() -> list[str]:
    named = {"--models": "MTMBENCH_MODELS", "--data-dir": "MTMBENCH_DATA_DIR"}
    given = [(option, os.environ.get(name, "").strip()) for option, name in named.items()]
    plugins = os.environ.get("MTMBENCH_PLUGINS", "").splitlines()
    given += [("--plugin", plugin.strip()) for plugin in plugins]
    return [part for option, value in given if value for part in (option, value)]


def _mtmbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mtmbench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # GitHub reads lines that begin with :: as commands; names are the suite's own.
    for text in (done.stdout, done.stderr):
        print(re.sub(r"(?m)^(\s*)::", r"\1: :", text), end="", flush=True)
    return done


def _code(text: str) -> str:
    """Returns a text as code in a line, whatever ticks it holds; code mentions nobody."""
    text = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks} {text} {ticks}" if text else "` `"


def _block(lines: list[str]) -> str:
    kept: list[str] = []
    room = MOST_CHARACTERS
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            kept.append(f"… and {len(lines) - len(kept)} more lines; the board is an artifact")
            break
        kept.append(line)
    text = "\n".join(kept).rstrip()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


if __name__ == "__main__":
    sys.exit(main())
