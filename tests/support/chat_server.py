"""A local server that speaks the chat-completions API, good and bad, for tests without a key.

It stands in for every provider: the real ``openai`` client talks to it over TCP on 127.0.0.1. An
answer is a hash of the messages unless a test has said what comes next, so that asking again, in
whatever order, gives the same board. As a program it serves until it is ended and prints its
address first: ``python -P tests/support/chat_server.py [--delay 0.2]``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

VERDICTS = ("A", "B", "tie")
FINGERPRINT = "fp_local"


@dataclass(frozen=True)
class Say:
    """A proper answer.

    Attributes:
        text: what is said; None is the answer by hash, "" an empty one.
        refusal: the model's refusal, in the field for it.
        finish: why the model stopped.
        cached: prompt tokens that were cached.
        usage: whether usage is given at all.
        delay: seconds before it is sent.
        model: the model that it is said to come from, the one asked for by default.
    """

    text: str | None = None
    refusal: str | None = None
    finish: str = "stop"
    cached: int = 0
    usage: bool = True
    delay: float = 0.0
    model: str | None = None


@dataclass(frozen=True)
class Fail:
    """An error: status, code, headers, and words that may hold what must not be shown."""

    status: int
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "so it is"


@dataclass(frozen=True)
class Drop:
    """The connection ends, before the reply or in the middle of it."""

    halfway: bool = False


@dataclass(frozen=True)
class Garble:
    """Status 200 and a body as it is given; in a batch, a row in which ``KEY`` is the question's.

    Attributes:
        body: the body.
        headers: of the response, beside its type and length.
        pause: seconds after each of its bytes.
    """

    body: bytes = b'{"choices": [{"message"'
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0


Behaviour = Say | Fail | Drop | Garble


@dataclass(frozen=True)
class Request:
    """What came in, and when, in seconds of a monotonic clock."""

    path: str
    headers: Mapping[str, str]
    body: Any
    at: float


class ChatServer:
    """Serves on a free port of 127.0.0.1 from a thread of its own; a context manager.

    Args:
        delay: seconds that every answer takes.
        rate: (requests, seconds): more than so many in so long are answered 429.
        keep: whether requests are kept; what was paid for is counted in any case.
        models: models that answer for themselves: name to what it says to messages.

    Attributes:
        requests: what came in, in order.
        paid: how often each question was answered, by :func:`question_hash`.
        most_at_once: completions under way at one time, at most.
        batches_finish: whether batches are done when next asked for.
    """

    def __init__(
        self,
        delay: float = 0.0,
        rate: tuple[int, float] | None = None,
        keep: bool = True,
        models: Mapping[str, Callable[[Any], str]] | None = None,
    ) -> None:
        self.delay, self.rate, self.keep = delay, rate, keep
        self.models = dict(models or {})
        self.requests: list[Request] = []
        self.paid: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.batches_finish = True
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._next: deque[Behaviour] = deque()
        self._recent: deque[float] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def then(self, *behaviours: Behaviour) -> None:
        """Says how the next completions go, one after the other; then all is well again."""
        self._next.extend(behaviours)

    @property
    def completions(self) -> list[Request]:
        """The requests for completions."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def __enter__(self) -> ChatServer:
        self._thread.start()
        started = asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**24)
        self._server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines)
                }
                content = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = first.split(" ", 2)
                if not await self._answer(method, path, headers, content, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes,
        writer: asyncio.StreamWriter,
    ) -> bool:
        route = path.partition("?")[0].removeprefix("/v1")
        is_json = content and headers.get("content-type", "").startswith("application/json")
        body = json.loads(content) if is_json else content
        if self.keep:
            self.requests.append(Request(route, headers, body, time.monotonic()))
        if route == "/chat/completions" and isinstance(body, dict):
            return await self._complete(body, writer)
        if route == "/paid":
            await _send(writer, 200, {"paid": dict(self.paid), "most_at_once": self.most_at_once})
        elif route == "/files" and method == "POST":
            name = f"file-{len(self.files)}"
            self.files[name] = _uploaded(content)
            await _send(writer, 200, _file(name, self.files[name]))
        elif match := re.fullmatch(r"/files/([^/]+)/content", route):
            await _send(writer, 200, self.files[match[1]])
        elif route == "/batches" and method == "POST":
            await _send(writer, 200, self._submit(body))
        elif route == "/batches":
            await _send(writer, 200, {
                "object": "list", "data": list(self.batches.values())[::-1], "has_more": False,
            })  # fmt: skip
        elif match := re.fullmatch(r"/batches/([^/]+)", route):
            await _send(writer, 200, self._batch(match[1]))
        else:
            await _send(writer, 404, {"error": {"message": f"no {route}", "code": "not_found"}})
        return True

    async def _complete(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
        if self._too_many():
            assert self.rate is not None
            wait = max(0.0, self._recent[0] + self.rate[1] - time.monotonic())
            error = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
            await _send(writer, 429, error, {"retry-after-ms": f"{1000 * wait:.0f}"})
            return True
        behaviour = self._next.popleft() if self._next else Say()
        model = self.models.get(body["model"])
        if model is not None and isinstance(behaviour, Say) and behaviour.text is None:
            behaviour = replace(behaviour, text=model(body["messages"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            delay = self.delay + (behaviour.delay if isinstance(behaviour, Say) else 0)
            if isinstance(behaviour, Say):
                # Tokens are spent once the model has begun, whether anybody waits for the end.
                self.paid[question_hash(body["messages"])] += 1
            if delay:
                await asyncio.sleep(delay)
        finally:
            self.at_once -= 1
        if isinstance(behaviour, Drop):
            if behaviour.halfway:
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"id": "')
                await writer.drain()
            return False
        if isinstance(behaviour, Garble):
            await _send(writer, 200, behaviour.body, behaviour.headers, behaviour.pause)
        elif isinstance(behaviour, Fail):
            error = {"error": {"message": behaviour.message, "code": behaviour.code}}
            await _send(writer, behaviour.status, error, behaviour.headers)
        else:
            await _send(writer, 200, completion(body, behaviour))
        return True

    def _too_many(self) -> bool:
        if self.rate is None:
            return False
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - self.rate[1]:
            self._recent.popleft()
        if len(self._recent) >= self.rate[0]:
            return True
        self._recent.append(now)
        return False

    def _submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {
            "id": name, "object": "batch", "status": "in_progress", "created_at": 0,
            "endpoint": body["endpoint"], "completion_window": body["completion_window"],
            "input_file_id": body["input_file_id"], "metadata": body.get("metadata"),
        }  # fmt: skip
        return self.batches[name]

    def _batch(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        if batch["status"] == "in_progress" and self.batches_finish:
            lines: list[dict[str, Any] | bytes] = []
            failed: list[dict[str, Any] | bytes] = []
            for line in self.files[batch["input_file_id"]].splitlines():
                asked = json.loads(line)
                behaviour = self._next.popleft() if self._next else Say()
                row = {"id": "r", "custom_id": asked["custom_id"], "error": None}
                if isinstance(behaviour, Say):
                    self.paid[question_hash(asked["body"]["messages"])] += 1
                    reply = completion(asked["body"], behaviour)
                    lines.append({**row, "response": {"status_code": 200, "body": reply}})
                elif isinstance(behaviour, Garble):
                    lines.append(behaviour.body.replace(b"KEY", asked["custom_id"].encode()))
                else:
                    failed.append({**row, "response": None, "error": {"code": "batch_expired"}})
            for field_name, rows in (("output_file_id", lines), ("error_file_id", failed)):
                if rows:
                    file = f"file-{len(self.files)}"
                    self.files[file] = b"".join(
                        (
                            one if isinstance(one, bytes)
                            else json.dumps(one, ensure_ascii=False).encode()
                        ) + b"\n"
                        for one in rows
                    )  # fmt: skip
                    batch[field_name] = file
            batch["status"] = "completed"
        return batch


def completion(body: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Returns a chat completion that answers a request."""
    text = say.text if say.text is not None else _verdict(body)
    prompt = max(1, sum(len(message["content"]) for message in body["messages"]) // 4)
    choice: dict[str, Any] = {
        "index": 0, "finish_reason": say.finish,
        "message": {
            "role": "assistant", "content": None if say.refusal else text, "refusal": say.refusal,
        },
    }  # fmt: skip
    if body.get("logprobs"):
        choice["logprobs"] = {
            "content": [{"token": text, "logprob": -0.25, "bytes": None, "top_logprobs": []}]
        }
    made = {
        "id": "chatcmpl-0", "object": "chat.completion", "created": 0,
        "model": say.model or body["model"], "system_fingerprint": FINGERPRINT,
        "choices": [choice],
    }  # fmt: skip
    if say.usage:
        n = max(len(text) // 4, 1 if text else 0)
        made["usage"] = {
            "prompt_tokens": prompt, "completion_tokens": n, "total_tokens": prompt + n,
            "prompt_tokens_details": {"cached_tokens": say.cached},
        }  # fmt: skip
    return made


def question_hash(messages: Any) -> str:
    """Returns what tells a question from others."""
    text = json.dumps(messages, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _verdict(body: Mapping[str, Any]) -> str:
    verdict = VERDICTS[int(question_hash(body["messages"]), 16) % len(VERDICTS)]
    if "response_format" in body:
        return json.dumps({"reason": "It is nearer.", "verdict": verdict})
    return f"It is nearer to what the document says.\n\nVERDICT: {verdict}"


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {
        "id": name, "object": "file", "bytes": len(content), "created_at": 0,
        "filename": "batch.jsonl", "purpose": "batch", "status": "processed",
    }  # fmt: skip


def _uploaded(content: bytes) -> bytes:
    """Returns the file of a multipart form."""
    boundary = content.split(b"\r\n", 1)[0]
    part = next(part for part in content.split(boundary) if b'name="file"' in part)
    return part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: Any,
    headers: Mapping[str, str] | None = None,
    pause: float = 0.0,
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} -", "content-type: application/json"]
    lines += [f"content-length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    if not pause:
        writer.write(head + content)
        await writer.drain()
        return
    writer.write(head)
    for byte in content:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(pause)


def main() -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    with ChatServer(arguments.delay, keep=False) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
