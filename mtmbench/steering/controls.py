"""Controls of steering: what else could have moved the text as much.

A topic counts as steered only where it does better than directions that know nothing of it. Each
control changes activations by as much as the topic does: mean ‖a′ − a‖ over the text that it makes
is made equal (:mod:`~mtmbench.steering.calibrate`) and reported.

============== ==================================================================================
``none``       no steering
``prompt``     no steering, but a sentence in front of the prompt that names the topic
``diff_means`` mean activation on the topic's documents minus that on others
``topic``, ``topic_raw`` the topic's direction by the other formula than the one that steers
``best_feature`` the topic's strongest feature alone
``random``     isotropic random directions
``permuted``   the topic's weights, permuted among features that fire about as often
``other_topic`` directions of other topics
============== ==================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Float64Array, IntArray
from mtmbench.features.sae.backbone import Backbone
from mtmbench.features.sae.sae import SAE
from mtmbench.steering.hook import Mode, Push
from mtmbench.steering.likelihood import TopicDocuments
from mtmbench.steering.units import ReferenceActivations, expected_change, matched_push
from mtmbench.steering.vector import (
    Origin,
    SteeringVector,
    check_topic,
    feature_origin,
    item_directions,
    topic_vector,
    topic_weights,
)

N_DRAWN = 10
FREQUENCY_BINS, MIN_BIN_ITEMS = 20, 10


@dataclass(frozen=True)
class Condition:
    """One way of making text, for one topic.

    Attributes:
        method: "topic", "topic_raw", or a control's name.
        topic: the topic that its text is judged by.
        replicate: number among several of the method, from 0.
        push: the direction and λ; None for none.
        expected_change: mean ‖a′ − a‖ over the reference text; 0 without a push.
        target_change: mean ‖a′ − a‖ of generated text that λ was calibrated to; None if it was not.
        pilot_change: what the calibration's texts had at this λ.
        lead: what stands in front of the prompt.
    """

    method: str
    topic: int
    replicate: int = 0
    push: Push | None = None
    expected_change: float = 0.0
    target_change: float | None = None
    pilot_change: float | None = None
    lead: str = ""

    def describe(self) -> dict[str, object]:
        """Returns the record of it, as JSON values."""
        return {
            "method": self.method,
            "topic": self.topic,
            "replicate": self.replicate,
            "lambda_absolute": None if self.push is None else self.push.strength,
            "expected_change": self.expected_change,
            "target_change": self.target_change,
            "pilot_change": self.pilot_change,
            "vector": None if self.push is None else vars(self.push.vector.origin),
        }


def no_steering(topic: int) -> Condition:
    """Returns the unsteered condition of a topic."""
    return Condition("none", topic)


def named_in_prompt(topic: int, description: str) -> Condition:
    """Returns the condition whose prompt names the topic."""
    return Condition("prompt", topic, lead=f"This is a text about {description}.\n\n")


def control_vectors(
    result: TopicResult,
    topic: int,
    sae: SAE,
    *,
    frequency: IntArray,
    difference: SteeringVector | None = None,
    relative: bool = False,
    n_drawn: int = N_DRAWN,
    seed: int = 0,
) -> dict[str, list[SteeringVector]]:
    """Returns the control directions of a topic by method.

    Args:
        result: topics over features of ``sae``.
        topic: k.
        sae: the SAE.
        frequency: (V,) occurrences of each item in the corpus, the column sums of the counts.
        difference: what :func:`difference_of_means` found; None leaves that control out.
        relative: how topics' weights are taken; see
            :func:`~mtmbench.steering.vector.topic_vector`.
        n_drawn: random directions, permutations, and other topics at most; topics that are empty
            are none.
        seed: of the draws.

    Raises:
        InputError: the topic is out of range or empty, or ``frequency`` is of other items.
    """
    check_topic(result, topic)
    if n_drawn < 1:
        raise InputError(f"n_drawn must be at least 1, not {n_drawn!r}")
    if len(frequency) != len(result.items):
        raise InputError(f"{len(frequency)} frequencies for {len(result.items)} items")
    origin = replace(feature_origin(result, sae), topic=topic)
    weights = topic_weights(result, topic, relative=relative)
    directions = item_directions(result, sae)
    best = int(np.argmax(weights))
    found: dict[str, list[SteeringVector]] = {}
    if difference is not None:
        found["diff_means"] = [difference]
    found["best_feature"] = [
        SteeringVector.of(
            directions[best],
            replace(origin, method="best_feature", params={"feature": result.items.ids[best]}),
        )
    ]
    found["random"] = [
        random_vector(
            replace(origin, topic=None), sae.n_inputs, seed_from("random", seed, topic, i)
        )
        for i in range(n_drawn)
    ]
    bins = frequency_bins(frequency)
    for i in range(n_drawn):
        drawn = permuted_within(weights, bins, seed_from("permuted", seed, topic, i))
        how = replace(origin, method="permuted", params={"seed": seed, "replicate": i})
        found.setdefault("permuted", []).append(SteeringVector.of(drawn @ directions, how))
    whole = np.flatnonzero(result.item_weights.sum(axis=1) > 0)
    others = [int(k) for k in whole if k != topic]
    order = np.random.default_rng(seed_from("other topics", seed, topic)).permutation(len(others))
    found["other_topic"] = [
        topic_vector(result, others[i], sae, relative=relative) for i in sorted(order[:n_drawn])
    ]
    return found


def matched_conditions(
    topic: int,
    vectors: Mapping[str, Sequence[SteeringVector]],
    like: Push,
    reference: ReferenceActivations,
    mode: Mode = "project",
) -> list[Condition]:
    """Returns a condition for every control direction, with the λ that changes as much as a push.

    That is so over the reference text; in generated text it is where a calibration starts.

    Args:
        topic: the topic that the texts are judged by.
        vectors: by method; see :func:`control_vectors`.
        like: the topic's own push.
        reference: the text over which mean ‖a′ − a‖ is made equal.
        mode: see :func:`~mtmbench.steering.hook.steering`.
    """
    conditions = []
    for method, drawn in vectors.items():
        for replicate, vector in enumerate(drawn):
            push = matched_push(vector, like, reference, mode)
            change = expected_change(push, reference, mode)
            conditions.append(Condition(method, topic, replicate, push, change))
    return conditions


def random_vector(origin: Origin, width: int, seed: int) -> SteeringVector:
    """Returns an isotropic random direction."""
    numbers = np.random.default_rng(seed).standard_normal(width)
    return SteeringVector.of(numbers, replace(origin, method="random", params={"seed": seed}))


def frequency_bins(frequency: IntArray) -> IntArray:
    """Returns the bin of each item: items of neighbouring frequency, in bins of equal size.

    There are 20 bins, or fewer so that each has ten items at least.
    """
    n_items = len(frequency)
    n_bins = max(1, min(FREQUENCY_BINS, n_items // MIN_BIN_ITEMS))
    order = np.argsort(frequency, kind="stable")
    bins = np.empty(n_items, np.int64)
    bins[order] = np.arange(n_items) * n_bins // n_items
    return bins


def permuted_within(weights: Float64Array, bins: IntArray, seed: int) -> Float64Array:
    """Returns weights permuted among the items of each bin."""
    generator = np.random.default_rng(seed)
    drawn = weights.copy()
    for number in np.unique(bins):
        members = np.flatnonzero(bins == number)
        drawn[members] = weights[generator.permutation(members)]
    return drawn


def difference_of_means(
    backbone: Backbone,
    corpus: Corpus,
    documents: TopicDocuments,
    hook_point: str,
    *,
    topic: int,
    max_tokens: int = 256,
) -> SteeringVector:
    """Returns the direction from the mean activation off the topic to that on it.

    Tokens count alike, whatever document they are of.

    Args:
        backbone: the language model.
        corpus: the documents' corpus.
        documents: which are on the topic and which are not.
        hook_point: where activations are read.
        topic: the topic's index, for the origin.
        max_tokens: documents are cut to this many tokens.

    Raises:
        InputError: a side has no tokens, the hook point does not exist, or the means are equal.
    """
    means = [
        _mean_activation(backbone, [corpus.texts[i] for i in side], hook_point, max_tokens)
        for side in (documents.on, documents.off)
    ]
    origin = Origin(
        backbone.name, backbone.revision, hook_point, topic=topic, method="diff_means",
        params={"on": len(documents.on), "off": len(documents.off), "max_tokens": max_tokens},
    )  # fmt: skip
    return SteeringVector.of(means[0] - means[1], origin)


def _mean_activation(
    backbone: Backbone, texts: Sequence[str], hook_point: str, max_tokens: int
) -> Float64Array:
    total = np.zeros(backbone.hidden_size)
    n_tokens = 0
    for batch in backbone.activations(backbone.chunks(texts, max_tokens), [hook_point]):
        values = batch.values[hook_point]
        total = total + values.double().sum(dim=0).cpu().numpy()
        n_tokens += len(values)
    if n_tokens == 0:
        raise InputError("the documents have no tokens to take a mean over")
    return total / n_tokens
