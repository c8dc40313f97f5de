"""MiniLM's activations against transformers itself, chunking, batching, hook points."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_models import write_model

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.pretrained import load_model, model_folder, straight_onto
from mtmbench.features.sae.token_batches import cut, left_padded, length_batches

TinyModel = Callable[[str], tuple[Path, Any]]

TEXTS = [
    "The goalie made forty saves.",
    "Congress passed the budget after a long debate about taxes and spending.",
    "Photosynthesis turns light into sugar.",
    "No.",
]


def test_activations_equal_the_hidden_states_of_transformers() -> None:
    backbone = minilm_backbone()
    chunks = backbone.tokenise(TEXTS)
    hooks = ["encoder.layer.3", "encoder.layer.5"]
    found: dict[tuple[int, str], np.ndarray] = {}
    for batch in backbone.activations(chunks, hooks, batch_tokens=32):
        for hook in hooks:
            assert batch.values[hook].shape == (sum(batch.lengths), backbone.hidden_size)
            parts = torch.split(batch.values[hook], list(batch.lengths))
            found.update({(i, hook): p.numpy() for i, p in zip(batch.chunks, parts, strict=True)})
    for i, text in enumerate(TEXTS):
        inputs = backbone.tokenizer(text, return_tensors="pt")
        assert inputs["input_ids"][0, 1:-1].tolist() == chunks[i].tolist()
        with torch.no_grad():
            states = backbone.model(**inputs, output_hidden_states=True).hidden_states
        for hook, layer in zip(hooks, (4, 6), strict=True):
            np.testing.assert_allclose(
                found[i, hook], states[layer][0, 1:-1].numpy(), atol=2e-5, err_msg=f"{text} {hook}"
            )


def test_layers_beyond_the_hook_point_are_not_computed() -> None:
    backbone = minilm_backbone()
    ran: list[int] = []
    hooks_before = sum(len(module._forward_hooks) for module in backbone.model.modules())
    handles = [
        layer.register_forward_hook(lambda *_, i=i: ran.append(i))
        for i, layer in enumerate(backbone.model.encoder.layer)
    ]
    try:
        list(backbone.activations(backbone.tokenise(TEXTS[:1]), ["encoder.layer.2"]))
    finally:
        for handle in handles:
            handle.remove()
    assert ran == [0, 1, 2]
    hooks_after = sum(len(module._forward_hooks) for module in backbone.model.modules())
    assert hooks_after == hooks_before


def test_the_same_chunks_give_the_same_bits() -> None:
    backbone = minilm_backbone()
    chunks = backbone.tokenise(TEXTS * 3)
    first, second = (
        [batch.values["encoder.layer.5"] for batch in backbone.activations(chunks, [hook], 64)]
        for hook in ["encoder.layer.5"] * 2
    )
    assert len(first) > 1
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_wrong_hook_points_and_chunks_are_named() -> None:
    backbone = minilm_backbone()
    chunk = np.ones(300, np.int32)
    with pytest.raises(InputError, match=r"no hook point 'encoder\.layer\.6'.*encoder\.layer"):
        next(backbone.activations([chunk[:3]], ["encoder.layer.6"]))
    with pytest.raises(InputError, match="chunk 0 has 300 tokens"):
        next(backbone.activations([chunk], ["encoder.layer.5"]))
    with pytest.raises(InputError, match="chunk 1 has 0 tokens"):
        next(backbone.activations([chunk[:3], chunk[:0]], ["encoder.layer.5"]))


DECODERS = ("gpt2", "gemma2", "llama", "gpt_neox", "qwen2")


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("prepend_bos", [True, False])
def test_a_decoders_chunks_begin_with_bos_which_is_dropped(
    tiny_model: TinyModel, family: str, prepend_bos: bool
) -> None:
    folder, model = tiny_model(family)
    backbone = HuggingFaceBackbone(folder, prepend_bos=prepend_bos)
    assert backbone.hidden_size == 16
    assert backbone.max_chunk_tokens == 32 - prepend_bos
    chunks = [np.array(ids, np.int32) for ids in ([1, 2, 3, 4, 5], [9], [7, 7, 8])]
    hook = "blocks.1.hook_resid_post"
    for batch in backbone.activations(chunks, [hook]):
        parts = torch.split(batch.values[hook], list(batch.lengths))
        for i, part in zip(batch.chunks, parts, strict=True):
            ids = torch.tensor([[50] * prepend_bos + chunks[i].tolist()])
            with torch.inference_mode():
                states = model.base_model(input_ids=ids, output_hidden_states=True).hidden_states
            torch.testing.assert_close(part, states[2][0, int(prepend_bos) :])


def test_an_encoders_chunks_stand_between_its_specials(tiny_model: TinyModel) -> None:
    folder, model = tiny_model("bert")
    backbone = HuggingFaceBackbone(folder)
    (batch,) = backbone.activations(backbone.tokenise(["w1 w2"]), ["blocks.0.hook_resid_post"])
    with torch.inference_mode():
        states = model.base_model(
            input_ids=torch.tensor([[50, 1, 2, 51]]), output_hidden_states=True
        ).hidden_states
    torch.testing.assert_close(batch.values["blocks.0.hook_resid_post"], states[1][0, 1:-1])
    assert backbone.max_chunk_tokens == 30


def test_half_precision_comes_out_as_f32_and_double_as_itself(tiny_model: TinyModel) -> None:
    folder, _ = tiny_model("llama")
    hook = "blocks.1.hook_resid_post"
    values = {}
    for dtype in ("float32", "bfloat16", "float64"):
        backbone = HuggingFaceBackbone(folder, dtype=dtype)
        assert next(backbone.model.parameters()).dtype == getattr(torch, dtype)
        (batch,) = backbone.activations(backbone.tokenise(["w1 w2 w3"]), [hook])
        values[dtype] = batch.values[hook]
        assert values[dtype].dtype == (torch.float64 if dtype == "float64" else torch.float32)
    exact = values.pop("float64")
    for dtype, most in (("bfloat16", 0.03), ("float32", 1e-5)):
        assert 0 < (values[dtype] - exact).norm() / exact.norm() < most


def test_wrong_settings_are_named(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder, _ = tiny_model("gpt2")
    with pytest.raises(UnknownNameError, match="did you mean 'bfloat16'"):
        HuggingFaceBackbone(folder, dtype="bfloat")
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    config = json.loads((bare / "config.json").read_text())
    del config["n_positions"]
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="has none of max_position_embeddings, n_positions"):
        _ = HuggingFaceBackbone(bare).max_chunk_tokens


@pytest.mark.parametrize(
    ("family", "left_out", "positions"),
    [
        ("bloom", "max_position_embeddings", 2048),  # ALiBi
        ("mpt", "max_position_embeddings", 32),
        ("falcon", "max_position_embeddings", 2048),  # as on the hub: rotary, by default 2,048
        ("xglm", "hidden_size", 64),
    ],
)
def test_width_and_positions_are_found_however_a_config_names_them(
    tmp_path: Path, family: str, left_out: str, positions: int
) -> None:
    model = write_model(family, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop(left_out, None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    backbone, hook = HuggingFaceBackbone(tmp_path), "blocks.1.hook_resid_post"
    assert (backbone.hidden_size, backbone.max_chunk_tokens) == (16, positions - 1)
    (batch,) = backbone.activations(backbone.tokenise(["w1 w2 w3"]), [hook])
    with torch.inference_mode():
        states = model.base_model(
            input_ids=torch.tensor([[50, 1, 2, 3]]), output_hidden_states=True
        ).hidden_states
    torch.testing.assert_close(batch.values[hook], states[2][0, 1:], atol=1e-5, rtol=1e-5)


def test_a_model_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = HuggingFaceBackbone("nobody/no-such-model")
    with pytest.raises(InputError, match="'nobody/no-such-model' is neither a folder"):
        backbone.tokenise(["a"])


def test_batches_cover_every_sequence_once_within_the_budget() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 255, 300).tolist()
    batches = length_batches(lengths, 1000, extra=2)
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    assert all(len(b) * (max(lengths[i] for i in b) + 2) <= 1000 for b in batches)
    assert [lengths[i] for batch in batches for i in batch] == sorted(lengths)
    assert length_batches([5000], 1000) == [[0]]
    assert length_batches([], 1000) == []


def test_cut() -> None:
    assert [c.tolist() for c in cut(np.arange(5, dtype=np.int32), 2)] == [[0, 1], [2, 3], [4]]
    assert cut(np.empty(0, np.int32), 2) == []


def test_chunks_of_texts_hold_every_token_once_text_after_text(tiny_model: TinyModel) -> None:
    folder, _ = tiny_model("gpt2")
    backbone = HuggingFaceBackbone(folder, max_chunk_tokens=3)
    texts = ["w1 w2 w3 w4 w5 w6 w7", "", "w8 w9"]
    first, _, last = (ids.tolist() for ids in backbone.tokenise(texts))
    assert len(first) > 3
    chunks = [chunk.tolist() for chunk in backbone.chunks(texts)]
    assert max(map(len, chunks)) <= 3
    assert [token for chunk in chunks for token in chunk] == [*first, *last]
    assert [c.tolist() for c in backbone.chunks(texts, 2)] == [first[:2], last[:2]]


def test_rows_padded_on_the_left_end_in_the_last_column() -> None:
    ids, mask = left_padded([np.array([5, 6, 7], np.int32), [8]], 9)
    assert ids.tolist() == [[5, 6, 7], [9, 9, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("family", "lost"),
    [
        ("gpt2", "transformer.h.1.mlp.c_fc.weight"),
        ("gemma3", "language_model.model.layers.1.mlp.up_proj.weight"),
        ("llama", "model.embed_tokens.weight"),
        ("llama", None),
    ],
)
def test_weights_that_are_missing_are_not_made_up(
    tiny_model: TinyModel, tmp_path: Path, family: str, lost: str | None
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / family
    shutil.copytree(tiny_model(family)[0], folder)
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if lost is not None and name != lost}
    assert len(kept) == (len(weights) - 1 if lost else 0)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack \d+ of the model's tensors, such as") as raised:
        _ = HuggingFaceBackbone(folder).model
    assert (lost or ".weight").split(".", 3)[-1] in str(raised.value)


@pytest.mark.parametrize("what", ["weights", "config", "tokeniser", "kind"])
def test_damaged_files_of_a_model_are_an_error_of_one_line(
    tiny_model: TinyModel, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_model("llama")[0], folder)
    if what == "kind":
        config = json.loads((folder / "config.json").read_text())
        config["model_type"] = "no_such_model"
        (folder / "config.json").write_text(json.dumps(config))
    else:
        name = {"weights": "model.safetensors", "config": "config.json",
                "tokeniser": "tokenizer.json"}[what]  # fmt: skip
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    backbone = HuggingFaceBackbone(folder)
    with pytest.raises(InputError) as raised:
        _ = backbone.hidden_size, backbone.tokenise(["w1"]), backbone.model
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)


def test_the_files_of_a_model_are_hashed_as_their_bytes_and_read_once(
    tiny_model: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = tiny_model("gpt2")
    shutil.copytree(folder, tmp_path / "model")
    names = ("config.json", "model.safetensors", "tokenizer.json")
    parts = [part for name in names for part in (name, (folder / name).read_bytes())]
    revision = HuggingFaceBackbone(tmp_path / "model").revision
    assert revision == content_hash(*parts)

    def refuse(*_: object) -> None:
        raise AssertionError("a file was read again")

    monkeypatch.setattr("mtmbench.features.sae.hugging_face.mapped", refuse)
    assert HuggingFaceBackbone(tmp_path / "model").revision == revision
    monkeypatch.undo()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert HuggingFaceBackbone(tmp_path / "model").revision != revision


def test_a_gpu_is_on_record_and_a_cpu_as_it_was(tiny_model: TinyModel) -> None:
    folder, _ = tiny_model("gpt2")
    described = HuggingFaceBackbone(folder).describe()
    assert "device" not in described
    for device in ("cuda", "cuda:1"):
        found = HuggingFaceBackbone(folder, device=device, dtype="bfloat16").describe()
        assert found == {**described, "precision": "bfloat16", "device": "cuda"}


def test_weights_go_straight_onto_another_device(tiny_model: TinyModel) -> None:
    # "meta" is a device that every machine has.
    model = load_model(tiny_model("gemma2")[0], "tiny", dtype="bfloat16", device="meta")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert straight_onto("cpu") == {}
    assert straight_onto("cuda:1") == {"device_map": {"": "cuda:1"}}


def test_what_a_gated_model_asks_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class GatedRepoError(Exception):
        pass

    def gated(*_: object, **__: object) -> None:
        raise GatedRepoError("401 Client Error.\n\nAccess is restricted.")

    monkeypatch.setattr("huggingface_hub.snapshot_download", gated)
    accepted = r"https://huggingface\.co/google/gemma-2-2b, and a token"
    with pytest.raises(InputError, match=accepted) as told:
        model_folder("google/gemma-2-2b")
    assert "\n" not in str(told.value)
