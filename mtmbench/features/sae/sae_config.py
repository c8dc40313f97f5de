"""``cfg.json`` of an SAE folder, as sae-lens writes it, of whatever version.

Before its version 6 sae-lens wrote what it knew of model and hook point beside the SAE's own
settings, and named some of these otherwise. Such a file is converted as sae-lens itself does
(``handle_pre_6_0_config``); it is told by its version, or by having none.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object

ARCHITECTURES = ("topk", "standard", "jumprelu", "gated")
"""BatchTopK and Matryoshka SAEs are saved as "jumprelu", which they are outside training."""

_IN_TRAINING = ("batchtopk", "matryoshka_batchtopk")

NORMALISATIONS = ("none", "layer_norm", "constant_norm_rescale")

_FIRST_NEW_VERSION = "6.0.0rc0"
_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_METADATA_KEYS = (
    "model_name", "hook_name", "model_class_name", "hook_head_index",
    "model_from_pretrained_kwargs", "prepend_bos", "exclude_special_tokens", "neuronpedia_id",
    "context_size", "seqpos_slice", "dataset_path", "sae_lens_version",
    "sae_lens_training_version", "hook_name_out", "hook_head_index_out", "hf_hook_name",
    "hf_hook_name_out",
)  # fmt: skip
"""What sae-lens's conversion takes for metadata."""


class SAEMetadata(TypedDict, total=False):
    """What a config says of model, hook and training; sae-lens may write more beside these."""

    model_name: str
    hook_name: str
    context_size: int | None
    prepend_bos: bool
    window: int
    model_from_pretrained_kwargs: Mapping[str, object] | None
    neuronpedia_id: str | None
    sae_lens_version: str


_METADATA_TYPES: Mapping[str, tuple[type, str]] = {
    "model_name": (str, "a text"),
    "hook_name": (str, "a text"),
    "context_size": (int, "a whole number above 0"),
    "prepend_bos": (bool, "true or false"),
    "window": (int, "a whole number above 0"),
    "model_from_pretrained_kwargs": (dict, "an object"),
    "neuronpedia_id": (str, "a text"),
    "sae_lens_version": (str, "a text"),
}


@dataclass(frozen=True)
class SAEConfig:
    """The settings of an SAE.

    Attributes:
        architecture: one of ``ARCHITECTURES``.
        n_inputs: H, the width of the activations that it reads.
        n_features: F.
        k: activations kept per token, for "topk".
        normalisation: one of ``NORMALISATIONS``.
        subtract_b_dec: whether ``b_dec`` is subtracted from the input.
        rescaled: whether activations are multiplied by the norms of the decoder's rows before the
            k largest are kept.
        metadata: what the config says of model, hook and training.
    """

    architecture: str
    n_inputs: int
    n_features: int
    k: int | None
    normalisation: str
    subtract_b_dec: bool
    rescaled: bool
    metadata: SAEMetadata


def read_sae_config(path: Path) -> SAEConfig:
    """Reads a ``cfg.json``.

    Raises:
        InputError: the file is missing or damaged, lacks a setting, or has one that is not known
            here; the message names file and setting.
    """
    written = read_json_object(path)
    cfg = _converted(written, path) if is_old(written, path) else written
    if "architecture" not in cfg:
        raise InputError(f"{path} has no architecture; {', '.join(ARCHITECTURES)} can be read")
    architecture = cfg["architecture"]
    if architecture not in ARCHITECTURES:
        # The nearest name is not told: an SAE that is called another kind is read wrongly.
        hint = ""
        if architecture in _IN_TRAINING:
            hint = "; it is one in training: let sae-lens write it by save_inference_model()"
        raise InputError(
            f"{path.parent}: SAE architecture {reprlib.repr(architecture)} is not known; "
            f"{', '.join(ARCHITECTURES)} can be read{hint}"
        )
    normalisation = cfg.get("normalize_activations", "none")
    if normalisation not in NORMALISATIONS:
        raise InputError(
            f"{path.parent}: normalize_activations = {reprlib.repr(normalisation)}; supported are "
            f"{', '.join(NORMALISATIONS)} (fold a scaling factor or a whitening into the weights)"
        )
    n_features = _count(cfg, "d_sae", path)
    topk = architecture == "topk"
    k = _count(cfg, "k", path) if topk else None
    if k is not None and k > n_features:
        raise InputError(f"{path}: k is {k}; it must lie between 1 and {n_features}")
    return SAEConfig(
        architecture=architecture,
        n_inputs=_count(cfg, "d_in", path),
        n_features=n_features,
        k=k,
        normalisation=normalisation,
        subtract_b_dec=_flag(cfg, "apply_b_dec_to_input", True, path),
        rescaled=topk and _flag(cfg, "rescale_acts_by_decoder_norm", False, path),
        metadata=_metadata(cfg, path),
    )


def is_old(cfg: Mapping[str, Any], where: object) -> bool:
    """Whether sae-lens takes a config for one of before its version 6.

    Raises:
        InputError: the version is none.
    """
    from packaging.version import InvalidVersion, Version

    metadata = cfg.get("metadata")
    version = cfg.get("sae_lens_version")
    if not version and isinstance(metadata, dict):
        version = metadata.get("sae_lens_version")
    if not version:
        return True
    try:
        return Version(version) < Version(_FIRST_NEW_VERSION)
    except (InvalidVersion, TypeError) as error:
        raise InputError(
            f"{where}: sae_lens_version is {reprlib.repr(version)}, which is no version"
        ) from error


def _converted(written: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Returns the config that sae-lens makes of one of before its version 6.

    Unlike sae-lens's it keeps what stands under ``metadata`` and nowhere else.
    """
    cfg = {_RENAMED.get(name, name): value for name, value in written.items()}
    cfg.setdefault("architecture", "standard")
    kwargs = cfg.get("activation_fn_kwargs")
    if not isinstance(kwargs, (dict, type(None))):
        raise InputError(f"{path}: activation_fn_kwargs is {reprlib.repr(kwargs)}, not an object")
    if cfg.get("activation_fn") == "topk":
        # Without a k sae-lens reads it as a ReLU, which it is not; here the k is asked for.
        cfg["architecture"] = "topk"
    if cfg["architecture"] == "topk" and kwargs and kwargs.get("k") is not None:
        cfg["k"] = kwargs["k"]
    normalisation = cfg.get("normalize_activations")
    if normalisation is None or normalisation is False:
        cfg["normalize_activations"] = "none"
    elif normalisation is True:
        cfg["normalize_activations"] = "expected_average_only_in"
    cfg["metadata"] = {
        "prepend_bos": True,
        "neuronpedia_id": None,
        "sae_lens_training_version": None,
        **_metadata(cfg, path),
        **{name: cfg[name] for name in _METADATA_KEYS if name in cfg},
    }
    return cfg


def _metadata(cfg: Mapping[str, Any], path: Path) -> SAEMetadata:
    metadata = cfg.get("metadata")
    if metadata is None:
        return SAEMetadata()
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: metadata is {reprlib.repr(metadata)}, not an object")
    for name, (kind, right) in _METADATA_TYPES.items():
        value = metadata.get(name)
        if value is None:
            continue
        fits = isinstance(value, kind)
        if kind is int:
            # A bool is an int to Python, not to whoever wrote the file.
            fits = fits and not isinstance(value, bool) and value > 0
        if not fits:
            raise InputError(f"{path}: {name} is {reprlib.repr(value)}; it must be {right}")
    return cast(SAEMetadata, metadata)


def _count(cfg: Mapping[str, Any], name: str, path: Path) -> int:
    if cfg.get(name) is None:
        raise InputError(f"{path} has no {name}")
    value = cfg[name]
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 1:
        raise InputError(
            f"{path}: {name} is {reprlib.repr(value)}; it must be a whole number above 0"
        )
    return int(value)


def _flag(cfg: Mapping[str, Any], name: str, default: bool, path: Path) -> bool:
    value = cfg.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{path}: {name} is {reprlib.repr(value)}; it must be true or false")
    return value
