"""Scores and rows by hand, the choice of λ, and when a topic counts as steered."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError
from mtmbench.steering.evaluate import (
    TextScores,
    choose_lambda,
    halves,
    relevance,
    score_texts,
    table_row,
    text_pairs,
)
from mtmbench.steering.generate import Generation
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.units import Strength
from mtmbench.steering.win_rate import WinRate, win_rate

GOOD = TextScores(10, 30.0, 20.0, 0.9, 1.0, 0.0, 0.4, 2.0)


def made(key, prompt, ids, change=0.0):
    return Generation(key, prompt, "".join(f" w{i}" for i in ids), tuple(ids), False, change)


def rate(value, hi=0.5):
    return WinRate(value, 0.0, hi, 0.0, 1.0, 10, 5, 0)


def test_scores_by_hand(backbone):
    lm = CausalLM(backbone)
    steered = [made("a", "w1 w2", [3, 4, 3, 4], 2.0), made("b", "w5", [6, 7], 4.0)]
    plain = [made("c", "w1 w2", [8, 9, 10, 11]), made("d", "w5", [12, 13])]

    def embed(texts):
        return np.array([[1.0, 0] if " w3" in t or " w6" in t else [1, 1] for t in texts])

    scores = score_texts(lm, steered, plain, embed)
    for value, texts in ((scores.perplexity, steered), (scores.perplexity_baseline, plain)):
        total, n = 0.0, 0
        for each in texts:
            start = [50, *(int(word[1:]) for word in each.prompt.split())]
            ids = torch.tensor([[*start, *each.ids]])
            labels = ids.clone()
            labels[0, : len(start)] = -100
            with torch.inference_mode():
                total += float(lm.model(input_ids=ids, labels=labels).loss) * len(each.ids)
            n += len(each.ids)
        assert value == pytest.approx(math.exp(total / n), rel=1e-4)
    # w3-w4 twice, w4-w3, w6-w7.
    assert (scores.distinct_2, scores.distinct_2_baseline) == (0.75, 1.0)
    assert scores.repetition == 0
    assert scores.drift == pytest.approx(1 - math.sqrt(0.5))
    assert (scores.n, scores.mean_change) == (2, 3.0)


def test_pairs():
    steered = [made("a", "p", [1]), made("a", "p", [1])]
    pairs, prompts = text_pairs(steered, [made("b", "p", [2])] * 2)
    assert len({pair.name for pair in pairs}) == 2
    assert (pairs[0].steered, pairs[0].unsteered) == (" w1", " w2")
    assert prompts == ["p", "p"]
    with pytest.raises(InputError, match="a text of 'p' is paired with one of 'q'"):
        text_pairs(steered[:1], [made("b", "q", [2])])
    with pytest.raises(InputError, match="2 texts cannot be paired with 1"):
        text_pairs(steered, steered[:1])
    with pytest.raises(InputError, match="no texts to score"):
        text_pairs([], [])


def test_directions_that_differ_widen_the_interval():
    # Two of four directions win every prompt, two none: prompts agree, directions do not.
    forward = "aabb" * 10
    prompts = [f"p{i // 4}" for i in range(40)]
    directions = [i % 4 for i in range(40)]
    found = relevance(forward, forward, prompts, directions)
    named = [f"direction {i}" for i in directions]
    assert found == replace(win_rate(forward, forward, named), by_direction=(1, 1, 0, 0))
    assert found.hi - found.lo > 0.9
    narrow = relevance(forward, forward, prompts)
    assert narrow == win_rate(forward, forward, prompts)
    assert narrow == relevance(forward, forward, prompts, [0] * 40)


@pytest.mark.parametrize(
    ("change", "fluent"),
    [
        ({}, True),
        ({"perplexity": 40.0}, True),
        ({"perplexity": 40.1}, False),
        ({"distinct_2": 0.8}, True),
        ({"distinct_2": 0.79}, False),
        ({"perplexity": None}, False),
        ({"distinct_2": None}, False),
    ],
)
def test_fluency(change, fluent):
    assert replace(GOOD, **change).fluent is fluent


def test_the_choice_of_lambda():
    broken = replace(GOOD, perplexity=100.0)
    tried = {
        1.0: (rate(0.6), GOOD), 2.0: (rate(0.8), GOOD), 3.0: (rate(0.8), GOOD),
        4.0: (rate(0.9), broken), 5.0: (rate(None), GOOD),
    }  # fmt: skip
    assert choose_lambda(tried) == 2.0
    assert choose_lambda({4.0: (rate(0.9), broken)}) is None


def test_the_shares_of_directions():
    # Direction 4 won one and tied one, direction 2 lost, direction 7 has no judged pair.
    found = relevance("aTbuu", "aTbar", list("pqpqp"), [4, 4, 2, 7, 7])
    assert found.by_direction == (0.0, 0.75)
    assert relevance("ab", "ab", ["p", "q"], [0, 0]).by_direction == ()


def test_halves():
    prompts = [f"p{i}" for i in range(101)]
    first, second = halves(prompts, seed=1)
    assert (len(first), len(second)) == (50, 51)
    assert sorted(first + second) == sorted(prompts)
    assert halves(prompts, seed=1) == (first, second) != halves(prompts, seed=2)
    with pytest.raises(InputError, match="1 prompts cannot be split"):
        halves(prompts[:1])


def test_a_row_has_the_schemas_fields():
    strength = Strength(1.5, "p99", 2.0)
    row = table_row(
        corpus="lee", model="mlda", topic=3, method="topic", strength=strength, judge="embedding",
        rate=rate(0.8), scores=GOOD, delta_l=0.25,
    )  # fmt: skip
    assert list(row)[:15] == [
        "corpus", "model", "topic", "method", "lambda", "lambda_unit", "judge", "n", "win_rate",
        "lo", "hi", "perplexity", "perplexity_baseline", "delta_l", "drift",
    ]  # fmt: skip
    assert list(row.values())[:15] == [
        "lee", "mlda", 3, "topic", 1.5, "p99", "embedding", 10, 0.8, 0.0, 0.5, 30.0, 20.0, 0.25,
        0.4,
    ]  # fmt: skip
    plain = table_row(
        corpus="lee", model="mlda", topic=3, method="none", strength=None, judge="embedding",
        rate=rate(0.5), scores=GOOD, delta_l=None,
    )  # fmt: skip
    assert plain["lambda"] is plain["lambda_unit"] is plain["delta_l"] is None
