"""What a run records of its fits for readers of ratings, and that boards tell it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import read_records
from mtmbench.engine.harness import run_suite
from mtmbench.models.registry import MODELS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """See ``support.models``."""


def test_short_unfinished_and_started_fits_are_on_record_and_board(tmp_path: Path) -> None:
    MODELS.register("k_means", "mtmbench.models.k_means:KMeans")
    three = ("apples pears plums", "trains trams buses", "rivers lakes oceans")
    with (tmp_path / "three.jsonl").open("w") as file:
        for i in range(24):
            file.write(json.dumps({"id": f"d{i}", "text": three[i % 3]}) + "\n")
    data = {
        "name": "three",
        "corpora": [str(tmp_path / "three.jsonl")],
        "models": ["lda", "k_means"],
        "k": [4],
        "seeds": [0, 1],
        "params": {"lda": {"iterations": 1}},
        "words": {"min_df": 1, "max_df": 1.0},
        "judging": {"judges": ["lexical"], "documents": 12},
    }
    suite = parse_card(data, Suite, "test suite")
    folder = tmp_path / "run"
    assert run_suite(suite, folder, workers=0).errors == ()
    records = read_records(folder / "records.jsonl")
    fits = [record.payload for record in records if record.kind == "fit"]
    assert {fit["model"]: fit["cautions"] for fit in fits} == {
        "lda": {"converged": False, "start": "clusters"},
        "k_means": {"found": 3},
    }
    page = (folder / "board.md").read_text(encoding="utf-8").replace("\\", "")
    assert "k_means ‡" in page
    assert "by seed (marked ‡): k_means 3, 3 of 4." in page
    assert "not from random topics: lda." in page
    assert "before they converged: three, K = 4: lda 2 of 2." in page
