"""The cache of embeddings: what comes back, damage, and several processes at one time."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
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


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    rows = EmbeddingRows(tmp_path / "file" / "rows.sqlite", 4)
    with pytest.raises(InputError, match="set MTMBENCH_CACHE"):
        rows.find(["k0"])
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(InputError, match="set MTMBENCH_CACHE"):
        EmbeddingRows(tmp_path / "folder.sqlite", 4).add(vectors(0, 1))


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
