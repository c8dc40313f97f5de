"""The embedded feature source: MiniLM with the SAEs that this project trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtmbench.errors import InputError
from mtmbench.features.backbone import BATCH_TOKENS, Backbone, minilm_backbone
from mtmbench.features.sae_folder import SAEFolder, load_sae_folder
from mtmbench.features.source import NamedSetting, StoredFeatures


class MiniLMFeatures(StoredFeatures):
    """SAE features of MiniLM under named settings.

    "default" is the shipped default SAE's chosen setting; "paper" is the per-token SAE with the
    paper's (80th percentile, features in more than 90 % of documents dropped, density and label
    filters).

    Args:
        saes: a folder of SAE folders; None for the shipped ones.
        default: which of them "default" uses; None for the package's choice.
        paper: which of them "paper" uses.
        settings, batch_tokens, keep: see :class:`StoredFeatures`.
    """

    name = "minilm"

    def __init__(
        self,
        saes: str | Path | None = None,
        default: str | None = None,
        paper: str = "token",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        keep: str = "activations",
    ) -> None:
        from mtmbench.embedded import DEFAULT_SAE, FOLDER

        super().__init__(settings, batch_tokens, keep)
        self._root = FOLDER if saes is None else Path(saes)
        self._default = default or DEFAULT_SAE
        self._paper = paper

    @property
    def backbone(self) -> Backbone:
        """MiniLM, one for this process."""
        return minilm_backbone()

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
        if self._paper in self.sae_names() and "paper" in self.folder(self._paper).settings:
            paper = self.folder(self._paper)
            known["paper"] = NamedSetting(paper, paper.setting("paper"))
        return known
