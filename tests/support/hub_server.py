"""A local stand-in for the Hugging Face hub: Spaces of files, for the hub's own client."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "s3Cr" * 8
COMMIT = "c" * 40


@dataclass
class Hub:
    """Serves on a free port of 127.0.0.1; a context manager.

    Attributes:
        spaces: the files of each Space, by its name.
        made: what each Space was made with.
        calls: method and path of each request.
        refuses: a status that answers everything, if any.
    """

    spaces: dict[str, dict[str, bytes]] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    refuses: int | None = None

    def __enter__(self) -> Hub:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._do(b"")

            def do_GET(self) -> None:
                self._do(b"")

            def do_POST(self) -> None:
                self._do(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def _do(self, body: bytes) -> None:
                path = unquote(urlsplit(self.path).path)
                hub.calls.append((self.command, path))
                if hub.refuses or self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self._send(hub.refuses or 401, b'{"error": "no"}')
                    return
                parts = path.strip("/").split("/")
                if parts[:3] == ["api", "repos", "create"]:
                    asked = json.loads(body)
                    name = f"{asked.get('organization') or 'ann'}/{asked['name']}"
                    hub.made[name] = asked
                    hub.spaces[name] = {".gitattributes": b"", "style.css": b"", "README.md": b""}
                    self._json({"url": f"{hub.url}/spaces/{name}"})
                    return
                if parts == ["api", "validate-yaml"]:
                    self._json({"warnings": [], "errors": []})
                    return
                start = 1 if parts[0] == "spaces" else 2
                name, action = "/".join(parts[start : start + 2]), parts[start + 2 :]
                files = hub.spaces.get(name)
                if files is None:
                    self._send(404, b'{"error": "none"}', {"X-Error-Code": "RepoNotFound"})
                elif action[:1] == ["tree"]:
                    self._json([
                        {"type": "file", "path": file, "size": len(text),
                         "oid": hashlib.sha1(text).hexdigest()}
                        for file, text in files.items()
                    ])  # fmt: skip
                elif action[:1] == ["preupload"]:
                    self._json({"files": [
                        {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for each in json.loads(body)["files"]
                    ]})  # fmt: skip
                elif action[:1] == ["commit"]:
                    for line in map(json.loads, body.splitlines()):
                        value = line["value"]
                        if line["key"] == "file":
                            files[value["path"]] = base64.b64decode(value["content"])
                        elif line["key"] == "deletedFile":
                            del files[value["path"]]
                    self._json({"commitUrl": f"{hub.url}/spaces/{name}/commit/{COMMIT}",
                                "commitOid": COMMIT})  # fmt: skip
                elif action[:1] == ["resolve"]:
                    text = files["/".join(action[2:])]
                    etag = hashlib.sha1(text).hexdigest()
                    self._send(200, text, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
                else:
                    self._json({"id": name, "sha": COMMIT, "private": False, "tags": [],
                                "siblings": [{"rfilename": file} for file in files]})  # fmt: skip

            def _json(self, content: Any) -> None:
                self._send(200, json.dumps(content).encode())

            def _send(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(more or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
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
        """The hub's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"
