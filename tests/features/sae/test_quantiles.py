"""The one-pass quantile sketch against exact quantiles."""

from __future__ import annotations

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.features.sae.quantiles import QuantileSketch, estimate_error

LEVELS = [0.0, 0.05, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]


def stream(seed: int, n: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.choice(n_features, size=n, p=rng.dirichlet(np.full(n_features, 0.5)))
    values = rng.lognormal(mean=features % 3, sigma=0.7, size=n).astype(np.float16)
    return features.astype(np.int32), values.astype(np.float32)


def fill(sketch: QuantileSketch, features: np.ndarray, values: np.ndarray, step: int) -> None:
    for start in range(0, len(features), step):
        sketch.update(features[start : start + step], values[start : start + step])


def test_few_values_have_exact_quantiles():
    features, values = stream(0, 3000, 20)
    sketch = QuantileSketch(21)
    fill(sketch, features, values, 100)
    found = sketch.quantiles(LEVELS)
    for feature in range(20):
        own = values[features == feature]
        if 0 < len(own) <= sketch.k:
            expected = np.quantile(own, LEVELS, method="inverted_cdf")
            np.testing.assert_array_equal(found[feature], expected)
    assert np.isnan(found[20]).all()
    np.testing.assert_array_equal(sketch.n, np.bincount(features, minlength=21))


@pytest.mark.parametrize("order", ["drawn", "rising", "falling"])
def test_ranks_are_within_half_a_percentile(order):
    worst = 0.0
    for seed in range(3):
        features, values = stream(seed, 400_000, 5)
        if order != "drawn":
            sorting = np.argsort(values if order == "rising" else -values, kind="stable")
            features, values = features[sorting], values[sorting]
        sketch = QuantileSketch(5)
        fill(sketch, features, values, 20_000)
        found = sketch.quantiles(LEVELS)
        for feature in range(5):
            own = np.sort(values[features == feature])
            for level, value in zip(LEVELS, found[feature], strict=True):
                low = np.searchsorted(own, value, "left") / len(own)
                high = np.searchsorted(own, value, "right") / len(own)
                worst = max(worst, low - level, level - high)
    assert worst <= 0.005


@pytest.mark.slow
def test_the_stated_error_holds_over_many_streams():
    """A small k, so that errors are seen: 99 % of ranks are within the stated error."""
    k, n, trials = 64, 20_000, 300
    rng = np.random.default_rng(0)
    values = rng.permuted(np.tile(np.arange(n, dtype=np.float32), (trials, 1)), axis=1)
    sketch = QuantileSketch(trials, k=k)
    for start in range(0, n, 1000):
        block = values[:, start : start + 1000]
        sketch.update(np.repeat(np.arange(trials), 1000), block.ravel())
    found = sketch.quantiles([0.2, 0.5, 0.8])
    error = np.abs((found + 1) / n - np.array([0.2, 0.5, 0.8]))
    assert (error <= estimate_error(k)).mean() >= 0.99
    assert error.mean() > 0.001  # it is no exact count
    assert abs(((found + 1) / n - np.array([0.2, 0.5, 0.8])).mean()) < 0.002  # nor biased


def test_memory_is_bounded():
    sketch = QuantileSketch(1, k=100)
    values = np.random.default_rng(0).random(200_000).astype(np.float32)
    fill(sketch, np.zeros(len(values), np.int64), values, 5000)
    held = sum(len(part) for part in sketch._levels[0])
    assert held <= 100 * (1 + np.log2(len(values) / 100)) + 100
    weight = sum(len(part) * 2**height for height, part in enumerate(sketch._levels[0]))
    assert weight == len(values)


def test_the_same_stream_gives_the_same_bits_however_features_are_mixed_in():
    features, values = stream(1, 60_000, 4)
    together, apart = QuantileSketch(4, k=100), QuantileSketch(4, k=100)
    fill(together, features, values, 5000)
    for start in range(0, len(features), 5000):
        rows = slice(start, start + 5000)
        for feature in (3, 1, 0, 2):
            mask = features[rows] == feature
            apart.update(features[rows][mask], values[rows][mask])
    np.testing.assert_array_equal(together.quantiles(LEVELS), apart.quantiles(LEVELS))
    other = QuantileSketch(4, k=100, seed=1)
    fill(other, features, values, 5000)
    assert not np.array_equal(together.quantiles(LEVELS), other.quantiles(LEVELS))


def test_wrong_input_is_named():
    sketch = QuantileSketch(3)
    with pytest.raises(InputError, match="feature 3 came; the sketch has 3"):
        sketch.update(np.array([0, 3]), np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="1 features came with 2 values"):
        sketch.update(np.array([0]), np.array([1.0, 2.0]))
    with pytest.raises(InputError, match=r"lie in \[0, 1\]"):
        sketch.quantiles([80])
    with pytest.raises(InputError, match="k is 7"):
        QuantileSketch(3, k=7)
