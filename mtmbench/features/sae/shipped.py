"""The embedded feature sources: MiniLM, and the small causal LM, with SAEs of this project's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from mtmbench.core.card_files import PACKAGE
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.sae.backbone import BATCH_TOKENS, Backbone
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.sae_folder import SAEFolder, load_sae_folder
from mtmbench.features.sae.source import NamedSetting, StoredFeatures

_EMBEDDED = PACKAGE / "embedded"

TINYLM_MODEL = _EMBEDDED / "tinylm"
"""The small causal LM, in transformers' format; ``CARD.md`` in it says what it is."""
TINYLM_NAME = "mtmbench/tinylm"
"""Its name in records."""


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


MINILM_SAES = ShippedSAEs(_EMBEDDED / "minilm", ("token",))


TINYLM_SAES = ShippedSAEs(TINYLM_MODEL / "saes", ("block1", "block2"))


class ShippedFeatures(StoredFeatures):
    """SAE features of an embedded backbone under named settings.

    "default" is the shipped default SAE's chosen setting; "paper" is that of a per-token SAE with
    the paper's (80th percentile, features in more than 90 % of documents dropped, density and label
    filters).

    Attributes:
        shipped: the SAEs that come with the package.

    Args:
        saes: a folder of SAE folders; None for the shipped ones.
        default: which of them "default" uses; None for the package's choice.
        paper: which of them "paper" uses; None for the first that has such a setting, that of
            "default" before the others.
        settings, batch_tokens, keep: see :class:`StoredFeatures`.
    """

    shipped: ClassVar[ShippedSAEs]

    def __init__(
        self,
        saes: str | Path | None = None,
        default: str | None = None,
        paper: str | None = None,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        keep: str = "activations",
    ) -> None:
        super().__init__(settings, batch_tokens, keep)
        self._root = self.shipped.folder if saes is None else Path(saes)
        self._default = default or self.shipped.default
        self._paper = paper

    def sae_names(self) -> list[str]:
        """Returns the names of the SAE folders, that of "default" first."""
        if not self._root.is_dir():
            raise InputError(f"there is no folder of SAEs at {self._root}")
        names = sorted(path.parent.name for path in self._root.glob("*/cfg.json"))
        return sorted(names, key=lambda name: name != self._default)

    def load_folder(self, name: str) -> SAEFolder:
        """Loads an SAE folder."""
        return load_sae_folder(self._root / name)

    def first_settings(self) -> dict[str, NamedSetting]:
        """Returns "default" and, where its SAE has one, "paper"."""
        default = self.folder(self._default)
        known = {"default": NamedSetting(default, default.setting("default"))}
        for name in self.sae_names() if self._paper is None else [self._paper]:
            folder = self.folder(name)
            if "paper" in folder.settings:
                known["paper"] = NamedSetting(folder, folder.setting("paper"))
                break
        return known


class MiniLMFeatures(ShippedFeatures):
    """SAE features of the sentence encoder MiniLM; see :class:`ShippedFeatures`."""

    name = "minilm"
    leaves_embeddings = True
    shipped = MINILM_SAES

    @property
    def backbone(self) -> Backbone:
        """MiniLM, one for this process."""
        return minilm_backbone("float64")


class TinyLMFeatures(ShippedFeatures):
    """SAE features of the small causal LM that ships; see :class:`ShippedFeatures`."""

    name = "tinylm"
    shipped = TINYLM_SAES

    @property
    def backbone(self) -> Backbone:
        """The small LM, one for this process."""
        return tinylm_backbone()


def shipped_source(source: Mapping[str, object]) -> ShippedFeatures | None:
    """Returns the embedded source of a backbone and an SAE; None if none that ships has both.

    Args:
        source: says which, as ``source`` of an item space does: "backbone", "backbone_revision",
            "sae_hash".
    """
    shipped: tuple[ShippedFeatures, ...] = (TinyLMFeatures(), MiniLMFeatures())
    for found in shipped:
        # The name first: a revision is a hash over all weights.
        if (
            source.get("backbone") == found.backbone.name
            and source.get("backbone_revision") == found.backbone.revision
            and source.get("sae_hash") in {found.folder(n).sae.revision for n in found.sae_names()}
        ):
            return found
    return None


@cache
def tinylm_backbone() -> HuggingFaceBackbone:
    """Returns this process's small causal LM."""
    return HuggingFaceBackbone(TINYLM_MODEL, name=TINYLM_NAME)
