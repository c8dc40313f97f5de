"""What is done to mtmbench by accident or on purpose, again and again: tried, held, failed.

Run it: ``python -P tests/benchmarks/attacks.py [--times 40] [--only bits,files] [--data-dir D]``.
Every attack is drawn at random from its seed, played on real commands in a child process, and
judged by what is left: held is the right result, byte for byte, or a refusal in one sentence with
exit status 2. Failed is everything else: a traceback, a signal, another result, a lost answer, a
script that ran, two gigabytes of memory. Exit status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
from support import SUPPORT
from support.chat_server import ChatServer, Drop, Fail, Garble
from support.killing import BOARD_FILES, PLUGIN, lay_out

import mtmbench as mb
from mtmbench.cli.app import main as mtmbench_main
from mtmbench.core.errors import MtmbenchError
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import VoteFile, read_votes
from mtmbench.voting.ballot import Ballot
from mtmbench.voting.server import VotingServer

TINYLM = Path(mb.__file__).parent / "embedded" / "tinylm"
SCRIPTS = (
    "<script>document.title='RAN'</script>",
    "<img src=x onerror=\"document.title='RAN'\">",
    '"><svg onload="document.title=\'RAN\'">',
    "</script><script>document.title='RAN'</script>",
    "javascript:document.title='RAN'",
    "{{constructor.constructor('document.title=\"RAN\"')()}}",
)
KEPT = (".md", ".csv", ".json", ".html", ".toml", ".jsonl", ".safetensors", ".parquet", ".npz")
MOST_MEMORY = 2 * 1024**3


@dataclass(frozen=True)
class Outcome:
    """How a child ended: exit status (negative: by a signal), what it wrote, its peak memory."""

    status: int
    said: str
    memory: int

    def fault(self, incomplete: bool = False) -> str | None:
        """Returns what is wrong with the way it ended; None if it ended well or refused.

        With ``incomplete`` it may also have told what of a board is missing (exit status 1).
        """
        if self.memory > MOST_MEMORY:
            return f"{self.memory / 1024**3:.1f} GiB of memory"
        if self.status < 0:
            return f"signal {-self.status}"
        if "Traceback" in self.said:
            return "traceback: " + self.said.strip().splitlines()[-1][:160]
        if self.status not in ((0, 1, 2) if incomplete else (0, 2)):
            return f"exit status {self.status}: {self.said.strip()[-160:]}"
        if self.status == 2 and "mtmbench:" not in self.said:
            return f"refused without a reason: {self.said.strip()[-160:]}"
        return None


def child(act: Callable[[], None], folder: Path) -> Outcome:
    """Does something in a forked process whose working directory is ``folder``."""
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                os.chdir(folder)
                for descriptor in (1, 2):
                    os.dup2(said.fileno(), descriptor)
                sys.stdout = os.fdopen(1, "w", closefd=False)
                sys.stderr = os.fdopen(2, "w", closefd=False)
                try:
                    act()
                    status = 0
                except SystemExit as ended:
                    status = ended.code if isinstance(ended.code, int) else 0
                except MtmbenchError as error:
                    print(f"mtmbench: {error}", file=sys.stderr)
                    status = 2
                except BaseException:
                    import traceback

                    traceback.print_exc()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        _, waited, used = os.wait4(pid, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Outcome(os.waitstatus_to_exitcode(waited), text, used.ru_maxrss * 1024)


def command(*words: str) -> Callable[[], None]:
    """Returns the command as a function, for :func:`child`."""

    def act() -> None:
        sys.argv = ["mtmbench", *words]
        mtmbench_main()

    return act


def results(folder: Path) -> dict[str, str]:
    """Returns a hash of every file that a command leaves for its user, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in KEPT and not path.name.startswith(".")
    }


def damage(path: Path, draw: random.Random, kinds: Sequence[str]) -> str:
    """Damages a file in one way; returns what was done."""
    content = bytearray(path.read_bytes())
    kind = draw.choice(kinds)
    if kind == "deleted":
        path.unlink()
        return kind
    if kind == "one bit" and content:
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        kind = f"one bit at {place}"
    elif kind == "cut":
        del content[draw.randrange(len(content) + 1) :]
    elif kind == "emptied":
        content.clear()
    elif kind == "zeros" and content:
        start = draw.randrange(len(content))
        content[start : start + 64] = bytes(len(content[start : start + 64]))
    else:
        content += bytes(draw.randrange(256) for _ in range(40))
    path.write_bytes(content)
    return kind


ALL_DAMAGE = ("deleted", "one bit", "cut", "emptied", "zeros", "garbage")
Attack = Iterator[str | None]
"""One outcome a try: None for held, else what went wrong."""


# Killed

STEERED = """
name = "steered"
corpora = [{ name = "lee", max_documents = 20 }]
models = ["mlda"]
k = [3]
metrics = ["diversity"]
[features]
source = "tinylm"
max_tokens = 64
[judging]
judges = ["lexical"]
documents = 2
[steering]
topics = 1
lambdas = [1.0]
n_prompts = 4
max_tokens = 6
drawn = 2
documents = 4
document_tokens = 32
"""


def killed(
    times: int, draw: random.Random, place: Path, data: Path | None
) -> Iterator[tuple[str, Attack]]:
    """Eight commands, each killed at random moments, then left to end."""
    sae = str(TINYLM / "saes" / "block1")
    features = ["features", "--backbone", str(TINYLM), "--sae", sae, "--reference", "tiny.jsonl",
                "--out", "out", "--tokens", "600"]  # fmt: skip
    run = ["run", "suite.toml", "--plugin", str(PLUGIN), "--out", "out", "--workers", "1"]
    lexical = [*run, "--set", 'judging.judges=["lexical"]']
    plays: dict[str, tuple[list[list[str]], list[str]]] = {
        "run": ([], run),
        "judge": ([lexical], ["judge", "out", "--judge", "chat", "--plugin", str(PLUGIN)]),
        "steer": (
            [["run", "steered.toml", "--out", "out", "--workers", "0"]],
            ["steer", "steered.toml", "--out", "out"],
        ),
        "features": ([], features),
        "label": (
            [[*features[:-4], "--out", "sae", "--tokens", "600"]],
            ["label", "sae", "--judge", "reader.toml", "--features", "6", "--out", "out",
             "--plugin", str(SUPPORT / "label_judge.py")],
        ),
        "study": (
            [],
            ["study", "filters", "lee", "--source", "tinylm", "--models", "mlda", "--seeds", "1",
             "--k", "3", "--reference", "none", "--workers", "0", "--out", "out", "--set",
             'corpora=[{name="lee", max_documents=20}]', "--set", 'metrics=["diversity"]'],
        ),
        "import": (
            [],
            ["import", "mine.npz", "--corpus", "tiny.jsonl", "--name", "m", "--out", "out"],
        ),
    }  # fmt: skip
    if data is not None:
        plays["validate"] = (
            [],
            ["validate", "embedding", "--data-dir", str(data), "--out", "out"],
        )
    for name, (before, play) in plays.items():
        yield f"killed: {name}", _kills(name, before, play, times, draw, place / f"kill-{name}")


def _kills(
    name: str,
    before: Sequence[Sequence[str]],
    play: Sequence[str],
    times: int,
    draw: random.Random,
    place: Path,
) -> Attack:
    with ChatServer(delay=0.02, keep=False) as server:
        start = place / "start"
        start.mkdir(parents=True)
        lay_out(start, server.url, documents=20)
        (start / "steered.toml").write_text(STEERED)
        (start / "reader.toml").write_text('client = "reader"\n')
        theta = np.random.default_rng(0).dirichlet([0.5] * 3, size=30).astype(np.float32)
        np.savez(start / "mine.npz", theta=theta, beta=np.eye(3, dtype=np.float32),
                 vocabulary=["team0", "bread1", "orbit2"])  # fmt: skip
        for words in before:
            done = _process(words, start)
            _, told = done.communicate()
            assert done.returncode == 0, told.decode()
        took = 0.0
        for whole in (place / "cold", place / "whole"):  # the second time with warm caches
            shutil.copytree(start, whole)
            began = time.monotonic()
            done = _process(play, whole)
            _, told = done.communicate()
            assert done.returncode == 0, told.decode()
            took = time.monotonic() - began
        wanted = results(whole)
        assert wanted == results(place / "cold"), f"{name} twice: other bytes without a kill"
        tried = 0
        while tried < times:
            folder = place / f"after-{tried}"
            shutil.copytree(start, folder)
            chain = min(4, times - tried)
            fault = None
            for _ in range(chain):
                process = _process(play, folder)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(draw.uniform(0.2, 1.0) * took)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                process.wait()
                tried += 1
                if orphans := _outliving(folder):
                    fault = f"{name}: {orphans} outlive the killed one"
            process = _process(play, folder)
            _, told = process.communicate()
            if process.returncode != 0:
                fault = f"{name} after kills: {told.decode()[-300:]}"
            elif results(folder) != wanted:
                found = results(folder)
                other = [path for path in wanted if found.get(path) != wanted[path]]
                fault = f"{name}: other bytes in {other or sorted(set(found) - set(wanted))}"
            yield from [fault] * chain
            shutil.rmtree(folder)


def _outliving(folder: Path, patience: float = 20.0) -> list[int]:
    """Returns the processes that still work in a folder when patience is at its end."""
    until = time.monotonic() + patience
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def _process(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mtmbench", *words],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


# Damaged folders, stores, answers


def damaged_runs(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """A finished run whose files are damaged, then played again."""
    with ChatServer() as server:
        start = place / "runs"
        start.mkdir(parents=True)
        lay_out(start, server.url, documents=6)
        play = command("run", "suite.toml", "--plugin", str(PLUGIN), "--out", "out",
                       "--workers", "0")  # fmt: skip
        done = child(play, start)
        assert done.status == 0, done.said
        wanted = {name: (start / "out" / name).read_bytes() for name in BOARD_FILES}

        def attack(hurt: Callable[[Path], str]) -> Attack:
            for _ in range(times):
                folder = place / "damaged"
                shutil.copytree(start, folder)
                what = hurt(folder / "out")
                ended = child(play, folder)
                fault = ended.fault()
                if fault is None and ended.status == 0:
                    found = {name: (folder / "out" / name).read_bytes() for name in BOARD_FILES}
                    fault = None if found == wanted else "another board, silently"
                yield None if fault is None else f"{what}: {fault}"
                shutil.rmtree(folder)

        def file(pattern: str, *kinds: str) -> Callable[[Path], str]:
            def hurt(out: Path) -> str:
                path = draw.choice(sorted(p for p in out.rglob(pattern) if p.is_file()))
                return f"{path.name}, {damage(path, draw, kinds)}"

            return hurt

        def row(name: str) -> Callable[[Path], str]:
            return lambda out: edit_database(out / name, draw)

        yield "structure of a run folder", attack(file("*", *ALL_DAMAGE))
        yield "one bit of a result", attack(file("*.safetensors", "one bit"))
        yield "one bit of the store", attack(file("store.sqlite", "one bit"))
        yield "one bit of the answers", attack(file("answers.sqlite", "one bit"))
        yield "a stored line", attack(row("store.sqlite"))
        yield "a stored answer", attack(row("answers.sqlite"))


def edit_database(path: Path, draw: random.Random) -> str:
    """Changes one character of the longest text of a random row; returns where."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        full = [t for t in tables if db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] > 3]
        table = draw.choice(full)
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        row = draw.choice(db.execute(f"SELECT * FROM {table}").fetchall())
        texts = {c: v for c, v in zip(columns, row, strict=True) if isinstance(v, str)}
        column = max(texts, key=lambda c: len(texts[c]))
        old = texts[column]
        at = draw.randrange(len(old))
        new = f"{old[:at]}{chr(ord(old[at]) ^ 1)}{old[at + 1 :]}"
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
    return f"{table}.{column}, character {at}: {old[at]!r} to {new[at]!r}"


# Damaged caches


def damaged_caches(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """Files of the cache, damaged; views must be the same or be made again."""
    cache = place / "cache"

    def views() -> None:
        os.environ["MTMBENCH_CACHE"] = str(place / "used")
        corpus = mb.load_corpus("lee", max_documents=6)
        made = mb.views(corpus, features="tinylm", max_tokens=48)
        digest = hashlib.sha256()
        for view in (made.words, made.features):
            assert view is not None
            matrix = view.matrix.tocsr()
            for part in (matrix.data, matrix.indices, matrix.indptr):
                digest.update(np.ascontiguousarray(part).tobytes())
        print("DIGEST", digest.hexdigest())

    done = child(views, place)
    assert done.status == 0, done.said
    wanted = done.said.split("DIGEST ")[1].split()[0]
    (place / "used").rename(cache)

    def attack(suffixes: tuple[str, ...] | None, kinds: Sequence[str]) -> Attack:
        for _ in range(times):
            shutil.rmtree(place / "used", ignore_errors=True)
            shutil.copytree(cache, place / "used")
            files = [p for p in sorted((place / "used").rglob("*")) if p.is_file()]
            path = draw.choice([p for p in files if suffixes is None or p.suffix in suffixes])
            if suffixes == (".parquet",):
                # What is counted from shards is kept too; away with it, so that they are read.
                for other in files:
                    if "activations" not in str(other.relative_to(place / "used")):
                        other.unlink()
            what = f"{path.name}, {damage(path, draw, kinds)}"
            ended = child(views, place)
            fault = ended.fault()
            if fault is None and ended.status == 0:
                fault = None if f"DIGEST {wanted}" in ended.said else "other counts, silently"
            yield None if fault is None else f"{what}: {fault}"

    yield "damaged caches", attack(None, ALL_DAMAGE)
    yield "one bit of an activation shard", attack((".parquet",), ("one bit",))


# Files from strangers


class _Marker:
    """Runs code when it is unpickled: leaves a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, ("CODE-RAN",)


def hostile_files(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """Result files and control vectors that are damaged, or made to do harm."""
    folder = place / "files"
    folder.mkdir()
    texts = [{"text": "moon star orbit goal team match"} for _ in range(4)]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))

    def attack(make: Callable[[Path, random.Random], str], *more: str) -> Attack:
        for _ in range(times):
            shutil.rmtree(folder / "CODE-RAN", ignore_errors=True)
            name = make(folder, draw)
            ended = child(
                command("import", name, "--corpus", "c.jsonl", "--name", "m", "--out", "o", *more),
                folder,
            )
            fault = "code ran" if (folder / "CODE-RAN").exists() else ended.fault()
            yield None if fault is None else f"{name}: {fault}"

    yield "damaged npz", attack(_damaged_npz)
    yield "npz with objects", attack(_object_npz)
    yield "pickles under other names", attack(_pickle)
    yield "BERTopic folders with bad indices", attack(_bertopic)
    yield "numbers that are none", attack(_odd_numbers)
    yield "GGUF", _gguf(times, draw, folder)


def _arrays() -> dict[str, object]:
    theta = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]])
    return {"theta": theta, "beta": np.full((2, 3), 1 / 3), "vocabulary": ["moon", "star", "goal"]}


def _damaged_npz(folder: Path, draw: random.Random) -> str:
    np.savez(folder / "m.npz", **_arrays())  # type: ignore[arg-type]
    damage(folder / "m.npz", draw, [kind for kind in ALL_DAMAGE if kind != "deleted"])
    return "m.npz"


def _object_npz(folder: Path, draw: random.Random) -> str:
    arrays = _arrays()
    arrays[draw.choice(sorted(arrays))] = np.array([_Marker(), _Marker()], dtype=object)
    np.savez(folder / "m.npz", **arrays)  # type: ignore[arg-type]
    return "m.npz"


def _pickle(folder: Path, draw: random.Random) -> str:
    name = f"m{draw.choice(['.npz', '.npy', '.pkl', '.pt', '.bin', '.json', '.csv', '.model', ''])}"
    (folder / name).write_bytes(pickle.dumps(_Marker()))
    return name


def _bertopic(folder: Path, draw: random.Random) -> str:
    from safetensors.numpy import save_file

    made = folder / "bertopic"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    big = draw.choice([3, 10, 2**20, 2**31 - 1, -1, -(2**31)])
    arrays = {
        "data": np.ones(4, dtype=np.float64),
        "indices": np.array([0, 1, 2, big], dtype=np.int32),
        "indptr": np.array([0, 2, draw.choice([4, 3, 9, -1])], dtype=np.int32),
        "shape": np.array(draw.choice([[2, 3], [2, 2**30], [2**30, 3], [-1, 3]]), dtype=np.int64),
    }
    save_file(arrays, made / "ctfidf.safetensors")
    words = {"moon": 0, "star": 1, "goal": 2}
    settings = {"ctfidf_model": {}, "vectorizer_model": {"params": {}, "vocab": words}}
    (made / "ctfidf_config.json").write_text(json.dumps(settings))
    topics = {"topic_representations": {"0": [["moon", 1.0]], "1": [["star", 1.0]]},
              "topics": [0, 0, 1, 1], "topic_sizes": {"0": 2, "1": 2}}  # fmt: skip
    (made / "topics.json").write_text(json.dumps(topics))
    (made / "config.json").write_text("{}")
    save_file({"topic_embeddings": np.ones((2, 3), np.float32)},
              made / "topic_embeddings.safetensors")  # fmt: skip
    return "bertopic"


def _odd_numbers(folder: Path, draw: random.Random) -> str:
    arrays = _arrays()
    theta = np.array(arrays["theta"])
    odd = draw.choice([float("nan"), float("inf"), -1.0, 1e308, 0.0])
    theta[draw.randrange(4), :] = odd
    arrays["theta"] = draw.choice(
        [theta, theta.astype(complex), theta.astype(str), theta[:3], theta.T]
    )
    np.savez(folder / "m.npz", **arrays)  # type: ignore[arg-type]
    return "m.npz"


def _gguf(times: int, draw: random.Random, folder: Path) -> Attack:
    import gguf

    from mtmbench.steering.gguf_file import read_gguf

    good = folder / "good.gguf"
    writer = gguf.GGUFWriter(str(good), "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 1)
    writer.add_tensor("direction.1", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for _ in range(times):
        bad = folder / "bad.gguf"
        shutil.copy(good, bad)
        what = damage(bad, draw, ("one bit", "cut", "emptied", "zeros", "garbage"))

        def read(path: Path = bad) -> None:
            read_gguf(path)

        fault = child(read, folder).fault()
        yield None if fault is None else f"{what}: {fault}"


# Servers, voters, pages


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
        with VoteFile(file) as kept, VotingServer(ballot, kept, title="t") as server:
            os.write(told, server.url.encode())
            os.close(told)
            server.serve_forever()

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
            killer = threading.Timer(draw.uniform(0.0, 0.15), os.kill, (pid, signal.SIGKILL))
            killer.start()
            thanked = 0
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                connection = http.client.HTTPConnection(
                    str(address.hostname), address.port, timeout=5
                )
                connection.request("GET", f"{address.path}question?voter=ann")
                state = json.loads(connection.getresponse().read())
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


def scripts(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """Boards whose documents, words and names hold markup, opened in a browser."""
    browser = shutil.which("chromium") or shutil.which("chrome")
    if browser is None:
        print("no Chromium here: pages are not opened")
        return

    def attack() -> Attack:
        for number in range(min(times, len(SCRIPTS))):
            folder = place / f"page-{number}"
            folder.mkdir()
            lay_out(folder, "http://127.0.0.1:1/v1", documents=4)
            script = SCRIPTS[number]
            rows = [json.loads(line) for line in (folder / "tiny.jsonl").read_text().splitlines()]
            for row in rows:
                row["text"] = f"{script} {row['text']}"
                row["id"] = f"{script}{row['id']}"
            (folder / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            named = [f"title = {json.dumps(script)}", f"description = {json.dumps(script)}"]
            suite = (folder / "suite.toml").read_text()
            (folder / "suite.toml").write_text("\n".join(named) + suite)
            ended = child(
                command("run", "suite.toml", "--plugin", str(PLUGIN), "--out", "out",
                        "--workers", "0", "--set", 'judging.judges=["lexical"]'), folder,
            )  # fmt: skip
            fault = ended.fault()
            if fault is None:
                page = subprocess.run(
                    [browser, "--headless", "--no-sandbox", "--virtual-time-budget=3000",
                     "--dump-dom", f"file://{folder}/out/index.html"],
                    capture_output=True, text=True, check=False, timeout=120,
                ).stdout  # fmt: skip
                fault = f"{script} ran" if "<title>RAN</title>" in page or not page else None
            yield fault

    yield "scripts on a board's page", attack()


def main() -> int:
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=40, help="tries of each attack")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="attacks whose name holds one of these")
    parser.add_argument("--data-dir", type=Path, help="human judgements, for `validate`")
    arguments = parser.parse_args()
    os.environ.update(NO_PROXY="127.0.0.1", OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    wanted = [part for part in arguments.only.split(",") if part]
    rows: list[tuple[str, int, int, float]] = []
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["MTMBENCH_CACHE"] = str(place / "shared-cache")
        draw = random.Random(arguments.seed)
        groups = (
            damaged_runs(arguments.times, draw, place),
            damaged_caches(arguments.times, draw, place),
            hostile_files(arguments.times, draw, place),
            hostile_servers(arguments.times, draw, place),
            votes(arguments.times, draw, place),
            scripts(arguments.times, draw, place),
            killed(arguments.times, draw, place, arguments.data_dir),
        )
        for group in groups:
            for attack, outcomes in group:
                if wanted and not any(part in attack for part in wanted):
                    continue
                began = time.monotonic()
                found = list(outcomes)
                bad = [fault for fault in found if fault is not None]
                rows.append((attack, len(found), len(bad), time.monotonic() - began))
                faults += [f"{attack}: {fault}" for fault in bad]
                print(f"{attack}: {len(found)} tried, {len(bad)} failed", flush=True)
    print("\n| attack | tried | held | failed |\n|---|---|---|---|")
    for attack, tried, failed, _ in rows:
        print(f"| {attack} | {tried} | {tried - failed} | {failed} |")
    print(*sorted(set(faults)), sep="\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{sum(row[3] for row in rows):.0f} s, {peak:.2f} GiB at most in this process")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
