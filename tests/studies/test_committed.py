"""The committed studies: their pages say what their study.json does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmbench.studies.pages import study_files
from mtmbench.studies.steering_pages import steering_files

STUDIES = Path(__file__).parents[2] / "leaderboards" / "studies"


@pytest.mark.parametrize("name", ["layer", "threshold"])
def test_pages_are_made_of_the_studys_numbers(name):
    folder = STUDIES / name
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert (study["study"], study["errors"]) == (name, [])
    for file, content in study_files(study).items():
        assert (folder / file).read_text(encoding="utf-8") == content, file


def test_the_steering_studys_pages_are_made_of_its_numbers():
    folder = STUDIES / "steering"
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    for file, content in steering_files(study).items():
        assert (folder / file).read_text(encoding="utf-8") == content, file
