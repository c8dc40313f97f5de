"""HTTP that ends: a reply has a time and a size, and comes from where the question went.

An endpoint may send a byte every two seconds for ever, or a few kilobytes that unpack to gigabytes,
or say that a question should be sent somewhere else.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

MOST_BYTES = 1 << 24
"""Of a reply, unpacked; a hundred times what is kept of one."""
MOST_BYTES_OF_FILE = 1 << 29
"""Of a file of replies: there may be 50,000 in it."""

_PACKED = ("gzip", "x-gzip", "deflate")
_FILES = ("/files", "/content")
_FILE_TIMES = 10
"""So many times as long as a reply may a file take."""


class _UnfitError(Exception):
    """A reply is longer than anybody needs, or packed as nobody asked."""


def bounded_client(seconds: float, *, direct: bool = False) -> Any:
    """Returns an HTTP client for the ``openai`` package that bounds each reply.

    Redirects are not followed. What a reply has too much of is an
    :class:`openai.APIConnectionError`.

    Args:
        seconds: from the first byte sent to the last received.
        direct: whether to go past the proxies that the environment names.
    """
    from openai import APIConnectionError, DefaultAsyncHttpxClient

    class Bounded(DefaultAsyncHttpxClient):
        async def send(self, request: Any, **options: Any) -> Any:
            is_file = request.url.path.endswith(_FILES)
            allowed = seconds * (_FILE_TIMES if is_file else 1)
            try:
                async with asyncio.timeout(allowed):
                    response = await super().send(request, **{**options, "stream": True})
                    try:
                        coding = _coding(response.headers)
                        most = MOST_BYTES_OF_FILE if is_file else MOST_BYTES
                        content = await _read(response.aiter_raw(), coding, most)
                    finally:
                        await response.aclose()
            except TimeoutError:
                why = f"no whole reply within {allowed:g} s"
                raise APIConnectionError(message=why, request=request) from None
            except _UnfitError as error:
                raise APIConnectionError(message=str(error), request=request) from None
            headers = [
                (name, value)
                for name, value in response.headers.multi_items()
                if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
            ]
            return type(response)(
                response.status_code, headers=headers, content=content, request=request
            )

    return Bounded(
        timeout=seconds, follow_redirects=False, trust_env=not direct,
        headers={"accept-encoding": "gzip, deflate"},
    )  # fmt: skip


def _coding(headers: Any) -> str | None:
    coding = str(headers.get("content-encoding", "")).strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in _PACKED:
        raise _UnfitError(f"a reply packed as {coding[:40]!r}, which was not asked for")
    return coding


async def _read(chunks: AsyncIterator[bytes], coding: str | None, most: int) -> bytes:
    """Returns the whole of a reply, unpacked; never holds much more than ``most`` bytes."""
    # 47: the header tells gzip from zlib; some servers send deflate without one.
    unpack = None if coding is None else zlib.decompressobj(47)
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        try:
            part = chunk if unpack is None else unpack.decompress(chunk, most - size + 1)
        except zlib.error as error:
            if parts or coding != "deflate":
                raise _UnfitError(f"a reply that cannot be unpacked ({error})") from error
            unpack = zlib.decompressobj(-zlib.MAX_WBITS)
            part = _unpacked_bare(unpack, chunk, most)
        size += len(part)
        if size > most:
            raise _UnfitError(f"a reply of more than {most >> 20} MiB")
        parts.append(part)
    if parts and unpack is not None:
        if not unpack.eof:
            raise _UnfitError("a packed reply that was cut")
        if unpack.unused_data.strip(b"\0"):
            raise _UnfitError("a packed reply with something behind its end")
    return b"".join(parts)


def _unpacked_bare(unpack: Any, chunk: bytes, most: int) -> bytes:
    try:
        return bytes(unpack.decompress(chunk, most + 1))
    except zlib.error as error:
        raise _UnfitError(f"a reply that cannot be unpacked ({error})") from error
