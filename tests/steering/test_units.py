"""Units of λ against activations read by a plain pass; matched changes in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Corpus
from mtmbench.steering.hook import Push, steering
from mtmbench.steering.units import (
    ReferenceActivations,
    expected_change,
    matched_push,
    read_reference,
    strength,
)
from mtmbench.steering.vector import Origin, SteeringVector

HOOK = "blocks.1.hook_resid_post"


@pytest.fixture
def corpus():
    generator = np.random.default_rng(0)
    texts = tuple(
        " ".join(f"w{i}" for i in generator.integers(0, 50, size=n))
        for n in generator.integers(3, 70, size=30)
    )
    return Corpus("toy", tuple(f"d{i}" for i in range(30)), texts)


@pytest.fixture
def reference(backbone, corpus):
    return read_reference(backbone, corpus, HOOK, n_tokens=10**6)


def vector(seed, backbone=None):
    revision = "hash" if backbone is None else backbone.revision
    numbers = np.random.default_rng(seed).standard_normal(16)
    return SteeringVector.of(numbers, Origin("tiny", revision, HOOK))


def made_up(projections, width=16):
    """A reference whose projections on the first axis are given."""
    activations = np.zeros((len(projections), width), np.float32)
    activations[:, 0] = projections
    return ReferenceActivations("made up", "0", "hash", HOOK, activations)


def axis(number):
    return SteeringVector.of(np.eye(16)[number], Origin("m", "hash", HOOK))


def test_the_units_are_those_of_a_plain_pass(backbone, tiny_model, corpus, reference):
    model = tiny_model("llama")[1]
    states = []
    for text in corpus.texts:
        ids = [int(word[1:]) for word in text.split()]
        for first in range(0, len(ids), 31):
            chunk = torch.tensor([[50, *ids[first : first + 31]]])
            with torch.inference_mode():
                out = model(input_ids=chunk, output_hidden_states=True)
            states.append(out.hidden_states[2][0, 1:].numpy())
    plain = np.concatenate(states)
    assert len(reference.activations) == len(plain) == sum(len(t.split()) for t in corpus.texts)
    assert reference.mean_norm == pytest.approx(np.linalg.norm(plain, axis=1).mean(), rel=1e-5)
    s = vector(3, backbone)
    found = strength(2.0, "p99", s, reference)
    expected = np.quantile(plain @ s.direction, 0.99)
    assert found.unit_value == pytest.approx(expected, rel=1e-4)
    assert found.absolute == pytest.approx(2 * expected, rel=1e-4)
    by_norm = strength(-0.5, "mean_norm", s, reference)
    assert by_norm.absolute == pytest.approx(-0.5 * reference.mean_norm)
    assert by_norm.describe() == {
        "lambda": -0.5, "lambda_unit": "mean_norm", "lambda_absolute": by_norm.absolute,
        "lambda_reference": {
            "corpus": "toy", "texts": reference.texts, "tokens": len(plain),
        },
    }  # fmt: skip
    assert strength(3.0, "absolute", s).absolute == 3.0


def test_a_reference_of_some_tokens_is_the_same_every_time(backbone, corpus):
    once, again = (read_reference(backbone, corpus, HOOK, n_tokens=200) for _ in range(2))
    assert 200 <= len(once.activations) < 270
    assert np.array_equal(once.activations, again.activations)
    other = read_reference(backbone, corpus, HOOK, n_tokens=200, seed=1)
    assert other.texts != once.texts


def test_the_expected_change_is_what_the_hook_does(backbone, tiny_model, corpus, reference):
    model = tiny_model("llama")[1]
    push = Push(0.5 * vector(4, backbone), 6.0)
    total, n = 0.0, 0
    for text in corpus.texts:
        ids = [int(word[1:]) for word in text.split()]
        for first in range(0, len(ids), 31):
            chunk = torch.tensor([[50, *ids[first : first + 31]]])
            with torch.inference_mode(), steering(model, HOOK, [[push]]) as steered:
                model(input_ids=chunk)
            total += float(steered.changes[0][0, 1:].sum())
            n += chunk.shape[1] - 1
    assert expected_change(push, reference) == pytest.approx(total / n, rel=1e-5)
    assert expected_change(push, reference, "add") == pytest.approx(3.0)


@pytest.mark.parametrize("like", [12.0, -9.0])
def test_a_matched_push_changes_as_much(backbone, reference, like):
    push, other = Push(vector(5, backbone), like), 2 * vector(6, backbone)
    for mode in ("project", "add"):
        matched = matched_push(other, push, reference, mode)
        assert expected_change(matched, reference, mode) == pytest.approx(
            expected_change(push, reference, mode), rel=1e-6
        )
        assert np.sign(matched.strength) == np.sign(like)


def test_matching_in_closed_form():
    # Projections 0 and 4 on the axis: |λ − 0| + |λ − 4| = 2 · 7 at λ = 9, and at λ = −5.
    reference = made_up([0.0, 4.0])
    like = Push(axis(1), 7.0)
    assert matched_push(axis(0), like, reference).strength == pytest.approx(9)
    assert matched_push(axis(0), Push(axis(1), -7.0), reference).strength == pytest.approx(-5)
    # Nothing changes less than 2 on average: the median is the best there is.
    small = matched_push(axis(0), Push(axis(1), 0.5), reference)
    assert small.strength == pytest.approx(2)
    assert expected_change(small, reference) == pytest.approx(2)


def test_errors_name_the_value(backbone, corpus, reference):
    s = vector(0, backbone)
    for value in (float("nan"), float("-inf")):
        with pytest.raises(InputError, match=f"lambda must be finite, not {value}"):
            strength(value, "absolute", s)
    with pytest.raises(InputError, match="in units of p99 needs reference texts"):
        strength(1.0, "p99", s)
    with pytest.raises(UnknownNameError, match="did you mean 'mean_norm'"):
        strength(1.0, "mean_nrm", s)
    with pytest.raises(InputError, match=r"projections on the direction is -1; a unit must"):
        strength(1.0, "p99", axis(0), made_up([-1.0, -1.0]))
    with pytest.raises(InputError, match=r"read at hook_point .*; the vector is of 'blocks\.2'"):
        reference.projections(replace(s, origin=replace(s.origin, hook_point="blocks.2")))
    with pytest.raises(InputError, match=r"has no hook point 'blocks\.9\.hook_resid_post'"):
        read_reference(backbone, corpus, "blocks.9.hook_resid_post")
