"""Adaptive runs: looks one after the other, resumed anywhere, with boards built from records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.cells import AdaptiveCell
from mtmbench.core.errors import InputError
from mtmbench.core.store import RunInfo, RunStore, read_records
from mtmbench.core.types import Corpus
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.matches.adaptive import cells_to_play, document_blocks
from mtmbench.matches.schedule import sample_documents


def suite_of(folder: Path, **judging: Any) -> Suite:
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(40)]
    lines = [
        json.dumps({"id": f"d{i}", "text": " ".join(rng.choice(words, 30))}) for i in range(120)
    ]
    (folder / "tiny.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "known.toml").write_text(
        'client = "scripted"\n[params]\ntie_rate = 0.1\n'
        'strengths = {drawn = 1.2, "drawn-sharp" = 0.2, "failing" = -1.0}\n'
    )
    data = {
        "name": "tiny", "corpora": [str(folder / "tiny.jsonl")],
        "models": ["drawn", "drawn-sharp", "failing"], "k": [5],
        "params": {"drawn-sharp": {"sharpness": 5.0}, "failing": {"sharpness": 3.0}},
        "judging": {
            "judges": [str(folder / "known.toml")], "documents": 100, "schedule": "adaptive",
            "resolution": 40.0, **judging,
        },
    }  # fmt: skip
    return parse_card(data, Suite, "test suite")


FAST = str(SUPPORT / "fast_plugin.py")
FILES = ("records.jsonl", "board.json", "board.md", "index.html", "board.csv")


def test_blocks_are_the_sample_in_the_order_drawn() -> None:
    corpus = Corpus("toy", tuple(f"d{i}" for i in range(47)), tuple(f"text {i}" for i in range(47)))
    blocks = document_blocks(corpus, 35, 3)
    assert [len(block) for block in blocks] == [10, 10, 10, 5]
    assert sorted(row for block in blocks for row in block) == sample_documents(corpus, 35, 3)
    assert document_blocks(corpus, 20, 3) == blocks[:2]
    whole = [row for block in document_blocks(corpus, 99, 3) for row in block]
    assert sorted(whole) == list(range(47))
    assert whole != sorted(whole)


def test_a_run_plays_looks_until_it_is_decided_and_goes_on_where_it_stopped(
    tmp_path: Path,
) -> None:
    suite = suite_of(tmp_path)
    outcome = run_suite(suite, tmp_path / "out", plugins=[FAST], workers=0)
    assert outcome.errors == ()
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    (table,) = board["win_rates"]
    looks = table["adaptive"]
    assert looks["finished"]
    assert looks["decided"] == looks["neighbours"] == 2
    assert looks["comparisons"] < looks["uniform"] == 3 * 100
    assert 0 < looks["level"] < 0.05
    assert [row["rank"] for row in board["ratings"]] == [1, 2, 3]
    assert sum(map(sum, table["comparisons"])) / 2 == looks["comparisons"]
    assert "Adaptive schedule" in (tmp_path / "out" / "board.md").read_text()
    again = run_suite(suite, tmp_path / "out", plugins=[FAST], workers=0)
    assert again.played == 0

    # A store that holds only some of the records goes on to the very same board.
    records = read_records(tmp_path / "out" / "records.jsonl")
    matches = [record for record in records if record.kind == "match"]
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "results").symlink_to(tmp_path / "out" / "results")
    kept = [record for record in records if record.kind != "match"] + matches[::2]
    with RunStore(tmp_path / "part") as store:
        store.add([(record, RunInfo()) for record in kept])
    run_suite(suite, tmp_path / "part", plugins=[FAST], workers=0)
    for name in FILES:
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_the_first_look_is_of_every_pair_and_later_ones_wait_for_it(tmp_path: Path) -> None:
    plan = make_plan(suite_of(tmp_path), plugins=[FAST])
    cells = [cell for cell in plan.matches if isinstance(cell, AdaptiveCell)]
    assert len(cells) == len(plan.matches) == 3 * 10
    first = cells_to_play(cells, {}, 0.05, 40.0)
    assert [cell.start for cell in first] == [0, 0, 0]
    assert len({cell.key for cell in cells}) == 30


def test_adaptive_does_not_go_with_what_needs_single_comparisons(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="adaptive"):
        suite_of(tmp_path, ties="davidson")
    with pytest.raises(InputError, match="adaptive"):
        suite_of(tmp_path, lengths=True)
