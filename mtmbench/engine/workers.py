"""Workers: spawned processes that play tasks and send records back; only the parent writes."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from mtmbench.core.cells import Cell
from mtmbench.core.store import RunInfo
from mtmbench.engine.cell_player import CellPlayer, Produced
from mtmbench.engine.workspace import Workspace, WorkspaceSpec

WORKER_VARIABLES = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1", "NUMBA_CPU_NAME": "generic",
}  # fmt: skip
"""Set before a worker loads torch or numba, so that results do not depend on its machine: one
thread, and numba's code for any processor of a kind instead of the one at hand."""

ASKING = "judges"
"""Affinity of tasks that ask language models: one process plays all of a run's, so that the limits
of an endpoint hold for the run."""


ON_DEVICE = "device"
"""Affinity of tasks that run a language model on a GPU: one process of a machine plays them all,
since every other one would load the model again."""

_ALONE = frozenset({ASKING, ON_DEVICE})


@dataclass(frozen=True)
class Task:
    """Cells that one worker plays in a row.

    ``affinity`` names what the worker has warm afterwards (a library, a corpus): tasks of one
    affinity go to one worker while others are waiting. A task with ``prepare`` plays no cell and
    makes a view of a corpus instead.
    """

    cells: tuple[Cell, ...]
    affinity: str = ""
    prepare: tuple[str, str | None, str] | None = None


@dataclass(frozen=True)
class Underway:
    """How much of a task without cells is done, as a share of it."""

    task: Task
    share: float


@dataclass(frozen=True)
class TaskFailure:
    """A task that could not be played: what is known of why."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Notice:
    """What befell the pool itself, for people to read; the tasks go on."""

    text: str


Message = list[Produced] | Underway | TaskFailure | Notice

_Sent = list[Produced] | Underway | TaskFailure | None
"""What a worker sends of a task; None when it is done."""


class Executor(Protocol):
    """Where tasks are played; a context manager, for what it holds open between runs."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *_: object) -> None: ...

    def run(self, tasks: Sequence[Task]) -> Iterator[Message | Task]:
        """Plays tasks; yields what comes of them as it comes, and each task when it is done."""


class WorkerPool:
    """Runs tasks on ``n_workers`` persistent processes, or in this one for 0.

    Each worker computes on one thread, so results do not depend on how many there are. Workers
    end when this process ends, however it ends.
    """

    def __init__(
        self,
        spec: WorkspaceSpec,
        n_workers: int,
        *,
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._spec = spec
        self._on_start, self._on_end = on_start, on_end
        self._inline = Workspace(spec) if n_workers == 0 else None
        self._workers: list[_Worker] = []
        self._n_workers = n_workers

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        # All are told before any is waited for.
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            self._end(worker)

    def run(self, tasks: Sequence[Task]) -> Iterator[Message | Task]:
        """Plays tasks; yields batches of records as they come, and each task when it is done.

        In between come reports of what is under way; without workers there are none, since the
        work is done between one yield and the next.

        A worker that dies takes its task with it: error records for the cells not yet played.
        """
        if self._inline is not None:
            yield from self._run_inline(tasks)
            return
        waiting = list(tasks)
        while len(self._workers) < min(self._n_workers, len(waiting)):
            self._workers.append(self._start())
        while waiting or any(worker.task for worker in self._workers):
            for worker in self._workers:
                if worker.task is None and waiting:
                    task = take(waiting, worker.warm, self._warm(), alone=_ALONE)
                    if task is not None:
                        worker.give(task)
            busy = {worker.connection: worker for worker in self._workers if worker.task}
            for connection in wait(list(busy)):
                yield from self._receive(busy[connection])  # type: ignore[index]

    def _run_inline(self, tasks: Sequence[Task]) -> Iterator[Message | Task]:
        assert self._inline is not None
        for task in tasks:
            yield from play(self._inline, task)
            yield task

    def _warm(self) -> set[str]:
        return {name for worker in self._workers for name in worker.warm}

    def _receive(self, worker: _Worker) -> Iterator[Message | Task]:
        task = worker.task
        assert task is not None
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(5)
            reason = f"worker died (exit code {worker.process.exitcode}); out of memory?"
            self._workers.remove(worker)
            self._end(worker)
            self._workers.append(self._start())
            yield from give_up(task, worker.played, reason)
            return
        if message is None:
            worker.task = None
            yield task
        elif isinstance(message, (Underway, TaskFailure)):
            yield message
        else:
            worker.played.update(record.key for record, _ in message)
            yield message

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_worker_main, args=(theirs, self._spec, os.getpid()), daemon=True
        )
        with worker_environment(), _interrupts_ignored():
            process.start()
        theirs.close()
        assert process.pid is not None
        self._on_start(process.pid)
        return _Worker(process, ours)

    def _end(self, worker: _Worker) -> None:
        worker.close()
        if worker.task is not None:
            worker.process.kill()
        worker.process.join(2)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        assert worker.process.pid is not None
        self._on_end(worker.process.pid)


class _Worker:
    def __init__(self, process: BaseProcess, connection: Connection[Task, _Sent]) -> None:
        self.process = process
        self.connection = connection
        self.task: Task | None = None
        self.played: set[str] = set()
        self.warm: set[str] = set()

    def give(self, task: Task) -> None:
        self.task = task
        self.played = set()
        self.warm.add(task.affinity)
        with contextlib.suppress(OSError):  # a dead worker is noticed when its answer is read
            self.connection.send(task)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()


def take(
    waiting: list[Task],
    warm: Set[str],
    taken: Set[str],
    *,
    alone: Set[str] = frozenset({ASKING}),
) -> Task | None:
    """Removes and returns the task that a free worker plays next.

    None if all that waits is for a worker that plays it alone, which is another.

    Args:
        waiting: tasks in order; not empty.
        warm: affinities that the worker has warm.
        taken: affinities that any worker has warm: others are opened before these are shared.
        alone: affinities that are never shared.
    """
    for i, task in enumerate(waiting):
        if task.affinity in warm:
            return waiting.pop(i)
    for i, task in enumerate(waiting):
        if task.affinity not in taken:
            return waiting.pop(i)
    for i, task in enumerate(waiting):
        if task.affinity not in alone:
            return waiting.pop(i)
    return None


def play(
    workspace: Workspace, task: Task, report: Callable[[Underway], None] | None = None
) -> Iterator[list[Produced] | TaskFailure]:
    """Plays a task as every executor's workers do; yields what they send back.

    Args:
        workspace: where it is played.
        task: what is played.
        report: told how much of a task without cells is done, while it is played.
    """
    if task.prepare is not None:
        try:
            workspace.prepare(*task.prepare, report=_throttled(task, report))
        except Exception as error:
            yield TaskFailure(task, f"{type(error).__name__}: {error}")
        return
    played: set[str] = set()
    try:
        for batch in CellPlayer(workspace).play(task.cells):
            played.update(record.key for record, _ in batch)
            yield batch
    except Exception as error:
        # What fails outside a cell (a judge's set-up) fails every cell that is left.
        import traceback

        reason = f"{type(error).__name__}: {error}"
        left = _failure_records(task, played, reason, traceback.format_exc())
        # What fails after the last cell (handing a batch over) has no record to stand on.
        yield left or TaskFailure(task, reason)


def _throttled(
    task: Task, report: Callable[[Underway], None] | None
) -> Callable[[int, int], None] | None:
    """Passes on what is done of how much, at most twice a second."""
    if report is None:
        return None
    last = time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            report(Underway(task, done / total))

    return told


def give_up(task: Task, played: Set[str], reason: str) -> Iterator[Message | Task]:
    """Yields what a pool yields of a task that it will not play to its end.

    Args:
        task: the task.
        played: keys of the cells whose records have come already.
        reason: why; it stands in the error records of the other cells.
    """
    records = _failure_records(task, played, reason)
    if records:
        yield records
    if task.prepare is not None:
        yield TaskFailure(task, reason)
    yield task


def _failure_records(
    task: Task, played: Set[str], reason: str, trace: str | None = None
) -> list[Produced]:
    return [
        (cell.record("error", {"reason": reason}, {}), RunInfo(traceback=trace))
        for cell in task.cells
        if cell.key not in played
    ]


def _worker_main(connection: Connection[_Sent, Task], spec: WorkspaceSpec, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    workspace = Workspace(spec)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        for message in play(workspace, task, connection.send):
            connection.send(message)
        connection.send(None)


def _die_with(parent: int) -> None:
    """Ends this process as soon as ``parent`` is gone, even inside a long C call on Linux."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A child inherits this, so that Ctrl-C reaches it at no moment, not even while it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def worker_environment() -> Iterator[None]:
    """Around what starts workers: they inherit :data:`WORKER_VARIABLES`."""
    before = {name: os.environ.get(name) for name in WORKER_VARIABLES}
    os.environ.update(WORKER_VARIABLES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
