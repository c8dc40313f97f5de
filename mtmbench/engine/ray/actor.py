"""What an actor is: a workspace on a node of a Ray cluster, kept warm from task to task."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import platform
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

from mtmbench.engine.workers import Message, Task, play
from mtmbench.engine.workspace import Workspace, WorkspaceSpec


@dataclass(frozen=True)
class Begun:
    """An actor's first answer to a task: what ends the actor from now on may lie in the task."""


ActorMessage = Message | Begun | None


@dataclass(frozen=True)
class Opened:
    """What an actor says of itself.

    Attributes:
        host, node, pid: machine, address in the cluster, process.
        problem: why it cannot play.
        unlocked: a folder where locks of other nodes' processes do not bind this one.
    """

    host: str
    node: str
    pid: int
    problem: str | None = None
    unlocked: str | None = None


class TaskActor:
    """Plays tasks on a node; Ray makes it, with one thread to compute on."""

    def __init__(self) -> None:
        self._workspace: Workspace | None = None

    def open(
        self, spec: WorkspaceSpec, tokens: Mapping[str, str], folder: str, wanted: str
    ) -> Opened:
        """Makes the workspace, if this node sees what the driver sees.

        Args:
            spec: what the workspace is made of.
            tokens: content by path of files that the driver has written and holds locked.
            folder: where the driver runs: relative paths of corpora start there.
            wanted: version of mtmbench that the driver has.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        node = importlib.import_module("ray").util.get_node_ip_address()
        here = Opened(platform.node(), node, os.getpid())
        problem = next(filter(None, map(unseen, tokens, tokens.values())), None)
        unlocked = None if problem else next(filter(_unlocked, tokens), None)
        if version("mtmbench") != wanted:
            problem = f"has mtmbench {version('mtmbench')}, the driver {wanted}"
        if problem is not None:
            return replace(here, problem=problem)
        with contextlib.suppress(OSError):
            os.chdir(folder)
        try:
            self._workspace = Workspace(spec)
        except Exception as error:
            return replace(here, problem=f"{type(error).__name__}: {error}")
        return replace(here, unlocked=None if unlocked is None else str(Path(unlocked).parent))

    def play(self, task: Task) -> Iterator[ActorMessage]:
        """Yields :class:`Begun`, then what :func:`mtmbench.engine.workers.play` does, then None."""
        assert self._workspace is not None
        yield Begun()
        if task.cells:
            yield from play(self._workspace, task)
        else:
            yield from self._reported(task)
        yield None

    def _reported(self, task: Task) -> Iterator[Message]:
        """Plays in a thread, so that reports of what is under way go out meanwhile."""
        messages: SimpleQueue[Message | BaseException | None] = SimpleQueue()
        workspace = self._workspace
        assert workspace is not None

        def work() -> None:
            try:
                for message in play(workspace, task, messages.put):
                    messages.put(message)
                messages.put(None)
            except BaseException as error:
                messages.put(error)

        threading.Thread(target=work, daemon=True).start()
        while (message := messages.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message


def unseen(path: str, content: str) -> str | None:
    """Returns why the driver's file at ``path`` shows that the folder is not shared, if it does."""
    shared = "--out and the feature cache must lie on a file system that every node shares"
    try:
        if Path(path).read_text(encoding="utf-8") != content:
            return f"{path} is another file than the driver wrote; {shared}"
    except OSError as error:
        return f"does not see {path}, which the driver wrote ({error.strerror}); {shared}"
    try:
        with tempfile.TemporaryFile(dir=Path(path).parent) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"cannot write and lock files in {Path(path).parent}: {error.strerror}"
    return None


def _unlocked(path: str) -> bool:
    """Tells whether this process can lock the file although the driver holds it locked."""
    with open(path, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
