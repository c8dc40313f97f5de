"""Sparse autoencoders in sae-lens's own folder format, read without importing sae-lens.

A folder holds ``cfg.json`` and ``sae_weights.safetensors`` (``SAE.load_from_disk`` reads it too).
The shipped ones also have ``features.safetensors`` (quantiles of each feature's non-zero
activations over the training text, density on it), ``labels.json`` and ``settings.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.errors import InputError, UnknownNameError, did_you_mean
from mtmbench.features.labels import class_name
from mtmbench.serialise import content_hash
from mtmbench.types import EncoderParams, FloatArray, IntArray

if TYPE_CHECKING:
    import torch

ARCHITECTURES = ("topk", "standard", "jumprelu", "gated")
"""BatchTopK and Matryoshka SAEs are saved as "jumprelu", which they are outside training."""

NORMALISATIONS = ("none", "layer_norm", "constant_norm_rescale")


@dataclass(frozen=True, eq=False)
class SAE:
    """An SAE's weights; decoder-norm rescaling, where the config asks for it, is folded in.

    Attributes:
        architecture: "topk", "standard" (ReLU), "jumprelu" or "gated".
        w_enc: (H, F) f32.
        b_enc: (F,) f32; a gated SAE's gate bias.
        w_dec: (F, H) f32; its rows are the features' directions.
        b_dec: (H,) f32.
        subtract_b_dec: whether ``b_dec`` is subtracted from the input.
        k: activations kept per token, for "topk".
        threshold: (F,) f32, for "jumprelu".
        metadata: what the config says of model, hook and training.
        magnitude: r_mag and b_mag, each (F,) f32, for "gated": an open gate lets
            ``ReLU(x @ (w_enc · exp(r_mag)) + b_mag)`` through.
        normalisation: what is done to each input first: "none", "layer_norm" (mean 0, standard
            deviation 1) or "constant_norm_rescale" (length √H).
    """

    architecture: str
    w_enc: FloatArray
    b_enc: FloatArray
    w_dec: FloatArray
    b_dec: FloatArray
    subtract_b_dec: bool
    k: int | None
    threshold: FloatArray | None
    metadata: Mapping[str, Any]
    magnitude: tuple[FloatArray, FloatArray] | None = None
    normalisation: str = "none"

    @property
    def n_features(self) -> int:
        """F, the number of features."""
        return int(self.w_enc.shape[1])

    @property
    def n_inputs(self) -> int:
        """H, the width of the activations that it reads."""
        return int(self.w_enc.shape[0])

    @cached_property
    def revision(self) -> str:
        """Content hash of architecture and weights in f32, however they are stored."""
        more: list[Any] = [] if self.magnitude is None else [*self.magnitude]
        if self.normalisation != "none":
            more = [*more, self.normalisation]
        return content_hash(
            self.architecture, self.k, self.subtract_b_dec, self.w_enc, self.b_enc, self.w_dec,
            self.b_dec, None if self.threshold is None else self.threshold, *more,
        )  # fmt: skip

    @cached_property
    def directions(self) -> FloatArray:
        """(F, H) f32 decoder rows of length one (a zero row stays zero)."""
        norms = np.linalg.norm(self.w_dec, axis=1, keepdims=True)
        unit: FloatArray = np.divide(
            self.w_dec, norms, out=np.zeros_like(self.w_dec), where=norms > 0
        )
        return unit

    @cached_property
    def encoder(self) -> EncoderParams:
        """The pre-activation ``(a − subtract) @ weight + bias`` of all features.

        For a gated SAE that of its gates; ``a`` is the normalised input where there is a
        normalisation.
        """
        subtract = self.b_dec if self.subtract_b_dec else np.zeros_like(self.b_dec)
        return EncoderParams(self.w_enc, self.b_enc, subtract)

    def encode(self, activations: torch.Tensor) -> tuple[IntArray, NDArray[np.int32], FloatArray]:
        """Encodes (N, H) f32 activations; returns row, feature and value of every one above zero.

        Only this batch's (N, F) pre-activations exist at a time.
        """
        import torch

        w_enc, b_enc, subtract = self._tensors
        with torch.inference_mode():
            pre = torch.addmm(b_enc, self.normalise(activations) - subtract, w_enc)
            if self.architecture == "topk":
                assert self.k is not None
                values, features = torch.topk(pre, self.k, dim=1, sorted=False)
                rows, slots = torch.nonzero(values > 0, as_tuple=True)
                features, values = features[rows, slots], values[rows, slots]
            else:
                fires = pre > 0
                if self.threshold is not None:
                    fires &= pre > torch.from_numpy(self.threshold)
                rows, features = torch.nonzero(fires, as_tuple=True)
                values = pre[rows, features]
            if self.magnitude is not None:
                r_mag, b_mag = (torch.from_numpy(part) for part in self.magnitude)
                linear = values - b_enc[features]
                values = linear * r_mag.exp()[features] + b_mag[features]
                positive = values > 0
                rows, features, values = rows[positive], features[positive], values[positive]
        return rows.numpy(), features.to(torch.int32).numpy(), values.numpy()

    def normalise(self, activations: torch.Tensor) -> torch.Tensor:
        """Returns (N, H) inputs as the SAE was trained on them, before ``b_dec`` is subtracted."""
        if self.normalisation == "layer_norm":
            centred: torch.Tensor = activations - activations.mean(dim=-1, keepdim=True)
            # sae-lens's, and with it the SAE's: the sample standard deviation, and this epsilon.
            deviation: torch.Tensor = centred.std(dim=-1, keepdim=True)
            return centred / (deviation + 1e-5)
        if self.normalisation == "constant_norm_rescale":
            scale: torch.Tensor = (self.n_inputs**0.5) / activations.norm(dim=-1, keepdim=True)
            return activations * scale
        return activations

    @cached_property
    def _tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        import torch

        parts = self.encoder
        return (
            torch.from_numpy(parts.weight),
            torch.from_numpy(parts.bias),
            torch.from_numpy(parts.subtract),
        )


@dataclass(frozen=True)
class FeatureSetting:
    """How firings become counts.

    Attributes:
        threshold_quantile: level of the thresholds q_i among a feature's non-zero activations.
        max_doc_share: features in more than this share of the documents are dropped; None is off.
        max_density_multiple: features that fire on the training text more than this many times
            as often as the SAE's mean feature are dropped; None is off.
        drop_label_classes: features whose label is of one of these classes are dropped
            (:mod:`mtmbench.features.labels`).
    """

    threshold_quantile: float = 0.8
    max_doc_share: float | None = 0.9
    max_density_multiple: float | None = 2.7
    drop_label_classes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            "threshold_quantile": self.threshold_quantile,
            "max_doc_share": self.max_doc_share,
            "max_density_multiple": self.max_density_multiple,
            "drop_label_classes": list(self.drop_label_classes),
        }


@dataclass(frozen=True, eq=False)
class SAEFolder:
    """An SAE with what is known of its features.

    Attributes:
        name: the folder's name.
        sae: the weights.
        window: tokens of the centred window whose mean activation is encoded; 1 is per token.
        layer: number of the layer whose output it reads, from 1.
        chunk_tokens: tokens of a chunk of text, specials excluded.
        quantiles: (F, Q) f32, quantiles of each feature's non-zero activations.
        levels: Q quantile levels; level 0 stands for threshold 0.
        density: (F,) f32, share of the training tokens on which a feature fires.
        labels: F labels.
        settings: named feature settings.
        estimated_on: the text from which quantiles and densities come.
    """

    name: str
    sae: SAE
    window: int
    layer: int
    chunk_tokens: int
    quantiles: FloatArray
    levels: tuple[float, ...]
    density: FloatArray
    labels: tuple[str, ...]
    settings: Mapping[str, FeatureSetting]
    estimated_on: str

    @cached_property
    def revision(self) -> str:
        """Content hash of the weights and of all that filters and thresholds read."""
        return content_hash(
            self.sae.revision, self.window, self.layer, self.chunk_tokens, self.quantiles,
            list(self.levels), self.density, list(self.labels),
        )  # fmt: skip

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
        raise InputError(
            f"SAE {self.name!r} has no quantile level {level}; it has "
            f"{', '.join(f'{known:g}' for known in self.levels)}"
        )


def setting_from(values: Mapping[str, Any], base: FeatureSetting, where: str) -> FeatureSetting:
    """Returns ``base`` with some fields replaced; a filter given as false or null is off.

    Args:
        values: fields of :class:`FeatureSetting` by name.
        base: the setting that is changed.
        where: what the values come from, for error messages.

    Raises:
        InputError: a key is not known or a value is out of range.
    """
    known = base.as_dict()
    for name in values:
        if name not in known:
            raise InputError(f"{where}: unknown key {name!r}{did_you_mean(name, known)}")
    merged = {**known, **values}
    classes = merged["drop_label_classes"] or ()
    setting = FeatureSetting(
        threshold_quantile=float(merged["threshold_quantile"]),
        max_doc_share=_limit(merged["max_doc_share"]),
        max_density_multiple=_limit(merged["max_density_multiple"]),
        drop_label_classes=tuple(class_name(name) for name in classes),
    )
    for name in ("max_doc_share", "max_density_multiple"):
        limit = getattr(setting, name)
        if limit is not None and limit <= 0:
            raise InputError(f"{where}: {name} is {limit}; it must be above 0, or false for off")
    return setting


def load_sae(folder: Path) -> SAE:
    """Reads ``cfg.json`` and ``sae_weights.safetensors``; weights come out as f32.

    Raises:
        InputError: a file is missing or damaged, the architecture or an option is not known here,
            or shapes do not agree; the message names the folder.
    """
    cfg = _read_json(folder / "cfg.json")
    architecture = cfg.get("architecture")
    if architecture not in ARCHITECTURES:
        hint = did_you_mean(str(architecture), ARCHITECTURES)
        raise InputError(f"{folder}: SAE architecture {architecture!r} is not known{hint}")
    normalisation = cfg.get("normalize_activations", "none")
    if normalisation not in NORMALISATIONS:
        raise InputError(
            f"{folder}: normalize_activations = {normalisation!r}; supported are "
            f"{', '.join(NORMALISATIONS)} (fold a scaling factor or a whitening into the weights)"
        )
    tensors = {
        name: np.ascontiguousarray(tensor, np.float32)
        for name, tensor in _read_tensors(folder / "sae_weights.safetensors").items()
    }
    n_inputs, n_features = int(cfg["d_in"]), int(cfg["d_sae"])
    shapes: dict[str, tuple[int, ...]] = {
        "W_enc": (n_inputs, n_features), "b_enc": (n_features,),
        "W_dec": (n_features, n_inputs), "b_dec": (n_inputs,),
    }  # fmt: skip
    for name in _MORE_TENSORS.get(architecture, ()):
        shapes[name] = (n_features,)
    if architecture == "gated":
        del shapes["b_enc"]
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            found = tensors[name].shape if name in tensors else "nothing"
            raise InputError(f"{folder}: {name} should be of shape {shape}; found {found}")
    k = int(cfg["k"]) if architecture == "topk" else None
    if k is not None and not 1 <= k <= n_features:
        raise InputError(f"{folder}: k is {k}; it must lie between 1 and {n_features}")
    gated = architecture == "gated"
    w_enc, b_enc = tensors["W_enc"], tensors["b_gate" if gated else "b_enc"]
    if cfg.get("rescale_acts_by_decoder_norm", False):
        norms = np.linalg.norm(tensors["W_dec"], axis=1)
        w_enc, b_enc = w_enc * norms, b_enc * norms
    return SAE(
        architecture=architecture,
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=tensors["W_dec"],
        b_dec=tensors["b_dec"],
        subtract_b_dec=bool(cfg.get("apply_b_dec_to_input", True)),
        k=k,
        threshold=tensors.get("threshold") if architecture == "jumprelu" else None,
        metadata=cfg.get("metadata") or {},
        magnitude=(tensors["r_mag"], tensors["b_mag"]) if gated else None,
        normalisation=normalisation,
    )


def load_sae_folder(folder: Path) -> SAEFolder:
    """Reads an SAE with its features' quantiles, densities, labels and settings.

    Raises:
        InputError: a file is missing or damaged, or the files disagree; the message names it.
    """
    sae = load_sae(folder)
    features = _read_tensors(folder / "features.safetensors")
    labels = _read_json(folder / "labels.json")
    written = _read_json(folder / "settings.json")
    quantiles = np.ascontiguousarray(features["quantiles"], np.float32)
    density = np.ascontiguousarray(features["density"], np.float32)
    levels = tuple(round(float(level), 6) for level in features["quantile_levels"])
    for what, found, right in (
        ("labels", len(labels), sae.n_features),
        ("densities", len(density), sae.n_features),
        ("quantile rows", len(quantiles), sae.n_features),
        ("quantile columns", quantiles.shape[1], len(levels)),
    ):
        if found != right:
            raise InputError(f"{folder}: {found} {what}; expected {right}")
    return SAEFolder(
        name=folder.name,
        sae=sae,
        window=int(written["window"]),
        layer=int(written["layer"]),
        chunk_tokens=int(written["chunk_tokens"]),
        quantiles=quantiles,
        levels=levels,
        density=density,
        labels=tuple(str(label) for label in labels),
        settings={
            name: setting_from(written[name], FeatureSetting(), f"{folder}/settings.json")
            for name in ("default", "paper")
            if name in written
        },
        estimated_on=str((written.get("training") or {}).get("text", "the SAE's training text")),
    )


_MORE_TENSORS = {"jumprelu": ("threshold",), "gated": ("b_gate", "r_mag", "b_mag")}


def _limit(value: Any) -> float | None:
    return None if value is None or value is False else float(value)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


def _read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
