"""The voting page's server: a token, three JSON calls, votes on disk before they are thanked for.

========================  =============================================================
``GET /TOKEN/``           the page
``GET /TOKEN/question``   the voter's next question, or that there is none (``?voter=``)
``POST /TOKEN/vote``      ``{"voter", "question", "verdict"}``; answers with the next one
``POST /TOKEN/undo``      ``{"voter"}``: takes the voter's last vote back; asks it again
``GET /TOKEN/votes.csv``  every vote so far
========================  =============================================================
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import NotRequired, TypedDict
from urllib.parse import parse_qs, urlsplit

from mtmbench.core.errors import InputError
from mtmbench.judges.clients.human_votes import Vote, VoteFile, votes_csv
from mtmbench.judges.replies import DECISIONS
from mtmbench.voting.ballot import Ballot, BallotQuestion

_MOST_BYTES = 10_000
_MOST_FIELDS = 10
_TIMEOUT_SECONDS = 30
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class ShownQuestion(TypedDict):
    """A question as the page gets it."""

    key: str
    document: str
    a: tuple[str, ...]
    b: tuple[str, ...]


class VoterState(TypedDict):
    """How far a voter is, and what comes next; no question where nothing is left."""

    title: str
    total: int
    done: int
    question: NotRequired[ShownQuestion]


class VotingServer(ThreadingHTTPServer):
    """Serves a ballot and keeps the votes; ``serve_forever`` as any server of its kind.

    Args:
        ballot: what is asked.
        votes: where votes are kept.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        title: what the page says that is voted on.
        handler: what answers requests, if it is another.
    """

    daemon_threads = True

    def __init__(
        self,
        ballot: Ballot,
        votes: VoteFile,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        title: str = "",
        handler: type[VotingHandler] | None = None,
    ) -> None:
        self.token = secrets.token_urlsafe(16)
        self.ballot = ballot
        self.title = title
        self._votes = votes
        self._lock = threading.Lock()
        self._items: dict[str, dict[str, BallotQuestion]] = {}
        try:
            super().__init__((host, port), handler or VotingHandler)
        except OSError as error:
            raise InputError(f"cannot listen on {host}:{port}: {error.strerror}") from error

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of a client that went away or sent what is no request."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """The page's address, with its token."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/{self.token}/"

    def question(self, voter: str) -> VoterState:
        """Returns a voter's next question and how far the voter is.

        Raises:
            InputError: the name is none.
        """
        with self._lock:
            return self._next(voter)

    def vote(self, voter: str, question: str, verdict: str) -> VoterState:
        """Keeps a vote and returns the next question; a repeated vote replaces the first.

        Raises:
            InputError: the voter has no such question, or the verdict is none.
        """
        with self._lock:
            item = self._of(voter).get(question)
            if item is None:
                raise InputError("there is no such question for this voter")
            for known in DECISIONS:
                if verdict == known:
                    self._votes.add([item.voted(known)])
                    return self._next(voter)
            raise InputError(f"a verdict is one of {', '.join(DECISIONS)}, not {verdict!r:.40}")

    def undo(self, voter: str) -> VoterState:
        """Takes a voter's last vote back and returns its question, or the next if there is none.

        Raises:
            InputError: the name is none.
        """
        with self._lock:
            keys = {item.vote["key"] for item in self._of(voter).values()}
            for name, key in reversed(self._votes.votes):
                if name == voter and key in keys:
                    self._votes.undo(voter, key)
                    break
            return self._next(voter)

    def csv(self) -> str:
        """Returns every vote as CSV."""
        with self._lock:
            return votes_csv(self._votes.votes.values())

    def _of(self, voter: str) -> dict[str, BallotQuestion]:
        if voter not in self._items:
            # Made once without a vote, so that a name that is none is refused.
            Vote(voter, "", "", "", "", "tie")
            self._items[voter] = {item.key: item for item in self.ballot.items(voter)}
        return self._items[voter]

    def _next(self, voter: str) -> VoterState:
        items = self._of(voter)
        left = [
            item for item in items.values() if (voter, item.vote["key"]) not in self._votes.votes
        ]
        state: VoterState = {
            "title": self.title, "total": len(items), "done": len(items) - len(left),
        }  # fmt: skip
        if left:
            item = left[0]
            state["question"] = {
                "key": item.key, "document": item.document, "a": item.sets[0], "b": item.sets[1],
            }  # fmt: skip
        return state


class VotingHandler(BaseHTTPRequestHandler):
    """Answers the requests of a :class:`VotingServer`."""

    server: VotingServer
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_SECONDS

    def do_GET(self) -> None:
        """Answers with the page, a question or the votes."""
        path, query = self._within()
        if path == "":
            self._page()
        elif path == "question":
            self._json(lambda: self.server.question(_only(query, "voter")))
        elif path == "votes.csv":
            self._send(HTTPStatus.OK, "text/csv; charset=utf-8", self.server.csv().encode("utf-8"))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """Keeps a vote, or takes one back."""
        path, _ = self._within()
        length = self.headers.get("Content-Length", "")
        # Counted first: int() refuses thousands of digits in its own way.
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > _MOST_BYTES:
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a vote is shorter than that")
            return
        body = self.rfile.read(int(length))
        if path == "vote":
            self._json(lambda: self.server.vote(*_texts_in(body, "voter", "question", "verdict")))
        elif path == "undo":
            self._json(lambda: self.server.undo(*_texts_in(body, "voter")))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: requests name voters and carry the token."""

    def _within(self) -> tuple[str | None, Mapping[str, list[str]]]:
        """Returns the path below the token, None without the right one, and the query."""
        try:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return None, {}
        token, slash, rest = parts.path.removeprefix("/").partition("/")
        # In constant time, so that a wrong token does not tell how near it was.
        right = hmac.compare_digest(token.encode("utf-8"), self.server.token.encode("utf-8"))
        return (rest if right and slash else None), query

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(12)
        page = files("mtmbench.voting").joinpath("page.html").read_text(encoding="utf-8")
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._send(
            HTTPStatus.OK, "text/html; charset=utf-8",
            page.replace("{{nonce}}", nonce).encode("utf-8"), {"Content-Security-Policy": policy},
        )  # fmt: skip

    def _json(self, make: Callable[[], VoterState]) -> None:
        try:
            content = json.dumps(make()).encode("utf-8")
        except InputError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._send(HTTPStatus.OK, "application/json", content)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._send(status, "application/json", json.dumps({"error": reason}).encode("utf-8"))

    def _send(
        self,
        status: HTTPStatus,
        content_type: str,
        content: bytes,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": content_type, "Content-Length": str(len(content))}
        for name, value in {**headers, **_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _only(query: Mapping[str, list[str]], name: str) -> str:
    values = query.get(name, [])
    if len(values) != 1:
        raise InputError(f"the query needs one {name}")
    return values[0]


def _texts_in(body: bytes, *names: str) -> list[str]:
    try:
        told = json.loads(body)
        parts = [told[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"this takes an object with {' and '.join(names)}") from error
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"{' and '.join(names)} are texts")
    return parts
