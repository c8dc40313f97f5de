"""The cache: what comes back, when it is made, and what becomes of damaged files."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.features.cache import Arrays, cache_dir, cached, locked


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array([1.5], np.float32)}


def test_a_second_call_reads_what_the_first_one_made(own_cache: Path) -> None:
    make = Maker()
    first, second = cached("toy", "k", make), cached("toy", "k", make)
    assert make.calls == 1
    for arrays in (first, second):
        assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert arrays["a"].dtype == np.int32
        assert arrays["b"].tolist() == [1.5]
    assert cache_dir() == own_cache
    cached("toy", "other", make)
    assert make.calls == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_damaged_files_are_made_anew(own_cache: Path, damage: str) -> None:
    make = Maker()
    cached("toy", "k", make)
    path = own_cache / "toy" / "k.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-3] ^= 1
    path.write_bytes(
        {"cut": bytes(content[:-4]), "flipped": bytes(content), "empty": b"", "text": b"x" * 99}[
            damage
        ]
    )
    with pytest.warns(UserWarning, match="made anew"):
        assert cached("toy", "k", make)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert make.calls == 2
    cached("toy", "k", make)
    assert make.calls == 2


def test_a_failed_making_leaves_nothing_behind(own_cache: Path) -> None:
    def fail() -> Arrays:
        raise InputError("no tokens")

    with pytest.raises(InputError, match="no tokens"):
        cached("toy", "k", fail)
    assert not (own_cache / "toy" / "k.safetensors").exists()
    assert cached("toy", "k", Maker())["b"].tolist() == [1.5]


def test_in_an_unwritable_folder_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "file"))
    make = Maker()
    for calls in (1, 2):
        with pytest.warns(UserWarning, match="set MTMBENCH_CACHE"):
            assert cached("toy", "k", make)["b"].tolist() == [1.5]
        assert make.calls == calls


def test_what_cannot_be_made_is_an_error_in_an_unwritable_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as shards of activations, which are nowhere but on disk."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "file"))

    def fail() -> Arrays:
        with locked(cache_dir() / "shard.lock"):
            return {}

    with (
        pytest.warns(UserWarning, match="not kept"),
        pytest.raises(InputError, match="set MTMBENCH_CACHE"),
    ):
        cached("toy", "k", fail)


def _slow_make(log: str) -> None:
    def make() -> Arrays:
        with Path(log).open("a") as file:
            file.write("made\n")
        time.sleep(0.3)
        return {"a": np.zeros(1, np.float32)}

    cached("toy", "shared", make)


def test_two_processes_make_a_thing_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    workers = [context.Process(target=_slow_make, args=(str(log),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert log.read_text() == "made\n"
