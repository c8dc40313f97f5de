"""The intervention on random models of five families: projections, caches, batches, nesting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.sae.hook_reading import reading
from mtmbench.features.sae.hooks import find_hook_point
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.steering.hook import Push, steering
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.vector import Origin, SteeringVector

FAMILIES = ("gpt2", "llama", "gpt_neox", "qwen2", "gemma2")
PLACES = ("hook_resid_pre", "hook_resid_post", "hook_attn_out", "hook_mlp_out")
IDS = torch.arange(14).reshape(2, 7) % 50


def vector(seed, hook_point="blocks.1.hook_resid_post", width=16):
    numbers = np.random.default_rng(seed).standard_normal(width)
    return SteeringVector.of(numbers, Origin("m", "hash", hook_point))


def see(model, *names, ids=IDS):
    points = {name: find_hook_point(model.base_model, name) for name in names}
    with torch.inference_mode(), reading(model.base_model, points) as seen:
        model(input_ids=ids)
    return seen


def logits(model, ids=IDS):
    with torch.inference_mode():
        return model(input_ids=ids).logits


def n_hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_projection_is_lambda_and_the_rest_stays(tiny_model, family, place):
    model = tiny_model(family)[1]
    name = f"blocks.1.{place}"
    s = vector(0, name)
    plain = see(model, name)[name]
    with steering(model, name, [[Push(s, 7.5)]]) as steered:
        seen = see(model, name)[name]
    direction = torch.from_numpy(s.direction)
    assert (seen @ direction - 7.5).abs().max() < 1e-4
    across = seen - (seen @ direction)[..., None] * direction
    torch.testing.assert_close(
        across, plain - (plain @ direction)[..., None] * direction, atol=1e-5, rtol=1e-5
    )
    expected = (7.5 - plain @ direction).abs()
    torch.testing.assert_close(steered.changes[0], expected, atol=1e-4, rtol=1e-4)
    assert steered.mean_change() == pytest.approx(float(expected.mean()), rel=1e-4)


@pytest.mark.parametrize("family", [*FAMILIES, "bert"])
def test_later_layers_see_the_change_and_earlier_ones_do_not(tiny_model, family):
    model = tiny_model(family)[1]
    names = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post", "blocks.2.hook_resid_pre")
    plain = see(model, *names)
    with steering(model, names[1], [[Push(vector(1), 5.0)]]):
        seen = see(model, *names)
    assert torch.equal(seen[names[0]], plain[names[0]])
    assert torch.equal(seen[names[1]], seen[names[2]])
    assert not torch.equal(seen[names[2]], plain[names[2]])


def test_adding_adds(tiny_model):
    model = tiny_model("llama")[1]
    name, s = "blocks.1.hook_resid_post", vector(0)
    plain = see(model, name)[name]
    with steering(model, name, [[Push(2 * s, 3.0)]], mode="add") as steered:
        seen = see(model, name)[name]
    torch.testing.assert_close(seen, plain + 6 * torch.from_numpy(s.direction))
    assert steered.mean_change() == pytest.approx(6, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_lambda_the_logits_are_the_same_bits(tiny_model, family):
    model = tiny_model(family)[1]
    plain = logits(model)
    with steering(model, "blocks.1.hook_resid_post", [[], []]) as steered:
        assert torch.equal(logits(model), plain)
    assert steered.mean_change() == 0
    # A row that is left alone in a batch whose other row is steered.
    with steering(model, "blocks.1.hook_resid_post", [[], [Push(vector(0), 9.0)]]):
        seen = logits(model)
    assert torch.equal(seen[0], plain[0])
    assert not torch.allclose(seen[1], plain[1])
    assert torch.equal(logits(model), plain)


def test_rows_are_steered_each_in_its_own_way(tiny_model):
    model = tiny_model("gpt2")[1]
    name, (s, t) = "blocks.1.hook_resid_post", (vector(0), vector(1))
    rows = [[Push(s, -4.0)], [Push(s, 2.0), Push(t, 3.0)]]
    with steering(model, name, rows):
        seen = see(model, name)[name]
    for row, (push, *more) in enumerate(rows):
        for each in (push, *more):
            along = seen[row] @ torch.from_numpy(each.vector.direction)
            assert (along - each.strength).abs().max() < 1e-4
    for row in range(2):
        with steering(model, name, [rows[row]]):
            alone = see(model, name, ids=IDS[row : row + 1])[name]
        torch.testing.assert_close(seen[row], alone[0], atol=1e-5, rtol=1e-5)


def test_several_topics_together_are_the_least_change(tiny_model):
    model = tiny_model("llama")[1]
    name, (s, t) = "blocks.1.hook_resid_post", (vector(0), vector(1))
    assert abs(s.cosine(t)) > 0.05
    plain = see(model, name)[name].double()
    with steering(model, name, [[Push(s, 2.0), Push(t, -1.0)]]):
        seen = see(model, name)[name].double()
    basis = np.stack([s.direction, t.direction]).astype(float)
    wanted = np.array([2.0, -1.0]) - plain.numpy() @ basis.T
    least = wanted @ np.linalg.pinv(basis).T
    np.testing.assert_allclose((seen - plain).numpy(), least, atol=1e-4)


def test_nested_contexts_act_one_after_the_other(tiny_model):
    model = tiny_model("llama")[1]
    name, (s, t) = "blocks.1.hook_resid_post", (vector(0), vector(1))
    plain = see(model, name)[name]

    def set_to(a, direction, strength):
        return a + (strength - a @ direction)[..., None] * direction

    with steering(model, name, [[Push(s, 2.0)]]):
        with steering(model, name, [[Push(t, 3.0)]]):
            seen = see(model, name)[name]
        outer = see(model, name)[name]
    first = set_to(plain, torch.from_numpy(s.direction), 2.0)
    torch.testing.assert_close(outer, first, atol=1e-5, rtol=1e-5)
    both = set_to(first, torch.from_numpy(t.direction), 3.0)
    torch.testing.assert_close(seen, both, atol=1e-5, rtol=1e-5)


def test_hooks_are_gone_after_the_block_and_after_an_error(tiny_model):
    model = tiny_model("gpt_neox")[1]
    before, plain = n_hooks(model), logits(model)
    push = [[Push(vector(0), 1.0)]]
    with steering(model, "blocks.1.hook_resid_post", push):
        assert n_hooks(model) == before + 2
    with (
        pytest.raises(RuntimeError, match="inside"),
        steering(model, "blocks.1.hook_resid_post", push),
    ):
        raise RuntimeError("inside")
    with pytest.raises(InputError), steering(model, "blocks.1.hook_resid_post", push * 3):
        logits(model)
    assert n_hooks(model) == before
    assert torch.equal(logits(model), plain)


@pytest.mark.parametrize(("positions", "first"), [("generated", 4), ("last", 3), ("all", 0)])
@pytest.mark.parametrize("family", FAMILIES)
def test_positions_are_counted_alike_with_a_cache_and_without(tiny_model, family, positions, first):
    folder, _ = tiny_model(family)
    lm = CausalLM(HuggingFaceBackbone(folder))
    name, rows = "blocks.1.hook_resid_post", [[Push(vector(0), 6.0)], [Push(vector(1), -6.0)]]
    mask = torch.ones_like(IDS)
    with steering(lm.model, name, rows, positions=positions, prompt_columns=4) as steered:
        whole = lm.logits(IDS, mask)
        cache = lm.new_cache()
        parts = [lm.logits(IDS[:, :4], mask[:, :4], cache=cache)]
        for column in range(4, 7):
            parts.append(lm.logits(IDS[:, column : column + 1], mask[:, : column + 1], cache=cache))
        last = lm.logits(IDS, mask, last=True)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(last, whole[:, -1], atol=1e-5, rtol=1e-5)
    assert steered.changes[0].shape == (2, 7 - first)
    # Columns before the first steered one predict what they predict unsteered.
    plain = lm.logits(IDS, mask)
    assert torch.equal(whole[:, :first], plain[:, :first])
    assert (whole[:, first:] - plain[:, first:]).abs().amax(dim=(0, 2)).min() > 1e-3


def test_the_models_own_generate_is_steered_too(tiny_model):
    """transformers' greedy loop, with cache, against a loop of whole passes without one."""
    model = tiny_model("llama")[1]
    name, row = "blocks.1.hook_resid_post", [[Push(vector(2), 40.0)]]
    ids = IDS[:1, :4]
    with (
        torch.inference_mode(),
        steering(model, name, row, positions="generated", prompt_columns=4),
    ):
        found = model.generate(ids, max_new_tokens=8, do_sample=False, eos_token_id=None)
    grown = ids
    with (
        torch.inference_mode(),
        steering(model, name, row, positions="generated", prompt_columns=4),
    ):
        for _ in range(8):
            grown = torch.cat([grown, logits(model, grown)[:, -1:].argmax(dim=-1)], dim=1)
    assert torch.equal(found, grown)
    plain = model.generate(ids, max_new_tokens=8, do_sample=False, eos_token_id=None)
    assert not torch.equal(found, plain)


def test_half_precision_is_steered_in_full_and_rounded_once(tiny_model):
    folder, _ = tiny_model("llama")
    lm = CausalLM(HuggingFaceBackbone(folder, dtype="bfloat16"))
    name, s = "blocks.1.hook_resid_post", vector(0)
    plain = see(lm.model, name)[name]
    with steering(lm.model, name, [[Push(s, 3.0)]]):
        seen = see(lm.model, name)[name]
    direction = torch.from_numpy(s.direction)
    exact = plain.float() + (3.0 - plain.float() @ direction)[..., None] * direction
    assert seen.dtype == torch.bfloat16
    assert torch.equal(seen, exact.to(torch.bfloat16))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: steering(m, "blocks.3.hook_resid_post", [[]]), "blocks.0 to blocks.2"),
        (
            lambda m: steering(m, "blocks.0.hook_resid_post", [[Push(vector(0), 1)]]),
            "hook point 'blocks.1.hook_resid_post' cannot steer 'blocks.0.hook_resid_post'",
        ),
        (
            lambda m: steering(
                m, "blocks.1.hook_resid_post", [[Push(vector(0), 1), Push(-vector(0), 1)]]
            ),
            "2 directions of a row are linearly dependent",
        ),
        (lambda m: steering(m, "blocks.1.hook_resid_post", []), "no rows to steer"),
        (
            lambda m: steering(
                m, "blocks.1.hook_resid_post", [[Push(vector(0), 1)], [Push(vector(0, width=8), 1)]]
            ),
            "widths 16 and 8",
        ),
    ],
)  # fmt: skip
def test_errors_name_the_value(tiny_model, act, message):
    model = tiny_model("llama")[1]
    before = n_hooks(model)
    with pytest.raises(InputError, match=message), act(model):
        pass
    assert n_hooks(model) == before


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_lambda_is_finite(strength):
    with pytest.raises(InputError, match=f"lambda must be finite, not {strength}"):
        Push(vector(0), strength)


def test_what_only_the_batch_shows(tiny_model):
    model = tiny_model("llama")[1]
    wide = Push(vector(0, width=8), 1.0)
    for rows, message in (
        ([[wide]], "width 8 cannot steer activations of width 16"),
        ([[Push(vector(0), 1.0)]] * 3, "steering for 3 rows met a batch of 2"),
    ):
        with (
            pytest.raises(InputError, match=message),
            steering(model, "blocks.1.hook_resid_post", rows),
        ):
            logits(model)


def test_unknown_names(tiny_model):
    model = tiny_model("llama")[1]
    for named in ({"mode": "projekt"}, {"positions": "lats"}):
        with (
            pytest.raises(UnknownNameError, match="did you mean"),
            steering(model, "blocks.1.hook_resid_post", [[]], **named),
        ):
            pass


def test_an_encoder_generates_nothing(tiny_model):
    with pytest.raises(InputError, match=r"is an encoder \(bert\)"):
        CausalLM(HuggingFaceBackbone(tiny_model("bert")[0]))
