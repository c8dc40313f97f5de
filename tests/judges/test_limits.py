"""The pace of requests, by a clock that the tests move."""

from __future__ import annotations

import asyncio
import math

import pytest

from mtmbench.core.cards import LimitSpec
from mtmbench.judges import limits
from mtmbench.judges.limits import RateLimiter, backoff, limiter_of, retry_after


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(limits.asyncio, "sleep", clock.sleep)
    return clock


def starts(limiter: RateLimiter, clock: Clock, tokens: list[int]) -> list[float]:
    async def main() -> list[float]:
        found = []
        for n in tokens:
            await limiter.wait(n)
            found.append(clock.now)
        return found

    return asyncio.run(main())


def test_no_minute_holds_more_requests_than_allowed(clock: Clock) -> None:
    limiter = RateLimiter()
    limiter.allow(LimitSpec(requests_per_minute=30))
    found = starts(limiter, clock, [0] * 100)
    assert found[:3] == [1000, 1002, 1004]
    for begin in found:
        assert sum(begin <= start < begin + 60 for start in found) <= 30


def test_nor_more_tokens_apart_from_the_last_request(clock: Clock) -> None:
    limiter = RateLimiter()
    limiter.allow(LimitSpec(tokens_per_minute=6000))
    sizes = [100, 3000, 50, 50, 2900, 10] * 5
    found = starts(limiter, clock, sizes)
    assert found[:4] == [1000, 1001, 1031, 1031.5]
    for begin in found:
        held = [n for start, n in zip(found, sizes, strict=True) if begin <= start < begin + 60]
        assert sum(held[:-1]) <= 6000


def test_what_a_request_took_in_truth_counts(clock: Clock) -> None:
    limiter = RateLimiter()
    limiter.allow(LimitSpec(tokens_per_minute=60))
    starts(limiter, clock, [10])
    limiter.took(10, 25)
    assert starts(limiter, clock, [1]) == [1025]


def test_a_pause_holds_for_all_and_the_stricter_limit_too(clock: Clock) -> None:
    first = limiter_of("http://one", LimitSpec(requests_per_minute=60))
    second = limiter_of("http://one", LimitSpec(requests_per_minute=6))
    assert first is second
    assert first is not limiter_of("http://two", LimitSpec())
    first.hold(30)
    assert starts(second, clock, [0, 0, 0]) == [1030, 1040, 1050]


def test_who_waits_when_a_pause_begins_lines_up_again(clock: Clock) -> None:
    limiter = RateLimiter()
    limiter.allow(LimitSpec(requests_per_minute=6))

    async def main() -> list[float]:
        await limiter.wait(0)
        task = asyncio.ensure_future(limiter.wait(0))
        limiter.hold(100)
        await task
        found = [clock.now]
        await limiter.wait(0)
        return [*found, clock.now]

    assert asyncio.run(main()) == [1100, 1110]


def test_backoff_doubles_up_to_a_minute() -> None:
    assert [backoff(n, 0.0) for n in (1, 2, 3, 8, 30)] == [0.25, 0.5, 1.0, 30.0, 30.0]
    assert backoff(1, 0.999) == pytest.approx(0.5, abs=1e-3)
    drawn = [backoff(3) for _ in range(50)]
    assert 1 <= min(drawn) < max(drawn) <= 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        # What asks for no pause is a failure like any other.
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-0.0"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "nan", "retry-after": "-inf"}, None),
        ({"retry-after-ms": "0", "retry-after": "2"}, 2.0),
        ({"retry-after": "1e400"}, math.inf),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_what_a_response_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1795521600.0) == seconds
