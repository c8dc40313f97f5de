"""Matches of several seeds: who meets whom, and how far ratings move with the seed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from pydantic import ValidationError
from support import SUPPORT

from mtmbench.boards.write import write_board
from mtmbench.core.cards import Suite
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.store import read_records
from mtmbench.engine.harness import run_suite

PLUGINS = [str(SUPPORT / "fast_plugin.py")]
WORDS = ("bread", "soup", "oven", "butter", "orbit", "rocket", "moon", "goal", "team", "ball")


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(3)
    rows = [{"id": f"d{i}", "text": " ".join(rng.choices(WORDS, k=20))} for i in range(40)]
    path = tmp_path_factory.mktemp("corpus") / "tiny.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def played(corpus_file: Path, folder: Path, fitted: list[int], **judging: Any) -> Path:
    flat = corpus_file.parent / "flat.toml"
    flat.write_text('model = "drawn"\nparams = { sharpness = 0.2 }\n')
    suite = Suite.model_validate(
        {
            "name": "tiny", "corpora": [str(corpus_file)],
            "models": ["drawn", "drawn-sharp", str(flat)], "k": [4], "seeds": fitted,
            "words": {"max_df": 1.0}, "seeds_per_model": {"flat": fitted[:2]},
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {
                "judges": ["lexical"], "documents": 40, "nulls": True, "null_documents": 10,
                "bootstrap": 100, "summariser": "extractive",
                "representations": ["items", "summary"], **judging,
            },
        }
    )  # fmt: skip
    assert run_suite(suite, folder, plugins=PLUGINS, workers=0).errors == ()
    return folder


def ratings(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    board = json.loads((folder / "board.json").read_text(encoding="utf-8"))
    return {(row["representation"], row["model"]): row for row in board["ratings"]}


def test_each_seeds_fits_are_rated_as_if_they_had_played_alone(
    corpus_file: Path, tmp_path: Path
) -> None:
    every = played(corpus_file, tmp_path / "every", [0, 1, 2], seeds="all")
    first = played(corpus_file, tmp_path / "first", [0, 1, 2])
    second = played(corpus_file, tmp_path / "second", [1], nulls=False)
    of_all, of_first, of_second = ratings(every), ratings(first), ratings(second)
    for place, row in of_all.items():
        assert {**row, **of_first[place]} == row
        assert "elo_by_seed" not in of_first[place]
        assert row["elo_by_seed"][:2] == [row["elo"], of_second[place]["elo"]]
        # The third model has two seeds, so that of the third seed two models meet.
        assert (row["elo_by_seed"][2] is None) == (place[1] == "flat")
        known = [elo for elo in row["elo_by_seed"] if elo is not None]
        assert row["elo_sd"] == pytest.approx(stdev(known), abs=0.05)
    for shown in ("items", "summary", "projected"):
        both = [
            row["elo_by_seed"]
            for (by, name), row in of_all.items()
            if by == shown and name != "flat"
        ]
        # The mean of those who have a third fit is what it was by their first.
        if both:
            assert fmean(e[2] for e in both) == pytest.approx(fmean(e[0] for e in both), abs=0.1)
    assert len({row["elo_by_seed"][1] for row in of_all.values()}) > 1
    two = played(corpus_file, tmp_path / "two", [0, 1, 2], seeds=2)
    for place, row in ratings(two).items():
        assert row["elo_by_seed"] == of_all[place]["elo_by_seed"][:2]
    held = {record.key for record in read_records(every / "records.jsonl")}
    assert {record.key for record in read_records(first / "records.jsonl")} <= held
    page = (every / "board.md").read_text(encoding="utf-8")
    assert "| Elo by seed | s.d. |" in page
    assert "Elo by seed" in (every / "index.html").read_text(encoding="utf-8")
    for path in write_board(first):
        assert "Elo by seed" not in path.read_text(encoding="utf-8")


def test_adaptive_schedules_play_first_seeds() -> None:
    with pytest.raises(ValidationError, match="plays the first seeds alone"):
        JudgingSpec.model_validate({"schedule": "adaptive", "seeds": "all"})
    with pytest.raises(ValidationError, match="plays the first seeds alone"):
        JudgingSpec.model_validate({"schedule": "adaptive", "seeds": 2})
