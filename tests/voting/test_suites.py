"""What people are asked of a suite with controls, refinement and summaries: what others are."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from support import SUPPORT

from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError
from mtmbench.core.plugins import load_plugins
from mtmbench.engine.harness import run_suite
from mtmbench.judges.clients.human_votes import VoteFile
from mtmbench.judges.registry import JUDGES
from mtmbench.voting.ballot import Ballot, suite_ballot

PLUGINS = [str(SUPPORT / "fast_plugin.py"), str(SUPPORT / "topic_plugin.py")]
WORDS = ("bread", "soup", "oven", "butter", "orbit", "rocket", "moon", "planet", "goal", "team")
FULL = {"nulls": True, "null_documents": 10, "representations": ["items", "summary"],
        "summariser": "writer", "refiner": "writer"}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a corpus and a card of people."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    rows = [{"id": f"d{i}", "text": " ".join(rng.choices(WORDS, k=30))} for i in range(30)]
    (tmp_path / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "people.toml").write_text('client = "human"\n')
    return tmp_path


def suite_of(folder: Path, judge: str, **judging: Any) -> Suite:
    return Suite.model_validate(
        {
            "name": "tiny", "corpora": [str(folder / "tiny.jsonl")], "k": [4], "seeds": [0, 1],
            "models": ["drawn", "drawn-sharp"], "words": {"max_df": 1.0},
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {"judges": [judge], "documents": 20, **judging},
        }
    )  # fmt: skip


def ballot_of(folder: Path, **judging: Any) -> Ballot:
    suite = suite_of(folder, "topic-reader", **judging)
    card = JudgeCard(client="human")
    return suite_ballot(suite, folder / "run", "people", card, plugins=PLUGINS)


def shown(ballot: Ballot) -> set[str]:
    """Every text that stands for a topic, checks left out."""
    return {
        topic
        for item in ballot.items("ann")
        if not item.vote.get("check")
        for side in item.sets
        for topic in side
    }


def play(folder: Path, judge: str, out: str, **judging: Any) -> Any:
    outcome = run_suite(
        suite_of(folder, judge, **judging), folder / out, plugins=PLUGINS, workers=0
    )
    return outcome, json.loads((folder / out / "board.json").read_text())


@pytest.mark.parametrize("judging", [{"nulls": True, "null_documents": 10}, FULL])
def test_people_see_the_very_topics_that_other_judges_see(
    folder: Path, judging: dict[str, Any]
) -> None:
    load_plugins(PLUGINS)
    reader: Any = JUDGES.get("topic-reader")
    reader.seen.clear()
    outcome, _ = play(folder, "topic-reader", "run", **judging)
    assert outcome.errors == ()
    assert shown(ballot_of(folder, **judging)) == reader.seen
    if "summariser" in judging:
        assert any(text.startswith("About ") for text in reader.seen)


def test_votes_on_all_that_was_shown_make_the_board_controls_and_summaries_among_them(
    folder: Path,
) -> None:
    play(folder, "topic-reader", "run", **FULL)
    with VoteFile(folder / "votes" / "human.jsonl") as votes:
        for item in ballot_of(folder, **FULL).items("ann"):
            votes.add([item.voted(item.vote.get("check") or "tie")])  # type: ignore[arg-type]
    outcome, board = play(folder, "people", "run", **FULL)
    assert outcome.errors == ()
    assert {row["representation"] for row in board["ratings"]} == {"items", "summary"}
    assert {row["ties"] for row in board["ratings"]} == {20}
    assert {row["control"] for row in board["controls"]} >= {"refit", "other_topic"}


def test_a_refinement_that_is_not_there_is_named(folder: Path) -> None:
    play(folder, "topic-reader", "run", **FULL)
    (lost, *_) = sorted((folder / "run" / "shown").iterdir())
    lost.unlink()
    with pytest.raises(InputError, match="1 refinements and summaries of suite 'tiny' are not in"):
        ballot_of(folder, **FULL)
