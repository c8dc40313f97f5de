"""Directions of topics against plain loops; the arithmetic; files read back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from mtmbench.core.errors import InputError
from mtmbench.core.types import ItemSpace
from mtmbench.steering.vector import (
    Origin,
    SteeringVector,
    topic_vector,
    topic_weights,
)

PLACE = Origin("m", "hash", "blocks.1.hook_resid_post")


def by_hand(result, sae, weights):
    total = np.zeros(16)
    for weight, item in zip(weights, result.items.ids, strict=True):
        row = sae.w_dec[int(item)].astype(float)
        total += weight * row / np.sqrt((row**2).sum())
    return total / np.sqrt((total**2).sum())


def vector(*numbers, origin=PLACE):
    return SteeringVector.of(np.array(numbers), origin)


def test_the_direction_is_the_weighted_sum_of_unit_decoder_rows(result, sae):
    raw = topic_vector(result, 1, sae)
    beta = result.topic_item.astype(float)
    np.testing.assert_allclose(raw.direction, by_hand(result, sae, beta[1]), atol=1e-6)
    # Topic 3 is empty and no part of the mean topic.
    relative = topic_vector(result, 1, sae, relative=True)
    weights = beta[1] - beta[[0, 1, 2, 4]].mean(axis=0)
    np.testing.assert_allclose(relative.direction, by_hand(result, sae, weights), atol=1e-6)
    assert raw.direction.dtype == np.float32
    assert raw.scale == relative.scale == 1.0
    assert (raw.origin.method, relative.origin.method) == ("topic_raw", "topic")


def test_shown_weights_come_before_topic_item(result, sae):
    shown = np.zeros_like(result.topic_item)
    shown[:, 3], shown[2, 3], shown[2, 7] = 0.5, 0.0, 2.0
    found = topic_vector(replace(result, shown_item=shown), 2, sae)
    np.testing.assert_allclose(found.direction, sae.directions[11], atol=1e-6)


def test_only_the_top_items_count(result, sae):
    found = topic_vector(result, 0, sae, n_items=3)
    beta = result.topic_item[0].astype(float)
    weights = np.where(beta >= np.sort(beta)[-3], beta, 0)
    np.testing.assert_allclose(found.direction, by_hand(result, sae, weights), atol=1e-6)
    assert found.origin.params == {"n_items": 3}
    # What the mean topic has more of than this one has no place among the top items.
    assert (topic_weights(result, 0, relative=True, n_items=20) >= 0).all()


def test_the_origin_finds_model_layer_sae_and_topic_again(result, sae, backbone):
    origin = topic_vector(result, 4, sae).origin
    assert origin.backbone_revision == backbone.revision
    assert origin.hook_point == "blocks.1.hook_resid_post"
    assert (origin.sae_hash, origin.model, origin.topic) == (sae.revision, "mlda", 4)
    assert origin.result == result.revision


def test_arithmetic():
    a, b = vector(3.0, 0.0), vector(0.0, 2.0)
    both = 3 * a - b * 4
    np.testing.assert_allclose(both.value, [3, -4], atol=1e-6)
    np.testing.assert_allclose(both.direction, [0.6, -0.8], atol=1e-7)
    assert both.scale == pytest.approx(5)
    np.testing.assert_allclose((-a).direction, [-1, 0])
    assert (0.5 * a).scale == 0.5
    assert both.cosine(a) == pytest.approx(0.6)
    weights = [weight for weight, _ in both.origin.params["terms"]]
    assert weights == pytest.approx([3, -4])


def test_saved_and_loaded(tmp_path, result, sae):
    made = 2.5 * topic_vector(result, 1, sae, n_items=5) - topic_vector(result, 0, sae)
    made.save(tmp_path / "v.safetensors")
    read = SteeringVector.load(tmp_path / "v.safetensors")
    assert np.array_equal(read.direction, made.direction)
    assert (read.scale, read.revision) == (made.scale, made.revision)
    assert json.loads(json.dumps(vars(read.origin))) == json.loads(json.dumps(vars(made.origin)))
    assert read.cosine(made) == pytest.approx(1, abs=1e-6)


def test_the_revision_is_of_value_and_place():
    a = vector(1.0, 1.0)
    assert a.revision == vector(2.0, 2.0, origin=replace(PLACE, method="random")).revision
    assert a.revision != vector(1.0, 1.0, origin=replace(PLACE, hook_point="blocks.0")).revision
    assert a.revision != (2 * a).revision


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda r, s: topic_vector(r, 5, s), "topic 5 is out of range; 'mlda' has topics 0 to 4"),
        (lambda r, s: topic_vector(r, -1, s), "topic -1 is out of range"),
        (lambda r, s: topic_vector(r, 3, s), "topic 3 of 'mlda' is empty"),
        (lambda r, s: topic_vector(r, 0, s, n_items=0), "n_items must be at least 1, not 0"),
        (lambda r, s: topic_vector(r, 0, replace(s, k=3)), "was fitted on features of SAE 'tiny'"),
        (lambda r, s: vector(0.0, 0.0), "the topic direction has norm 0"),
        (lambda r, s: vector(1.0, 0) - vector(2.0, 0), "the sum direction has norm 0"),
        (lambda r, s: float("nan") * vector(1.0), "multiplied by nan"),
        (lambda r, s: vector(1.0) * vector(1.0), "multiplied by numbers"),
        (lambda r, s: vector(1.0) + 2, "not 2"),
        (
            lambda r, s: vector(1.0) + vector(1.0, origin=replace(PLACE, hook_point="blocks.2")),
            "hook_point 'blocks.1.hook_resid_post' and 'blocks.2'",
        ),
        (lambda r, s: SteeringVector(np.float32([1, 1]), PLACE), "length one; this one has 1.414"),
        (lambda r, s: SteeringVector(np.float32([1]), PLACE, 0.0), "above 0, not 0.0"),
    ],
)
def test_errors_name_the_value(result, sae, act, message):
    with pytest.raises(InputError, match=message):
        act(result, sae)


def test_topics_over_words_have_no_direction(result, sae):
    words = replace(result, items=ItemSpace("words", result.items.ids, result.items.labels))
    with pytest.raises(InputError, match="is over words, which have no directions"):
        topic_vector(words, 0, sae)


def test_a_file_that_is_no_vector_is_named(tmp_path):
    save_file({"other": np.zeros(2)}, tmp_path / "v.safetensors")
    for name in ("v.safetensors", "none.safetensors"):
        with pytest.raises(InputError, match=f"{name} is not a whole steering vector"):
            SteeringVector.load(tmp_path / name)
