"""The shipped SAEs: sae-lens reads them, their numbers agree with each other, labels are labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mtmbench.core.errors import UnknownNameError
from mtmbench.features.sae.sae import load_sae
from mtmbench.features.sae.shipped import MINILM_SAES, TINYLM_MODEL, TINYLM_SAES

FOLDERS = [shipped.path(name) for shipped in (MINILM_SAES, TINYLM_SAES) for name in shipped.names]
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.mark.slow
@each
def test_sae_lens_loads_it_and_encodes_as_we_do(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    from sae_lens import SAE

    torch.set_num_threads(1)
    sae = SAE.load_from_disk(str(folder), device="cpu")
    ours = load_sae(folder)
    values = np.random.default_rng(0).normal(0, 0.3, (64, sae.cfg.d_in)).astype(np.float32)
    rows, features, strengths = ours.encode(torch.from_numpy(values))
    dense = np.zeros((64, ours.n_features), np.float32)
    dense[rows, features] = strengths

    theirs = sae.encode(torch.from_numpy(values)).detach().numpy()

    np.testing.assert_allclose(dense, theirs, atol=1e-5)
    assert sae.cfg.architecture() == "topk"
    hook_point = "blocks.5.hook_resid_post"
    if folder.parent == TINYLM_SAES.folder:
        hook_point = f"blocks.{folder.name[-1]}.hook_resid_post"
    assert sae.cfg.metadata.hook_name == hook_point


@each
def test_files_agree_on_the_number_of_features(folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    features = load_file(folder / "features.safetensors")
    labels = json.loads((folder / "labels.json").read_text())
    width, k = settings["width"], settings["k"]

    assert len(labels) == width
    assert features["density"].shape == (width,)
    assert features["quantiles"].shape == (width, len(features["quantile_levels"]))
    assert load_sae(folder).w_dec.shape[0] == width
    # TopK: at most k features fire on a token, so the densities cannot sum to more than k.
    assert 0.9 * k < features["density"].sum() <= k * (1 + 1e-6)


@each
def test_quantiles_start_at_zero_and_rise(folder: Path) -> None:
    features = load_file(folder / "features.safetensors")
    alive = features["density"] > 0

    np.testing.assert_allclose(features["quantile_levels"], [0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    assert (features["quantiles"][:, 0] == 0).all()
    assert (np.diff(features["quantiles"][alive], axis=1) >= 0).all()
    assert (features["quantiles"][alive, 1] > 0).all()


@each
def test_decoder_rows_have_length_one(folder: Path) -> None:
    norms = np.linalg.norm(load_sae(folder).w_dec, axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=2e-3)  # stored in float16


@each
def test_labels_are_a_few_words(folder: Path) -> None:
    labels = json.loads((folder / "labels.json").read_text())
    assert all(label.strip() for label in labels)
    assert max(len(label.split()) for label in labels) <= 6


def test_everything_shipped_is_within_its_size() -> None:
    for folder, limit in ((MINILM_SAES.folder, 8_000_000), (TINYLM_MODEL, 25_000_000)):
        assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < limit


def test_no_text_of_the_training_corpora_is_shipped() -> None:
    shipped = {f.name for folder in FOLDERS for f in folder.iterdir()}
    assert shipped == {
        "cfg.json", "features.safetensors", "labels.json", "sae_weights.safetensors",
        "settings.json",
    }  # fmt: skip


def test_an_unknown_name_names_the_nearest() -> None:
    assert MINILM_SAES.path() == MINILM_SAES.path(MINILM_SAES.default)
    with pytest.raises(UnknownNameError, match="token"):
        MINILM_SAES.path("tokn")


def test_the_shipped_sae_reconstructs_minilm_on_held_out_text() -> None:
    pytest.importorskip("torch")
    from mtmbench.embedded.training.activations import half_activations, hook_point_of
    from mtmbench.embedded.training.topk import explained_variance
    from mtmbench.features.sae.minilm import minilm_backbone

    texts = [
        "The central bank raised interest rates again to bring inflation down.",
        "Penguins feed on krill and fish and nest in large colonies on the ice.",
        "The striker scored twice in the second half and the home side won the match.",
        "Patients were given the vaccine and monitored for fever and rash.",
    ]
    backbone = minilm_backbone()
    point = hook_point_of(6)
    values = half_activations(backbone, backbone.tokenise(texts), [point])[point]

    assert explained_variance(load_sae(MINILM_SAES.path()), values) > 0.5
