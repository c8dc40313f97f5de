"""Commands run as a user would, in this process for speed, and a small run for them to work on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from support.commands import Call
from support.killing import PLUGIN, lay_out

from mtmbench.cli.app import main
from mtmbench.core.card_files import load_suite
from mtmbench.engine.harness import run_suite


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs a command in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mtmbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        code = stop.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run


@pytest.fixture(scope="session")
def _played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played")
    lay_out(folder, "http://127.0.0.1:1/v1", documents=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        suite = load_suite("suite.toml", {"judging.judges": ["scripted"]})
        run_suite(suite, Path("out"), plugins=[str(PLUGIN)], workers=0)
    return folder


@pytest.fixture
def played(_played: Path, call: Call, tmp_path: Path) -> list[str]:
    """A suite of three models, played into ``out``, here; returns what its commands need too."""
    shutil.copytree(_played, tmp_path, dirs_exist_ok=True)
    return ["--plugin", str(PLUGIN), "--workers", "0"]
