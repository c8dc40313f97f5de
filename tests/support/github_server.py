"""A local stand-in for GitHub's REST API: the comments of one pull request, for tests."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_" + "x1Y2" * 9


@dataclass
class GitHub:
    """Serves on a free port of 127.0.0.1; a context manager.

    Attributes:
        comments: those of the pull request, each with "id", "body" and "by".
        calls: method and path of each request.
        refuses: statuses by method, answered in place of what would be.
    """

    comments: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    refuses: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> GitHub:
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                size, page = (int(query[name][0]) for name in ("per_page", "page"))
                self._answer(200, github.comments[(page - 1) * size : page * size])

            def do_POST(self) -> None:
                made = {"id": 1000 + len(github.comments), "by": "us", "user": {}}
                self._answer(201, made, made)

            def do_PATCH(self) -> None:
                id_ = int(self.path.rsplit("/", 1)[1])
                (found,) = (each for each in github.comments if each["id"] == id_)
                self._answer(200 if found["by"] == "us" else 403, found, found)

            def _answer(self, status: int, content: Any, comment: Any = None) -> None:
                github.calls.append((self.command, self.path))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = github.refuses.get(self.command, status)
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    status = 401
                if not re.match(r"/repos/ann/topics/issues/(7/)?comments", self.path):
                    status = 404
                if status < 300 and comment is not None:
                    comment.update(json.loads(body))
                    if comment not in github.comments:
                        github.comments.append(comment)
                text = json.dumps(content if status < 300 else {"message": "no"}).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"
