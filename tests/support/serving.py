"""`mtmbench serve` and `view` as processes, servers in threads, and calls to them."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mtmbench.voting.local import LocalServer


@contextmanager
def served(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yields the process of `mtmbench ARGUMENTS` and the voting page's address that it prints."""
    # A shell that starts tests in the background has them ignore Ctrl-C, and so their children.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = subprocess.Popen(
        [sys.executable, "-P", "-u", "-c", f"{listen}; from mtmbench.cli.app import main; main()",
         *arguments],
        cwd=folder, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        told = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"vote on (http://127\.0\.0\.1:\d+/\S+/)", told)
        assert found is not None, told
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


@contextmanager
def in_thread(server: LocalServer) -> Iterator[LocalServer]:
    """Runs a server in a thread, and ends both."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


def send(
    url: str,
    method: str,
    path: str = "",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Message, bytes]:
    """Returns status, headers and content of the answer to a request below ``url``."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, parts.path + path, raw, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def call(url: str, method: str, path: str, body: Any = None) -> bytes:
    """Returns the answer of the page at ``url`` to a request, which must be a good one."""
    status, _, content = send(url, method, path, body)
    assert status == 200
    return content
