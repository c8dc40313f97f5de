"""Nucleus sampling against a plain loop and against the probabilities themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtmbench.steering.draw import draw


def by_hand(logits, uniform, temperature, top_p):
    scaled = np.exp((logits - logits.max()) / temperature)
    probabilities = scaled / scaled.sum()
    order = range(len(logits)) if top_p == 1 else np.argsort(-probabilities, kind="stable")
    kept, total = [], 0.0
    for token in order:
        if top_p < 1 and total >= top_p:
            break
        kept.append(token)
        total += probabilities[token]
    level, reached = uniform * total, 0.0
    for token in kept:
        reached += probabilities[token]
        if reached > level:
            return token
    return kept[-1]


@pytest.mark.parametrize(("temperature", "top_p"), [(1, 1), (0.7, 0.9), (1.3, 0.5), (1, 0.01)])
def test_against_a_plain_loop(temperature, top_p):
    generator = np.random.default_rng(0)
    logits = 2 * generator.standard_normal((200, 12))
    uniforms = generator.random(200)
    found = draw(torch.from_numpy(logits), uniforms, temperature, top_p).tolist()
    rows = zip(logits, uniforms, strict=True)
    assert found == [by_hand(row, u, temperature, top_p) for row, u in rows]


def test_shares_are_the_probabilities():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).repeat(20_000, 1)
    uniforms = (np.arange(20_000) + 0.5) / 20_000
    shares = np.bincount(draw(logits, uniforms, 1, 1).numpy(), minlength=4) / 20_000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=1e-4)
    # 0.5 + 0.3 reach 0.8 but not 0.81.
    shares = np.bincount(draw(logits, uniforms, 1, 0.79).numpy(), minlength=4) / 20_000
    np.testing.assert_allclose(shares, [0.625, 0.375, 0, 0], atol=1e-4)
    shares = np.bincount(draw(logits, uniforms, 1, 0.81).numpy(), minlength=4) / 20_000
    np.testing.assert_allclose(shares[:3], np.array([0.5, 0.3, 0.15]) / 0.95, atol=1e-4)


def test_the_ends_and_temperature_zero():
    logits = torch.tensor([[0.0, 3.0, 3.0, -np.inf]])
    assert draw(logits, np.array([0.99]), 0, 1).tolist() == [1]
    assert draw(logits, np.array([0.0]), 1, 1).tolist() == [0]
    assert draw(logits, np.array([np.nextafter(1, 0)]), 1, 1).tolist() == [2]
