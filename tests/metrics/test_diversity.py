"""Diversity by hand; rank-biased overlap against its definition as an infinite sum."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.metrics.diversity import Diversity, InvertedRBO, rank_biased_overlap


def naive_rbo(first: list[str], second: list[str], p: float, depth: int = 3000) -> float:
    """(1 − p) Σ_d p^(d−1) A_d, agreement extrapolated as Webber et al. (2010) assume.

    Past the end of the shorter list its hits go on at their rate so far; past the end of the longer
    one the agreement stays as it is.
    """
    s, length = sorted((len(first), len(second)))

    def overlap(d: int) -> int:
        return len(set(first[:d]) & set(second[:d]))

    def agreement(d: int) -> float:
        if d <= s:
            return overlap(d) / d
        d = min(d, length)
        return (overlap(d) + overlap(s) * (d - s) / s) / d

    ends = agreement(length)
    total = sum(p ** (d - 1) * (agreement(d) if d < length else ends) for d in range(1, depth))
    return (1 - p) * total


@pytest.mark.parametrize("p", [0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_rank_biased_overlap_equals_its_definition(p: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for short, long in ((10, 10), (3, 10), (1, 4), (7, 8)):
        first = [str(i) for i in rng.permutation(14)[:short]]
        second = [str(i) for i in rng.permutation(14)[:long]]
        expected = naive_rbo(first, second, p)
        assert rank_biased_overlap(first, second, p) == pytest.approx(expected, abs=1e-9)
        assert rank_biased_overlap(second, first, p) == pytest.approx(expected, abs=1e-9)


def test_rank_biased_overlap_of_equal_and_disjoint_lists() -> None:
    assert rank_biased_overlap(list("abc"), list("abc")) == pytest.approx(1)
    assert rank_biased_overlap(list("abc"), list("def")) == 0
    # One shared item at the last of two ranks: agreement 0, then 1/2 for ever after.
    assert rank_biased_overlap(["a", "b"], ["c", "b"], 0.9) == pytest.approx(0.9 / 2)


def test_inverted_rbo_is_the_mean_over_pairs(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    topics = [list("abcd"), list("bcde"), list("zyxw"), []]
    result = result_of(topics, [[0.25] * 4])
    value = InvertedRBO().compute(result, context_of(corpus_of(["a b"])), view="own")
    overlaps = [naive_rbo(a, b, 0.9) for a, b in combinations(topics[:3], 2)]
    assert value.value == pytest.approx(1 - np.mean(overlaps), abs=1e-9)
    assert value.details == {"n_topics_without_value": 1, "n_topics": 4}


def test_diversity_is_the_share_of_unique_items(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b"]))
    result = result_of([list("abcd"), list("abef"), []], [[0.4, 0.3, 0.3]])
    assert Diversity().compute(result, context, view="own").value == 6 / 8
    assert Diversity().compute(result, context, view="own", top_n=2).value == 2 / 4


def test_no_items_and_one_topic_are_missing(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b"]))
    # No word of this corpus stands in five documents, so no topic has a projected word.
    result = result_of([["a"], ["b"]], [[1, 0]])
    assert Diversity().compute(result, context, view="projected").reason == "no topic has an item"
    reason = InvertedRBO().compute(result, context, view="projected").reason
    assert reason == "fewer than two topics have items"


def test_p_must_be_a_persistence(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    result = result_of([["a"], ["b"]], [[1, 0]])
    with pytest.raises(InputError, match=r"between 0 and 1, not 1\.0"):
        InvertedRBO().compute(result, context_of(corpus_of(["a b"])), view="own", p=1.0)
