"""Sparse autoencoders in sae-lens's own folder format, read without importing sae-lens.

A folder holds ``cfg.json`` and ``sae_weights.safetensors``; ``SAE.load_from_disk`` reads it too.
One with ``params.npz`` in their place is read as :mod:`.gemma_scope` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_tensors
from mtmbench.core.serialise import content_hash, write_atomically
from mtmbench.core.types import AnyArray, EncoderParams, FloatArray, Int32Array, IntArray
from mtmbench.features.sae.gemma_scope import PARAMS, read_gemma_scope
from mtmbench.features.sae.sae_config import SAEConfig, SAEMetadata, is_old, read_sae_config

if TYPE_CHECKING:
    import torch

ENCODED_CELLS = 2**26
"""Pre-activations that exist at a time: 256 MiB in f32, twice that in f64."""


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
    metadata: SAEMetadata
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
        more: list[object] = [] if self.magnitude is None else [*self.magnitude]
        if self.normalisation != "none":
            more = [*more, self.normalisation]
        return content_hash(
            self.architecture, self.k, self.subtract_b_dec, self.w_enc, self.b_enc, self.w_dec,
            self.b_dec, None if self.threshold is None else self.threshold, *more,
        )  # fmt: skip

    @cached_property
    def directions(self) -> FloatArray:
        """(F, H) f32 decoder rows of length one (a zero row stays zero)."""
        # In f64, whose sums round to the same f32 in whatever order a processor adds them.
        rows = self.w_dec.astype(np.float64)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: FloatArray = np.divide(rows, norms, out=rows, where=norms > 0).astype(np.float32)
        return unit

    @cached_property
    def encoder(self) -> EncoderParams:
        """The pre-activation ``(a − subtract) @ weight + bias`` of all features.

        For a gated SAE that of its gates; ``a`` is the normalised input where there is a
        normalisation.
        """
        subtract = self.b_dec if self.subtract_b_dec else np.zeros_like(self.b_dec)
        return EncoderParams(self.w_enc, self.b_enc, subtract)

    def encode(self, activations: torch.Tensor) -> tuple[IntArray, Int32Array, FloatArray]:
        """Encodes (N, H) activations; returns row, feature and value of every one above zero.

        Pre-activations, and the choice of what fires, have the precision of the activations, f32 or
        f64; values are f32. Rows are rising. Dense pre-activations exist for at most
        ``ENCODED_CELLS`` (row, feature) pairs at a time, however many rows come. On the device of
        the activations.
        """
        import torch

        step = max(1, ENCODED_CELLS // self.n_features)
        with torch.inference_mode():
            parts = [
                self._encode(activations[first : first + step], first)
                for first in range(0, len(activations), step)
            ]
            rows, features, values = (torch.cat(part) for part in zip(*parts, strict=True))
        return rows.numpy(), features.numpy(), values.to(torch.float32).numpy()

    def _encode(
        self, activations: torch.Tensor, first: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        import torch

        w_enc, b_enc, subtract, threshold = self._tensors(activations.device, activations.dtype)
        # The product and then the bias, as sae-lens does: addmm would round differently.
        pre = ((self.normalise(activations) - subtract) @ w_enc).add_(b_enc)
        if self.architecture == "topk":
            assert self.k is not None
            values, features = torch.topk(pre, self.k, dim=1, sorted=False)
            rows, slots = torch.nonzero(values > 0, as_tuple=True)
            features, values = features[rows, slots], values[rows, slots]
        else:
            # Thresholds below zero do not let negative values through.
            limit = 0.0 if threshold is None else threshold.clamp(min=0)
            rows, features = torch.nonzero(pre > limit, as_tuple=True)
            values = pre[rows, features]
        if self.magnitude is not None:
            r_mag, b_mag = (torch.from_numpy(part).to(pre) for part in self.magnitude)
            linear = values - b_enc[features]
            values = linear * r_mag.exp()[features] + b_mag[features]
            positive = values > 0
            rows, features, values = rows[positive], features[positive], values[positive]
        return (rows + first).cpu(), features.to(torch.int32).cpu(), values.cpu()

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

    def _tensors(self, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        """Weight, bias, what is subtracted, and threshold on a device, in a precision."""
        import torch

        key = device, dtype
        if key not in self._on_device:
            parts = self.encoder
            arrays = (parts.weight, parts.bias, parts.subtract, self.threshold)
            self._on_device[key] = tuple(
                None if array is None else torch.from_numpy(array).to(device, dtype)  # type: ignore[misc]
                for array in arrays
            )
        return self._on_device[key]

    @cached_property
    def _on_device(self) -> dict[tuple[torch.device, torch.dtype], tuple[torch.Tensor, ...]]:
        return {}


def load_sae(folder: Path) -> SAE:
    """Reads a folder of sae-lens's, or of Gemma Scope's; weights come out as f32.

    Folders of before sae-lens 6 are read as it reads them; see :mod:`.sae_config`.

    Raises:
        InputError: a file is missing or damaged, the architecture or an option is not known here,
            a tensor is not, or shapes do not agree; the message names the folder.
    """
    config, params = folder / "cfg.json", folder / PARAMS
    if config.exists():
        cfg, weights = read_sae_config(config), folder / "sae_weights.safetensors"
        tensors = _checked(read_tensors(weights), weights, cfg)
    elif params.exists():
        cfg, arrays = read_gemma_scope(params)
        tensors = _checked(arrays, params, cfg)
    else:
        raise InputError(
            f"{folder} holds no SAE: neither sae-lens's cfg.json nor Gemma Scope's {PARAMS}"
            + ("" if folder.is_dir() else "; there is no such folder")
        )
    gated = cfg.architecture == "gated"
    w_enc, b_enc = tensors["W_enc"], tensors["b_gate" if gated else "b_enc"]
    if cfg.rescaled:
        norms = np.linalg.norm(tensors["W_dec"], axis=1)
        w_enc, b_enc = w_enc * norms, b_enc * norms
    return SAE(
        architecture=cfg.architecture,
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=tensors["W_dec"],
        b_dec=tensors["b_dec"],
        subtract_b_dec=cfg.subtract_b_dec,
        k=cfg.k,
        threshold=tensors.get("threshold"),
        metadata=cfg.metadata,
        magnitude=(tensors["r_mag"], tensors["b_mag"]) if gated else None,
        normalisation=cfg.normalisation,
    )


def save_sae(sae: SAE, folder: Path, *, half: bool = False) -> None:
    """Writes an SAE in sae-lens's format; a decoder-norm rescaling stays folded in.

    Args:
        sae: the SAE.
        folder: made if need be.
        half: whether weights are written in float16.
    """
    from safetensors.numpy import save

    gated = sae.architecture == "gated"
    tensors = {"W_enc": sae.w_enc, "W_dec": sae.w_dec, "b_dec": sae.b_dec}
    tensors["b_gate" if gated else "b_enc"] = sae.b_enc
    if sae.threshold is not None:
        tensors["threshold"] = sae.threshold
    if sae.magnitude is not None:
        tensors["r_mag"], tensors["b_mag"] = sae.magnitude
    kind = np.float16 if half else np.float32
    metadata: SAEMetadata = {"sae_lens_version": "6.0.0", **sae.metadata}
    # With an older version, or none, sae-lens takes the file for one of before its version 6.
    if is_old({"metadata": metadata}, folder):
        metadata["sae_lens_version"] = "6.0.0"
    cfg = {
        "architecture": sae.architecture,
        "d_in": sae.n_inputs,
        "d_sae": sae.n_features,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": sae.subtract_b_dec,
        "normalize_activations": sae.normalisation,
        "reshape_activations": "none",
        "metadata": metadata,
    }
    if sae.k is not None:
        cfg.update(k=sae.k, rescale_acts_by_decoder_norm=False)
    data = {name: np.ascontiguousarray(array, kind) for name, array in tensors.items()}
    write_atomically(folder / "sae_weights.safetensors", save(data))
    write_atomically(folder / "cfg.json", json.dumps(cfg, indent=2, sort_keys=True) + "\n")


def _checked(stored: Mapping[str, AnyArray], path: Path, cfg: SAEConfig) -> dict[str, FloatArray]:
    """Returns the tensors that an architecture has, and no others, in f32.

    Raises:
        InputError: one is missing, of another shape, or not known.
    """
    tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in stored.items()}
    # sae-lens drops a scaling that scales nothing, and refuses any other.
    if "scaling_factor" in tensors and np.allclose(tensors["scaling_factor"], 1):
        del tensors["scaling_factor"]
    shapes = _shapes(cfg)
    unknown = sorted(tensors.keys() - shapes.keys())
    if unknown:
        raise InputError(
            f"{path}: {', '.join(unknown)} in it is nothing that a {cfg.architecture} SAE has; "
            f"known are {', '.join(shapes)}"
        )
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            found = tensors[name].shape if name in tensors else "nothing"
            raise InputError(f"{path.parent}: {name} should be of shape {shape}; found {found}")
    return tensors


def _shapes(cfg: SAEConfig) -> dict[str, tuple[int, ...]]:
    n_inputs, n_features = cfg.n_inputs, cfg.n_features
    shapes: dict[str, tuple[int, ...]] = {
        "W_enc": (n_inputs, n_features), "b_enc": (n_features,),
        "W_dec": (n_features, n_inputs), "b_dec": (n_inputs,),
    }  # fmt: skip
    if cfg.architecture == "gated":
        del shapes["b_enc"]
    more = {"jumprelu": ("threshold",), "gated": ("b_gate", "r_mag", "b_mag")}
    return shapes | dict.fromkeys(more.get(cfg.architecture, ()), (n_features,))
