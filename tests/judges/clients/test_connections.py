"""Connections: few a client, reused, closed; a reply comes as it was sent."""

from __future__ import annotations

import asyncio
import json

import pytest
from openai import AsyncOpenAI
from support.chat_server import ChatServer

from mtmbench.judges.clients.connections import MOST_A_CLIENT, Connections


def test_clients_are_made_as_they_are_needed_and_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made: list[AsyncOpenAI] = []

    async def play(url: str) -> None:
        def make() -> AsyncOpenAI:
            made.append(AsyncOpenAI(api_key="k", base_url=url, max_retries=0))
            return made[-1]

        connections = Connections(make)
        assert connections.client is made[0]

        async def post(text: str) -> str:
            messages = [{"role": "user", "content": text}]
            body = {"model": "m", "messages": messages, "not of openai's": 1}
            return await connections.post("/chat/completions", body)

        for n in (1, 2 * MOST_A_CLIENT + 1, 2 * MOST_A_CLIENT + 1):
            replies = await asyncio.gather(*[post(f"{i}") for i in range(n)])
            assert {json.loads(reply)["model"] for reply in replies} == {"m"}
        assert len(made) == 3
        await connections.close()
        assert all(client.is_closed() for client in made)

    with ChatServer(delay=0.05) as server:
        asyncio.run(play(server.url))
        assert server.most_at_once == 2 * MOST_A_CLIENT + 1
        assert {request.body["not of openai's"] for request in server.completions} == {1}
