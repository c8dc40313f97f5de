"""The cache of embeddings: what comes back, damage, and several processes at one time."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.features.embedding_rows import EmbeddingRows


def vectors(first: int, last: int) -> dict[str, np.ndarray]:
    return {f"k{i}": np.arange(i, i + 4, dtype=np.float32) for i in range(first, last)}


def test_what_was_added_is_found_and_nothing_else(tmp_path: Path) -> None:
    rows = EmbeddingRows(tmp_path / "new" / "rows.sqlite", 4)
    assert rows.find(["k0"]) == {}
    rows.add(vectors(0, 1200))
    found = EmbeddingRows(rows.path, 4).find([f"k{i}" for i in range(1100, 1300)])
    assert sorted(found) == sorted(f"k{i}" for i in range(1100, 1200))
    for key, row in vectors(1100, 1200).items():
        np.testing.assert_array_equal(found[key], row)


@pytest.mark.parametrize("damage", ["row", "size", "head", "cut", "text", "empty"])
def test_damage_is_told_and_mended(tmp_path: Path, damage: str) -> None:
    rows = EmbeddingRows(tmp_path / "rows.sqlite", 4)
    rows.add(vectors(0, 300))
    if damage in ("row", "size"):
        with sqlite3.connect(rows.path) as db:
            worse = b"\0" * (16 if damage == "row" else 12)
            db.execute("UPDATE rows SET row = ? WHERE key = 'k7'", (worse,))
    else:
        content = bytearray(rows.path.read_bytes())
        content[:16] = b"x" * 16 if damage == "head" else content[:16]
        whole = {"head": content, "cut": content[:5000], "text": b"no base\n" * 900, "empty": b""}
        rows.path.write_bytes(bytes(whole[damage]))
    if damage == "empty":
        assert rows.find(["k7"]) == {}  # An empty file is an empty database.
    else:
        with pytest.warns(UserWarning, match="damaged"):
            assert "k7" not in rows.find(["k7", "k8"])
    rows.add(vectors(0, 300))
    np.testing.assert_array_equal(rows.find(["k7"])["k7"], [7, 8, 9, 10])


def test_in_a_folder_that_cannot_be_written_to_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    rows = EmbeddingRows(tmp_path / "file" / "rows.sqlite", 4)
    with pytest.warns(UserWarning, match="set MTMBENCH_CACHE"):
        assert rows.find(["k0"]) == {}
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.warns(UserWarning, match="set MTMBENCH_CACHE"):
        EmbeddingRows(tmp_path / "folder.sqlite", 4).add(vectors(0, 1))


class Meanwhile:
    """Has another process do something once this one has opened the file, the first time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
        self._connect, self._do = sqlite3.connect, do
        self.opened = 0
        monkeypatch.setattr(sqlite3, "connect", self)

    def __call__(self, *args: Any, **options: Any) -> sqlite3.Connection:
        db = self._connect(*args, **options)
        self.opened += 1
        if self.opened == 1:
            with suppress(sqlite3.DatabaseError):
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self._do()
        return db


@pytest.mark.parametrize("replaced", [True, False])
def test_rows_go_into_the_file_that_another_process_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    rows, other = (EmbeddingRows(tmp_path / name, 4) for name in ("rows.sqlite", "new.sqlite"))
    rows.add(vectors(0, 3))
    other.add(vectors(8, 9))

    def begin_anew() -> None:
        if replaced:
            other.path.replace(rows.path)
        else:
            rows.path.unlink()

    seen = Meanwhile(monkeypatch, begin_anew)
    rows.add(vectors(5, 7))
    assert seen.opened == 2
    assert sorted(rows.find(["k0", "k5", "k6", "k8"])) == ["k5", "k6", *(["k8"] * replaced)]


def test_a_file_that_is_whole_again_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes that find it damaged one begins it anew and writes; the other finds that."""
    rows, other = (EmbeddingRows(tmp_path / name, 4) for name in ("rows.sqlite", "new.sqlite"))
    other.add(vectors(0, 3))
    rows.path.write_bytes(b"no base\n" * 900)
    Meanwhile(monkeypatch, lambda: other.path.replace(rows.path))
    assert sorted(rows.find(["k1", "k2", "k7"])) == ["k1", "k2"]


def _damage(path: Path, stop: Any) -> None:
    while not stop.is_set():
        path.with_name("bad").write_bytes(b"no base\n" * 900)
        path.with_name("bad").replace(path)
        time.sleep(0.02)


def _read_and_write(path: Path, first: int) -> None:
    warnings.simplefilter("ignore")
    rows = EmbeddingRows(path, 4)
    for i in range(first, first + 40):
        rows.add(vectors(i, i + 3))
        for key, row in rows.find([f"k{i}", f"k{i + 1}"]).items():
            np.testing.assert_array_equal(row, vectors(int(key[1:]), int(key[1:]) + 1)[key])


def test_processes_go_on_while_the_file_is_damaged_again_and_again(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path, stop = tmp_path / "rows.sqlite", context.Event()
    damaging = context.Process(target=_damage, args=(path, stop))
    workers = [context.Process(target=_read_and_write, args=(path, 20 * n)) for n in range(2)]
    for process in (damaging, *workers):
        process.start()
    for worker in workers:
        worker.join()
    stop.set()
    damaging.join()
    assert [worker.exitcode for worker in workers] == [0, 0]


def _write(path: Path, first: int) -> None:
    rows = EmbeddingRows(path, 4)
    for i in range(first, first + 60):
        rows.add(vectors(i, i + 3))
        assert rows.find([f"k{i}"])


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "rows.sqlite"
    writers = [context.Process(target=_write, args=(path, 20 * n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = EmbeddingRows(path, 4).find([f"k{i}" for i in range(122)])
    assert len(found) == 122
    for key, row in vectors(0, 122).items():
        np.testing.assert_array_equal(found[key], row)
