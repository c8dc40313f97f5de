"""The expected largest of normal values, against closed forms and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.stats.best_of import expected_largest


def test_a_few_have_closed_forms() -> None:
    """Of 2 to 4: David and Nagaraja, Order Statistics, 3rd edition, 4.2."""
    root = math.sqrt(math.pi)
    found = [expected_largest(n) for n in (1, 2, 3, 4)]
    expected = [0.0, 1 / root, 1.5 / root, 3 / root * (0.5 + math.asin(1 / 3) / math.pi)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_many_agree_with_draws() -> None:
    drawn = np.random.default_rng(0).standard_normal((40_000, 20)).max(axis=1)
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(expected_largest(20) - drawn.mean()) < 4 * error


def test_of_none_there_is_no_largest() -> None:
    with pytest.raises(InputError, match="largest of 0 values"):
        expected_largest(0)
