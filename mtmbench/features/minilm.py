"""The embedded feature source: MiniLM with the SAEs that this project trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.errors import InputError, UnknownNameError
from mtmbench.features.backbone import BATCH_TOKENS, Backbone, minilm_backbone
from mtmbench.features.base import FeatureSource
from mtmbench.features.cache import Arrays, cached_group
from mtmbench.features.counts import apply_filters
from mtmbench.features.extract import (
    EXTRACTION_VERSION,
    Extraction,
    Probe,
    Progress,
    TokenReport,
    extract,
)
from mtmbench.features.labels import CLASSES, class_words
from mtmbench.features.sae import FeatureSetting, SAEFolder, load_sae_folder, setting_from
from mtmbench.serialise import content_hash
from mtmbench.types import Corpus, Counts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class MiniLMFeatures(FeatureSource):
    """SAE features of MiniLM under named settings.

    "default" is the shipped default SAE's chosen setting; "paper" is the per-token SAE with the
    paper's (80th percentile, features in more than 90 % of documents dropped, density and label
    filters). One forward pass over a corpus serves all settings.

    Args:
        saes: a folder of SAE folders; None for the shipped ones.
        default: which of them "default" uses; None for the package's choice.
        paper: which of them "paper" uses.
        settings: further settings by name: any of ``sae`` (else the default one),
            ``threshold_quantile``, ``max_doc_share``, ``max_density_multiple``,
            ``drop_label_classes``, over that SAE's default; a filter given as false is off.
        batch_tokens: padded tokens of one forward pass.
    """

    name = "minilm"

    def __init__(
        self,
        saes: str | Path | None = None,
        default: str | None = None,
        paper: str = "token",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        from mtmbench.embedded import DEFAULT_SAE, FOLDER

        self._root = FOLDER if saes is None else Path(saes)
        self._default = default or DEFAULT_SAE
        self._paper = paper
        self._further = dict(settings or {})
        self._batch_tokens = batch_tokens
        self._folders: dict[str, SAEFolder] = {}

    def settings(self) -> list[str]:
        """Returns the names of the settings, "default" first."""
        return list(self._settings)

    def describe(self, setting: str = "default") -> dict[str, Any]:
        """Returns backbone, hook point, SAE and its hash, window, threshold and filter limits."""
        named = self._named(setting)
        folder, chosen = named.folder, named.setting
        return {
            "backbone": self._backbone.name,
            "backbone_revision": self._backbone.revision,
            "hook_point": _hook_point(folder),
            "sae": folder.name,
            "sae_hash": folder.sae.revision,
            "sae_folder_hash": folder.revision,
            "window": folder.window,
            "threshold": {
                "quantile": chosen.threshold_quantile,
                "estimated_on": folder.estimated_on,
            },
            "chunk_tokens": folder.chunk_tokens,
            "filter_limits": {
                name: value
                for name, value in chosen.as_dict().items()
                if name != "threshold_quantile"
            },
            "label_classes": content_hash({name: class_words(name) for name in CLASSES}),
            "precision": "float32",
            "extraction": EXTRACTION_VERSION,
        }

    def counts(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Counts:
        """Returns the counts of a corpus; the extraction behind them is kept on disk.

        See :meth:`FeatureSource.counts`. ``source`` is :meth:`describe` with the token limit, what
        it cut, and under "filters" what each filter did.
        """
        named = self._named(setting)
        folder = named.folder
        found = self._extraction(corpus, folder, max_tokens, progress)
        report = _unpack_report(found)
        level = self._levels(folder).index(named.setting.threshold_quantile)
        shape = (len(corpus), folder.sae.n_features)
        whole = Counts(
            kind="features",
            matrix=_unpack(found, f"counts{level}", shape),
            n_tokens=report.n_tokens,
            item_ids=tuple(str(i) for i in range(folder.sae.n_features)),
            item_labels=folder.labels,
            source={
                **self.describe(setting),
                "max_tokens": max_tokens,
                "tokens": {
                    "counted": int(report.n_tokens.sum()),
                    "dropped": int(report.n_dropped.sum()),
                    "documents_cut": int((report.n_dropped > 0).sum()),
                    "documents_empty": int((report.n_tokens == 0).sum()),
                    "documents_in_chunks": int((report.n_chunks > 1).sum()),
                    "chunks": int(report.n_chunks.sum()),
                },
            },
            directions=folder.sae.directions,
            encoder=folder.sae.encoder,
            activation=_unpack(found, "activation", shape),
        )
        return apply_filters(whole, folder.density, named.setting)

    @cached_property
    def _settings(self) -> dict[str, _Named]:
        default = self._folder(self._default)
        known = {"default": _Named(default, default.setting("default"))}
        if self._paper in self._names():
            paper = self._folder(self._paper)
            if "paper" in paper.settings:
                known["paper"] = _Named(paper, paper.setting("paper"))
        for name, given in self._further.items():
            folder = self._folder(str(given.get("sae", self._default)))
            values = {key: value for key, value in given.items() if key != "sae"}
            setting = setting_from(values, folder.setting("default"), f"feature setting {name!r}")
            folder.thresholds(setting.threshold_quantile)
            known[name] = _Named(folder, setting)
        return known

    def _named(self, setting: str) -> _Named:
        if setting not in self._settings:
            raise UnknownNameError("feature setting", setting, self._settings)
        return self._settings[setting]

    def _names(self) -> list[str]:
        if not self._root.is_dir():
            raise InputError(f"there is no folder of SAEs at {self._root}")
        return sorted(path.parent.name for path in self._root.glob("*/cfg.json"))

    def _folder(self, name: str) -> SAEFolder:
        if name not in self._folders:
            if name not in self._names():
                raise UnknownNameError("MiniLM SAE", name, self._names())
            self._folders[name] = load_sae_folder(self._root / name)
        return self._folders[name]

    @cached_property
    def _backbone(self) -> Backbone:
        return minilm_backbone()

    def _levels(self, folder: SAEFolder) -> list[float]:
        return sorted(
            {
                named.setting.threshold_quantile
                for named in self._settings.values()
                if named.folder is folder
            }
        )

    def _extraction(
        self, corpus: Corpus, folder: SAEFolder, max_tokens: int | None, progress: Progress | None
    ) -> Arrays:
        """Reads the extraction for one SAE; else makes that of every SAE in one forward pass."""
        together = {
            named.folder.name: named.folder
            for named in self._settings.values()
            if named.folder.chunk_tokens == folder.chunk_tokens
        }
        common = content_hash(
            "extraction", EXTRACTION_VERSION, self._backbone.revision, folder.chunk_tokens,
            max_tokens, self._batch_tokens, list(corpus.texts),
        )  # fmt: skip
        keys = {
            name: content_hash(common, other.revision, _hook_point(other), self._levels(other))
            for name, other in together.items()
        }

        def make() -> dict[str, Arrays]:
            probes = [
                Probe(
                    sae=other.sae,
                    hook_point=_hook_point(other),
                    window=other.window,
                    thresholds=np.stack([other.thresholds(q) for q in self._levels(other)]),
                )
                for other in together.values()
            ]
            extractions, report = extract(
                corpus.texts, self._backbone, probes, chunk_tokens=folder.chunk_tokens,
                max_tokens=max_tokens, batch_tokens=self._batch_tokens, progress=progress,
            )  # fmt: skip
            return {
                keys[name]: _pack(extraction, report)
                for name, extraction in zip(together, extractions, strict=True)
            }

        group = content_hash(common, sorted(keys.values()))
        return cached_group("extractions", group, keys[folder.name], make)


@dataclass(frozen=True, eq=False)
class _Named:
    folder: SAEFolder
    setting: FeatureSetting


def _hook_point(folder: SAEFolder) -> str:
    return f"encoder.layer.{folder.layer - 1}"


def _pack(extraction: Extraction, report: TokenReport) -> Arrays:
    arrays: Arrays = {
        "n_tokens": report.n_tokens,
        "n_dropped": report.n_dropped,
        "n_chunks": report.n_chunks,
    }
    named = {f"counts{i}": matrix for i, matrix in enumerate(extraction.counts)}
    for name, matrix in {**named, "activation": extraction.activation}.items():
        arrays[f"{name}.data"] = matrix.data
        arrays[f"{name}.indices"] = matrix.indices.astype(np.int32)
        arrays[f"{name}.indptr"] = matrix.indptr.astype(np.int64)
    return arrays


def _unpack(arrays: Arrays, name: str, shape: tuple[int, int]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    return csr_matrix(parts, shape=shape)


def _unpack_report(arrays: Arrays) -> TokenReport:
    return TokenReport(arrays["n_tokens"], arrays["n_dropped"], arrays["n_chunks"])
