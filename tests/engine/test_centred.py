"""Verdicts of the centred proxy in runs: the same whoever plays, whatever is left to play."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import SUPPORT
from support.judged import judged

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import read_records
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.engine.workspace import Workspace, WorkspaceSpec
from mtmbench.judges.registry import JUDGES
from mtmbench.matches.schedule import summary_halves

pytestmark = pytest.mark.slow

PLUGINS = [str(SUPPORT / "fast_plugin.py"), str(SUPPORT / "hashed_judge.py")]
Outcomes = dict[tuple[str, ...], str]


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn = random.Random(0)
    path = tmp_path_factory.mktemp("corpus") / "tiny.jsonl"
    words = [f"word{i}" for i in range(40)]
    rows = [{"id": f"d{i}", "text": " ".join(drawn.choices(words, k=30))} for i in range(70)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def suite_of(corpus_file: Path, *models: str, **judging: Any) -> Suite:
    return parse_card(
        {
            "name": "tiny",
            "corpora": [str(corpus_file)],
            "models": list(models),
            "k": [5],
            "seeds": [0, 1],
            "metrics": [],
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {"judges": ["hashed"], "documents": 60, **judging},
        },
        Suite,
        "test suite",
    )


def outcomes(
    folder: Path, corpus_file: Path, *models: str, workers: int = 0, **judging: Any
) -> Outcomes:
    """Plays a suite and returns every verdict: of whom, in which kind of match, on which text."""
    suite = suite_of(corpus_file, *models, **judging)
    run = run_suite(suite, folder, plugins=PLUGINS, workers=workers)
    assert run.errors == ()
    found: Outcomes = {}
    for record in read_records(folder / "records.jsonl"):
        if record.kind in ("match", "null"):
            told = record.payload
            assert (told["judge_version"], told["judge_revisions"]) == (2, ["None, version 2"])
            names = told["a"]["model"], told["b"]["model"], told.get("control", "")
            verdicts = zip(told["documents"], told["forward"], strict=True)
            found |= {(*names, doc): char for doc, char in verdicts}
    return found


def test_verdicts_do_not_depend_on_how_a_run_was_played(tmp_path: Path, corpus_file: Path) -> None:
    three = ("drawn", "drawn-sharp", "lda")
    whole = outcomes(tmp_path / "whole", corpus_file, *three, nulls=True, null_documents=20)
    assert {"a", "b"} <= set(whole.values())
    assert len(whole) == 3 * 60 + 2 * 3 * 20
    parallel = outcomes(
        tmp_path / "parallel", corpus_file, *three, workers=2, nulls=True, null_documents=20
    )
    assert parallel == whole
    # Two play, and a third comes in later.
    grown = tmp_path / "grown"
    two = outcomes(grown, corpus_file, *three[1:])
    assert two.items() <= whole.items()
    later = outcomes(grown, corpus_file, *three, nulls=True, null_documents=20)
    assert later == whole


def test_looks_of_an_adaptive_league_say_what_the_whole_match_says(
    tmp_path: Path, corpus_file: Path
) -> None:
    models = ("drawn", "drawn-sharp")
    whole = outcomes(tmp_path / "whole", corpus_file, *models)
    looks = outcomes(tmp_path / "looks", corpus_file, *models, schedule="adaptive")
    assert looks.items() <= whole.items()
    assert len(looks) >= 20


def test_summaries_are_centred_by_the_half_that_is_judged(
    tmp_path: Path, corpus_file: Path
) -> None:
    shown = {"representations": ["items", "summary"], "summariser": "extractive"}
    suite = suite_of(corpus_file, "drawn", "drawn-sharp", **shown)
    assert run_suite(suite, tmp_path / "run", plugins=PLUGINS, workers=0).errors == ()
    plan = make_plan(suite, plugins=PLUGINS)
    (cell,) = (cell for cell in plan.matches if cell.representation == "summary")
    spec = WorkspaceSpec(suite, plan.specs, tmp_path / "run", None, tuple(PLUGINS))
    pair = Workspace(spec).exhibits.of(cell).pair
    (said,) = (
        record.payload["forward"]
        for record in read_records(tmp_path / "run" / "records.jsonl")
        if record.key == cell.key
    )
    _, half = summary_halves(pair.corpus)
    by_half, by_all = (
        judged(JUDGES.get("hashed")(), replace(pair, judged=rows)).forward
        for rows in (half, range(70))
    )
    assert said == by_half
    assert said != by_all
