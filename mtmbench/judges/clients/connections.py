"""The ``openai`` package's clients for one endpoint, each with a few of the connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MOST_A_CLIENT = 8
"""A client looks through all of its connections twice a request, so that with many of them it
would do little else."""


class Connections:
    """Posts to one endpoint; belongs to the loop that runs when it is first used.

    Args:
        make: makes a client.
    """

    def __init__(self, make: Callable[[], AsyncOpenAI]) -> None:
        self._make = make
        self._clients = [make()]
        self._under_way: Counter[int] = Counter()

    @property
    def client(self) -> AsyncOpenAI:
        """A client, for what is asked one at a time."""
        return self._clients[0]

    async def post(self, path: str, body: Mapping[str, object]) -> str:
        """Returns the endpoint's reply to a request as it came.

        What the package's own methods do beside, checking a request against its types and reading
        the reply into others, takes as long as all the rest.

        Raises:
            openai.OpenAIError: it was no success, or there was no reply.
        """
        number = self._free()
        self._under_way[number] += 1
        try:
            return await self._clients[number].post(path, body=dict(body), cast_to=str)
        finally:
            self._under_way[number] -= 1

    async def close(self) -> None:
        """Closes every connection."""
        for client in self._clients:
            await client.close()

    def _free(self) -> int:
        for number in range(len(self._clients)):
            if self._under_way[number] < MOST_A_CLIENT:
                return number
        self._clients.append(self._make())
        return len(self._clients) - 1
