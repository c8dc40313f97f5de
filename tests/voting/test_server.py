"""The voting page's server over HTTP: token, resume, durability, refusals; then the board."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from support import SUPPORT
from support.serving import in_thread, send
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError
from mtmbench.core.store import read_records
from mtmbench.engine.harness import run_suite
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import VoteFile, read_votes
from mtmbench.judges.registry import load_judge_card
from mtmbench.voting.ballot import CHECK_TEXT, Ballot, suite_ballot
from mtmbench.voting.local import LocalServer
from mtmbench.voting.server import Voting, voting_pages

PLUGIN = str(SUPPORT / "fast_plugin.py")

ATTACK = '</script><script>alert(1)</script><b>\u2028 & "quoted"'


def _ballot(n: int = 14) -> Ballot:
    options = tuple(
        Option(name, (ShownTopic(0.5, (word,)), ShownTopic(0.4, ("second",))))
        for name, word in (("lda", "right"), ("etm", ATTACK))
    )
    questions = [
        Question("match", {"corpus": "c", "doc_id": str(i), "text": f"{ATTACK} {i}"}, options)
        for i in range(n)
    ]
    return Ballot(questions, document_characters=200)


class Served:
    """A server in a thread, and a client of it."""

    def __init__(self, path: Path, ballot: Ballot | None = None) -> None:
        self._open = ExitStack()
        votes = self._open.enter_context(VoteFile(path))
        pages = voting_pages(Voting(ballot or _ballot(), votes, title="quick"))
        self.server = self._open.enter_context(in_thread(LocalServer(pages)))
        self.url = urlsplit(self.server.url)

    def close(self) -> None:
        self._open.close()

    def send(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, Message, bytes]:
        told = self.server.token if token is None else token
        return send(self.server.url.replace(self.server.token, told), method, path, body)

    def question(self, voter: str) -> dict[str, Any]:
        status, _, content = self.send("GET", f"question?voter={quote(voter)}")
        assert status == 200
        return json.loads(content)

    def vote(self, voter: str, question: str, verdict: str) -> tuple[int, dict[str, Any]]:
        body = {"voter": voter, "question": question, "verdict": verdict}
        status, _, content = self.send("POST", "vote", body)
        return status, json.loads(content)


@pytest.fixture
def voting(tmp_path: Path) -> Iterator[Served]:
    voting = Served(tmp_path / "votes.jsonl")
    yield voting
    voting.close()


def _careful(question: dict[str, Any]) -> str:
    """Passes checks, and prefers "right" wherever it stands."""
    for wanted in (CHECK_TEXT, "right"):
        for verdict in ("a", "b"):
            if question[verdict][0] == wanted:
                return verdict.upper()
    raise AssertionError(question)


def _play(voting: Served, voter: str, most: int = 10_000) -> int:
    state, votes = voting.question(voter), 0
    while "question" in state and votes < most:
        question = state["question"]
        _, state = voting.vote(voter, question["key"], _careful(question))
        votes += 1
    return votes


def test_nothing_is_told_without_the_token(voting: Served) -> None:
    for token in ("", "wrong", voting.server.token[:-1], voting.server.token + "x", "%00", "ü"):
        for path in ("", "question?voter=ann", "votes.csv", "vote"):
            status, _, content = voting.send("GET", path, token=quote(token))
            assert (status, json.loads(content)) == (404, {"error": "there is nothing here"})
    status, _, _ = voting.send("POST", "vote", {"voter": "ann"}, token="wrong")
    assert status == 404
    assert voting.url.hostname == "127.0.0.1"
    assert len(voting.server.token) >= 20


def test_the_page_needs_nothing_from_elsewhere(voting: Served) -> None:
    status, headers, content = voting.send("GET", "")
    page = content.decode()
    assert status == 200
    assert "http" not in page.replace("http-equiv", "")
    assert "{{" not in page
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert page.count(f'nonce="{nonce}"') == 2
    assert nonce not in voting.send("GET", "")[2].decode()
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    # What is shown is set as text; nothing is written as markup.
    assert "innerHTML" not in page
    assert "insertAdjacent" not in page
    for word in ("<kbd>A</kbd>", "<kbd>B</kbd>", "<kbd>T</kbd>", 'lang="en"', 'role="alert"'):
        assert word in page


@pytest.mark.slow
def test_a_voter_goes_on_where_the_voter_stopped(voting: Served, tmp_path: Path) -> None:
    before = voting.question("ann")
    assert before["done"] == 0
    assert before["title"] == "quick"
    assert before["total"] == 14 + 1  # one check
    assert ATTACK in before["question"]["document"]
    assert _play(voting, "ann", most=6) == 6
    on_disk = read_votes(tmp_path / "votes.jsonl")
    assert len(on_disk) == 6
    state = voting.question("ann")
    assert state["done"] == 6
    assert voting.question("ben")["done"] == 0
    voting.close()
    again = Served(tmp_path / "votes.jsonl")
    try:
        assert again.question("ann") == state
        assert _play(again, "ann") == 9
        assert "question" not in again.question("ann")
        status, headers, content = again.send("GET", "votes.csv")
        assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert len(content.decode().splitlines()) == 1 + 15
    finally:
        again.close()


def test_a_repeated_vote_replaces_the_first(voting: Served, tmp_path: Path) -> None:
    question = voting.question("ann")["question"]["key"]
    assert voting.vote("ann", question, "A")[1]["done"] == 1
    assert voting.vote("ann", question, "tie")[1]["done"] == 1
    (vote,) = read_votes(tmp_path / "votes.jsonl").values()
    assert vote.verdict == "tie"


def test_what_is_no_vote_is_refused_and_not_kept(voting: Served, tmp_path: Path) -> None:
    question = voting.question("ann")["question"]["key"]
    for body, reason in (
        ({"voter": "ann", "question": question, "verdict": "C"}, "a verdict is one of"),
        ({"voter": "ann", "question": "x", "verdict": "A"}, "no such question"),
        # Another voter's question: its sets may stand in another order there.
        ({"voter": "ben", "question": question, "verdict": "A"}, "no such question"),
        ({"voter": " ", "question": question, "verdict": "A"}, "begins with a letter"),
        ({"voter": "a\nb", "question": question, "verdict": "A"}, "printable characters"),
        ({"voter": "x" * 61, "question": question, "verdict": "A"}, "printable characters"),
        ({"voter": ["ann"], "question": question, "verdict": "A"}, "are texts"),
        (
            {"voter": "ann", "verdict": "A"},
            "this takes an object with voter and question and verdict",
        ),
        (b"[" * 2000, "this takes an object with voter and question and verdict"),
        (b"\xff", "this takes an object with voter and question and verdict"),
    ):
        status, _, content = voting.send("POST", "vote", body)
        assert status == 400
        assert reason in json.loads(content)["error"]
    assert voting.send("POST", "undo", {"voter": 1})[2] == b'{"error": "voter is a text"}'
    status, _, _ = voting.send("POST", "vote", b"x" * 20_000)
    assert status == 413
    assert voting.send("GET", "question")[0] == 400
    assert voting.send("POST", "question", {})[0] == 404
    assert read_votes(tmp_path / "votes.jsonl") == {}


def test_votes_of_many_at_once_are_all_kept(voting: Served, tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=_play, args=(voting, f"voter {i}"), daemon=True) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    votes = read_votes(tmp_path / "votes.jsonl").values()
    assert len(votes) == 6 * 15
    assert all(vote.verdict == vote.check for vote in votes if vote.check)


def test_from_fits_to_votes_to_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [
        f"{'bread soup oven salt' if i % 2 else 'orbit moon star crew'} {i}" for i in range(20)
    ]
    lines = [json.dumps({"id": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)]
    Path("tiny.jsonl").write_text("".join(lines), encoding="utf-8")
    data = {
        "name": "tiny", "corpora": ["tiny.jsonl"], "models": ["drawn", "drawn-sharp"], "k": [3],
        "params": {"drawn-sharp": {"sharpness": 5.0}},
        "judging": {"judges": ["human"], "documents": 6},
    }  # fmt: skip
    voted = parse_card(data, Suite, "test suite")
    folder, card = tmp_path / "run", load_judge_card("human")
    with pytest.raises(InputError, match=r"2 fits of suite 'tiny' are not in .*; play it first"):
        suite_ballot(voted, folder, "human", card, plugins=[PLUGIN])
    # Without votes the match is an error that says so; the fits are there from then on.
    ((_, reason),) = run_suite(voted, folder, workers=0, plugins=[PLUGIN]).errors
    assert "0 of 1 votes on document 'd" in reason
    ballot = suite_ballot(voted, folder, "human", card, plugins=[PLUGIN])
    assert len(ballot) == 6
    voting = Served(tmp_path / "votes" / "human.jsonl", ballot)
    try:
        a_first = 0
        state = voting.question("ann")
        while "question" in state:
            question = state["question"]
            is_check = CHECK_TEXT in (question["a"][0], question["b"][0])
            verdict = "B" if is_check and question["b"][0] == CHECK_TEXT else "A"
            a_first += verdict == "A" and not is_check
            _, state = voting.vote("ann", question["key"], verdict)
    finally:
        voting.close()
    assert a_first == 6
    outcome = run_suite(voted, folder, workers=0, plugins=[PLUGIN])
    assert outcome.errors == ()
    (match,) = (r for r in read_records(folder / "records.jsonl") if r.kind == "match")
    firsts = {
        vote.doc_id: vote.first for vote in read_votes(card_votes(card)).values() if not vote.check
    }
    # What stood first was drawn for each document, so that always choosing A names either model.
    assert sorted(match.payload["documents"]) == sorted(firsts)
    assert set(match.payload["forward"]) == {"a", "b"}
    assert match.payload["forward"] == match.payload["backward"]
    named = dict(zip(match.payload["documents"], match.payload["forward"], strict=True))
    for first in firsts.values():
        assert len({named[doc_id] for doc_id in named if firsts[doc_id] == first}) == 1
    board = json.loads((folder / "board.json").read_text(encoding="utf-8"))
    assert {row["judge"] for row in board["ratings"]} == {"human"}


def card_votes(card: JudgeCard) -> Path:
    return Path(card.params["votes"])


@pytest.mark.slow
def test_the_command_exports_and_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voting = Served(tmp_path / "votes" / "human.jsonl")
    _play(voting, "ann", most=5)
    voting.close()
    run = CliRunner().invoke
    done = run(app, ["serve", "quick", "--export", "votes.csv"])
    assert done.exit_code == 0, done.output
    assert "wrote 5 votes" in done.output
    (tmp_path / "votes" / "human.jsonl").unlink()
    assert "added 5 votes" in run(app, ["serve", "quick", "--import", "votes.csv"]).output
    again = run(app, ["serve", "quick", "--import", "votes.csv", "--export", "again.csv"])
    assert "wrote 5 votes" in again.output
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "votes.csv").read_bytes()
    with pytest.raises(InputError, match="judge 'lexical' is 'lexical', not people"):
        run(app, ["serve", "quick", "--judge", "lexical"], catch_exceptions=False)
    texts = "".join(json.dumps({"text": f"bread soup {i % 3}"}) + "\n" for i in range(6))
    Path("tiny.jsonl").write_text(texts, encoding="utf-8")
    Path("tiny.toml").write_text(
        'name = "tiny"\ncorpora = ["tiny.jsonl"]\nmodels = ["lda", "etm"]\nk = [2]\n',
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="are not in runs/tiny; play it first"):
        run(app, ["serve", "tiny.toml"], catch_exceptions=False)


def test_the_last_vote_is_taken_back_and_stays_in_the_record(
    voting: Served, tmp_path: Path
) -> None:
    first = voting.question("ann")["question"]["key"]
    _, state = voting.vote("ann", first, "A")
    second = state["question"]["key"]
    voting.vote("ann", second, "B")
    voting.vote("ben", voting.question("ben")["question"]["key"], "tie")

    def undo(voter: str) -> dict[str, Any]:
        status, _, content = voting.send("POST", "undo", {"voter": voter})
        assert status == 200
        return dict(json.loads(content))

    # Ann's last vote, though Ben's came later.
    assert (undo("ann")["question"]["key"], undo("ann")["done"]) == (second, 0)
    assert undo("ann")["question"]["key"] == first  # there is nothing left to take back
    voting.vote("ann", first, "tie")
    voting.close()
    kept = read_votes(tmp_path / "votes.jsonl")
    assert sorted((vote.voter, vote.verdict) for vote in kept.values()) == [
        ("ann", "tie"), ("ben", "tie"),
    ]  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert [line.get("verdict", "undone") for line in lines] == [
        "A", "B", "tie", "undone", "undone", "tie",
    ]  # fmt: skip
    (tmp_path / "votes.jsonl").write_text('{"undone": "all"}\n')
    with pytest.raises(InputError, match="line 1 does not say whose vote"):
        read_votes(tmp_path / "votes.jsonl")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET http://[bad/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?" + b"&".join([b"a=1"] * 5000) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x/vote HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /x/vote HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST http://[bad/ HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_is_no_request_is_refused_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], request_: bytes
) -> None:
    voting = Served(tmp_path / "votes.jsonl")
    try:
        address = (str(voting.url.hostname), int(voting.url.port or 0))
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(request_)
            status = connection.recv(100).split()[1]
        assert status in (b"400", b"404", b"413")
        assert voting.send("GET", "question?voter=ann")[0] == 200
    finally:
        voting.close()
    assert "Traceback" not in capfd.readouterr().err
