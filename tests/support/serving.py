"""`mtmbench serve` as a process, and calls to its page."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@contextmanager
def served(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yields the process of `mtmbench serve ARGUMENTS` and the address that it prints."""
    # A shell that starts tests in the background has them ignore Ctrl-C, and so their children.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = subprocess.Popen(
        [sys.executable, "-P", "-u", "-c", f"{listen}; from mtmbench.cli.app import main; main()",
         "serve", *arguments],
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


def call(url: str, method: str, path: str, body: Any = None) -> bytes:
    """Returns the answer of the page at ``url`` to a request, which must be a good one."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        raw = None if body is None else json.dumps(body).encode()
        connection.request(method, parts.path + path, raw)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()
