"""What a Slurm job is: a workspace that plays the tasks that are put into its box.

A box is a folder that driver and job both see. The driver puts ``task-N`` into it, one at a time,
and ``stop``; the job puts ``out-N``, numbered from 0. Each is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from mtmbench.core.serialise import write_atomically
from mtmbench.engine.ray.actor import unseen
from mtmbench.engine.workers import WORKER_VARIABLES, Message, Task, play
from mtmbench.engine.workspace import Workspace, WorkspaceSpec

STOP = "stop"
_POLL_SECONDS = 0.05
_IDLE_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Ready:
    """A job's first message: where it runs, and why it cannot play, if it cannot."""

    host: str
    pid: int
    problem: str | None = None


Sent = Ready | Message | None
"""What a job puts into its box; None when a task is done."""


def work(
    spec: WorkspaceSpec,
    box: Path,
    alive: Path,
    tokens: Mapping[str, str],
    folder: str,
    wanted: str,
    patience: float,
) -> None:
    """Plays tasks until there is ``stop`` in the box, or the driver is gone.

    Args:
        spec: what the workspace is made of.
        box: the job's own folder.
        alive: a file that the driver writes anew all the time.
        tokens: content by path of files that the driver has written.
        folder: where the driver runs: relative paths of corpora start there.
        wanted: version of mtmbench that the driver has.
        patience: seconds without a word of the driver after which the job ends.
    """
    try:
        os.close(os.open(box / "begun", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        # Slurm has requeued a job that was preempted. Its box is used, and what it would send is
        # no longer waited for; as it ends, the driver gives its task to another job.
        return
    os.environ.update(WORKER_VARIABLES)
    threading.Thread(target=_watch, args=(alive, patience), daemon=True).start()
    sender = _Sender(box)
    here = Ready(platform.node(), os.getpid())
    problem = next(filter(None, map(unseen, tokens, tokens.values())), None)
    if version("mtmbench") != wanted:
        problem = f"has mtmbench {version('mtmbench')}, the driver {wanted}"
    workspace = None
    if problem is None:
        with contextlib.suppress(OSError):
            os.chdir(folder)
        try:
            workspace = Workspace(spec)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    sender.send(replace(here, problem=problem))
    if workspace is None:
        return
    number = 0
    while (task := _next_task(box, number)) is not None:
        for message in play(workspace, task, sender.send):
            sender.send(message)
        sender.send(None)
        number += 1


class _Sender:
    """Numbers and writes what a job sends, from any of its threads."""

    def __init__(self, box: Path) -> None:
        self._box, self._number, self._lock = box, 0, threading.Lock()

    def send(self, message: Sent) -> None:
        with self._lock:
            write_atomically(self._box / f"out-{self._number}", pickle.dumps(message))
            self._number += 1


def _next_task(box: Path, number: int) -> Task | None:
    """Waits for a task and returns it; None where the job is to end."""
    path, pause = box / f"task-{number}", _POLL_SECONDS
    while not path.exists():
        if (box / STOP).exists() or not box.exists():
            return None
        time.sleep(pause)
        pause = min(_IDLE_POLL_SECONDS, 1.1 * pause)
    task = pickle.loads(path.read_bytes())
    path.unlink()
    assert isinstance(task, Task)
    return task


def _watch(alive: Path, patience: float) -> None:
    """Ends this process, even inside a long call, once the driver has not written for long."""
    held, since = b"", time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if (said := alive.read_bytes()) != held:
                held, since = said, time.monotonic()
        if time.monotonic() - since > patience:
            os._exit(1)
        time.sleep(min(2.0, patience / 4))
