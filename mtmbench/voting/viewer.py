"""A run's board as it stands, served while the run goes on; the voting page may stand beside it.

================  =================================================================
``GET /``         the page, made anew if records came since; before, why there is none
``GET /FILE``     a table of the board, or a part of one of the last two boards, by its revision
``GET /state``    what the page asks every few seconds: whether records came
``GET /voting/``  the voting page, with its calls below it, if there is a vote
================  =================================================================
"""

from __future__ import annotations

import mimetypes
import re
import threading
from itertools import chain
from pathlib import Path
from typing import TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from mtmbench.boards.html import render_template
from mtmbench.boards.site.page import parts_below, with_script
from mtmbench.boards.site.parts import FOLDER, RUN_LIST, run_parts
from mtmbench.boards.write import files_of
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_text
from mtmbench.core.misfits import CELL_PAYLOADS
from mtmbench.core.serialise import content_hash
from mtmbench.core.store import run_progress, stream_run
from mtmbench.voting.local import abandonable, as_json, page_with_nonce
from mtmbench.voting.server import Voting, voting_pages

_PAGE = "index.html"
_RECORDS = ("store.sqlite", "records.jsonl", "records.jsonl.gz")
_BESIDE = ("suite.toml", "steering.json", f"{FOLDER}/{RUN_LIST}")
_WAITING = Path(__file__).with_name("waiting.html.j2")
_ELSEWHERE = Path(__file__).with_name("elsewhere.html.j2")
_LINKED = ("records.jsonl", "records.jsonl.gz", "steering.md", "suite.toml")
"""To these a page links, but they are not served."""


class BoardState(TypedDict):
    """What a board is made of, as it stands.

    ``revision`` changes when that changes; ``added`` is how many records ever came, if known.
    """

    revision: str
    added: int | None


class LiveBoard:
    """The files of a run's board, made anew when what they are made of has changed.

    A page names its parts by its board's revision, so that it is given no others. The last two
    boards are kept whole; asking for their parts makes nothing anew and waits for nothing.

    Args:
        folder: the run's folder; a run may be writing to it.

    Attributes:
        folder: the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._making = threading.Lock()
        self._made_of: BoardState | None = None
        # Replaced as a whole, so that it is read without a lock.
        self._kept: tuple[dict[str, str], ...] = ()

    def state(self) -> BoardState:
        """Returns what the board would be made of now."""
        progress = run_progress(self.folder)
        names = _BESIDE if progress else (*_RECORDS, *_BESIDE)
        seen: list[object] = [progress, *(_stat(self.folder / name) for name in names)]
        added = None if progress is None else progress[1]
        return {"revision": content_hash("board", seen), "added": added}

    def file(self, name: str) -> str | None:
        """Returns a file of the board as it stands, or a part of a board that is kept.

        Returns:
            Its text; None if there is none of that name (any more, if it is a part).

        Raises:
            InputError: there are no records yet, or no board follows from them.
        """
        if name.startswith(f"{FOLDER}/"):
            return next((files[name] for files in self._kept if name in files), None)
        with self._making:
            state = self.state()
            # Remembered once it is made, so that an error is tried again.
            if state != self._made_of:
                self._kept = (*self._kept[-1:], self._make(state))
                self._made_of = state
            return self._kept[-1].get(name)

    def _make(self, state: BoardState) -> dict[str, str]:
        known = any((self.folder / name).is_file() for name in _RECORDS)
        records = (r for r in stream_run(self.folder) if r.kind in CELL_PAYLOADS)
        first = next(records, None) if known else None
        if first is None:
            raise InputError(f"{self.folder} holds no records yet")
        made = files_of(self.folder, chain([first], records), most=None)
        # Read now: the run's own parts may be written anew while the page is open.
        for part in run_parts(self.folder) or ():
            name = str(part["file"])
            made[name] = read_text(self.folder / name)
        below = f"{FOLDER}/{state['revision']}"
        page = parts_below(with_script(made.pop(_PAGE), _script(), **state), below)
        moved = {re.sub(f"^{FOLDER}/", f"{below}/", name): text for name, text in made.items()}
        return {_PAGE: page, **moved}


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
        if name in _LINKED:
            path = board.folder / name
            return page_with_nonce(
                lambda nonce: render_template(_ELSEWHERE, nonce=nonce, path=path), 404
            )
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
