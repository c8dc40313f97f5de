"""Folders of before sae-lens 6 as sae-lens itself reads them; configs that lack or break things."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.sae import load_sae, save_sae
from mtmbench.features.sae.sae_config import read_sae_config

H, F, K = 12, 48, 5
OLD = {
    "d_in": H, "d_sae": F, "dtype": "float32", "device": "cpu", "model_name": "gpt2-small",
    "hook_name": "blocks.1.hook_resid_pre", "hook_layer": 1, "prepend_bos": False,
    "context_size": 64, "normalize_activations": "none", "apply_b_dec_to_input": True,
    "finetuning_scaling_factor": False, "architecture": "standard", "activation_fn_str": "relu",
}  # fmt: skip
NEW = {
    "architecture": "topk", "k": K, "d_in": H, "d_sae": F, "dtype": "float32", "device": "cpu",
    "metadata": {"hook_name": "blocks.1.hook_resid_pre", "sae_lens_version": "6.1.0"},
}  # fmt: skip
GONE = object()
TOPK = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}


def tensors_of(architecture: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    tensors = {
        "W_enc": rng.normal(size=(H, F)), "W_dec": rng.normal(size=(F, H)),
        "b_dec": rng.normal(size=H) * 0.1,
    }  # fmt: skip
    names = {"gated": ["b_gate", "b_mag", "r_mag"], "jumprelu": ["b_enc", "threshold"]}
    for name in names.get(architecture, ["b_enc"]):
        tensors[name] = rng.normal(size=F) * 0.1
    return tensors


def write(folder: Path, cfg: dict[str, Any], **changes: Any) -> Path:
    """Writes a folder of a config's architecture; a change to ``GONE`` leaves a tensor out."""
    from safetensors.numpy import save_file

    tensors = tensors_of(str(cfg.get("architecture"))) | changes
    kept = {n: np.asarray(t, np.float32) for n, t in tensors.items() if t is not GONE}
    folder.mkdir()
    save_file(kept, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(cfg))
    return folder


def changed(cfg: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (cfg | changes).items() if value is not GONE}


def old(**changes: Any) -> dict[str, Any]:
    return changed(OLD, **changes)


def renamed() -> dict[str, Any]:
    """As sae-lens 2 wrote it."""
    cfg = old(hook_point="blocks.7.hook_mlp_out", hook_name=GONE, hook_point_head_index=None)
    return changed(cfg, prepend_bos=GONE, architecture=GONE, activation_fn_str=GONE)


CASES = {
    "relu": (old(), {}),
    "no architecture": (old(architecture=GONE), {}),
    "names of sae-lens 2": (renamed(), {}),
    "topk called standard": (old(**TOPK), {}),
    "topk": (old(architecture="topk", **TOPK), {}),
    "topk without an architecture": (old(architecture=GONE, **TOPK), {}),
    "topk by its new name": (
        old(architecture=GONE, activation_fn="topk", activation_fn_kwargs={"k": K + 2}), {},
    ),
    "k by kwargs alone": (old(architecture="topk", activation_fn_kwargs={"k": K}), {}),
    "k on top": (old(architecture="topk", activation_fn_str="topk", k=K), {}),
    "rescaled topk": (old(rescale_acts_by_decoder_norm=True, **TOPK), {}),
    "rescaling is topk's alone": (old(rescale_acts_by_decoder_norm=True), {}),
    "jumprelu": (old(architecture="jumprelu"), {}),
    "gated": (old(architecture="gated"), {}),
    "normalised: false": (old(normalize_activations=False), {}),
    "normalised: null": (old(normalize_activations=None), {}),
    "normalised: not said": (old(normalize_activations=GONE), {}),
    "normalised by length": (old(normalize_activations="constant_norm_rescale"), {}),
    "b_dec not subtracted": (old(apply_b_dec_to_input=False), {}),
    "a version": (old(sae_lens_version="5.10.2", sae_lens_training_version="4.4.0", **TOPK), {}),
    "before 6.0.0rc0": (old(sae_lens_version="6.0.0a3", **TOPK), {}),
    "all metadata": (
        old(
            neuronpedia_id="gpt2-small/1", dataset_path="x", hook_head_index=3,
            model_from_pretrained_kwargs={"center_writing_weights": True}, seqpos_slice=[None],
            exclude_special_tokens=True, model_class_name="HookedTransformer",
        ),
        {},
    ),
    "a scaling of ones": (old(), {"scaling_factor": np.ones(F)}),
    "version 6": (NEW, {}),
    "version 6 reads no old names": (changed(NEW, architecture="standard", **TOPK), {}),
    "version 6 on top": (changed(NEW, sae_lens_version="6.0.0rc1", metadata={}), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_old_and_new_folders_are_read_as_sae_lens_reads_them(tmp_path: Path, name: str) -> None:
    import sae_lens
    import torch

    cfg, tensors = CASES[name]
    folder = write(tmp_path / "sae", cfg, **tensors)
    peer, sae = sae_lens.SAE.load_from_disk(folder), load_sae(folder)
    inputs = torch.from_numpy(np.random.default_rng(1).normal(size=(80, H)).astype(np.float32))
    with torch.no_grad():
        expected = peer.encode(inputs).numpy()
    rows, features, values = sae.encode(inputs)
    found = np.zeros_like(expected)
    found[rows, features] = values
    assert 0.02 < (expected > 0).mean() < 0.7
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-5)
    assert sae.architecture == peer.cfg.architecture()
    assert sae.normalisation == peer.cfg.normalize_activations
    assert sae.subtract_b_dec is peer.cfg.apply_b_dec_to_input
    # sae-lens fills in its own version where a file names none.
    theirs, ours = peer.cfg.metadata.to_dict(), dict(sae.metadata)
    versions = {"sae_lens_version", "sae_lens_training_version"}
    assert {n: v for n, v in ours.items() if n not in versions} == {
        n: v for n, v in theirs.items() if n not in versions
    }
    assert all(theirs[n] == v for n, v in ours.items() if n in versions and v is not None)


def test_an_old_folder_tells_hook_point_context_and_bos(tmp_path: Path) -> None:
    metadata = load_sae(write(tmp_path / "sae", old(**TOPK))).metadata
    assert metadata["hook_name"] == "blocks.1.hook_resid_pre"
    assert metadata["prepend_bos"] is False
    assert metadata["context_size"] == 64
    assert load_sae(write(tmp_path / "two", renamed())).metadata["prepend_bos"] is True


def test_metadata_under_its_own_name_is_kept_without_a_version(tmp_path: Path) -> None:
    nested = {"hook_name": "blocks.0.hook_resid_post", "prepend_bos": False, "window": 3}
    cfg = old(hook_name=GONE, prepend_bos=GONE, context_size=32, metadata=nested)
    metadata = load_sae(write(tmp_path / "sae", cfg)).metadata
    assert {n: metadata.get(n) for n in (*nested, "context_size")} == {**nested, "context_size": 32}


def test_an_old_sae_saved_again_is_the_same_to_us_and_to_sae_lens(tmp_path: Path) -> None:
    import sae_lens

    sae = load_sae(write(tmp_path / "old", old(sae_lens_version="5.3.0", **TOPK)))
    save_sae(sae, tmp_path / "new")
    again, peer = load_sae(tmp_path / "new"), sae_lens.SAE.load_from_disk(tmp_path / "new")
    assert again.revision == sae.revision
    for name in ("hook_name", "prepend_bos", "context_size", "model_name"):
        assert again.metadata[name] == peer.cfg.metadata[name] == sae.metadata[name]


def test_weights_in_bfloat16_are_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = write(tmp_path / "sae", NEW)
    weights = {n: torch.from_numpy(t).bfloat16() for n, t in tensors_of("topk").items()}
    save_file(weights, folder / "sae_weights.safetensors")
    np.testing.assert_array_equal(load_sae(folder).w_enc, weights["W_enc"].float().numpy())


@pytest.mark.parametrize(
    ("cfg", "tensors", "unknown"),
    [
        (old(finetuning_scaling_factor=True), {"scaling_factor": np.full(F, 3)}, "scaling_factor"),
        (old(), {"scaling_factor": np.full(F, 1.01)}, "scaling_factor"),
        (old(), {"threshold": np.ones(F)}, "threshold"),
        (old(architecture="gated"), {"b_enc": np.ones(F)}, "b_enc"),
        (
            old(architecture="jumprelu"),
            {"threshold": GONE, "log_threshold": np.zeros(F)},
            "log_threshold",
        ),
        (NEW, {"a": np.ones(3), "W_skip": np.ones((H, H))}, "W_skip, a"),
    ],
    ids=["scaled", "nearly ones", "threshold", "gated", "log", "new"],
)  # fmt: skip
def test_unknown_tensors_are_refused_by_name(
    tmp_path: Path, cfg: dict[str, Any], tensors: dict[str, Any], unknown: str
) -> None:
    import sae_lens

    folder = write(tmp_path / "sae", cfg, **tensors)
    with pytest.raises((RuntimeError, ValueError)):
        sae_lens.SAE.load_from_disk(folder)
    with pytest.raises(InputError, match=rf"safetensors: {unknown} in it is nothing that a"):
        load_sae(folder)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (changed(NEW, architecture=GONE), "has no architecture"),
        (changed(NEW, architecture=["topk"]), r"SAE architecture \['topk'\] is not known"),
        (
            changed(NEW, architecture="abstopk"),
            "'abstopk' is not known; topk, standard, jumprelu, gated can be read$",
        ),
        (changed(NEW, architecture="jumprelu_transcoder"), "'jumprelu_transcoder' .* be read$"),
        (
            changed(NEW, architecture="batchtopk"),
            r"'batchtopk' is not known; .* let sae-lens write it by save_inference_model\(\)$",
        ),
        (changed(NEW, d_in=GONE), "has no d_in"),
        (changed(NEW, d_sae=None), "has no d_sae"),
        (changed(NEW, d_sae="48"), "d_sae is '48'; it must be a whole number above 0"),
        (changed(NEW, d_in=-H), "d_in is -12"),
        (changed(NEW, d_in=True), "d_in is True"),
        (changed(NEW, d_in=float("inf")), "d_in is inf"),
        (changed(NEW, k=GONE), "has no k"),
        (changed(NEW, k=F + 1), "k is 49; it must lie between 1 and 48"),
        (changed(NEW, k=2.5), r"k is 2\.5"),
        (changed(NEW, apply_b_dec_to_input="no"), "apply_b_dec_to_input is 'no'"),
        (changed(NEW, rescale_acts_by_decoder_norm=1), "rescale_acts_by_decoder_norm is 1"),
        (changed(NEW, normalize_activations=None), "normalize_activations = None"),
        (changed(NEW, normalize_activations={}), "normalize_activations = {}"),
        (old(normalize_activations=True), "= 'expected_average_only_in'"),
        (old(activation_fn_str="topk"), "has no k"),
        (old(activation_fn_str="topk", activation_fn_kwargs=7), "activation_fn_kwargs is 7"),
        (changed(NEW, metadata=[1]), r"metadata is \[1\], not an object"),
        (changed(NEW, sae_lens_version="six"), "sae_lens_version is 'six', which is no version"),
        (changed(NEW, sae_lens_version=6), "sae_lens_version is 6, which is no version"),
        (old(prepend_bos="false"), "prepend_bos is 'false'; it must be true or false"),
        (old(context_size="64"), "context_size is '64'; it must be a whole number"),
        (old(context_size=-1), "context_size is -1; it must be a whole number above 0"),
        (old(hook_name=3), "hook_name is 3; it must be a text"),
        (old(model_from_pretrained_kwargs=[]), r"model_from_pretrained_kwargs is \[\]"),
        ([1], "is not a JSON object"),
    ],
    ids=str,
)
def test_what_a_config_lacks_or_has_wrong_is_named(tmp_path: Path, cfg: Any, message: str) -> None:
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    with pytest.raises(InputError, match=message) as raised:
        read_sae_config(tmp_path / "cfg.json")
    assert "\n" not in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_a_bos_that_is_null_says_nothing(tmp_path: Path, tiny_model: Any) -> None:
    folder = write(tmp_path / "sae", old(prepend_bos=None))
    source = ModelFeatures(str(tiny_model("gpt2")[0]), {"mine": {"folder": str(folder)}})
    assert source.backbone.describe()["specials"] == [[50], []]
