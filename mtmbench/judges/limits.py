"""Asking no faster than an endpoint allows: one limiter an endpoint, and waits between retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from mtmbench.core.cards import LimitSpec

LONGEST_WAIT = 600.0
"""An endpoint that asks for a longer pause, in seconds, is not waited for."""

_FIRST_WAIT, _LONGEST_BACKOFF = 0.5, 60.0


class RateLimiter:
    """Spaces the requests to one endpoint, for all judges that ask there.

    Requests start at least ``60 / requests_per_minute`` seconds apart, and one of n tokens keeps
    the next waiting for ``60 n / tokens_per_minute`` seconds; so no minute holds more requests
    than allowed, nor more tokens apart from the last request's. There is no burst to begin with,
    since endpoints count by shorter spans than minutes too. What tokens a request takes is an
    estimate until its answer says.

    It belongs to no event loop, and to one thread.
    """

    def __init__(self) -> None:
        self._seconds_a_request = self._seconds_a_token = 0.0
        self._next_request = self._next_tokens = self._held_until = 0.0
        self._holds = 0

    def allow(self, limits: LimitSpec) -> None:
        """Takes on the limits of one more judge; the stricter ones hold for all."""
        if limits.requests_per_minute is not None:
            spacing = 60.0 / limits.requests_per_minute
            self._seconds_a_request = max(self._seconds_a_request, spacing)
        if limits.tokens_per_minute is not None:
            spacing = 60.0 / limits.tokens_per_minute
            self._seconds_a_token = max(self._seconds_a_token, spacing)

    async def wait(self, tokens: int) -> None:
        """Returns when a request of about so many tokens may start."""
        while True:
            start = max(time.monotonic(), self._next_request, self._next_tokens)
            self._next_request = start + self._seconds_a_request
            self._next_tokens = start + tokens * self._seconds_a_token
            holds = self._holds
            while (pause := start - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            if self._holds == holds:
                return

    def took(self, estimated: int, actual: int) -> None:
        """Says what a request took in truth."""
        more = (actual - estimated) * self._seconds_a_token
        self._next_tokens += min(more, LONGEST_WAIT)

    def hold(self, seconds: float) -> None:
        """Lets nothing start for so long, as the endpoint asked; all that wait line up again."""
        end = max(self._held_until, time.monotonic() + seconds)
        self._held_until = self._next_request = self._next_tokens = end
        self._holds += 1


_LIMITERS: dict[str, RateLimiter] = {}


def limiter_of(endpoint: str, limits: LimitSpec) -> RateLimiter:
    """Returns the limiter of an endpoint, the same one for every judge of this process."""
    limiter = _LIMITERS.setdefault(endpoint, RateLimiter())
    limiter.allow(limits)
    return limiter


def backoff(attempt: int, draw: float | None = None) -> float:
    """Returns how long to wait before trying again, in seconds.

    Half a second, doubled with every attempt up to a minute, of which the upper half is random,
    so that requests that failed together do not come back together.

    Args:
        attempt: attempts that failed, at least 1.
        draw: in [0, 1), for tests; drawn by default.
    """
    longest = min(_LONGEST_BACKOFF, _FIRST_WAIT * 2.0 ** (attempt - 1))
    return longest * (0.5 + 0.5 * (random.random() if draw is None else draw))


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Returns the pause that a response asks for, in seconds; None if it asks for none.

    ``retry-after-ms`` comes before ``retry-after``, which is in seconds or a date. A pause of 0, a
    negative one, one that is no number and a date that is past are none.

    Args:
        headers: of the response; names in lower case.
        now: seconds since 1970, for tests.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            pause = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if pause > 0:
            return pause
    try:
        moment = parsedate_to_datetime(headers["retry-after"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return None
    pause = moment - (time.time() if now is None else now)
    return pause if pause > 0 else None
