"""Corpora as they lie on this machine: within :func:`offline` nothing is fetched."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FLAGGED = ("huggingface_hub.constants", "datasets.config")
"""Modules that read HF_HUB_OFFLINE once, when they are imported."""

_depth = 0


def is_offline() -> bool:
    """Whether the caller stands within :func:`offline`."""
    return _depth > 0


@contextmanager
def offline() -> Iterator[None]:
    """Within it corpora are loaded from files and caches alone; what is not there is an error."""
    global _depth
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    _depth += 1
    _flag(True)
    try:
        yield
    finally:
        _depth -= 1
        _flag(before)


def is_cached(dataset: str) -> bool:
    """Whether the library ``datasets`` has a hub dataset ready on this machine."""
    from huggingface_hub import constants

    kept = os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets"
    owner, _, name = dataset.rpartition("/")
    # The library writes CamelCase as snake_case; nothing else sets names apart here.
    plain = name.replace("_", "").lower()
    return any(
        folder.is_dir() and folder.name.rpartition("___")[2].replace("_", "").lower() == plain
        for folder in Path(kept).expanduser().glob(f"{owner}___*" if owner else "*")
    )


def _flag(value: bool) -> None:
    for name in _FLAGGED:
        if (module := sys.modules.get(name)) is not None:
            module.HF_HUB_OFFLINE = value  # type: ignore[attr-defined]
