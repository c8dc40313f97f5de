"""Servers that err before they answer, and the voting page's own server, killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from support.chat_server import ChatServer, Drop, Fail, Garble
from support.killing import PLUGIN, lay_out

from attack_groups.child import Attack, child, command
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import VoteFile, read_votes
from mtmbench.voting.ballot import Ballot
from mtmbench.voting.local import LocalServer
from mtmbench.voting.server import Voting, voting_pages


def hostile_servers(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """A server that errs in every way before it answers; the board is that of an honest one."""

    def attack() -> Attack:
        with ChatServer() as server:
            honest = place / "honest"
            honest.mkdir()
            lay_out(honest, server.url, documents=4)
            play = command("run", "suite.toml", "--plugin", str(PLUGIN), "--out", "out",
                           "--workers", "0")  # fmt: skip
            ended = child(play, honest)
            assert ended.status == 0, ended.said
            wanted = (honest / "out" / "board.json").read_bytes()
            n_questions = server.paid.total()
            for number in range(times):
                folder = place / f"server-{number}"
                folder.mkdir()
                lay_out(folder, server.url, documents=4)
                errors = [
                    Fail(429, headers={"retry-after": draw.choice(["0", "-1", "nan", "1e999",
                                       "Wed, 21 Oct 2015 07:28:00 GMT"])}),
                    Fail(500), Fail(503), Drop(), Drop(halfway=True), Garble(),
                    Garble(b"[" * 100_000), Garble(b'{"choices": []}'),
                    Fail(307, headers={"location": "http://127.0.0.1:9/v1/chat/completions"}),
                    Fail(302, headers={"location": f"{server.url}/chat/completions"}),
                ]  # fmt: skip
                server.then(*draw.sample(errors, 3))
                before = server.paid.total()
                # A refusal may come for each error that is not tried again.
                for _ in range(4):
                    ended = child(play, folder)
                    fault = ended.fault(incomplete=True)
                    if fault is not None or ended.status == 0:
                        break
                twice = server.paid.total() - before - n_questions
                if fault is None and twice > 0:
                    fault = f"{twice} answers were paid for twice"
                if fault is None:
                    same = (folder / "out" / "board.json").read_bytes() == wanted
                    fault = None if same else "another board"
                yield fault

    yield "servers that err", attack()


def votes(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """The voting page's process is killed; every vote that it thanked for is in the file."""
    import http.client
    from urllib.parse import urlsplit

    options = tuple(Option(n, (ShownTopic(1.0, (n, "word")),)) for n in ("x", "y"))
    questions = [
        Question("match", {"corpus": "c", "doc_id": str(i), "text": f"text {i}"}, options)
        for i in range(40)
    ]

    def serve(file: Path, told: int) -> None:
        ballot = Ballot(questions, document_characters=100)
        with VoteFile(file) as kept:
            server = LocalServer(voting_pages(Voting(ballot, kept, title="t")))
            os.write(told, server.url.encode())
            os.close(told)
            server.run()

    def attack() -> Attack:
        for number in range(times):
            file = place / f"votes-{number}.jsonl"
            reader, told = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                with open(os.devnull, "w") as quiet:
                    os.dup2(quiet.fileno(), 2)
                    serve(file, told)
                os._exit(0)
            os.close(told)
            address = urlsplit(os.read(reader, 1000).decode())
            os.close(reader)
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
            connection.request("GET", f"{address.path}question?voter=ann")
            state = json.loads(connection.getresponse().read())
            killer = threading.Timer(draw.uniform(0.0, 0.15), os.kill, (pid, signal.SIGKILL))
            killer.start()
            thanked = 0
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                while "question" in state:
                    vote = {"voter": "ann", "question": state["question"]["key"], "verdict": "tie"}
                    connection.request("POST", f"{address.path}vote", json.dumps(vote).encode())
                    state = json.loads(connection.getresponse().read())
                    thanked = state["done"]
            killer.join()
            os.waitpid(pid, 0)
            found = len(read_votes(file)) if file.exists() else 0
            yield None if found >= thanked else f"{thanked} votes thanked for, {found} in the file"

    yield "votes, the server killed", attack()
