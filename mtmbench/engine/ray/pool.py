"""Actors of a Ray cluster that play tasks as local workers do; only the driver writes the store.

Every node has the same mtmbench and sees ``--out``, the feature cache and the corpora under the
same paths, on a file system that all of them share; each actor shows so before it plays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from mtmbench.core.errors import InputError, MtmbenchError
from mtmbench.core.serialise import write_atomically
from mtmbench.engine.ray.actor import ActorMessage, Begun, Opened, TaskActor
from mtmbench.engine.ray.cluster import RayCluster, RayOptions, one_line
from mtmbench.engine.workers import WORKER_VARIABLES, Message, Notice, Task, give_up, take
from mtmbench.engine.workspace import WorkspaceSpec

__all__ = ["MAX_DEATHS", "ExecutorError", "RayOptions", "RayPool"]

MAX_DEATHS = 3
"""Actors that may die of a task one after the other, none sending a record of it."""

_MAX_MISSES = 100
"""Actors that may turn out dead before they begin a task: a node may have held many idle ones."""

_LOOK_SECONDS = 2.0
_FAILED_STARTS = 3


class ExecutorError(MtmbenchError, RuntimeError):
    """The cluster cannot go on; the same command goes on once it can."""


class RayPool:
    """Runs tasks on a Ray cluster's actors, as :class:`~mtmbench.engine.workers.WorkerPool` does.

    An actor that dies, alone or with its node, has its task put back: another plays the cells
    whose records have not come. Nodes that join the cluster are used.

    Args:
        spec: what an actor's workspace is made of.
        options: the cluster, and the size of an actor.
        n_actors: at most so many; None takes as many as the nodes can hold.
        on_start: told the process of each actor on this machine.
        on_end: told when it has been ended.

    Raises:
        InputError: Ray is not installed, there is no cluster at the address, no node can hold an
            actor, or a node does not see this run's folders; raised on entering or from `run`.
        ExecutorError: no actor is left, or none can be started.
    """

    def __init__(
        self,
        spec: WorkspaceSpec,
        options: RayOptions,
        n_actors: int | None = None,
        *,
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
    ) -> None:
        if n_actors is not None and n_actors < 1:
            raise InputError(f"a cluster plays on at least 1 actor, not {n_actors}")
        self._spec = absolute(spec)
        self._options, self._n_actors = options, n_actors
        self._on_start, self._on_end = on_start, on_end
        self._cluster: RayCluster | None = None
        self._make_actor: Any = None
        self._tokens: dict[Path, str] = {}
        self._locks = contextlib.ExitStack()
        self._actors: list[_Actor] = []
        self._history: dict[int, _History] = {}
        self._looked = self._last_actor = time.monotonic()
        self._failed_starts: list[str] = []

    def __enter__(self) -> RayPool:
        try:
            self._cluster = RayCluster(self._options)
            self._make_actor = self._ray.remote(TaskActor)
            self._write_tokens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for actor in list(self._actors):
            self._end(actor)
        if self._cluster is not None:
            self._cluster.close()
        for path in self._tokens:
            path.unlink(missing_ok=True)
        self._locks.close()

    def run(self, tasks: Sequence[Task]) -> Iterator[Message | Task]:
        """Plays tasks; see :meth:`mtmbench.engine.workers.WorkerPool.run`.

        A task whose actors die :data:`MAX_DEATHS` times in a row without a record of it is given
        up: error records for the cells not played.
        """
        # A task may stand there more than once; each time it has a history of its own.
        distinct = [replace(task) for task in tasks]
        waiting = list(distinct)
        self._history = {id(task): _History() for task in distinct}
        self._looked, self._last_actor = float("-inf"), time.monotonic()
        while waiting or any(actor.task for actor in self._actors):
            self._grow(len(waiting))
            for actor in self._actors:
                if actor.ready and actor.task is None and waiting:
                    task = take(waiting, actor.warm, self._warm())
                    if task is not None:
                        self._give(actor, task)
            awaited = {actor.answer: actor for actor in self._actors if actor.answer is not None}
            if not awaited:
                time.sleep(_LOOK_SECONDS / 4)
                continue
            answered, _ = self._ray.wait(list(awaited), num_returns=1, timeout=_LOOK_SECONDS)
            for answer in answered:
                yield from self._receive(awaited[answer], waiting)

    @property
    def _ray(self) -> ModuleType:
        assert self._cluster is not None
        return self._cluster.ray

    def _warm(self) -> set[str]:
        return {name for actor in self._actors for name in actor.warm}

    def _write_tokens(self) -> None:
        from mtmbench.features.cache import cache_dir

        for folder in (self._spec.folder, cache_dir().resolve()):
            path, content = folder / f".seen-{secrets.token_hex(8)}", secrets.token_hex(16)
            try:
                write_atomically(path, content)
                self._tokens[path] = content
                held = self._locks.enter_context(path.open("r+b"))
                fcntl.flock(held, fcntl.LOCK_EX)
            except OSError as error:
                raise InputError(
                    f"cannot write and lock files in {folder}: {error.strerror}"
                ) from error

    def _grow(self, n_waiting: int) -> None:
        """Starts actors while there are work and room; raises if none has been there for long."""
        now = time.monotonic()
        if any(actor.ready for actor in self._actors):
            self._last_actor = now
        if now - self._last_actor > self._options.patience:
            raise ExecutorError(self._why_no_actor())
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        free = sum(actor.task is None for actor in self._actors)
        assert self._cluster is not None
        room = self._cluster.capacity() - len(self._actors)
        if self._n_actors is not None:
            room = min(room, self._n_actors - len(self._actors))
        for _ in range(min(n_waiting - free, room)):
            self._actors.append(self._start())

    def _why_no_actor(self) -> str:
        waited = f"no actor for {self._options.patience:.0f} s"
        if self._failed_starts:
            return f"{waited}: {self._failed_starts[-1]}"
        if self._cluster is not None and not self._cluster.capacity():
            return f"{waited}: {self._cluster.no_room()}"
        return f"{waited}: others hold the cluster's cores, or the nodes cannot start one"

    def _start(self) -> _Actor:
        variables = {**WORKER_VARIABLES, **_forwarded()}
        made = self._make_actor.options(
            num_cpus=self._options.actor_cores,
            num_gpus=self._options.actor_gpus,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": variables},
        )
        handle = made.remote()
        tokens = {str(path): content for path, content in self._tokens.items()}
        answer = handle.open.remote(self._spec, tokens, os.getcwd(), version("mtmbench"))
        return _Actor(handle, answer)

    def _give(self, actor: _Actor, task: Task) -> None:
        history = self._history[id(task)]
        left = tuple(cell for cell in task.cells if cell.key not in history.played)
        actor.task, actor.begun = task, False
        actor.warm.add(task.affinity)
        playing = actor.handle.play.options(num_returns="streaming")
        actor.answer = playing.remote(replace(task, cells=left))

    def _receive(self, actor: _Actor, waiting: list[Task]) -> Iterator[Message | Task]:
        errors = self._ray.exceptions
        try:
            if actor.task is None:
                yield from self._opened(actor, self._ray.get(actor.answer))
                return
            message = self._ray.get(next(actor.answer))
        except StopIteration:
            # The stream of a lost actor may end without a word.
            yield from self._lose(actor, "its answers ended", waiting)
        except errors.RayTaskError as error:
            if actor.task is None:
                raise ExecutorError(f"an actor cannot start: {one_line(error)}") from error
            task, actor.task, actor.answer = actor.task, None, None
            yield from give_up(task, self._history[id(task)].played, one_line(error))
        except errors.RayError as error:
            yield from self._lose(actor, one_line(error), waiting)
        else:
            yield from self._note(actor, message)

    def _note(self, actor: _Actor, message: ActorMessage) -> Iterator[Message | Task]:
        assert actor.task is not None
        history = self._history[id(actor.task)]
        if isinstance(message, Begun):
            actor.begun = True
            return
        if message is None:
            task, actor.task, actor.answer = actor.task, None, None
            yield task
            return
        history.deaths = history.misses = 0
        if isinstance(message, list):
            history.played.update(record.key for record, _ in message)
        yield message

    def _opened(self, actor: _Actor, opened: Opened) -> Iterator[Notice]:
        if opened.problem is not None:
            raise InputError(f"node {opened.node} ({opened.host}): {opened.problem}")
        actor.ready, actor.answer, actor.node = True, None, opened.node
        self._failed_starts.clear()
        if opened.host == platform.node():
            actor.pid = opened.pid
            self._on_start(opened.pid)
        if opened.unlocked is not None:
            yield Notice(
                f"node {opened.node} does not see the driver's file locks in {opened.unlocked}: "
                "nodes may make the same shards of activations twice"
            )

    def _lose(self, actor: _Actor, why: str, waiting: list[Task]) -> Iterator[Message | Task]:
        """Drops a dead actor; its task goes to the head of those waiting, or is given up."""
        task = actor.task
        self._actors.remove(actor)
        self._end(actor)
        self._looked = float("-inf")
        if task is None:
            self._failed_starts.append(f"an actor died while it started: {why}")
            if len(self._failed_starts) >= _FAILED_STARTS:
                raise ExecutorError(self._failed_starts[-1])
            return
        history = self._history[id(task)]
        if task.cells and history.played >= {cell.key for cell in task.cells}:
            yield task
            return
        history.deaths += actor.begun
        history.misses += not actor.begun
        where = f"an actor on node {actor.node} died"
        if history.deaths < MAX_DEATHS and history.misses < _MAX_MISSES:
            waiting.insert(0, task)
            yield Notice(f"{where}; its task is put back: {why}")
            return
        reason = f"{where}, the last of {history.deaths} that played this (out of memory?): {why}"
        yield from give_up(task, history.played, reason)

    def _end(self, actor: _Actor) -> None:
        with contextlib.suppress(Exception):  # there is nothing more to do about a lost cluster
            self._ray.kill(actor.handle, no_restart=True)
        if actor in self._actors:
            self._actors.remove(actor)
        if actor.pid is not None:
            self._on_end(actor.pid)


@dataclass(eq=False)
class _Actor:
    handle: Any
    answer: Any
    ready: bool = False
    task: Task | None = None
    begun: bool = False
    warm: set[str] = field(default_factory=set)
    node: str = "?"
    pid: int | None = None


@dataclass
class _History:
    """Of a task: the cells whose records have come, and actors lost since the last of them."""

    played: set[str] = field(default_factory=set)
    deaths: int = 0
    misses: int = 0


def _forwarded() -> dict[str, str]:
    """Variables of the driver that say where data lie; no keys of judges are among them."""
    from mtmbench.features.cache import cache_dir

    found = {"MTMBENCH_CACHE": str(cache_dir().resolve())}
    if data := os.environ.get("MTMBENCH_DATA"):
        found["MTMBENCH_DATA"] = str(Path(data).expanduser().resolve())
    return found


def absolute(spec: WorkspaceSpec) -> WorkspaceSpec:
    """Returns a spec whose paths mean the same from whatever folder."""
    plugins = (str(Path(name).resolve()) if name.endswith(".py") else name for name in spec.plugins)
    return replace(
        spec,
        folder=spec.folder.resolve(),
        data_dir=None if spec.data_dir is None else spec.data_dir.expanduser().resolve(),
        plugins=tuple(plugins),
    )
