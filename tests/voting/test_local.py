"""The server under both pages: whom it answers, what it takes, and how it ends."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from support.serving import in_thread, send

from mtmbench.core.errors import InputError
from mtmbench.voting.local import LocalServer, abandonable, as_json, texts_in

HEADERS = {
    "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
}  # fmt: skip


async def _told(request: Request) -> Response:
    return as_json(await texts_in(request, "name"))


def _broken(_: Request) -> Response:
    raise ValueError("a fault of ours")


def _odd(_: Request) -> Response:
    return as_json({"text": "\ud800"})


PAGES = Router(
    [Route("/", _odd), Route("/told", _told, methods=["POST"]), Route("/broken", _broken)],
    redirect_slashes=False,
)


@pytest.fixture
def url() -> Iterator[str]:
    with in_thread(LocalServer(PAGES)) as server:
        yield server.url


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)


def test_every_answer_has_the_headers_and_failures_are_printed_not_told(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for method, path, body, status in (
        ("GET", "", None, 200), ("GET", "nothing", None, 404), ("GET", "told", None, 404),
        ("POST", "told", {}, 400), ("POST", "told", b"x" * 20_000, 413),
        ("GET", "broken", None, 500),
    ):  # fmt: skip
        got, headers, content = send(url, method, path, body)
        assert got == status, path
        assert {name: headers[name] for name in HEADERS} == HEADERS, path
        assert headers["Content-Type"] == "application/json"
        assert "fault" not in json.dumps(json.loads(content)), path
    printed = "".join(capfd.readouterr())
    assert printed.rstrip().endswith("ValueError: a fault of ours")
    assert printed.count("Traceback") == 1
    # Requests carry the token and name voters.
    assert urlsplit(url).path.strip("/") not in printed
    assert json.loads(send(url, "GET")[2]) == {"text": "\ud800"}


def test_head_is_answered_without_a_body(url: str) -> None:
    status, headers, content = send(url, "HEAD")
    assert (status, content) == (200, b"")
    assert headers["Content-Length"] == str(len(send(url, "GET")[2]))
    assert send(url, "HEAD", "told")[0] == 404


def test_requests_must_name_this_machine(url: str) -> None:
    port = urlsplit(url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}"):
        assert send(url, "GET", headers={"Host": host})[0] == 200, host
    for host in (f"evil.example:{port}", "127.0.0.1", "localhost:1", "", f"127.0.0.1:{port}.evil"):
        assert send(url, "GET", headers={"Host": host})[0] == 404, host


def test_an_address_for_others_answers_to_every_name_but_not_without_the_token() -> None:
    with in_thread(LocalServer(PAGES, host="0.0.0.0")) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert send(url, "GET", headers={"Host": "votes.example"})[0] == 200
        wrong = url.replace(server.token, server.token[::-1])
        assert send(wrong, "GET", headers={"Host": "votes.example"})[0] == 404


def test_bodies_are_limited_whether_they_say_how_long_they_are_or_not(url: str) -> None:
    name = "n" * 9_000
    assert send(url, "POST", "told", {"name": name})[0] == 200
    for pieces, status in (([json.dumps({"name": name}).encode()], 200), ([b"x" * 4_000] * 3, 413)):
        connection = _connection(url)
        headers = {"Transfer-Encoding": "chunked"}
        path = f"{urlsplit(url).path}told"
        connection.request("POST", path, iter(pieces), headers, encode_chunked=True)
        assert connection.getresponse().status == status
        connection.close()
    # What says that it is too long is not waited for.
    connection = _connection(url)
    connection.putrequest("POST", f"{urlsplit(url).path}told")
    connection.putheader("Content-Length", "10001")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_an_address_that_cannot_be_had_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            LocalServer(PAGES, port=port)
    with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1:65536: .*port"):
        LocalServer(PAGES, port=65536)
    with pytest.raises(InputError, match="cannot listen on no such host:0"):
        LocalServer(PAGES, host="no such host")


def test_it_ends_at_once_whatever_is_open(capfd: pytest.CaptureFixture[str]) -> None:
    begun, forever = threading.Event(), threading.Event()

    def slow(_: Request) -> Response:
        begun.set()
        forever.wait(60)
        return as_json("late")

    pages = Router([Route("/", _odd), Route("/slow", abandonable(slow))])
    with in_thread(LocalServer(pages)) as server:
        path = urlsplit(server.url).path
        kept = _connection(server.url)
        kept.request("GET", path)
        kept.getresponse().read()
        half = socket.create_connection(("127.0.0.1", int(urlsplit(server.url).port or 0)))
        half.sendall(b"GET / HT")
        waiting = _connection(server.url)
        waiting.request("GET", f"{path}slow")
        assert begun.wait(20)
    # It fails where the server does not end within 20 seconds.
    forever.set()
    for connection in (kept, half, waiting):
        connection.close()
    assert "".join(capfd.readouterr()) == ""
