"""SAEs by release and id: through sae-lens's loader, from a hub cache made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.features.sae.sae import load_sae
from mtmbench.features.sae.sae_lens import from_sae_lens, load_release

H, F = 12, 40


def make(folder: Path, kind: str = "Gated", **options: Any) -> Any:
    import sae_lens
    import torch

    config = getattr(sae_lens.saes, f"{kind}SAEConfig")(d_in=H, d_sae=F, **options)
    config.metadata.hook_name = "blocks.8.hook_resid_pre"
    config.metadata.prepend_bos = True
    torch.manual_seed(0)
    sae = getattr(sae_lens.saes, f"{kind}SAE")(config)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    folder.mkdir(parents=True, exist_ok=True)
    sae.save_model(folder)
    return sae


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache that is read without a network; returns a repository's snapshot folder."""
    import huggingface_hub.constants as constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = cache / "models--someone--saes"
    (repository / "refs").mkdir(parents=True)
    revision = "0" * 40
    (repository / "refs" / "main").write_text(revision)
    return repository / "snapshots" / revision


@pytest.mark.slow
def test_a_repository_of_the_hub_is_loaded_by_sae_lens(hub: Path) -> None:
    import torch

    peer = make(hub / "layer_8")
    sae = load_release("someone/saes", "layer_8")
    inputs = torch.randn(100, H)
    rows, features, values = sae.encode(inputs)
    found = np.zeros((100, F), np.float32)
    found[rows, features] = values
    with torch.no_grad():
        expected = peer.encode(inputs).numpy()
    assert (expected > 0).any()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert sae.metadata["hook_name"] == "blocks.8.hook_resid_pre"
    assert sae.metadata["prepend_bos"] is True


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Standard", {"normalize_activations": "layer_norm"}),
        ("TopK", {"k": 4, "rescale_acts_by_decoder_norm": True}),
        ("JumpReLU", {"apply_b_dec_to_input": False}),
        ("Gated", {}),
    ],
)
def test_folder_and_loader_give_the_same_sae(tmp_path: Path, kind: str, options: Any) -> None:
    peer = make(tmp_path / "sae", kind, **options)
    assert from_sae_lens(peer).revision == load_sae(tmp_path / "sae").revision


@pytest.mark.slow
def test_unknown_releases_and_ids_name_the_nearest(hub: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'gpt2-small-res-jb'"):
        load_release("gpt2-small-res-bj", "blocks.8.hook_resid_pre")
    with pytest.raises(InputError, match=r"did you mean 'blocks\.8\.hook_resid_pre'"):
        load_release("gpt2-small-res-jb", "blocks.8.hook_resid_pr")
    with pytest.raises(InputError, match="'layer_9' of 'someone/saes' cannot be loaded"):
        load_release("someone/saes", "layer_9")


def test_kinds_that_are_not_supported_are_named(tmp_path: Path) -> None:
    peer = make(tmp_path / "sae", "Standard", normalize_activations="expected_average_only_in")
    with pytest.raises(InputError, match="'expected_average_only_in' are not supported"):
        from_sae_lens(peer)
