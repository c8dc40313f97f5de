"""A limited run into the folder of a whole one, by the command and from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import mtmbench as mb
from mtmbench.cli.run import run as run_command
from mtmbench.core.card_files import load_suite
from mtmbench.core.card_reading import suite_text
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import write_atomically
from mtmbench.engine.apart import check_apart


def test_a_limited_run_takes_a_folder_of_its_own(tmp_path: Path) -> None:
    whole = load_suite("quick")
    held = suite_text(whole)
    write_atomically(tmp_path / "suite.toml", held)
    says = "holds suite 'quick'; a limited run takes a folder of its own, by default runs/quick-li"
    with pytest.raises(InputError, match=says):
        mb.run("quick", tmp_path, limit=5)
    with pytest.raises(InputError, match=says):
        run_command("quick", out=tmp_path, limit=5)
    assert (tmp_path / "suite.toml").read_text() == held
    assert [path.name for path in tmp_path.iterdir()] == ["suite.toml"]
    # The same again goes on, and so does what has no folder yet.
    check_apart(tmp_path, whole)
    check_apart(tmp_path / "nowhere", whole.limited(5))
