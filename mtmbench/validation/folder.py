"""Where human data lie."""

from __future__ import annotations

from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.corpora.load import resolve_data_dir


def human_folder(name: str, data_dir: Path | None) -> Path:
    """Returns the folder of a human data set in the data folder.

    Args:
        name: the folder's name, such as "human_proxann2025".
        data_dir: the data folder; None reads ``MTMBENCH_DATA``.

    Raises:
        InputError: no data folder is named, or it has no such folder.
    """
    data = resolve_data_dir(data_dir)
    if data is None:
        raise InputError(
            f"human data are read from a data folder with {name} in it; name it by --data-dir or "
            "MTMBENCH_DATA"
        )
    if not (data / name).is_dir():
        raise InputError(f"there is no folder {data / name}")
    return data / name
