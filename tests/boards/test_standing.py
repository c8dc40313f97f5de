"""What is committed stands still: plans give the records' keys, and files follow from records.

Nothing is played here. A change of layout, names or speed must leave every test of this file
green; a change of a number's meaning raises a version, and then the board is played anew.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from mtmbench.boards.write import write_board
from mtmbench.core.card_files import load_suite
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record
from mtmbench.core.store import read_records, records_file
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.steering.suite import table_notes
from mtmbench.steering.table import steering_files
from mtmbench.studies.design import make_design
from mtmbench.studies.firings import count_firings
from mtmbench.studies.flows import topic_flows
from mtmbench.studies.k_design import plan_k_study
from mtmbench.studies.k_pages import k_study_files
from mtmbench.studies.k_tables import k_study_json
from mtmbench.studies.pages import study_files
from mtmbench.studies.run import plan_study, source_maker
from mtmbench.studies.steering_pages import steering_study_files
from mtmbench.studies.tables import study_json
from mtmbench.validation.board import judges_board_files, read_judges_board

BOARDS = Path(__file__).parents[2] / "leaderboards"
SUITES = ("paper-embedded", "quick", "rivals", "steering", "tinylm", "tuned", "untuned",
          "studies/steering")  # fmt: skip
PLAYED = ("paper-embedded", "quick", "rivals", "steering", "tinylm", "tuned", "untuned")
UNPLAYED = ("paper", "paper-2b")
"""Suites that need a GPU and a key; their folders hold no records and no board."""
STUDIES = ("layer", "threshold")
K_STUDIES = sorted(path.parent.name for path in (BOARDS / "studies").glob("k*/suite.toml"))

BEFORE_CORPUS_LABELS = {
    "paper-embedded": {},
    "quick": {},
    "rivals": {},
    "steering": {},
    "tinylm": {},
    "tuned": {},
    "untuned": {},
    "studies/steering": {"labels": 3, "fit": 2},
}
"""Cells of plans that no committed record has, by kind.

The study was played when features were called as their SAE came. Now that is by the words of the
corpus (``[features] labels``), and labels have cells of their own. Its fit of ``mbertopic`` had no
leaves to fall back to (``leaf_above``), and UMAP started elsewhere; ``metm`` was trained in f32.
"""


def planned(suite: Suite, data: Path) -> Plan:
    return make_plan(suite, data_dir=data)


def records_of(suite: str) -> list[Record]:
    return list(read_records(records_file(BOARDS / suite)))


def place(kind: str, payload: dict) -> str:
    """What a cell is, without the keys and versions that its content hashes to."""
    told = {
        name: payload.get(name)
        for name in (
            "corpus", "model", "setting", "k_spec", "seed", "metric", "view", "params", "judge",
            "representation", "control",
        )
        if kind != "fit" or name != "params"
    }  # fmt: skip
    for side in ("a", "b"):
        if side in payload:
            told[side] = [payload[side]["model"], payload[side]["setting"]]
    return json.dumps([kind, told], sort_keys=True)


def came_later(told: str) -> bool:
    return any(f'"{name}"' in told for name in ("mbertopic", "metm"))


def test_every_suite_has_its_records_or_is_said_to_have_none():
    there = {path.parent.name for path in BOARDS.glob("*/suite.toml")}
    held = {path.parent.name for path in BOARDS.glob("*/records.jsonl*")}
    assert there - held == set(UNPLAYED)
    for suite in UNPLAYED:
        assert [path.name for path in (BOARDS / suite).iterdir()] == ["suite.toml"]


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_a_plan_has_the_keys_of_the_committed_records(suite, shared_data):
    plan = planned(load_suite(str(BOARDS / suite / "suite.toml")), shared_data)
    cells = {cell.key: cell for cell in plan.cells()}
    held = {record.key: record for record in records_of(suite)}
    new = [cells[key] for key in cells.keys() - held.keys()]
    assert Counter(cell.kind for cell in new) == BEFORE_CORPUS_LABELS[suite]
    # In place of each there is a record of the same cell under the labels that the SAE came with.
    lost = [held[key] for key in held.keys() - cells.keys()]
    assert Counter(place(r.kind, dict(r.payload)) for r in lost) == Counter(
        place(cell.kind, cell.identity()) for cell in new if cell.kind != "labels"
    )
    if new:
        shipped = load_suite(str(BOARDS / suite / "suite.toml"), {"features.labels": "shipped"})
        assert {
            cell.key
            for cell in planned(shipped, shared_data).cells()
            if not came_later(place(cell.kind, cell.identity()))
        } == {key for key, r in held.items() if not came_later(place(r.kind, dict(r.payload)))}


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_a_studys_plan_has_the_keys_of_its_records(study, shared_data):
    suite = read_card(BOARDS / "studies" / study / "suite.toml", Suite)
    plan = plan_study(suite, shared_data, ())
    assert plan.keys() == {record.key for record in records_of(f"studies/{study}")}


@pytest.mark.slow
@pytest.mark.parametrize("suite", PLAYED)
def test_a_board_follows_from_its_records_byte_for_byte(suite, tmp_path):
    committed = BOARDS / suite
    folder = tmp_path / suite
    shutil.copytree(committed, folder)
    for path in write_board(folder):
        name = path.relative_to(folder)
        assert path.read_bytes() == (committed / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_follows_from_its_records_byte_for_byte(study, shared_data, tmp_path):
    folder = BOARDS / "studies" / study
    committed = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    suite = read_card(folder / "suite.toml", Suite)
    plan = plan_study(suite, shared_data, ())
    design = make_design(study, source_maker(suite))
    shutil.copy(folder / "firings.json", tmp_path)
    firings = count_firings(plan, design, tmp_path)
    again = study_json(
        design, plan, read_records(folder / "records.jsonl"), firings, committed["reference"]
    )
    for file, content in study_files(again).items():
        assert content.encode() == (folder / file).read_bytes(), file


@pytest.mark.slow
@pytest.mark.parametrize("study", K_STUDIES)
def test_a_study_of_k_follows_from_its_records_and_flows(study, shared_data, tmp_path):
    folder = BOARDS / "studies" / study
    plan = plan_k_study(read_card(folder / "suite.toml", Suite), shared_data, ())
    records = list(read_records(records_file(folder)))
    assert plan.keys() == {record.key for record in records}
    shutil.copy(folder / "flows.json", tmp_path)
    again = k_study_json(plan, records, topic_flows(plan, tmp_path))
    for file, content in k_study_files(again).items():
        assert content.encode() == (folder / file).read_bytes(), file


def test_the_steering_studys_pages_follow_from_its_numbers():
    folder = BOARDS / "studies" / "steering"
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    for file, content in steering_study_files(study).items():
        assert content.encode() == (folder / file).read_bytes(), file


@pytest.mark.parametrize("suite", ["paper-embedded", "steering"])
def test_a_steering_table_follows_from_its_numbers(suite):
    folder = BOARDS / suite
    card = load_suite(str(folder / "suite.toml"))
    table = json.loads((folder / "steering.json").read_text(encoding="utf-8"))
    files = steering_files(table, title=f"Steering: {card.title}", notes=table_notes(card.steering))
    assert set(files) == {"steering.json", "steering.csv", "steering.md"}
    for file, content in files.items():
        assert content.encode() == (folder / file).read_bytes(), file


def test_the_judges_board_follows_from_its_numbers():
    folder = BOARDS / "judges"
    rows, judges = read_judges_board(folder / "board.json")
    files = judges_board_files(rows, judges)
    assert set(files) == {"board.json", "board.csv", "board.md"}
    for file, content in files.items():
        assert content.encode() == (folder / file).read_bytes(), file
