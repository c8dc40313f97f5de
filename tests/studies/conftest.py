"""A labelled corpus whose documents say their label in the first word."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from support import SUPPORT

WORDS = {
    0: "match team goal season player coach league score final",
    1: "bread soup oven butter flavour kitchen recipe salt meal",
    2: "orbit rocket moon planet star launch crew gravity comet",
    3: "court judge law trial lawyer appeal jury verdict crime",
}


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    """120 documents under four labels."""
    return write_corpus(tmp_path / "planted.jsonl", labels=True)


@pytest.fixture
def unlabelled_file(tmp_path: Path) -> Path:
    """The same without labels."""
    return write_corpus(tmp_path / "unlabelled.jsonl", labels=False)


@pytest.fixture
def plugin() -> str:
    """The feature source of these tests."""
    return str(SUPPORT / "planted_source.py")


def write_corpus(path: Path, *, labels: bool) -> Path:
    rng = random.Random(0)
    with path.open("w") as file:
        for i in range(120):
            label = i % 4
            text = " ".join([f"subject{label}", *rng.choices(WORDS[label].split(), k=25)])
            row = {"id": f"d{i}", "text": text, **({"label": f"l{label}"} if labels else {})}
            file.write(json.dumps(row) + "\n")
    return path
