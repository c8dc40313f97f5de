"""Fixtures of the whole suite; one torch thread, no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

pytest_plugins = ("support.judged", "support.models")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora and human judgements: MTMBENCH_DATA, else ../shared/data."""
    named = os.environ.get("MTMBENCH_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set MTMBENCH_DATA to one laid out like it")
    return folder
