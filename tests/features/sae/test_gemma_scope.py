"""Gemma Scope's ``params.npz`` against JumpReLU by numpy, and beside sae-lens's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.sae import load_sae, save_sae
from mtmbench.features.sae.sae_folder import load_sae_folder

H, F = 16, 64
PLACE = Path("google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82")


def arrays(seed: int = 0) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    drawn = {
        "W_enc": rng.normal(size=(H, F)), "W_dec": rng.normal(size=(F, H)),
        "b_enc": rng.normal(size=F), "b_dec": rng.normal(size=H),
        "threshold": rng.uniform(0, 6, F),
    }  # fmt: skip
    return {name: array.astype(np.float32) for name, array in drawn.items()}


def written(folder: Path, **changes: np.ndarray | None) -> Path:
    folder.mkdir(parents=True)
    kept = {name: value for name, value in {**arrays(), **changes}.items() if value is not None}
    np.savez(folder / "params.npz", **kept)
    return folder


def dense(sae: object, inputs: FloatArray) -> FloatArray:
    import torch

    rows, features, values = sae.encode(torch.from_numpy(inputs))  # type: ignore[attr-defined]
    found = np.zeros((len(inputs), F), np.float32)
    found[rows, features] = values
    return found


def test_it_is_jumprelu_as_the_paper_writes_it(tmp_path: Path) -> None:
    sae, parts = load_sae(written(tmp_path / "sae")), arrays()
    inputs = np.random.default_rng(1).normal(size=(500, H)).astype(np.float32)
    pre = inputs.astype(np.float64) @ parts["W_enc"] + parts["b_enc"]
    expected = np.where(pre > parts["threshold"], np.maximum(pre, 0), 0)
    assert 0.1 < (expected > 0).mean() < 0.5
    # Some lie above zero and below the threshold: a ReLU would let them through.
    assert ((pre > 0) & (expected == 0)).sum() > 1000
    found = dense(sae, inputs)
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        sae.directions, parts["W_dec"] / np.linalg.norm(parts["W_dec"], axis=1, keepdims=True),
        rtol=1e-5,
    )  # fmt: skip


def test_both_layouts_are_one_sae(tmp_path: Path) -> None:
    google = load_sae(written(tmp_path / "google"))
    save_sae(google, tmp_path / "lens")
    lens = load_sae(tmp_path / "lens")
    assert lens.revision == google.revision
    assert {"prepend_bos": True, "context_size": 1024}.items() <= lens.metadata.items()
    inputs = np.random.default_rng(1).normal(size=(100, H)).astype(np.float32)
    np.testing.assert_array_equal(dense(lens, inputs), dense(google, inputs))


def test_sae_lens_reads_the_file_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sae_lens.loading.pretrained_sae_loaders as loaders
    import torch

    folder = written(tmp_path / PLACE)
    monkeypatch.setattr(loaders, "hf_hub_download", lambda **_: str(folder / "params.npz"))
    cfg, state, _ = loaders.gemma_2_sae_huggingface_loader(
        "google/gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_82"
    )
    sae = load_sae(folder)
    for name in ("model_name", "hook_name", "prepend_bos", "context_size"):
        assert sae.metadata[name] == cfg[name]  # type: ignore[literal-required]
    assert (sae.architecture, sae.subtract_b_dec) == (
        cfg["architecture"], cfg["apply_b_dec_to_input"]
    )  # fmt: skip
    assert torch.equal(torch.from_numpy(sae.w_enc), state["W_enc"])
    assert torch.equal(torch.from_numpy(sae.threshold), state["threshold"])


@pytest.mark.parametrize(
    ("place", "model", "hook"),
    [
        ("gemma-scope-9b-pt-res/layer_10/width_16k/average_l0_77", "gemma-2-9b",
         "blocks.10.hook_resid_post"),
        ("models--google--gemma-scope-9b-it-res/snapshots/ab12/layer_20/width_16k/average_l0_91",
         "gemma-2-9b-it", "blocks.20.hook_resid_post"),
        ("gemma-scope-2b-pt-mlp/layer_3/width_16k/average_l0_9", "gemma-2-2b",
         "blocks.3.hook_mlp_out"),
        ("gemma-scope-2b-pt-att/layer_3/width_16k/average_l0_9", "gemma-2-2b",
         "blocks.3.attn.hook_z"),
        ("gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", None, None),
        ("mine/layer_3", None, None),
    ],
)  # fmt: skip
def test_paths_tell_model_and_hook_point(
    tmp_path: Path, place: str, model: str | None, hook: str | None
) -> None:
    metadata = load_sae(written(tmp_path / place)).metadata
    assert (metadata.get("model_name"), metadata.get("hook_name")) == (model, hook)


def test_without_a_path_that_tells_the_hook_point_is_asked_for(tmp_path: Path, tiny_model) -> None:
    model, folder = str(tiny_model("gemma2")[0]), str(written(tmp_path / "sae"))
    with pytest.raises(InputError, match=r'such as hook_point = "blocks\.10\.hook_resid_post"'):
        ModelFeatures(model, {"mine": {"folder": folder}}).settings()
    given = {"folder": folder, "hook_point": "blocks.1.hook_resid_post"}
    described = ModelFeatures(model, {"mine": given}).describe()
    assert described["hook_point"] == "blocks.1.hook_resid_post"
    assert described["specials"] == [[50], []]


def test_a_folder_is_built_for_the_hook_point_that_the_command_gives(
    tmp_path: Path, tiny_model, own_cache: Path
) -> None:
    del own_cache
    (tmp_path / "texts.jsonl").write_text('{"text": "w1 w2 w3 w4 w5 w6"}\n{"text": "w7 w8"}\n')
    told = CliRunner().invoke(
        app,
        [
            "features", "--backbone", str(tiny_model("gemma2")[0]), "--reference",
            str(tmp_path / "texts.jsonl"), "--sae", str(written(tmp_path / "sae")),
            "--hook-point", "blocks.1.hook_resid_post", "--context-size", "5",
            "--out", str(tmp_path / "built"),
        ],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    built = load_sae_folder(tmp_path / "built")
    assert (built.hook_point, built.chunk_tokens) == ("blocks.1.hook_resid_post", 4)
    assert built.sae.revision == load_sae(tmp_path / "sae").revision


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W_enc": None}, r"has W_enc \(inputs, features\).* this one has W_dec \(64, 16\)"),
        ({"threshold": None}, r"threshold should be of shape \(64,\); found nothing"),
        ({"b_enc": np.zeros(3, np.float32)}, r"b_enc should be of shape \(64,\); found \(3,\)"),
        ({"b_skip": np.zeros(3, np.float32)}, "b_skip in it is nothing that a jumprelu SAE has"),
        ({"threshold": np.array(["a"] * F)}, "threshold holds <U1; real numbers"),
        ({"threshold": np.array([None] * F)}, "'threshold' in .* is a pickled Python object"),
    ],
)
def test_files_of_something_else_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray | None], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_sae(written(tmp_path / "sae", **changes))


def test_a_folder_without_an_sae_is_told_of_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither sae-lens's cfg.json nor Gemma Scope's params"):
        load_sae(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        load_sae(tmp_path / "nothing")
    (tmp_path / "params.npz").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="as npz"):
        load_sae(tmp_path)
