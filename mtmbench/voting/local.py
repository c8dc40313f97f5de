"""A server on this machine: a token in its address, a check of whom requests name, and no log."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from ipaddress import ip_address

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from mtmbench.core.errors import InputError

_MOST_BYTES = 10_000
_GRACE_SECONDS = 1
_HEADERS = [
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


class LocalServer:
    """Serves an application below a token, on an address that is held from the start.

    On an address of this machine alone, requests must name the machine: another site's name may be
    made to point here. On others the token alone protects, for nobody knows by which names they go.

    Args:
        app: what answers; paths are those below the token.
        host: the address to listen on.
        port: the port; 0 takes a free one.

    Raises:
        InputError: the address cannot be listened on.

    Attributes:
        token: what a request must know.
        url: the address of the first page, with the token.
    """

    def __init__(self, app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._socket = socket.create_server((host, port))
        except (OSError, OverflowError, UnicodeError) as error:
            raise InputError(f"cannot listen on {host}:{port}: {error}") from error
        address, port = self._socket.getsockname()
        self.token = secrets.token_urlsafe(16)
        self.url = f"http://{address}:{port}/{self.token}/"
        self._hosts: set[str] | None = None
        if ip_address(address).is_loopback:
            names = {address, host.lower(), "localhost"}
            self._hosts = {name if port == 80 else f"{name}:{port}" for name in names}
        site = Starlette(
            routes=[Mount("/{token}", self._guarded(app))],
            exception_handlers={
                InputError: _refused, HTTPException: _refused, ClientDisconnect: _refused,
                Exception: _failed,
            },
        )  # fmt: skip
        # A redirection would tell that there is a page to be found.
        site.router.redirect_slashes = False
        # Nothing is logged: requests name voters and carry the token.
        config = uvicorn.Config(
            site, loop="asyncio", http="h11", ws="none", lifespan="off", log_config=None,
            log_level="critical", access_log=False, proxy_headers=False, server_header=False,
            headers=_HEADERS, timeout_graceful_shutdown=_GRACE_SECONDS,
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serves, once, until Ctrl-C or :meth:`stop`; what is being answered has a second more."""
        with contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Ends :meth:`run`, which another thread is in."""
        self._server.should_exit = True

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        async def guard(scope: Scope, receive: Receive, send: Send) -> None:
            told = scope["path_params"]["token"].encode("utf-8")
            host = Headers(scope=scope).get("host", "").lower()
            # In constant time, so that a wrong token does not tell how near it was.
            right = hmac.compare_digest(told, self.token.encode("utf-8"))
            if not right or (self._hosts is not None and host not in self._hosts):
                raise HTTPException(404)
            await app(scope, receive, send)

        return guard


def as_json(content: object, status: int = 200) -> Response:
    """Returns JSON in ASCII alone: a text may hold what has no UTF-8."""
    return Response(json.dumps(content), status, media_type="application/json")


def page_with_nonce(make: Callable[[str], str], status: int = 200) -> Response:
    """Returns a page whose scripts and styles are those alone that carry a nonce.

    Args:
        make: makes the page of the nonce.
        status: the response's status.
    """
    nonce = secrets.token_urlsafe(12)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(make(nonce), status, {"Content-Security-Policy": policy})


async def texts_in(request: Request, *names: str) -> list[str]:
    """Returns texts of a request's body, which is a JSON object of 10,000 bytes at most.

    Raises:
        HTTPException: the body is longer, whether it says so or not.
        InputError: it is no such object.
    """
    too_long = HTTPException(413, "a vote is shorter than that")
    if int(request.headers.get("content-length", "0")) > _MOST_BYTES:
        raise too_long
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise too_long
    try:
        told = json.loads(body)
        parts = [told[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"this takes an object with {' and '.join(names)}") from error
    if not all(isinstance(part, str) for part in parts):
        kind = "are texts" if len(names) > 1 else "is a text"
        raise InputError(f"{' and '.join(names)} {kind}")
    return parts


def abandonable(endpoint: Callable[[Request], Response]) -> Callable[..., Awaitable[Response]]:
    """Returns an endpoint that works in a thread of its own, for which Ctrl-C does not wait."""

    async def answer(request: Request) -> Response:
        future: Future[Response] = Future()
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                future.set_result(endpoint(request))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return await asyncio.wrap_future(future)

    return answer


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, InputError):
        return as_json({"error": str(error)}, 400)
    if isinstance(error, HTTPException) and error.status_code not in (404, 405):
        return as_json({"error": error.detail}, error.status_code)
    return as_json({"error": "there is nothing here"}, 404)


async def _failed(_: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return as_json({"error": "the server has failed; it has printed how"}, 500)
