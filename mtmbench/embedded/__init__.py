"""What ships with the package: a small causal LM, and SAEs of it and of MiniLM; loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtmbench.core.errors import UnknownNameError

_HERE = Path(__file__).parent

TINYLM_MODEL = _HERE / "tinylm"
"""The small causal LM, in transformers' format; ``CARD.md`` in it says what it is."""


@dataclass(frozen=True)
class ShippedSAEs:
    """The SAEs that ship for one backbone.

    Attributes:
        folder: where their folders lie (weights, features, labels, settings).
        names: their names, that of the default first.
    """

    folder: Path
    names: tuple[str, ...]

    @property
    def default(self) -> str:
        """Name of the SAE that the setting "default" uses."""
        return self.names[0]

    def path(self, name: str | None = None) -> Path:
        """Returns the folder of a shipped SAE, of the default one if no name is given.

        Raises:
            UnknownNameError: no SAE of that name is shipped.
        """
        if name is not None and name not in self.names:
            raise UnknownNameError("embedded SAE", name, self.names)
        return self.folder / (name or self.default)


MINILM = ShippedSAEs(_HERE / "minilm", ("token",))
TINYLM = ShippedSAEs(TINYLM_MODEL / "saes", ("block1", "block2"))
