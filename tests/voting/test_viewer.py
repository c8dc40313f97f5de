"""``mtmbench view``: the board of a run that goes on, for this machine alone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.killing import PLUGIN, lay_out

from mtmbench.boards.write import files_of
from mtmbench.core.card_files import load_suite
from mtmbench.core.records import Record
from mtmbench.core.store import RunInfo, RunStore, stream_run
from mtmbench.engine.harness import run_suite
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import VoteFile
from mtmbench.voting.ballot import Ballot
from mtmbench.voting.viewer import ViewServer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewed")
    lay_out(folder, "http://127.0.0.1:1/v1", documents=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        suite = load_suite("suite.toml", {"judging.judges": ["scripted"]})
        run_suite(suite, Path("out"), plugins=[str(PLUGIN)], workers=0)
    return folder / "out"


class Viewed:
    """A server in a thread, and a client of it."""

    def __init__(self, server: ViewServer) -> None:
        self.server, self.url = server, urlsplit(server.url)
        self.thread = threading.Thread(target=server.serve_forever, daemon=True)
        self.thread.start()

    def get(self, path: str, host: str | None = None) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.url.port, timeout=30)
        headers = {} if host is None else {"Host": host}
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        text = reply.read().decode("utf-8")
        connection.close()
        return reply.status, text, dict(reply.getheaders())

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def viewed(run: Path) -> Iterator[Viewed]:
    made = Viewed(ViewServer(run))
    yield made
    made.close()


def test_the_page_and_the_tables_are_those_of_the_board(viewed: Viewed, run: Path) -> None:
    # The parts that a run alone can make come along.
    own = {f"site/{path.name}": path.read_text(encoding="utf-8") for path in run.glob("site/*.js")}
    assert any("documents" in name for name in own)
    for name, text in {**files_of(run), **own}.items():
        status, body, headers = viewed.get(viewed.url.path + name)
        assert (status, body) == (200, text), name
        assert headers["X-Content-Type-Options"] == "nosniff"
    status, body, headers = viewed.get(viewed.url.path)
    assert (status, body) == (200, (run / "index.html").read_text(encoding="utf-8"))
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_nothing_else_of_the_run_is_served(viewed: Viewed) -> None:
    for name in ("store.sqlite", "suite.toml", "../suite.toml", "%2e%2e/suite.toml", "voting/"):
        assert viewed.get(viewed.url.path + name)[0] == 404, name
    for path in ("/", "/index.html", f"/x{viewed.url.path[2:]}", viewed.url.path[:-1]):
        assert viewed.get(path)[0] == 404, path


def test_another_sites_name_for_this_machine_gets_nothing(viewed: Viewed) -> None:
    port = viewed.url.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert viewed.get(viewed.url.path, host)[0] == 200
    for host in (f"evil.example:{port}", "127.0.0.1", "", f"127.0.0.1:{port}.evil.example"):
        assert viewed.get(viewed.url.path, host)[0] == 404, host


def test_records_that_come_while_the_run_goes_on_are_on_the_page(run: Path, tmp_path: Path) -> None:
    records = list(stream_run(run))
    assert [r.to_json() for r in records] == (run / "records.jsonl").read_text().splitlines()
    folder = tmp_path / "under-way"
    folder.mkdir()
    (folder / "suite.toml").write_text((run / "suite.toml").read_text())
    viewed = Viewed(ViewServer(folder))
    try:
        assert viewed.get(viewed.url.path)[0] == 503
        # Held open, as a run does.
        with RunStore(folder) as store:
            assert "holds no records yet" in viewed.get(viewed.url.path)[1]
            for n in (len(records) - 1, len(records)):
                store.add([(record, RunInfo()) for record in records[:n]])
                store.add([(Record("steer", "s", "ok", {}), RunInfo())])
                lines = "".join(record.to_json() + "\n" for record in records[:n])
                other = tmp_path / str(n)
                other.mkdir()
                (other / "suite.toml").write_text((run / "suite.toml").read_text())
                (other / "records.jsonl").write_text(lines)
                told = viewed.get(viewed.url.path + "board.json")[1]
                assert told == files_of(other)["board.json"]
    finally:
        viewed.close()


def test_people_vote_on_the_same_server(run: Path, tmp_path: Path) -> None:
    options = tuple(
        Option(name, (ShownTopic(0.5, (word,)),)) for name, word in (("a", "x"), ("b", "y"))
    )
    question = Question("match", {"corpus": "c", "doc_id": "1", "text": "A text."}, options)
    with VoteFile(tmp_path / "votes.jsonl") as votes:
        ballot = Ballot([question], document_characters=200)
        viewed = Viewed(ViewServer(run, ballot, votes, title="tiny"))
        try:
            status, page, headers = viewed.get(viewed.url.path + "voting/")
            assert status == 200
            assert "nonce-" in headers["Content-Security-Policy"]
            assert "<html" in page
            assert "A text." in viewed.get(viewed.url.path + "voting/question?voter=ann")[1]
            assert viewed.get(viewed.url.path + "question?voter=ann")[0] == 404
            assert viewed.get(viewed.url.path + "voting/", "evil.example")[0] == 404
            assert viewed.get(viewed.url.path)[0] == 200
        finally:
            viewed.close()
