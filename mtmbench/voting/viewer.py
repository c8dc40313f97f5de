"""A run's board as it stands, served while the run goes on; the voting page may stand beside it.

======================  =======================================================================
``GET /TOKEN/``         the page, made anew if records came since
``GET /TOKEN/FILE``     a part of the page, or a table of the board
``GET /TOKEN/voting/``  the voting page, with its calls below it, if there is a ballot
======================  =======================================================================
"""

from __future__ import annotations

import mimetypes
import shutil
import tempfile
import threading
from http import HTTPStatus
from pathlib import Path

from mtmbench.boards.site.parts import FOLDER, RUN_LIST, run_parts
from mtmbench.boards.write import files_of
from mtmbench.core.errors import InputError
from mtmbench.core.misfits import CELL_PAYLOADS
from mtmbench.core.store import stream_run
from mtmbench.judges.clients.human_votes import VoteFile
from mtmbench.voting.ballot import Ballot
from mtmbench.voting.server import VotingHandler, VotingServer

_VOTING = "voting/"
_INPUTS = (
    "suite.toml", "records.jsonl", "store.sqlite", "store.sqlite-wal", "steering.json",
    f"{FOLDER}/{RUN_LIST}",
)  # fmt: skip


class LiveBoard:
    """The files of a run's board, made anew when the run's records have changed.

    Args:
        folder: the run's folder; a run may be writing to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: object = None
        self._files: dict[str, str] = {}

    def files(self) -> dict[str, str]:
        """Returns the board's files by name.

        Raises:
            InputError: there are no records yet, or no board follows from them.
        """
        with self._lock:
            seen = [self._state(name) for name in _INPUTS]
            if seen != self._seen:
                # Remembered once it is made, so that an error is tried again.
                self._files = self._made()
                self._seen = seen
            return self._files

    def _made(self) -> dict[str, str]:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            for name in ("suite.toml", "steering.json"):
                if (self._folder / name).is_file():
                    shutil.copy(self._folder / name, folder)
            n = 0
            with (folder / "records.jsonl").open("w", encoding="utf-8", newline="\n") as file:
                for record in stream_run(self._folder):
                    if record.kind in CELL_PAYLOADS:
                        file.write(record.to_json() + "\n")
                        n += 1
            if not n:
                raise InputError(f"{self._folder} holds no records yet")
            own = run_parts(self._folder) or ()
            if own:
                (folder / FOLDER).mkdir()
                shutil.copy(self._folder / FOLDER / RUN_LIST, folder / FOLDER)
            files = files_of(folder)
        for part in own:
            name = str(part["file"])
            files[name] = (self._folder / name).read_text(encoding="utf-8")
        return files

    def _state(self, name: str) -> object:
        try:
            found = (self._folder / name).stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns, found.st_ino


class _Handler(VotingHandler):
    server: ViewServer

    def do_GET(self) -> None:  # noqa: N802
        """Answers with a file of the board, or as the voting page does."""
        path, _ = super()._within()
        if path is None or not self._named() or path.startswith(_VOTING):
            super().do_GET()
            return
        try:
            text = self.server.board.files().get(path or "index.html")
        except InputError as error:
            self._send(
                HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", str(error).encode()
            )
            return
        if text is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        else:
            kind = mimetypes.guess_type(path or "index.html")[0] or "text/plain"
            self._send(HTTPStatus.OK, f"{kind}; charset=utf-8", text.encode("utf-8"))

    def _within(self) -> tuple[str | None, dict[str, list[str]]]:
        """Returns the path below the voting page; None where there is none to be found."""
        path, query = super()._within()
        if path is None or not path.startswith(_VOTING) or not self._named() or self.server.closed:
            return None, {}
        return path.removeprefix(_VOTING), dict(query)

    def _named(self) -> bool:
        """Whether the request names this machine: another site's name may point here, too."""
        host, port = self.server.server_address[:2]
        names = {str(host), "127.0.0.1", "localhost"}
        return self.headers.get("Host") in {f"{name}:{port}" for name in names}


class ViewServer(VotingServer):
    """Serves a run's board, and its voting page if there is a ballot.

    Args:
        folder: the run's folder.
        ballot: what is asked; None for no voting page.
        votes: where votes are kept; None without a ballot.
        port: the port; 0 takes a free one. The address is this machine's own.
        title: what the voting page says that is voted on.
    """

    def __init__(
        self,
        folder: Path,
        ballot: Ballot | None = None,
        votes: VoteFile | None = None,
        *,
        port: int = 0,
        title: str = "",
    ) -> None:
        self.board = LiveBoard(folder)
        self.closed = ballot is None or votes is None
        super().__init__(ballot, votes, port=port, title=title, handler=_Handler)  # type: ignore[arg-type]
