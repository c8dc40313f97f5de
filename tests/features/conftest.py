"""A cache folder of its own for every test, so that none reads another's features."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
