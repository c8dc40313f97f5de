"""Hook points of many families against the models' own states and against TransformerLens."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import torch
from support.tiny_models import make_config

from mtmbench.core.errors import InputError
from mtmbench.features.sae.hook_reading import check_sums, reading
from mtmbench.features.sae.hooks import HookPoint, find_blocks, find_hook_point, hook_names
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone

KNOWN_TO_LENS = ("gpt2", "gemma2", "llama", "gpt_neox", "qwen2", "bert")
FAMILIES = (
    *KNOWN_TO_LENS, "gemma3", "gemma3_text", "qwen3_moe", "gpt_oss", "phi3", "olmo2", "qwen3_5",
    "qwen3_5_moe",
)  # fmt: skip
IDS = torch.arange(14).reshape(2, 7) % 50


def read(model, names):
    points = {name: find_hook_point(model, name) for name in names}
    with torch.inference_mode(), reading(model, points) as seen:
        model(input_ids=IDS)
    return seen


@pytest.mark.parametrize("family", FAMILIES)
def test_residual_streams_are_the_models_own_hidden_states(tiny_model, family):
    model = tiny_model(family)[1].base_model
    with torch.inference_mode():
        states = model(input_ids=IDS, output_hidden_states=True).hidden_states
    seen = read(model, [f"blocks.{i}.hook_resid_pre" for i in range(3)])
    for i in range(3):
        assert torch.equal(seen[f"blocks.{i}.hook_resid_pre"], states[i])
    seen = read(model, ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"])
    for i in range(2):
        assert torch.equal(seen[f"blocks.{i}.hook_resid_post"], states[i + 1])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_place_is_what_a_plain_hook_sees(tiny_model, family):
    model = tiny_model(family)[1].base_model
    names = hook_names(model)
    assert {name.split(".", 2)[2] for name in names} >= {
        "hook_resid_pre", "hook_resid_post", "hook_attn_out", "hook_mlp_out", "attn.hook_z",
    }  # fmt: skip
    expected = {}
    handles = []
    for name, point in names.items():
        module = model.get_submodule(point.module)

        def keep(_module, inputs, named, output, name=name, side=point.side):
            value = (inputs[0] if inputs else named["hidden_states"]) if side == "input" else output
            expected[name] = value[0] if isinstance(value, tuple) else value

        handles.append(module.register_forward_hook(keep, with_kwargs=True))
    with torch.inference_mode():
        model(input_ids=IDS)
    for handle in handles:
        handle.remove()
    seen = read(model, names)
    assert seen.keys() == expected.keys() == names.keys()
    for name in names:
        assert torch.equal(seen[name], expected[name]), name


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("gpt_neox", "bert")])
def test_the_places_add_up_to_the_stream(tiny_model, family):
    model = tiny_model(family)[1].base_model
    seen = read(model, [name for name in hook_names(model) if name.startswith("blocks.1.")])
    seen = {name.removeprefix("blocks.1."): value for name, value in seen.items()}
    torch.testing.assert_close(
        seen["hook_resid_pre"] + seen["hook_attn_out"], seen["hook_resid_mid"]
    )
    torch.testing.assert_close(
        seen["hook_resid_mid"] + seen["hook_mlp_out"], seen["hook_resid_post"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.startswith("qwen3_5")])
def test_transformer_lens_sees_the_same(tiny_model, family, monkeypatch):
    bridge = pytest.importorskip("transformer_lens.model_bridge")
    # For a model that sees it would install torchvision, and with it another torch.
    monkeypatch.setattr(subprocess, "check_call", None)
    folder, with_head = tiny_model(family)
    lens = bridge.TransformerBridge.boot_transformers(str(folder), device="cpu")
    with torch.inference_mode():
        _, cache = lens.run_with_cache(IDS)
    model = with_head.base_model
    names = [name for name in hook_names(model) if name in cache]
    assert len(names) >= 12
    seen = read(model, names)
    for name in names:
        other = cache[name]
        torch.testing.assert_close(
            seen[name], other.reshape(seen[name].shape), atol=1e-4, rtol=1e-4, msg=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("family", KNOWN_TO_LENS)
def test_later_blocks_are_not_computed(tiny_model, family):
    model = tiny_model(family)[1].base_model
    called = []
    blocks = model.get_submodule("h" if family == "gpt2" else
                                 "encoder.layer" if family == "bert" else "layers")  # fmt: skip
    handles = [
        block.register_forward_pre_hook(lambda *_, i=i: called.append(i))
        for i, block in enumerate(blocks)
    ]
    for name, expected in (
        ("blocks.1.hook_resid_post", [0, 1]),
        ("blocks.1.hook_mlp_out", [0, 1]),
        ("blocks.0.attn.hook_z", [0]),
    ):
        called.clear()
        read(model, [name])
        assert called == expected
    # Before block 2 is read where block 2 would begin.
    called.clear()
    inner = []
    handles.append(next(blocks[2].children()).register_forward_pre_hook(lambda *_: inner.append(1)))
    read(model, ["blocks.2.hook_resid_pre"])
    assert not inner
    for handle in handles:
        handle.remove()


def test_module_paths_are_hook_points_with_and_without_their_prefix(tiny_model):
    model = tiny_model("llama")[1].base_model
    assert find_hook_point(model, "layers.1.mlp") == HookPoint("layers.1.mlp", "output")
    assert find_hook_point(model, "model.layers.1") == HookPoint("layers.1", "output")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("blocks.3.hook_resid_post", r"blocks\.0 to blocks\.2, each with .*hook_mlp_out"),
        ("blocks.1.hook_resid_pots", r"did you mean 'blocks\.1\.hook_resid_post'"),
        ("layers.7", "a llama model has no hook point 'layers.7'"),
    ],
)
def test_an_unresolved_name_lists_what_there_is(tiny_model, name, message):
    with pytest.raises(InputError, match=message):
        find_hook_point(tiny_model("llama")[1].base_model, name)


@pytest.mark.parametrize("family", ["llama", "bert", "gemma3"])
def test_blocks_have_the_names_of_transformer_lens_3_too(tiny_model, family):
    model = tiny_model(family)[1].base_model
    for new, old in (("hook_in", "hook_resid_pre"), ("hook_out", "hook_resid_post")):
        known = find_hook_point(model, f"blocks.1.{old}")
        assert find_hook_point(model, f"blocks.1.{new}") == known
    with pytest.raises(InputError, match=r"no hook point 'blocks\.1\.attn\.hook_out'"):
        find_hook_point(model, "blocks.1.attn.hook_out")


def test_blocks_that_nothing_passes_add_nothing(tiny_model):
    """Cross-attention blocks of Llama 3.2 Vision are left out where there is no image."""
    model = tiny_model("llama")[1].base_model
    check_sums(model, ["blocks.1.hook_attn_out", "blocks.1.hook_mlp_out"], lambda: None)


def test_bert_has_no_stream_between_attention_and_mlp(tiny_model):
    with pytest.raises(InputError, match=r"has no hook point 'blocks\.1\.hook_resid_mid'"):
        find_hook_point(tiny_model("bert")[1].base_model, "blocks.1.hook_resid_mid")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_of_a_family_gives_the_hidden_states_of_transformers(tiny_model, family):
    folder, with_head = tiny_model(family)
    backbone = HuggingFaceBackbone(folder, prepend_bos=False)
    assert backbone.hidden_size == 16
    assert backbone.max_chunk_tokens == 32 - backbone.n_specials
    chunks = [IDS[0].numpy().astype("int32"), IDS[1, :4].numpy().astype("int32")]
    (first, last), names = backbone._specials, ["blocks.1.hook_resid_post", "blocks.1.hook_mlp_out"]
    for batch in backbone.activations(chunks, names):
        parts = torch.split(batch.values[names[0]], list(batch.lengths))
        for i, part in zip(batch.chunks, parts, strict=True):
            whole = torch.tensor([[*first, *chunks[i], *last]])
            with torch.inference_mode():
                states = with_head.base_model(input_ids=whole, output_hidden_states=True)
            expected = states.hidden_states[2][0, len(first) : len(first) + len(chunks[i])]
            torch.testing.assert_close(part, expected, atol=1e-5, rtol=1e-5)


def test_heads_stand_side_by_side_whatever_their_width(tiny_model):
    model = tiny_model("gemma3")[1].base_model
    seen = read(model, ["blocks.1.attn.hook_z", "blocks.1.hook_attn_out"])
    layer = model.language_model.layers[1]
    assert seen["blocks.1.attn.hook_z"].shape == (2, 7, 24)
    with torch.inference_mode():
        projected = layer.self_attn.o_proj(seen["blocks.1.attn.hook_z"])
        expected = layer.post_attention_layernorm(projected)
    torch.testing.assert_close(seen["blocks.1.hook_attn_out"], expected)


def test_linear_attention_has_no_heads_side_by_side(tiny_model):
    known = hook_names(tiny_model("qwen3_5")[1].base_model)
    assert "blocks.1.attn.hook_z" in known
    assert "blocks.0.attn.hook_z" not in known
    assert known["blocks.0.hook_attn_out"].module == "language_model.layers.0.linear_attn"


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("gemma3", "layers.1"),
        ("gemma3", "model.layers.1"),
        ("gemma3", "language_model.layers.1"),
        ("gemma3", "model.language_model.layers.1"),
        ("gemma3", "language_model.model.layers.1"),
        ("gpt2", "transformer.h.1"),
    ],
)
def test_paths_of_the_text_model_are_found_behind_any_wrapper(tiny_model, family, name):
    model = tiny_model(family)[1].base_model
    expected = "h.1" if family == "gpt2" else "language_model.layers.1"
    assert find_hook_point(model, name) == HookPoint(expected, "output")


def test_a_vision_tower_is_not_taken_for_the_text_model(tiny_model):
    model = tiny_model("gemma3")[1].base_model
    assert len(model.vision_tower.encoder.layers) == len(model.language_model.layers)
    assert find_blocks(model) == "language_model.layers"
    with pytest.raises(InputError, match=r"no hook point 'encoder\.layers\.7'"):
        find_hook_point(model, "encoder.layers.7")


@pytest.mark.parametrize(
    ("kind", "heads"), [("gpt_neo", "h.1.attn.attention.out_proj"), ("opt", None), ("phi", None)]
)
def test_families_that_nothing_here_names(kind: str, heads: str | None) -> None:
    import transformers

    more = {
        "gpt_neo": {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]],
                    "window_size": 4},
        "opt": {"ffn_dim": 24, "word_embed_proj_dim": 16},
    }  # fmt: skip
    sizes = {"vocab_size": 52, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
             "num_attention_heads": 2, "max_position_embeddings": 32, "pad_token_id": 1,
             "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
    if kind == "gpt_neo":
        del sizes["num_hidden_layers"], sizes["num_attention_heads"]
    config = transformers.CONFIG_MAPPING[kind](**{**sizes, **more.get(kind, {})})
    model = transformers.AutoModel.from_config(config).eval()
    names = ["blocks.1.hook_resid_pre", "blocks.0.hook_resid_post"]
    with torch.inference_mode():
        states = model(input_ids=IDS, output_hidden_states=True).hidden_states
    for name in names:
        assert torch.equal(read(model, [name])[name], states[1])
    known = hook_names(model)
    check_sums(model, list(known), lambda: model(input_ids=IDS))
    assert heads in (None, known["blocks.1.attn.hook_z"].module)
    # OPT's MLP is two modules in the block; none of them is known to be what is added.
    assert ("blocks.1.hook_mlp_out" in known) is (kind != "opt")


class Block(torch.nn.Module):
    """A block of parts that no layout has."""

    def __init__(self) -> None:
        super().__init__()
        self.mixer = torch.nn.Linear(4, 4)
        self.some_norm = torch.nn.LayerNorm(4)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states + self.mixer(self.some_norm(states))


class Strange(torch.nn.Module):
    """A model of such blocks, in lists of the names and lengths given."""

    def __init__(self, **lists: int) -> None:
        super().__init__()
        for name, n_blocks in lists.items():
            self.add_module(name, torch.nn.ModuleList(Block() for _ in range(n_blocks)))


def test_blocks_of_unknown_parts_have_their_stream_alone():
    names = hook_names(Strange(trunk=2))
    assert names == {
        "blocks.0.hook_resid_pre": HookPoint("trunk.0", "input"),
        "blocks.0.hook_resid_post": HookPoint("trunk.0", "output"),
        "blocks.1.hook_resid_pre": HookPoint("trunk.1", "input"),
        "blocks.1.hook_resid_post": HookPoint("trunk.1", "output"),
    }


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Strange(encoder=2, decoder=2), 'cannot be told .* hook_point = "encoder.0"'),
        (Strange(trunk=4), "blocks.0 to blocks.3, each with hook_resid_pre, hook_resid_post; or "
                           'give the path of a module, such as hook_point = "trunk.2"'),
    ],
    ids=["two lists", "one list"],
)  # fmt: skip
def test_the_way_out_is_one_short_line(model: torch.nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        find_hook_point(model, "blocks.1.hook_attn_out")
    text = str(raised.value)
    assert "\n" not in text
    assert "valid:" not in text
    assert len(text) < 300


def test_an_encoder_with_a_decoder_has_no_one_list(tiny_model):
    import transformers

    config = transformers.T5Config(
        vocab_size=52, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2
    )
    with torch.device("meta"):
        model = transformers.T5Model(config)
    with pytest.raises(InputError, match=r"a t5 model has no hook point .* cannot be told"):
        find_hook_point(model, "blocks.1.hook_resid_post")


def test_what_a_model_scales_before_it_adds_is_refused(tiny_model):
    folder, with_head = tiny_model("granite")
    backbone = HuggingFaceBackbone(folder)
    chunk = IDS[0].numpy().astype("int32")
    (batch,) = backbone.activations([chunk], ["blocks.1.hook_resid_post"])
    assert batch.values["blocks.1.hook_resid_post"].shape == (7, 16)
    for place in ("hook_attn_out", "hook_mlp_out", "hook_resid_mid"):
        with pytest.raises(InputError, match=rf"there is no 'blocks\.1\.{place}'; give the output"):
            next(backbone.activations([chunk], [f"blocks.1.{place}"]))
    plain = make_config("granite")
    plain.residual_multiplier = 1.0
    model = type(with_head)(plain).base_model.eval()
    names = [name for name in hook_names(model) if "resid_p" not in name]
    check_sums(model, names, lambda: model(input_ids=IDS))


@pytest.mark.parametrize(
    ("family", "name", "why"),
    [
        ("gemma3", "language_model.rotary_emb", r"its shape is \(1, 7, 12\)"),
        ("gemma3", "vision_tower.encoder", "nothing passes it"),
        ("gemma3", "language_model", r"its shape is \(\)"),
        ("qwen3_moe", "layers.1.mlp.experts", r"its shape is \(14, 16\)"),
    ],
)
def test_places_without_a_vector_for_each_token_are_refused(tiny_model, family, name, why):
    backbone = HuggingFaceBackbone(tiny_model(family)[0], prepend_bos=False)
    chunks = [row.numpy().astype("int32") for row in IDS]
    with pytest.raises(InputError, match=f"'{name}' of .* no vector for each token.*{why}"):
        next(backbone.activations(chunks, [name]))


LENS_MODELS = {
    "gpt2-small": "gpt2", "gemma-2b": "gemma", "gemma-2-": "gemma2", "mistral": "mistral",
    "pythia": "gpt_neox", "llama": "llama", "qwen2.5": "qwen2", "gpt-oss": "gpt_oss",
    "gemma-3-270m": "gemma3_text", "gemma-3-1b": "gemma3_text", "gemma-3-": "gemma3",
    "qwen3.5-35b": "qwen3_5_moe", "qwen3.5": "qwen3_5", "qwen3-30b": "qwen3_moe", "qwen3": "qwen3",
}  # fmt: skip
"""``model_type`` by what the name of a release's model holds, the first that fits."""


def places_of_a_release(release: str, looked_up: Any) -> set[str]:
    """The places that sae-lens's loader of a release names, by what it looks at itself."""
    kind = looked_up.conversion_func
    if kind in ("gemma_2", "gemma_3", "llama_scope"):
        for word, place in {
            "-att": "attn.hook_z", "-mlp": "hook_mlp_out", "-res": "hook_resid_post",
            "lxa": "hook_attn_out", "lxm": "hook_mlp_out", "lxr": "hook_resid_post",
        }.items():  # fmt: skip
            if word in release:
                return {place}
    ids = {sae_id.split("__")[0] for sae_id in looked_up.saes_map}
    named = {sae_id.split(".", 2)[2] for sae_id in ids if sae_id.startswith("blocks.")}
    if kind == "connor_rob_hook_z":
        return {"attn.hook_z"}
    # Feature splitting writes the width behind the name.
    return {name.removesuffix(f"_{name.split('_')[-1]}") if name[-1].isdigit() else name
            for name in named} or {"hook_resid_post"}  # fmt: skip


def test_hook_names_of_sae_lens_releases_are_found_in_their_models():
    import transformers
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    told: dict[str, set[str]] = {}
    found = 0
    for release, looked_up in get_pretrained_saes_directory().items():
        # Transcoders read one place and write another; they are no SAEs of a place.
        kind = next((k for m, k in LENS_MODELS.items() if m in looked_up.model.lower()), None)
        if kind is None or any(w in release + str(looked_up.conversion_func)
                               for w in ("transcoder", "clt")):  # fmt: skip
            continue
        if kind not in told:
            with torch.device("meta"):
                model = transformers.AutoModel.from_config(make_config(kind))
            told[kind] = {name.split(".", 2)[2] for name in hook_names(model)}
        assert places_of_a_release(release, looked_up) <= told[kind], release
        found += 1
    assert found >= 100
