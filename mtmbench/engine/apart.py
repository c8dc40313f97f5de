"""A limited run stays apart from the whole one, whichever door it comes through."""

from __future__ import annotations

from pathlib import Path

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError


def check_apart(folder: Path, limited: Suite) -> None:
    """Refuses to play a limited suite into the folder of another one, such as the whole.

    Raises:
        InputError: the folder holds a suite of another name.
    """
    path = folder / "suite.toml"
    if path.is_file() and (held := read_card(path, Suite).name) != limited.name:
        raise InputError(
            f"{folder} holds suite {held!r}; a limited run takes a folder of its own, by default "
            f"runs/{limited.name}"
        )
