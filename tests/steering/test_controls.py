"""Control directions by hand, and that each changes activations as much as the topic does."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.steering.controls import (
    control_vectors,
    difference_of_means,
    frequency_bins,
    matched_conditions,
    named_in_prompt,
    no_steering,
    permuted_within,
)
from mtmbench.steering.hook import Push
from mtmbench.steering.likelihood import TopicDocuments
from mtmbench.steering.units import expected_change, read_reference
from mtmbench.steering.vector import topic_vector, topic_weights

HOOK = "blocks.1.hook_resid_post"
FREQUENCY = np.arange(20) ** 2 % 17


@pytest.fixture
def corpus():
    generator = np.random.default_rng(0)
    texts = tuple(
        " ".join(f"w{i}" for i in generator.integers(0, 50, size=n))
        for n in generator.integers(3, 60, size=20)
    )
    return Corpus("toy", tuple(f"d{i}" for i in range(20)), texts)


def test_bins_are_of_neighbours_and_of_equal_size():
    frequency = np.random.default_rng(0).integers(0, 1000, size=400)
    bins = frequency_bins(frequency)
    assert np.bincount(bins).tolist() == [20] * 20
    for number in range(19):
        assert frequency[bins == number].max() <= frequency[bins == number + 1].min()
    assert frequency_bins(np.array([5, 1, 3])).tolist() == [0, 0, 0]
    assert np.bincount(frequency_bins(np.arange(35))).tolist() == [12, 12, 11]


def test_weights_are_permuted_within_bins():
    weights = np.random.default_rng(1).standard_normal(60)
    bins = frequency_bins(np.arange(60))
    drawn = permuted_within(weights, bins, seed=3)
    for number in range(6):
        assert sorted(drawn[bins == number]) == sorted(weights[bins == number])
    assert (drawn != weights).mean() > 0.5
    assert np.array_equal(drawn, permuted_within(weights, bins, seed=3))
    assert not np.array_equal(drawn, permuted_within(weights, bins, seed=4))
    # Every place is as likely as any other.
    first = [permuted_within(np.arange(5.0), np.zeros(5, int), seed)[0] for seed in range(2000)]
    assert np.bincount(np.array(first, int), minlength=5).min() > 330


def test_the_directions(result, sae):
    found = control_vectors(result, 1, sae, frequency=FREQUENCY)
    assert {method: len(drawn) for method, drawn in found.items()} == {
        "best_feature": 1, "random": 10, "permuted": 10, "other_topic": 3,
    }  # fmt: skip
    weights = topic_weights(result, 1)
    best = int(result.items.ids[int(weights.argmax())])
    np.testing.assert_allclose(found["best_feature"][0].direction, sae.directions[best], atol=1e-6)
    # Topic 3 is empty.
    others = [vector.origin.topic for vector in found["other_topic"]]
    assert others == [0, 2, 4]
    for k, vector in zip(others, found["other_topic"], strict=True):
        assert np.array_equal(vector.direction, topic_vector(result, k, sae).direction)
    for method, drawn in found.items():
        assert {v.origin.hook_point for v in drawn} == {HOOK}
        if method in ("random", "permuted"):
            assert len({v.revision for v in drawn}) == 10
            assert {v.origin.method for v in drawn} == {method}
    again = control_vectors(result, 1, sae, frequency=FREQUENCY)
    assert [v.revision for v in found["random"]] == [v.revision for v in again["random"]]
    other = control_vectors(result, 1, sae, frequency=FREQUENCY, seed=1, n_drawn=2)
    assert {method: len(drawn) for method, drawn in other.items()}["other_topic"] == 2
    assert other["random"][0].revision != found["random"][0].revision


def test_random_directions_are_isotropic(result, sae):
    found = control_vectors(result, 0, sae, frequency=FREQUENCY, n_drawn=2000)["random"]
    rows = np.stack([vector.direction for vector in found])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(16 * rows.T @ rows / 2000, np.eye(16), atol=0.15)


def test_difference_of_means_by_a_plain_pass(backbone, tiny_model, corpus):
    model = tiny_model("llama")[1]
    documents = TopicDocuments((0, 2, 5), (1, 3))

    def mean(rows):
        states = []
        for i in rows:
            ids = [int(word[1:]) for word in corpus.texts[i].split()[:20]]
            with torch.inference_mode():
                out = model(input_ids=torch.tensor([[50, *ids]]), output_hidden_states=True)
            states.append(out.hidden_states[2][0, 1:].numpy())
        return np.concatenate(states).mean(axis=0, dtype=float)

    found = difference_of_means(backbone, corpus, documents, HOOK, topic=4, max_tokens=20)
    expected = mean(documents.on) - mean(documents.off)
    np.testing.assert_allclose(found.direction, expected / np.linalg.norm(expected), atol=1e-5)
    assert (found.origin.method, found.origin.topic) == ("diff_means", 4)


def test_conditions_change_as_much_as_the_topic(backbone, result, sae, corpus):
    reference = read_reference(backbone, corpus, HOOK)
    like = Push(topic_vector(result, 1, sae), 30.0)
    documents = TopicDocuments((0, 2, 5), (1, 3))
    difference = difference_of_means(backbone, corpus, documents, HOOK, topic=1)
    vectors = control_vectors(result, 1, sae, frequency=FREQUENCY, difference=difference)
    target = expected_change(like, reference)
    for mode in ("project", "add"):
        conditions = matched_conditions(1, vectors, like, reference, mode)
        assert len(conditions) == 1 + 1 + 10 + 10 + 3
        assert [c.replicate for c in conditions if c.method == "random"] == list(range(10))
        goal = target if mode == "project" else 30.0
        for condition in conditions:
            assert condition.expected_change == pytest.approx(goal, rel=1e-6)
            assert condition.topic == 1
    described = json.loads(json.dumps(conditions[0].describe()))
    assert described["method"] == described["vector"]["method"] == "diff_means"


def test_conditions_without_a_direction():
    assert no_steering(3).describe()["vector"] is None
    assert named_in_prompt(3, "ice hockey").lead == "This is a text about ice hockey.\n\n"


def test_errors_name_the_value(backbone, result, sae, corpus):
    with pytest.raises(InputError, match="topic 7 is out of range"):
        control_vectors(result, 7, sae, frequency=FREQUENCY)
    with pytest.raises(InputError, match="topic 3 of 'mlda' is empty"):
        control_vectors(result, 3, sae, frequency=FREQUENCY)
    with pytest.raises(InputError, match="3 frequencies for 20 items"):
        control_vectors(result, 0, sae, frequency=FREQUENCY[:3])
    with pytest.raises(InputError, match="n_drawn must be at least 1, not 0"):
        control_vectors(result, 0, sae, frequency=FREQUENCY, n_drawn=0)
    with pytest.raises(InputError, match="norm 0"):
        difference_of_means(backbone, corpus, TopicDocuments((1,), (1,)), HOOK, topic=0)
    with pytest.raises(InputError, match="no tokens to take a mean over"):
        difference_of_means(backbone, corpus, TopicDocuments((), (1,)), HOOK, topic=0)
