"""Commands that are killed at random moments, then left to end: the same bytes as without."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from support import SUPPORT
from support.chat_server import ChatServer
from support.killing import PLUGIN, lay_out

import mtmbench as mb
from attack_groups.child import Attack

TINYLM = Path(mb.__file__).parent / "embedded" / "tinylm"
KEPT = (".md", ".csv", ".json", ".html", ".toml", ".jsonl", ".safetensors", ".parquet", ".npz")
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


def results(folder: Path) -> dict[str, str]:
    """Returns a hash of every file that a command leaves for its user, by its path.

    A card of imported topics names the folder of its result; the folder's own path is no content.
    """
    own = str(folder).encode()
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes().replace(own, b"")
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in KEPT and not path.name.startswith(".")
    }


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
