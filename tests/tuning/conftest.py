"""A corpus of sixty documents, and suites that tune a model whose best parameters are known."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import SUPPORT

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.tuning.suite import SuiteTuning, tune_suite

PLUGIN = str(SUPPORT / "tuned_plugin.py")
WORDS = tuple(f"{what}{i}" for what in ("team", "bread", "orbit") for i in range(9))
CARD = """
model = "knobbed"

[search]
level = [0.0, 2.0, 3.0]
kind = ["a", "b"]
"""

MakeSuite = Callable[..., Suite]


def lay_out(folder: Path) -> MakeSuite:
    """Writes corpus and card into a folder; returns what makes suites of them there."""
    draw = random.Random(0)
    rows = [{"id": f"d{i}", "text": " ".join(draw.choices(WORDS, k=30))} for i in range(60)]
    (folder / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "baselines").mkdir()
    (folder / "baselines" / "known.toml").write_text(CARD)

    def make(**changes: Any) -> Suite:
        data: dict[str, Any] = {
            "name": "tuned",
            "corpora": ["tiny.jsonl"],
            "models": ["known", "knobbed"],
            "k": [4],
            "metrics": ["quality"],
            "words": {"max_df": 1.0},
            "tuning": {"metric": "quality", "trials": 12},
        }
        return parse_card({**data, **changes}, Suite, "test suite")

    return make


@pytest.fixture
def make_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSuite:
    """What makes suites in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return lay_out(tmp_path)


@pytest.fixture(scope="session")
def _found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SuiteTuning]:
    folder = tmp_path_factory.mktemp("found")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        suite = lay_out(folder)()
        return folder, tune_suite(suite, Path("run/tuning"), plugins=[PLUGIN], workers=0)


@pytest.fixture
def found(_found: tuple[Path, SuiteTuning], make_suite: MakeSuite, tmp_path: Path) -> SuiteTuning:
    """What tuning the suite came to, its files in the working directory."""
    del make_suite
    shutil.copytree(_found[0], tmp_path, dirs_exist_ok=True)
    return _found[1]
