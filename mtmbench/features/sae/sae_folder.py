"""SAEs with what is known of their features: folders that the package ships or a user builds.

Beside sae-lens's two files such a folder has ``features.safetensors`` (quantiles of each feature's
non-zero activations over a reference text, density on it), ``labels.json`` and ``settings.json``;
and maybe what a judge said of the labels (:mod:`mtmbench.features.label_files`).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError, did_you_mean
from mtmbench.core.files import read_json_object, read_tensors
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import BoolArray, FloatArray
from mtmbench.features.filters import VALUES, FeatureSetting, judged
from mtmbench.features.label_files import (
    read_label_classes,
    read_label_scores,
    read_labels,
    read_source,
)
from mtmbench.features.labels import class_name
from mtmbench.features.sae.sae import SAE, load_sae

SHIPPED = "shipped"
"""Source of labels that came with an SAE, of which no more is on record."""
_TRAINING_TEXT = "the SAE's training text"


@dataclass(frozen=True, eq=False)
class SAEFolder:
    """An SAE with what is known of its features.

    Attributes:
        name: the folder's name.
        sae: the weights.
        hook_point: where it reads, as the SAE's config names it.
        window: tokens of the centred window whose mean activation is encoded; 1 is per token.
        centred: whether the mean of each vector is subtracted first (:class:`Probe`).
        chunk_tokens: tokens of a chunk of text, specials excluded.
        quantiles: (F, Q) f32, quantiles of each feature's non-zero activations.
        levels: Q quantile levels; level 0 stands for threshold 0.
        density: (F,) f32, share of the reference text's tokens on which a feature fires; None
            where no reference text was read.
        labels: F labels; None where there are none.
        settings: named feature settings.
        estimated_on: the text from which quantiles and densities come; None for none.
        label_scores: (F,) f32 scores of the labels, NaN for one without; None where none were
            scored.
        label_classes: for each class (F,) whether a judge put the label into it; None where none
            were sorted.
        label_source: where the labels are from, as JSON values: under "source" :data:`SHIPPED`,
            "judge" or "neuronpedia", None without labels; under "card" the judge's card.
    """

    name: str
    sae: SAE
    hook_point: str
    window: int
    centred: bool
    chunk_tokens: int
    quantiles: FloatArray
    levels: tuple[float, ...]
    density: FloatArray | None
    labels: tuple[str, ...] | None
    settings: Mapping[str, FeatureSetting]
    estimated_on: str | None
    label_scores: FloatArray | None = None
    label_classes: Mapping[str, BoolArray] | None = None
    label_source: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def revision(self) -> str:
        """Content hash of the weights and of all that filters and thresholds read.

        What a judge said of the labels is not in it; see :meth:`revision_under`.
        """
        return content_hash(
            self.sae.revision, self.window, self.hook_point, self.centred, self.chunk_tokens,
            self.quantiles,
            list(self.levels), self.density, None if self.labels is None else list(self.labels),
        )  # fmt: skip

    def revision_under(self, setting: FeatureSetting) -> str:
        """Returns :attr:`revision`, with what a judge said of the labels if the setting reads it.

        Raises:
            InputError: the setting reads what this folder does not have.
        """
        said = judged(setting, self.label_scores, self.label_classes)
        return content_hash(self.revision, *said) if said else self.revision

    def setting(self, name: str) -> FeatureSetting:
        """Returns a named setting.

        Raises:
            UnknownNameError: this SAE has no such setting.
        """
        if name not in self.settings:
            raise UnknownNameError(f"setting of SAE {self.name!r}", name, self.settings)
        return self.settings[name]

    def thresholds(self, level: float) -> FloatArray:
        """Returns q_i (F,) f32 at a quantile level.

        Raises:
            InputError: the folder has no such level.
        """
        for column, known in enumerate(self.levels):
            if abs(known - level) < 1e-6:
                return np.ascontiguousarray(self.quantiles[:, column])
        if self.estimated_on is None:
            raise InputError(
                f"SAE {self.name!r} comes without thresholds; only threshold_quantile = 0 can be "
                "had before `mtmbench features` has read a reference text for it"
            )
        raise InputError(
            f"SAE {self.name!r} has no quantile level {level}; it has "
            f"{', '.join(f'{known:g}' for known in self.levels)}"
        )


def setting_from(values: Mapping[str, object], base: FeatureSetting, where: str) -> FeatureSetting:
    """Returns ``base`` with some fields replaced; a filter given as false or null is off.

    Args:
        values: fields of :class:`FeatureSetting` by name.
        base: the setting that is changed.
        where: what the values come from, for error messages.

    Raises:
        InputError: a key is not known or a value is out of range.
    """
    known = {each.name: getattr(base, each.name) for each in fields(base)}
    for name in values:
        if name not in known:
            raise InputError(f"{where}: unknown key {name!r}{did_you_mean(name, known)}")
    merged = {**known, **values}
    if merged["label_classes_by"] not in ("words", "judge"):
        raise InputError(
            f"{where}: label_classes_by is {merged['label_classes_by']!r}; it is words or judge"
        )
    if merged["values"] not in VALUES:
        raise InputError(f"{where}: values is {merged['values']!r}; it is {' or '.join(VALUES)}")
    if not isinstance(merged["idf"], bool):
        raise InputError(f"{where}: idf is {merged['idf']!r}; it is true or false")
    setting = FeatureSetting(
        threshold_quantile=_real(merged["threshold_quantile"], f"{where}: threshold_quantile"),
        max_doc_share=_limit(merged["max_doc_share"], f"{where}: max_doc_share"),
        max_density_multiple=_limit(
            merged["max_density_multiple"], f"{where}: max_density_multiple"
        ),
        max_density=_limit(merged["max_density"], f"{where}: max_density"),
        drop_label_classes=_classes(merged["drop_label_classes"], where),
        label_classes_by=merged["label_classes_by"],
        min_label_score=_limit(merged["min_label_score"], f"{where}: min_label_score"),
        values=merged["values"],
        idf=merged["idf"],
    )
    for name in ("max_doc_share", "max_density_multiple", "max_density", "min_label_score"):
        limit = getattr(setting, name)
        if limit is not None and limit <= 0:
            raise InputError(f"{where}: {name} is {limit}; it must be above 0, or false for off")
    if setting.max_density is not None and setting.max_density > 1:
        raise InputError(
            f"{where}: max_density is {setting.max_density}; it is a share of tokens, at most 1 "
            "(max_density_multiple is in multiples of the mean density)"
        )
    if setting.min_label_score is not None and setting.min_label_score > 1:
        raise InputError(f"{where}: min_label_score is {setting.min_label_score}; scores end at 1")
    return setting


def load_sae_folder(folder: Path) -> SAEFolder:
    """Reads an SAE with its features' quantiles, densities, labels and settings.

    Raises:
        InputError: a file is missing or damaged, or the files disagree; the message names it.
    """
    sae = load_sae(folder)
    hook_point = sae.metadata.get("hook_name")
    if not hook_point:
        raise InputError(f"{folder}/cfg.json: metadata has no hook_name")
    quantiles, levels, density = _statistics(folder / "features.safetensors", sae.n_features)
    labels = tuple(read_labels(folder))
    if len(labels) != sae.n_features:
        raise InputError(f"{folder}: {len(labels)} labels; expected {sae.n_features}")
    file = folder / "settings.json"
    written = read_json_object(file)
    return SAEFolder(
        name=folder.name,
        sae=sae,
        hook_point=str(hook_point),
        window=_count(written, "window", file),
        centred=bool(written.get("centred", False)),
        chunk_tokens=_count(written, "chunk_tokens", file),
        quantiles=quantiles,
        levels=levels,
        density=density,
        labels=labels,
        settings={
            name: setting_from(_object(written, name, file), FeatureSetting(), str(file))
            for name in ("default", "paper")
            if name in written
        },
        estimated_on=str(_object(written, "reference", file).get("corpus", _TRAINING_TEXT)),
        label_scores=read_label_scores(folder, labels),
        label_classes=read_label_classes(folder, labels),
        label_source=_label_source(folder, labels),
    )


def _label_source(folder: Path, labels: Sequence[str]) -> dict[str, object]:
    written = read_source(folder, labels)
    if written["source"] == "given":
        return {"source": SHIPPED}
    return {name: written[name] for name in ("source", "card") if name in written}


def plain_folder(
    name: str,
    sae: SAE,
    *,
    hook_point: str,
    chunk_tokens: int,
    window: int = 1,
    centred: bool = False,
) -> SAEFolder:
    """Returns an SAE of which nothing is known but its weights.

    Its one setting, "default", counts every firing and drops features in more than 90 % of the
    documents.
    """
    return SAEFolder(
        name=name,
        sae=sae,
        hook_point=hook_point,
        window=window,
        centred=centred,
        chunk_tokens=chunk_tokens,
        quantiles=np.zeros((sae.n_features, 1), np.float32),
        levels=(0.0,),
        density=None,
        labels=None,
        label_source={"source": None},
        settings={"default": FeatureSetting(0.0, 0.9, None)},
        estimated_on=None,
    )


def _statistics(path: Path, n_features: int) -> tuple[FloatArray, tuple[float, ...], FloatArray]:
    """Reads quantiles (F, Q), their Q levels and densities (F,).

    Raises:
        InputError: the file is damaged, or one of them is missing, of another shape or no number.
    """
    tensors = read_tensors(path)
    for name, n_axes in (("quantiles", 2), ("density", 1), ("quantile_levels", 1)):
        if name not in tensors:
            raise InputError(f"{path} has no {name}; `mtmbench features` builds it anew")
        tensor = tensors[name]
        if tensor.ndim != n_axes or tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
            raise InputError(f"{path}: {name} should be numbers in {n_axes} dimensions")
    quantiles = np.ascontiguousarray(tensors["quantiles"], np.float32)
    density = np.ascontiguousarray(tensors["density"], np.float32)
    levels = tuple(round(float(level), 6) for level in tensors["quantile_levels"])
    for what, found, right in (
        ("densities", len(density), n_features),
        ("quantile rows", len(quantiles), n_features),
        ("quantile columns", quantiles.shape[1], len(levels)),
    ):
        if found != right:
            raise InputError(f"{path.parent}: {found} {what}; expected {right}")
    return quantiles, levels, density


def _count(written: Mapping[str, object], name: str, file: Path) -> int:
    value = written.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        found = f"{name} is {reprlib.repr(value)}" if name in written else f"there is no {name}"
        raise InputError(f"{file}: {found}; it must be a whole number above 0")
    return value


def _object(written: Mapping[str, object], name: str, file: Path) -> Mapping[str, object]:
    value = written.get(name) or {}
    if not isinstance(value, dict):
        raise InputError(f"{file}: {name} is {reprlib.repr(value)}, not an object")
    return value


def _classes(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value or (), (list, tuple)):
        raise InputError(f"{where}: drop_label_classes is {reprlib.repr(value)}, not a list")
    classes = cast(Sequence[object], value or ())
    return tuple(class_name(str(name)) for name in classes)


def _limit(value: object, what: str) -> float | None:
    return None if value is None or value is False else _real(value, what)


def _real(value: object, what: str) -> float:
    number = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise InputError(f"{what} is {reprlib.repr(value)}; it must be a number")
    return number
