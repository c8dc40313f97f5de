"""A run's board as it stands, served while the run goes on; the voting page may stand beside it.

================  =================================================================
``GET /``         the page, made anew if records came since; before, why there is none
``GET /FILE``     a part of the page as it was served last, or a table of the board
``GET /state``    what the page asks every few seconds: whether records came
``GET /voting/``  the voting page, with its calls below it, if there is a vote
================  =================================================================
"""

from __future__ import annotations

import mimetypes
import threading
from itertools import chain
from pathlib import Path
from typing import TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from mtmbench.boards.html import render_template
from mtmbench.boards.site.page import with_script
from mtmbench.boards.site.parts import FOLDER, RUN_LIST, run_parts
from mtmbench.boards.write import files_of
from mtmbench.core.errors import InputError
from mtmbench.core.misfits import CELL_PAYLOADS
from mtmbench.core.serialise import content_hash
from mtmbench.core.store import run_progress, stream_run
from mtmbench.voting.local import abandonable, as_json, page_with_nonce
from mtmbench.voting.server import Voting, voting_pages

_PAGE = "index.html"
_RECORDS = ("store.sqlite", "records.jsonl", "records.jsonl.gz")
_BESIDE = ("suite.toml", "steering.json", f"{FOLDER}/{RUN_LIST}")
_WAITING = Path(__file__).with_name("waiting.html.j2")


class BoardState(TypedDict):
    """What a board is made of, as it stands.

    ``revision`` changes when that changes; ``added`` is how many records ever came, if known.
    """

    revision: str
    added: int | None


class LiveBoard:
    """The files of a run's board, made anew when what they are made of has changed.

    Parts of the page are those of the page that was made last, so that they fit it and looking at
    them makes nothing anew.

    Args:
        folder: the run's folder; a run may be writing to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._made_of: BoardState | None = None
        self._files: dict[str, str] = {}
        self._own: frozenset[str] = frozenset()

    def state(self) -> BoardState:
        """Returns what the board would be made of now."""
        progress = run_progress(self._folder)
        names = _BESIDE if progress else (*_RECORDS, *_BESIDE)
        seen: list[object] = [progress, *(_stat(self._folder / name) for name in names)]
        added = None if progress is None else progress[1]
        return {"revision": content_hash("board", seen), "added": added}

    def file(self, name: str) -> str | None:
        """Returns a file of the board; None if it has none of that name.

        Raises:
            InputError: there are no records yet, or no board follows from them.
        """
        with self._lock:
            state = self.state()
            # Remembered once it is made, so that an error is tried again.
            if state != self._made_of and not (self._files and name.startswith(f"{FOLDER}/")):
                self._make(state)
                self._made_of = state
            if name not in self._own:
                return self._files.get(name)
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except OSError:
            return None

    def _make(self, state: BoardState) -> None:
        known = any((self._folder / name).is_file() for name in _RECORDS)
        records = (r for r in stream_run(self._folder) if r.kind in CELL_PAYLOADS)
        first = next(records, None) if known else None
        if first is None:
            raise InputError(f"{self._folder} holds no records yet")
        own = frozenset(str(part["file"]) for part in run_parts(self._folder) or ())
        made = files_of(self._folder, chain([first], records))
        made[_PAGE] = with_script(made[_PAGE], _script(), **state)
        self._files, self._own = made, own


def board_pages(board: LiveBoard, voting: Voting | None = None) -> Router:
    """Returns the pages of a run: its board, and the voting page if there is a vote."""

    def state(_: Request) -> Response:
        return as_json(board.state())

    def waiting(nonce: str, reason: str, revision: str) -> str:
        return render_template(
            _WAITING, nonce=nonce, reason=reason, revision=revision, script=_script()
        )

    def file(request: Request) -> Response:
        name = request.path_params["name"] or _PAGE
        before = board.state()["revision"]
        try:
            text = board.file(name)
        except InputError as error:
            reason = str(error)
            if name != _PAGE:
                raise HTTPException(503, reason) from error
            return page_with_nonce(lambda nonce: waiting(nonce, reason, before), 503)
        if text is None:
            raise HTTPException(404)
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        return Response(text, media_type=f"{kind}; charset=utf-8")

    routes: list[BaseRoute] = [Route("/state", state)]
    if voting is not None:
        routes.append(Mount("/voting", voting_pages(voting)))
    return Router([*routes, Route("/{name:path}", abandonable(file))], redirect_slashes=False)


def _script() -> str:
    return Path(__file__).with_name("live.js").read_text(encoding="utf-8")


def _stat(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]
