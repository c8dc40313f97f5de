"""The voting page: votes are on disk before they are thanked for.

====================  =============================================================
``GET /``             the page
``GET /question``     the voter's next question, or that there is none (``?voter=``)
``POST /vote``        ``{"voter", "question", "verdict"}``; answers with the next one
``POST /undo``        ``{"voter"}``: takes the voter's last vote back; asks it again
``GET /votes.csv``    every vote so far
====================  =============================================================
"""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import NotRequired, TypedDict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from mtmbench.core.errors import InputError
from mtmbench.judges.clients.human_votes import Vote, VoteFile, votes_csv
from mtmbench.judges.replies import DECISIONS
from mtmbench.voting.ballot import Ballot, BallotQuestion
from mtmbench.voting.local import as_json, page_with_nonce, texts_in


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


class Voting:
    """A ballot and the votes on it; threads may share it.

    Args:
        ballot: what is asked.
        votes: where votes are kept.
        title: what the page says that is voted on.
    """

    def __init__(self, ballot: Ballot, votes: VoteFile, *, title: str = "") -> None:
        self._ballot = ballot
        self._votes = votes
        self._title = title
        self._lock = threading.Lock()
        self._items: dict[str, dict[str, BallotQuestion]] = {}

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
            self._items[voter] = {item.key: item for item in self._ballot.items(voter)}
        return self._items[voter]

    def _next(self, voter: str) -> VoterState:
        items = self._of(voter)
        left = [
            item for item in items.values() if (voter, item.vote["key"]) not in self._votes.votes
        ]
        state: VoterState = {
            "title": self._title, "total": len(items), "done": len(items) - len(left),
        }  # fmt: skip
        if left:
            item = left[0]
            state["question"] = {
                "key": item.key, "document": item.document, "a": item.sets[0], "b": item.sets[1],
            }  # fmt: skip
        return state


def voting_pages(voting: Voting) -> Router:
    """Returns the page on which people vote, and its calls."""

    def page(_: Request) -> Response:
        text = files("mtmbench.voting").joinpath("page.html").read_text(encoding="utf-8")
        return page_with_nonce(lambda nonce: text.replace("{{nonce}}", nonce))

    def question(request: Request) -> Response:
        voters = request.query_params.getlist("voter")
        if len(voters) != 1:
            raise InputError("the query needs one voter")
        return as_json(voting.question(voters[0]))

    async def vote(request: Request) -> Response:
        told = await texts_in(request, "voter", "question", "verdict")
        return as_json(await run_in_threadpool(voting.vote, *told))

    async def undo(request: Request) -> Response:
        return as_json(await run_in_threadpool(voting.undo, *await texts_in(request, "voter")))

    def csv(_: Request) -> Response:
        return Response(voting.csv(), media_type="text/csv")

    routes = [
        Route("/", page), Route("/question", question), Route("/votes.csv", csv),
        Route("/vote", vote, methods=["POST"]), Route("/undo", undo, methods=["POST"]),
    ]  # fmt: skip
    return Router(routes, redirect_slashes=False)
