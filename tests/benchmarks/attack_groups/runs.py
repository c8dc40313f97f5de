"""A finished run and the cache, whose files are damaged: the same again, or a refusal."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from support.chat_server import ChatServer
from support.killing import BOARD_FILES, PLUGIN, lay_out

import mtmbench as mb
from attack_groups.child import ALL_DAMAGE, Attack, child, command, damage


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
