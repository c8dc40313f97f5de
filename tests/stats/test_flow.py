"""Flows of mass against counting, and where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.stats.flow import mass_flow


def test_of_whole_documents_it_is_counting() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, 300), rng.integers(0, 6, 300)
    counts = np.zeros((4, 6))
    np.add.at(counts, (a, b), 1)
    flow = mass_flow(np.eye(4)[a], np.eye(6)[b])
    np.testing.assert_allclose(flow.forward, counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(flow.backward, counts / counts.sum(axis=0))


def test_mixed_documents_do_not_blur_topics_that_stay() -> None:
    theta = np.random.default_rng(1).dirichlet(np.full(5, 0.3), 400)
    np.testing.assert_allclose(mass_flow(theta, theta).forward, np.eye(5), atol=1e-3)
    # The plain product of memberships would say that much of a topic has gone elsewhere.
    product = theta.T @ theta
    assert np.diag(product / product.sum(axis=1, keepdims=True)).max() < 0.8
    # Renamed topics are found again.
    order = [2, 0, 1, 4, 3]
    np.testing.assert_allclose(
        mass_flow(theta, theta[:, order]).forward, np.eye(5)[:, order], atol=1e-3
    )


def test_a_known_mixing_is_recovered() -> None:
    rng = np.random.default_rng(2)
    theta = rng.dirichlet(np.full(4, 0.3), 500)
    mixing = rng.dirichlet(np.full(6, 0.5), 4)
    flow = mass_flow(theta, theta @ mixing)
    np.testing.assert_allclose(flow.forward, mixing, atol=0.01)
    mass = theta.sum(axis=0)[:, None] * mixing
    np.testing.assert_allclose(flow.backward, mass / mass.sum(axis=0), atol=0.01)


def test_documents_and_groups_without_mass() -> None:
    first = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
    second = np.array([[0, 1], [1, 0], [1, 0], [0, 0]])
    flow = mass_flow(first, second)
    assert flow.forward.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert flow.backward.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert mass_flow(np.zeros((2, 2)), np.zeros((2, 3))).forward.tolist() == [[0] * 3] * 2
    with pytest.raises(InputError, match="of 4 documents cannot flow into 1"):
        mass_flow(first, second[:1])
