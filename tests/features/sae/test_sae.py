"""SAE folders against sae-lens's own loader, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import FloatArray
from mtmbench.features.filters import FeatureSetting
from mtmbench.features.sae.sae import SAE, load_sae
from mtmbench.features.sae.sae_folder import load_sae_folder

H, F, K = 24, 96, 6


def dense(sae: Any, inputs: FloatArray) -> FloatArray:
    import torch

    rows, features, values = sae.encode(torch.from_numpy(inputs))
    found = np.zeros((len(inputs), sae.n_features), np.float32)
    found[rows, features] = values
    assert np.count_nonzero(found) == len(values)
    return found


def write_sae(folder: Path, seed: int = 0, half: bool = False, **changes: Any) -> Path:
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    cfg = {
        "architecture": "topk", "k": K, "d_in": H, "d_sae": F, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none", "rescale_acts_by_decoder_norm": False,
        "metadata": {"hook_name": "blocks.5.hook_resid_post"}, **changes,
    }  # fmt: skip
    tensors = {
        "W_enc": rng.normal(size=(H, F)), "b_enc": rng.normal(size=F) * 0.1,
        "W_dec": rng.normal(size=(F, H)), "b_dec": rng.normal(size=H),
    }  # fmt: skip
    if cfg["architecture"] == "jumprelu":
        tensors["threshold"] = rng.uniform(0.5, 6.0, F)
    kind = np.float16 if half else np.float32
    save_file({n: t.astype(kind) for n, t in tensors.items()}, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(cfg))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"half": True},
        {"apply_b_dec_to_input": False},
        {"rescale_acts_by_decoder_norm": True},
        {"architecture": "standard"},
        {"architecture": "jumprelu"},
    ],
    ids=str,
)
def test_encodings_equal_sae_lens(tmp_path: Path, changes: dict[str, Any]) -> None:
    import sae_lens
    import torch

    folder = write_sae(tmp_path / "sae", **changes)
    inputs = np.random.default_rng(1).normal(size=(200, H)).astype(np.float32)
    peer = sae_lens.SAE.load_from_disk(folder)
    with torch.no_grad():
        expected = peer.encode(torch.from_numpy(inputs)).numpy()
    sae = load_sae(folder)
    found = dense(sae, inputs)
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)
    if sae.architecture == "topk":
        assert (found > 0).sum(axis=1).max() == K
    directions = peer.W_dec.detach().numpy()
    np.testing.assert_allclose(
        sae.directions, directions / np.linalg.norm(directions, axis=1, keepdims=True), atol=1e-6
    )
    parts = sae.encoder
    pre = (inputs - parts.subtract) @ parts.weight + parts.bias
    np.testing.assert_allclose(pre[expected > 0], expected[expected > 0], rtol=1e-4, atol=1e-4)


def sae_lens_made(kind: str, folder: Path, **options: Any) -> Any:
    """Has sae-lens itself make, randomise and save an SAE; returns what it loads from the folder.

    BatchTopK and Matryoshka are saved by sae-lens as they are used, as JumpReLU.
    """
    import sae_lens
    import torch

    saes = sae_lens.saes
    training = {
        "batchtopk": (saes.BatchTopKTrainingSAE, saes.BatchTopKTrainingSAEConfig, {"k": K}),
        "matryoshka": (
            saes.MatryoshkaBatchTopKTrainingSAE,
            saes.MatryoshkaBatchTopKTrainingSAEConfig,
            {"k": K, "matryoshka_widths": [F // 4, F]},
        ),
    }
    plain = {
        "standard": (saes.StandardSAE, saes.StandardSAEConfig, {}),
        "topk": (saes.TopKSAE, saes.TopKSAEConfig, {"k": K}),
        "jumprelu": (saes.JumpReLUSAE, saes.JumpReLUSAEConfig, {}),
        "gated": (saes.GatedSAE, saes.GatedSAEConfig, {}),
    }
    make, config, more = {**plain, **training}[kind]
    torch.manual_seed(0)
    sae = make(config(d_in=H, d_sae=F, **more, **options))
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (1.0 if parameter.ndim == 2 else 0.3))
            if name == "threshold":
                parameter.copy_(torch.rand_like(parameter) * 5)
        if kind in training:
            sae.topk_threshold.fill_(4.0)
    (sae.save_inference_model if kind in training else sae.save_model)(folder)
    return sae_lens.SAE.load_from_disk(folder)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("standard", {}),
        ("topk", {}),
        ("topk", {"rescale_acts_by_decoder_norm": True}),
        ("jumprelu", {}),
        ("gated", {}),
        ("batchtopk", {}),
        ("matryoshka", {}),
        ("standard", {"normalize_activations": "layer_norm"}),
        ("gated", {"normalize_activations": "layer_norm", "apply_b_dec_to_input": False}),
        ("standard", {"normalize_activations": "constant_norm_rescale"}),
    ],
    ids=str,
)
def test_what_sae_lens_saves_is_read_and_encodes_alike(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    import torch

    peer = sae_lens_made(kind, tmp_path / "sae", **options)
    sae = load_sae(tmp_path / "sae")
    inputs = np.random.default_rng(1).normal(size=(300, H)).astype(np.float32)
    with torch.no_grad():
        expected = peer.encode(torch.from_numpy(inputs)).numpy()
    found = dense(sae, inputs)
    assert 0.01 < (expected > 0).mean() < 0.7
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-5)


def test_the_revision_is_that_of_the_weights(tmp_path: Path) -> None:
    first = load_sae(write_sae(tmp_path / "a"))
    assert load_sae(write_sae(tmp_path / "b")).revision == first.revision
    assert load_sae(write_sae(tmp_path / "c", seed=1)).revision != first.revision
    assert load_sae(write_sae(tmp_path / "d", k=K + 1)).revision != first.revision


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "jumpreluu"}, "'jumpreluu' is not known; topk, "),
        ({"normalize_activations": "covariance_whitening"}, "= 'covariance_whitening'"),
        ({"d_sae": F + 1}, "W_enc should be of shape"),
        ({"k": 0}, "k is 0"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_sae(write_sae(tmp_path / "sae", **changes))


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cfg\.json"):
        load_sae(tmp_path)
    folder = write_sae(tmp_path / "sae")
    weights = folder / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match="sae_weights"):
        load_sae(folder)


def test_the_shipped_folder_agrees_with_itself() -> None:
    from mtmbench.features.sae.shipped import MINILM_SAES

    shipped = load_sae_folder(MINILM_SAES.path())
    n = shipped.sae.n_features
    assert shipped.quantiles.shape == (n, len(shipped.levels))
    assert (shipped.thresholds(0.0) == 0).all()
    assert (np.diff(shipped.quantiles, axis=1) >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(shipped.sae.directions, axis=1), 1, atol=1e-5)
    assert shipped.sae.k is not None
    assert shipped.density.sum() <= shipped.sae.k + 1e-3
    assert isinstance(shipped.setting("default"), FeatureSetting)
    with pytest.raises(InputError, match=r"no quantile level 0\.123"):
        shipped.thresholds(0.123)
    with pytest.raises(UnknownNameError, match="did you mean 'default'"):
        shipped.setting("defualt")


SHIPPED_FEATURES = ("quantiles", "density", "quantile_levels")


@pytest.fixture
def built_folder(tmp_path: Path) -> Path:
    """A small folder with everything in it."""
    from safetensors.numpy import save_file

    folder = write_sae(tmp_path / "built")
    statistics = {
        "quantiles": np.ones((F, 2), np.float32),
        "density": np.full(F, 0.1, np.float32),
        "quantile_levels": np.array([0, 0.8], np.float32),
    }
    save_file(statistics, folder / "features.safetensors")
    (folder / "labels.json").write_text(json.dumps([f"feature {i}" for i in range(F)]))
    (folder / "settings.json").write_text(
        json.dumps({"window": 1, "chunk_tokens": 20, "default": {"threshold_quantile": 0.8}})
    )
    assert load_sae_folder(folder).setting("default").threshold_quantile == 0.8
    return folder


@pytest.mark.parametrize("name", SHIPPED_FEATURES)
@pytest.mark.parametrize("damage", ["gone", "nan", "flat", "whole"])
def test_statistics_that_are_missing_or_no_numbers_are_named(
    built_folder: Path, name: str, damage: str
) -> None:
    from safetensors.numpy import load_file, save_file

    path = built_folder / "features.safetensors"
    tensors = load_file(path)
    broken = {
        "nan": tensors[name] * np.nan, "flat": tensors[name].reshape(1, 1, -1),
        "whole": tensors[name].astype(np.int64),
    }  # fmt: skip
    kept = {other: tensor for other, tensor in tensors.items() if other != name}
    save_file(kept if damage == "gone" else {**kept, name: broken[damage]}, path)
    message = f"has no {name}; `mtmbench features`" if damage == "gone" else f"{name} should be"
    with pytest.raises(InputError, match=message):
        load_sae_folder(built_folder)


def test_a_file_of_no_tensors_is_named(built_folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file({}, built_folder / "features.safetensors")
    with pytest.raises(InputError, match="has no quantiles"):
        load_sae_folder(built_folder)
    save_file({}, built_folder / "sae_weights.safetensors")
    with pytest.raises(InputError, match=r"W_enc should be of shape .* found nothing"):
        load_sae(built_folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "there is no window; it must be a whole number above 0"),
        ({"window": 1}, "there is no chunk_tokens"),
        ({"window": "1", "chunk_tokens": 20}, "window is '1'"),
        ({"window": 0, "chunk_tokens": 20}, "window is 0"),
        ({"window": 1, "chunk_tokens": 20, "default": [1]}, r"default is \[1\], not an object"),
        ({"window": 1, "chunk_tokens": 20, "reference": "x"}, "reference is 'x', not an object"),
    ],
    ids=str,
)
def test_settings_that_are_missing_or_wrong_are_named(
    built_folder: Path, settings: dict[str, Any], message: str
) -> None:
    (built_folder / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=message):
        load_sae_folder(built_folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("threshold_quantile", None, "threshold_quantile is None; it must be a number"),
        ("threshold_quantile", [0.8], r"threshold_quantile is \[0\.8\]"),
        ("max_doc_share", "half", "max_doc_share is 'half'"),
        ("max_doc_share", float("nan"), "max_doc_share is nan"),
        ("min_label_score", {}, "min_label_score is {}"),
        ("drop_label_classes", 3, "drop_label_classes is 3, not a list"),
    ],
)
def test_fields_of_a_setting_that_are_wrong_are_named(
    name: str, value: object, message: str
) -> None:
    from mtmbench.features.sae.sae_folder import setting_from

    with pytest.raises(InputError, match=f"here: {message}"):
        setting_from({name: value}, FeatureSetting(), "here")


def test_a_choice_between_near_pre_activations_has_the_precision_of_the_input() -> None:
    import torch

    weights = np.array([[1.0, 1.0]], np.float32)
    bias = np.array([0.0, 1e-9], np.float32)
    sae = SAE("topk", weights, bias, weights.T.copy(), np.zeros(1, np.float32), False, 1, None, {})
    rows, features, values = sae.encode(torch.ones((3, 1), dtype=torch.float64))
    assert (rows.tolist(), features.tolist()) == ([0, 1, 2], [1, 1, 1])
    assert values.dtype == np.float32
