"""``mtmbench view``: the board of a run that goes on, for this machine alone."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import Message
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.serving import in_thread, send

from mtmbench.boards.site.page import MOST_COMMITTED
from mtmbench.boards.site.parts import Part, write_run_parts
from mtmbench.boards.write import files_of
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record
from mtmbench.core.store import RunInfo, RunStore, run_progress, stream_run
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import VoteFile
from mtmbench.voting import viewer
from mtmbench.voting.ballot import Ballot
from mtmbench.voting.local import LocalServer
from mtmbench.voting.server import Voting
from mtmbench.voting.viewer import LiveBoard, board_pages


@pytest.fixture
def url(run: Path) -> Iterator[str]:
    with in_thread(LocalServer(board_pages(LiveBoard(run)))) as server:
        yield server.url


@pytest.fixture
def under_way(run: Path, tmp_path: Path) -> Path:
    """A run's folder before the first record."""
    folder = tmp_path / "under-way"
    folder.mkdir()
    (folder / "suite.toml").write_text((run / "suite.toml").read_text())
    return folder


def get(url: str, path: str = "", host: str | None = None) -> tuple[int, str, Message]:
    status, headers, content = send(
        url, "GET", path, headers=None if host is None else {"Host": host}
    )
    return status, content.decode("utf-8"), headers


def test_the_page_and_the_tables_are_those_of_the_board(url: str, run: Path) -> None:
    # The parts that a run alone can make come along.
    own = {f"site/{path.name}": path.read_text(encoding="utf-8") for path in run.glob("site/*.js")}
    assert any("documents" in name for name in own)
    files = {**files_of(run), **own}
    page = files.pop("index.html")
    status, body, headers = get(url)
    # Its parts lie where no other board's do.
    below = f"site/{json.loads(get(url, 'state')[1])['revision']}/"
    assert body.count(f'"file":"{below}') == page.count('"file":"site/') > 0
    for name, text in files.items():
        answer = get(url, name.replace("site/", below))
        assert answer[:2] == (200, text), name
        assert answer[2]["X-Content-Type-Options"] == "nosniff"
    assert (status, body) == (200, get(url, "index.html")[1])
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    # One more script at its end, which the policy names and lets ask this server alone.
    found = re.search(
        r"<script data-revision=[^>]*>([^<]*)</script>\n(?=</body>\n</html>\n$)", body
    )
    assert found is not None
    digest = b64encode(sha256(found[1].encode()).digest()).decode()
    allowed = f"'sha256-{digest}' 'strict-dynamic'; connect-src 'self'"
    assert body.count(allowed) == 1
    body = body.replace(found[0], "").replace(allowed, "'strict-dynamic'")
    assert body.replace(below, "site/") == page
    assert "connect-src" not in page


def test_nothing_else_of_the_run_is_served(url: str) -> None:
    for name in ("store.sqlite", "suite.toml", "../suite.toml", "%2e%2e/suite.toml", "voting/"):
        assert get(url, name)[0] == 404, name
    base, token = url[:-1].rsplit("/", 1)
    for path in ("/", "/index.html", "/state", f"/-{token[1:]}x/", f"/{token}", f"//{token}/"):
        assert get(base, path)[0] == 404, path


def test_where_a_page_leads_to_what_is_not_served_it_is_told_where_that_lies(
    url: str, run: Path
) -> None:
    links = set(re.findall(r'<a href="([^#"]+)"', get(url)[1]))
    assert {name for name in links if get(url, name)[0] != 200} == {"records.jsonl", "suite.toml"}
    for name in ("records.jsonl", "suite.toml", "steering.md"):
        status, page, headers = get(url, name)
        assert (status, headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert f"<code>{run / name}</code>" in page
        assert ("It is not there yet" in page) == (name == "steering.md")


def test_another_sites_name_for_this_machine_gets_nothing(url: str) -> None:
    port = url.split(":")[2].split("/")[0]
    for path in ("", "state", "board.json"):
        assert get(url, path, f"localhost:{port}")[0] == 200
        assert get(url, path, f"evil.example:{port}")[0] == 404


def test_records_that_come_while_the_run_goes_on_are_on_the_page(
    run: Path, under_way: Path, tmp_path: Path
) -> None:
    records = list(stream_run(run))
    assert [r.to_json() for r in records] == (run / "records.jsonl").read_text().splitlines()
    with in_thread(LocalServer(board_pages(LiveBoard(under_way)))) as server:
        states = [get(server.url, "state")[1]]
        status, page, headers = get(server.url)
        assert status == 503
        assert "holds no records yet" in page
        assert "data-waiting" in page
        nonce = headers["Content-Security-Policy"].partition("script-src 'nonce-")[2].split("'")[0]
        assert page.count(f'nonce="{nonce}"') == 2
        status, told, _ = get(server.url, "board.json")
        assert (status, list(json.loads(told))) == (503, ["error"])
        # Held open, as a run does.
        with RunStore(under_way) as store:
            assert "holds no records yet" in get(server.url)[1]
            for n in (len(records) - 1, len(records)):
                store.add([(record, RunInfo()) for record in records[:n]])
                store.add([(Record("steer", "s", "ok", {}), RunInfo())])
                states.append(get(server.url, "state")[1])
                lines = "".join(record.to_json() + "\n" for record in records[:n])
                other = tmp_path / str(n)
                other.mkdir()
                (other / "suite.toml").write_text((run / "suite.toml").read_text())
                (other / "records.jsonl").write_text(lines)
                assert get(server.url, "board.json")[1] == files_of(other)["board.json"]
                assert get(server.url, "state")[1] == states[-1]
    assert len(set(states)) == 3
    n = len(records)
    assert [json.loads(state)["added"] for state in states] == [None, n, 2 * n + 1]
    assert run_progress(under_way) == (n + 1, 2 * n + 1)


def parts_of(board: LiveBoard) -> dict[str, str | None]:
    """The parts that the page as it stands names."""
    names = re.findall(r'"file":"(site/[^"]+)"', board.file("index.html") or "")
    return {name: board.file(name) for name in names}


def test_an_open_page_is_given_its_own_parts_or_none(run: Path, under_way: Path) -> None:
    fits = [record for record in stream_run(run) if record.kind == "fit"]
    board = LiveBoard(under_way)
    with RunStore(under_way) as store:
        store.add([(fits[0], RunInfo())])
        (name, text), *_ = parts_of(board).items()
        store.add([(fits[1], RunInfo())])
        # A table makes the board anew, too.
        assert board.file("board.csv")
        assert board.file(name) == text
        assert text not in parts_of(board).values()
        store.add([(record, RunInfo()) for record in fits[2:]])
        assert board.file("board.csv")
        assert board.file(name) is None


def test_a_run_under_way_has_parts_of_any_size(run: Path, under_way: Path) -> None:
    fit = next(record for record in stream_run(run) if record.kind == "fit")
    topics = [{**topic, "items": ["x" * MOST_COMMITTED]} for topic in fit.payload["topics"]]
    with RunStore(under_way) as store:
        store.add([(replace(fit, payload={**fit.payload, "topics": topics}), RunInfo())])
    parts = parts_of(LiveBoard(under_way)).values()
    assert max(len(text or "") for text in parts) > MOST_COMMITTED


def test_a_runs_own_parts_are_those_of_when_the_page_was_made(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "again")
    board = LiveBoard(folder)
    before = parts_of(board)
    write_run_parts(folder, [Part("times", {}, ["other"])])
    assert {name: board.file(name) for name in before} == before
    assert sum("other" in str(text) for text in parts_of(board).values()) == 1


def test_a_part_that_is_no_text_is_told_of_in_one_line(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "again")
    next(folder.glob("site/documents-*.js")).write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        LiveBoard(folder).file("index.html")


def test_a_part_is_given_while_a_board_is_made(
    run: Path, under_way: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*given: Any, **named: Any) -> dict[str, str]:
        begun.set()
        assert go_on.wait(60)
        return files_of(*given, **named)

    fits = [record for record in stream_run(run) if record.kind == "fit"]
    board = LiveBoard(under_way)
    with RunStore(under_way) as store, ThreadPoolExecutor() as threads:
        store.add([(fits[0], RunInfo())])
        (name, text), *_ = parts_of(board).items()
        store.add([(fits[1], RunInfo())])
        monkeypatch.setattr(viewer, "files_of", slow)
        page = threads.submit(board.file, "index.html")
        assert begun.wait(60)
        try:
            assert threads.submit(board.file, name).result(10) == text
            assert not page.done()
        finally:
            go_on.set()


def test_why_no_board_follows_is_a_page(run: Path, under_way: Path) -> None:
    (under_way / "suite.toml").write_text('name = "<b>"\nnonsense = 1\n')
    (under_way / "records.jsonl").write_text((run / "records.jsonl").read_text())
    with in_thread(LocalServer(board_pages(LiveBoard(under_way)))) as server:
        status, page, _ = get(server.url)
        assert status == 503
        assert "nonsense" in page
        assert "<h1>No board yet</h1>" in page
        before = get(server.url, "state")[1]
        (under_way / "suite.toml").write_text((run / "suite.toml").read_text())
        assert get(server.url, "state")[1] != before
        assert get(server.url)[0] == 200


SLOW = """
import signal, sys, time
from pathlib import Path
from mtmbench.voting import viewer
from mtmbench.voting.local import LocalServer

def slow(*_, **__):
    print("begun", flush=True)
    time.sleep(600)

viewer.files_of = slow
signal.signal(signal.SIGINT, signal.default_int_handler)
server = LocalServer(viewer.board_pages(viewer.LiveBoard(Path(sys.argv[1]))))
print(server.url, flush=True)
server.run()
print("ended")
"""


@pytest.mark.slow
def test_ctrl_c_waits_for_no_board_in_the_making(run: Path) -> None:
    command = [sys.executable, "-P", "-c", SLOW, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        parts = urlsplit(process.stdout.readline().strip())
        asked = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        asked.request("GET", parts.path)
        assert process.stdout.readline() == "begun\n"
        assert get(parts.geturl(), "state")[0] == 200
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=60) == ("ended\n", None)
        finally:
            process.kill()
            asked.close()
    assert process.returncode == 0


def test_people_vote_on_the_same_server(run: Path, tmp_path: Path) -> None:
    options = tuple(
        Option(name, (ShownTopic(0.5, (word,)),)) for name, word in (("a", "x"), ("b", "y"))
    )
    question = Question("match", {"corpus": "c", "doc_id": "1", "text": "A text."}, options)
    with VoteFile(tmp_path / "votes.jsonl") as votes:
        voting = Voting(Ballot([question], document_characters=200), votes, title="tiny")
        with in_thread(LocalServer(board_pages(LiveBoard(run), voting))) as server:
            status, page, headers = get(server.url, "voting/")
            assert status == 200
            assert "nonce-" in headers["Content-Security-Policy"]
            assert "<html" in page
            assert "A text." in get(server.url, "voting/question?voter=ann")[1]
            assert get(server.url, "question?voter=ann")[0] == 404
            assert get(server.url, "voting/", "evil.example")[0] == 404
            assert get(server.url, "voting/nothing")[0] == 404
            assert get(server.url)[0] == 200
