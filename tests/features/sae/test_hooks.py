"""Hook points of six families against the models' own states and against TransformerLens."""

from __future__ import annotations

import pytest
import torch

from mtmbench.core.errors import InputError
from mtmbench.features.sae.hooks import HookPoint, find_hook_point, hook_names, reading

FAMILIES = ("gpt2", "gemma2", "llama", "gpt_neox", "qwen2", "bert")
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


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "llama", "qwen2"])
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
@pytest.mark.parametrize("family", FAMILIES)
def test_transformer_lens_sees_the_same(tiny_model, family):
    bridge = pytest.importorskip("transformer_lens.model_bridge")
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
@pytest.mark.parametrize("family", FAMILIES)
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


def test_bert_has_no_stream_between_attention_and_mlp(tiny_model):
    with pytest.raises(InputError, match=r"has no hook point 'blocks\.1\.hook_resid_mid'"):
        find_hook_point(tiny_model("bert")[1].base_model, "blocks.1.hook_resid_mid")
