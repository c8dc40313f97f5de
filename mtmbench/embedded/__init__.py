"""Where the SAEs that ship with the package lie; importing this loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from mtmbench.errors import UnknownNameError

FOLDER = Path(__file__).parent / "minilm"
SAES = ("token",)
DEFAULT_SAE = "token"


def sae_folder(name: str = DEFAULT_SAE) -> Path:
    """Returns the folder of a shipped SAE (weights, features, labels, settings).

    Raises:
        UnknownNameError: no SAE of that name is shipped.
    """
    if name not in SAES:
        raise UnknownNameError("embedded SAE", name, SAES)
    return FOLDER / name
