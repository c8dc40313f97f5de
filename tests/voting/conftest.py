"""What the tests of the voting page and of served boards share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.chromium import browser
from support.killing import PLUGIN, lay_out

from mtmbench.core.card_files import load_suite
from mtmbench.engine.harness import run_suite

__all__ = ["browser"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run that has ended."""
    folder = tmp_path_factory.mktemp("viewed")
    lay_out(folder, "http://127.0.0.1:1/v1", documents=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        suite = load_suite("suite.toml", {"judging.judges": ["scripted"]})
        run_suite(suite, Path("out"), plugins=[str(PLUGIN)], workers=0)
    return folder / "out"
