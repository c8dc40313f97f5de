"""A run's board without what only its folder has."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mtmbench.boards.write import files_of


def board_of_records(run: Path) -> dict[str, str]:
    """Returns a board's files by name, from a suite and records alone."""
    with tempfile.TemporaryDirectory() as made:
        for name in ("suite.toml", "records.jsonl"):
            shutil.copy(run / name, made)
        return files_of(Path(made))
