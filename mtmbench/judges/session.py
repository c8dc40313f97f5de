"""Work of language models: all of it in one loop, so that one limiter and one budget hold."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")

Work = Coroutine[Any, Any, _T]
"""What asks judges, to be run in the loop that all of them share, and what it returns."""


def completed(
    jobs: Sequence[Callable[[], Work[_T]]],
    at_once: int,
    run: Callable[[Work[None]], None] = asyncio.run,
) -> Iterator[_T]:
    """Runs jobs in a loop of another thread and yields what they return as it comes.

    Jobs begin in the order given. Answers go on coming while the caller keeps what was yielded,
    and where a loop runs in the caller's thread (a notebook) this works too. If the caller ends
    early, jobs under way are cancelled before the thread ends.

    Args:
        jobs: what makes each job; a job that raises ends all.
        at_once: jobs under way at one time, at most.
        run: runs a coroutine to its end; by default in a loop made for it.
    """
    results: SimpleQueue[tuple[_T] | BaseException | None] = SimpleQueue()
    running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def play() -> None:
        task = asyncio.current_task()
        assert task is not None
        running.set_result((asyncio.get_running_loop(), task))
        await _run(jobs, at_once, lambda result: results.put((result,)))

    def main() -> None:
        end: BaseException | None = None
        work = play()
        try:
            run(work)
        except BaseException as error:
            end = error
            if not running.done():  # the loop never ran
                running.set_exception(error)
                work.close()
        results.put(end)

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    loop, task = running.result()
    try:
        while isinstance(message := results.get(), tuple):
            yield message[0]
        if message is not None:
            raise message
    finally:
        with suppress(RuntimeError):  # the loop is closed: all jobs are done
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


async def _run(
    jobs: Sequence[Callable[[], Work[_T]]],
    at_once: int,
    done: Callable[[_T], None],
) -> None:
    waiting = iter(jobs)
    under_way: set[asyncio.Task[_T]] = set()
    try:
        while True:
            while len(under_way) < at_once and (job := next(waiting, None)) is not None:
                under_way.add(asyncio.ensure_future(job()))
            if not under_way:
                return
            ended, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                done(task.result())
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
