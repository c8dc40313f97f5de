"""Slurm jobs that play tasks as local workers do; only the driver writes the store.

Jobs are submitted by submitit and speak with the driver by files in the run's folder, which every
node sees, as it does the feature cache and the corpora, under the same paths.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import platform
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.serialise import write_atomically
from mtmbench.engine.ray.pool import MAX_DEATHS, ExecutorError, absolute
from mtmbench.engine.slurm.worker import STOP, Ready, Sent, work
from mtmbench.engine.workers import Message, Notice, Task, give_up, take, worker_environment
from mtmbench.engine.workspace import WorkspaceSpec

_POLL_SECONDS = 0.1
_JOB_SECONDS = 1.0
"""How often the state of a job is asked for; submitit asks Slurm itself less often."""
_HEARTBEAT_SECONDS = 2.0
_END_SECONDS = 5.0
_FAILED_STARTS = 3
_STDERR_CHARACTERS = 400
_SHARED = frozenset(
    {"name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node",
     "stderr_to_stdout"}
)  # fmt: skip
"""Parameters that submitit names alike on every cluster; others are Slurm's own."""
_DEFAULTS: Mapping[str, object] = {
    "name": "mtmbench", "tasks_per_node": 1, "cpus_per_task": 1, "timeout_min": 240,
}  # fmt: skip
"""In place of submitit's own, which end a job after five minutes."""


@dataclass(frozen=True)
class SlurmOptions:
    """How jobs are submitted.

    Attributes:
        parameters: of submitit's ``update_parameters``, Slurm's own by their bare names:
            ``partition``, ``time``, ``account``, …; one job is one task of one node.
        cluster: "slurm", or "local", with which submitit plays jobs as processes of this machine.
        patience: seconds after which a job ends that hears nothing from the driver.
    """

    parameters: Mapping[str, object] = field(default_factory=dict)
    cluster: str = "slurm"
    patience: float = 60.0

    def __post_init__(self) -> None:
        if self.cluster not in ("slurm", "local"):
            raise InputError(f"cluster is 'slurm' or 'local', not {self.cluster!r}")
        for name in ("nodes", "tasks_per_node"):
            if self.parameters.get(name, 1) != 1:
                raise InputError(f"{name} is 1: one job plays with one process; ask for more jobs")


class SlurmPool:
    """Runs tasks in Slurm jobs, as :class:`~mtmbench.engine.workers.WorkerPool` does.

    A job that ends early (killed, out of time or memory, preempted) has its task put back: another
    job plays the cells whose records have not come.

    Args:
        spec: what a job's workspace is made of.
        options: how jobs are submitted.
        n_jobs: at most so many at one time.
        on_start: told the process of each job on this machine.
        on_end: told when it has ended.

    Raises:
        InputError: submitit is not installed, Slurm is not here or refuses a parameter, or a node
            does not see this run's folders; raised on entering or from `run`.
        ExecutorError: jobs end before they begin.
    """

    def __init__(
        self,
        spec: WorkspaceSpec,
        options: SlurmOptions,
        n_jobs: int,
        *,
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
    ) -> None:
        if n_jobs < 1:
            raise InputError(f"Slurm plays with at least 1 job, not {n_jobs}")
        self._spec, self._options, self._n_jobs = absolute(spec), options, n_jobs
        self._on_start, self._on_end = on_start, on_end
        self._folder = self._spec.folder / "jobs" / secrets.token_hex(8)
        self._alive = self._folder / "alive"
        self._tokens: dict[str, str] = {}
        self._executor: Any = None
        self._jobs: list[_Job] = []
        self._submitted = 0
        self._failed_starts = 0
        self._history: dict[int, _History] = {}
        self._over = threading.Event()

    def __enter__(self) -> SlurmPool:
        try:
            self._folder.mkdir(parents=True)
            self._executor = _executor(self._options, self._folder / "submitit")
            self._write_tokens()
            self._beat()
            threading.Thread(target=self._beat_on, daemon=True).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for job in self._jobs:
            with contextlib.suppress(OSError):
                write_atomically(job.box / STOP, "")
        # Who plays nothing ends by itself; others, and those that still wait in the queue, do not.
        deadline = time.monotonic() + _END_SECONDS
        for job in self._jobs:
            idle = job.ready and job.task is None
            while idle and not job.handle.done() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            self._end(job)
        self._jobs.clear()
        self._over.set()
        for path in self._tokens:
            Path(path).unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()

    def run(self, tasks: Sequence[Task]) -> Iterator[Message | Task]:
        """Plays tasks; see :meth:`mtmbench.engine.workers.WorkerPool.run`.

        A task of which :data:`MAX_DEATHS` jobs die in a row without a record of it is given up:
        error records for the cells not played.
        """
        # A task may stand there more than once; each time it has a history of its own.
        distinct = [replace(task) for task in tasks]
        waiting = list(distinct)
        self._history = {id(task): _History() for task in distinct}
        while waiting or any(job.task for job in self._jobs):
            self._grow(len(waiting))
            for job in self._jobs:
                if job.ready and job.task is None and waiting:
                    task = take(
                        waiting, job.warm, {name for each in self._jobs for name in each.warm}
                    )
                    if task is not None:
                        job.give(task, self._history[id(task)].played)
            heard = False
            for job in list(self._jobs):
                ended = job.ended()  # asked before its last messages are read
                for message in job.messages():
                    heard = True
                    yield from self._note(job, message)
                if ended:
                    yield from self._lose(job, waiting)
            if not heard:
                time.sleep(_POLL_SECONDS)

    def _grow(self, n_waiting: int) -> None:
        free = sum(job.task is None for job in self._jobs)
        for _ in range(min(n_waiting - free, self._n_jobs - len(self._jobs))):
            box = self._folder / f"job-{self._submitted}"
            box.mkdir()
            self._submitted += 1
            with worker_environment():
                handle = self._executor.submit(
                    work, self._spec, box, self._alive, self._tokens, os.getcwd(),
                    version("mtmbench"), self._options.patience,
                )  # fmt: skip
            self._jobs.append(_Job(handle, box))

    def _note(self, job: _Job, message: Sent) -> Iterator[Message | Task]:
        if isinstance(message, Ready):
            if message.problem is not None:
                raise InputError(f"node {message.host}: {message.problem}")
            job.ready, self._failed_starts = True, 0
            if message.host == platform.node():
                job.pid = message.pid
                self._on_start(message.pid)
            return
        assert job.task is not None
        history = self._history[id(job.task)]
        if message is None:
            task, job.task = job.task, None
            yield task
            return
        history.deaths = 0
        if isinstance(message, list):
            history.played.update(record.key for record, _ in message)
        yield message

    def _lose(self, job: _Job, waiting: list[Task]) -> Iterator[Message | Task]:
        """Drops a job that has ended; its task is put back before the others, or given up."""
        task, why = job.task, f"job {job.handle.job_id} ended ({job.why()})"
        self._end(job)
        self._jobs.remove(job)
        if task is None:
            self._failed_starts += not job.ready
            if self._failed_starts >= _FAILED_STARTS:
                raise ExecutorError(f"{why} before it began to play, as did those before it")
            return
        history = self._history[id(task)]
        if task.cells and history.played >= {cell.key for cell in task.cells}:
            yield task
            return
        history.deaths += 1
        if history.deaths < MAX_DEATHS:
            waiting.insert(0, task)
            yield Notice(f"{why}; its task is put back")
            return
        yield from give_up(
            task, history.played, f"{why}, the last of {history.deaths} that played this"
        )

    def _end(self, job: _Job) -> None:
        with contextlib.suppress(Exception):  # there is nothing more to do about a lost job
            if not job.handle.done():
                job.handle.cancel()
        if job.pid is not None:
            self._on_end(job.pid)

    def _write_tokens(self) -> None:
        from mtmbench.features.cache import cache_dir

        for folder in (self._spec.folder, cache_dir().resolve()):
            path, content = folder / f".seen-{secrets.token_hex(8)}", secrets.token_hex(16)
            write_atomically(path, content)
            self._tokens[str(path)] = content

    def _beat(self) -> None:
        write_atomically(self._alive, repr(time.time()))

    def _beat_on(self) -> None:
        while not self._over.wait(_HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                self._beat()


@dataclass
class _History:
    """Of a task: the cells whose records have come, and jobs lost since the last of them."""

    played: set[str] = field(default_factory=set)
    deaths: int = 0


@dataclass(eq=False)
class _Job:
    handle: Any
    box: Path
    ready: bool = False
    task: Task | None = None
    warm: set[str] = field(default_factory=set)
    pid: int | None = None
    given: int = 0
    received: int = 0
    looked: float = field(default_factory=time.monotonic)

    def give(self, task: Task, played: set[str]) -> None:
        """Puts what is left of a task into the job's box."""
        left = replace(task, cells=tuple(cell for cell in task.cells if cell.key not in played))
        write_atomically(self.box / f"task-{self.given}", pickle.dumps(left))
        self.task, self.given = task, self.given + 1
        self.warm.add(task.affinity)

    def messages(self) -> Iterator[Sent]:
        """Takes what the job has sent since."""
        while (path := self.box / f"out-{self.received}").exists():
            message: Sent = pickle.loads(path.read_bytes())
            path.unlink()
            self.received += 1
            yield message

    def ended(self) -> bool:
        """Whether the job is over, as far as can be told; asked for once a second at most."""
        if time.monotonic() - self.looked < _JOB_SECONDS:
            return False
        self.looked = time.monotonic()
        return bool(self.handle.done())

    def why(self) -> str:
        """Returns the job's state and the end of what it printed as errors."""
        state = str(self.handle.state)
        with contextlib.suppress(Exception):
            lines = (self.handle.stderr() or "").strip().splitlines()
            return f"{state}: {lines[-1][-_STDERR_CHARACTERS:]}" if lines else state
        return state


def _executor(options: SlurmOptions, folder: Path) -> Any:
    try:
        submitit = importlib.import_module("submitit")
    except ImportError as error:
        raise InputError(
            f"submitit is not installed ({error}): pip install 'mtmbench[slurm]'"
        ) from error
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=options.cluster)
    except RuntimeError as error:
        raise InputError(f"there is no Slurm on this machine: {error}") from error
    known = submitit.SlurmExecutor._valid_parameters()
    given = dict(_DEFAULTS)
    for name, value in options.parameters.items():
        bare = name.removeprefix("slurm_")
        if bare not in _SHARED and bare not in known:
            raise InputError(f"unknown parameter {name!r}{did_you_mean(bare, known | _SHARED)}")
        given[bare if bare in _SHARED else f"slurm_{bare}"] = value
    try:
        executor.update_parameters(**given)
    except (NameError, ValueError, AssertionError) as error:
        raise InputError(f"submitit takes no such parameters: {error}") from error
    return executor
