"""What every attack needs: a command in a child process, how it ended, damage to a file."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.cli.app import main as mtmbench_main
from mtmbench.core.errors import MtmbenchError

MOST_MEMORY = 2 * 1024**3
ALL_DAMAGE = ("deleted", "one bit", "cut", "emptied", "zeros", "garbage")
Attack = Iterator[str | None]
"""One outcome a try: None for held, else what went wrong."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended: exit status (negative: by a signal), what it wrote, its peak memory."""

    status: int
    said: str
    memory: int

    def fault(self, incomplete: bool = False) -> str | None:
        """Returns what is wrong with the way it ended; None if it ended well or refused.

        With ``incomplete`` it may also have told what of a board is missing (exit status 1).
        """
        if self.memory > MOST_MEMORY:
            return f"{self.memory / 1024**3:.1f} GiB of memory"
        if self.status < 0:
            return f"signal {-self.status}"
        if "Traceback" in self.said:
            return "traceback: " + self.said.strip().splitlines()[-1][:160]
        if self.status not in ((0, 1, 2) if incomplete else (0, 2)):
            return f"exit status {self.status}: {self.said.strip()[-160:]}"
        if self.status == 2 and "mtmbench:" not in self.said:
            return f"refused without a reason: {self.said.strip()[-160:]}"
        return None


def child(act: Callable[[], None], folder: Path) -> Outcome:
    """Does something in a forked process whose working directory is ``folder``."""
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                os.chdir(folder)
                for descriptor in (1, 2):
                    os.dup2(said.fileno(), descriptor)
                sys.stdout = os.fdopen(1, "w", closefd=False)
                sys.stderr = os.fdopen(2, "w", closefd=False)
                try:
                    act()
                    status = 0
                except SystemExit as ended:
                    status = ended.code if isinstance(ended.code, int) else 0
                except MtmbenchError as error:
                    print(f"mtmbench: {error}", file=sys.stderr)
                    status = 2
                except BaseException:
                    import traceback

                    traceback.print_exc()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        _, waited, used = os.wait4(pid, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Outcome(os.waitstatus_to_exitcode(waited), text, used.ru_maxrss * 1024)


def command(*words: str) -> Callable[[], None]:
    """Returns the command as a function, for :func:`child`."""

    def act() -> None:
        sys.argv = ["mtmbench", *words]
        mtmbench_main()

    return act


def damage(path: Path, draw: random.Random, kinds: Sequence[str]) -> str:
    """Damages a file in one way; returns what was done."""
    content = bytearray(path.read_bytes())
    kind = draw.choice(kinds)
    if kind == "deleted":
        path.unlink()
        return kind
    if kind == "one bit" and content:
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        kind = f"one bit at {place}"
    elif kind == "cut":
        del content[draw.randrange(len(content) + 1) :]
    elif kind == "emptied":
        content.clear()
    elif kind == "zeros" and content:
        start = draw.randrange(len(content))
        content[start : start + 64] = bytes(len(content[start : start + 64]))
    else:
        content += bytes(draw.randrange(256) for _ in range(40))
    path.write_bytes(content)
    return kind
