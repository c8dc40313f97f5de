from __future__ import annotations

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.steering.text_measures import distinct, repetition, semantic_drift


def test_distinct_n():
    texts = ["The cat, the cat.", "A cat"]
    # the cat , the cat . | a cat: 8 tokens, of them different: the cat , . a
    assert distinct(texts, 1) == pytest.approx(5 / 8)
    # the-cat twice; cat-, ,-the cat-. a-cat once each.
    assert distinct(texts, 2) == pytest.approx(5 / 6)
    assert distinct(["one"], 2) is None
    assert distinct([], 1) is None


def test_repetition():
    assert repetition(["a b c d e f"]) == 0
    # a-b-a-b b-a-b-a a-b-a-b b-a-b-a a-b-a-b: two different among five.
    assert repetition(["a b a b a b a b"]) == pytest.approx(3 / 5)
    assert repetition(["a b a b a b a b", "a b c d", "a"]) == pytest.approx(3 / 10)
    assert repetition(["a b c"]) is None
    with pytest.raises(InputError, match="at least 1 token, not 0"):
        repetition(["a"], 0)


def test_drift():
    vectors = {"x": [2.0, 0.0], "y": [0.0, 3.0], "z": [1.0, 1.0], "": [0.0, 0.0]}

    def embed(texts):
        return np.array([vectors[text] for text in texts], np.float32)

    found = semantic_drift(["x", "x", "x", ""], ["x", "y", "z", "x"], embed)
    np.testing.assert_allclose(found, [0, 1, 1 - np.sqrt(0.5), 1], atol=1e-7)
    assert semantic_drift([], [], embed).shape == (0,)
    with pytest.raises(InputError, match="2 texts cannot be paired with 1"):
        semantic_drift(["x", "y"], ["x"], embed)
