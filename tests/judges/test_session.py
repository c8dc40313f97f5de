"""Many jobs in one loop of their own: order, bound, errors, and callers that leave early."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mtmbench.judges.session import completed


class Work:
    """Jobs that say when they begin and end."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.at_once = self.most_at_once = 0

    def job(self, n: int, seconds: float = 0.01) -> Callable[[], Coroutine[Any, Any, int]]:
        async def play() -> int:
            self.begun.append(n)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.cancelled.append(n)
                raise
            finally:
                self.at_once -= 1
            if n < 0:
                raise ValueError(f"job {n}")
            return n

        return play


def test_jobs_begin_in_order_and_come_as_they_end() -> None:
    work = Work()
    seconds = [0.2, 0.01, 0.01, 0.01]
    jobs = [work.job(n, s) for n, s in enumerate(seconds)]
    assert list(completed(jobs, 2)) == [1, 2, 3, 0]
    assert work.begun == [0, 1, 2, 3]
    assert work.most_at_once == 2


def test_without_jobs_it_ends() -> None:
    assert list(completed([], 3)) == []


def test_a_job_that_raises_ends_all() -> None:
    work = Work()
    told = completed([work.job(1), work.job(-2, 0.05), work.job(3, 60)], 3)
    assert next(told) == 1
    with pytest.raises(ValueError, match="job -2"):
        next(told)
    assert work.cancelled == [3]


def test_a_caller_that_leaves_early_cancels_what_is_left() -> None:
    work, before = Work(), threading.active_count()
    told = completed([work.job(1), work.job(2, 60), work.job(3, 60)], 2)
    assert next(told) == 1
    told.close()
    assert work.begun[:2] == [1, 2]
    assert set(work.cancelled) == set(work.begun) - {1}
    assert threading.active_count() == before


def test_it_works_where_a_loop_is_running() -> None:
    async def notebook() -> list[int]:
        work = Work()
        return list(completed([work.job(1), work.job(2)], 1))

    assert asyncio.run(notebook()) == [1, 2]
