"""Matched overlap against trying every match."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest

from mtmbench.metrics.compute import compute_value
from mtmbench.metrics.stability import OrderStability, Stability, matched_overlap

Topics = list[list[str]]


def naive_overlap(first: Topics, second: Topics) -> float:
    """The best of all one-to-one matches; the shorter list is filled up with empty topics."""
    size = max(len(first), len(second))
    left, right = (topics + [[]] * (size - len(topics)) for topics in (first, second))

    def jaccard(a: list[str], b: list[str]) -> float:
        return len({*a} & {*b}) / len({*a} | {*b}) if a or b else 0.0

    return max(
        sum(jaccard(a, right[i]) for a, i in zip(left, order, strict=True))
        for order in permutations(range(size))
    ) / size  # fmt: skip


def random_topics(rng: np.random.Generator, k: int) -> Topics:
    return [[str(i) for i in rng.permutation(12)[:5]] for _ in range(k)]


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (5, 2)])
def test_matched_overlap_is_the_best_match(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        first, second = random_topics(rng, sizes[0]), random_topics(rng, sizes[1])
        expected = naive_overlap(first, second)
        assert matched_overlap(first, second) == pytest.approx(expected, abs=1e-12)


def test_the_same_topics_in_another_order_overlap_fully() -> None:
    topics = [list("abc"), list("def"), list("ghi")]
    assert matched_overlap(topics, topics[::-1]) == 1
    assert matched_overlap(topics, [["x"], ["y"], ["z"]]) == 0


def test_stability_is_the_mean_over_pairs_of_seeds(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(1)
    corpus = corpus_of(["a b"])
    lists = [random_topics(rng, 3) for _ in range(3)]
    runs = [result_of(lists[i], [[1, 0, 0]], seed=i) for i in range(3)]
    expected = np.mean([naive_overlap(a, b) for a, b in combinations(lists, 2)])
    for mine in range(3):
        others = [runs[i] for i in range(3) if i != mine]
        context = context_of(corpus, siblings=others)
        value = Stability().compute(runs[mine], context, view="own")
        assert value.value == pytest.approx(expected, abs=1e-12)
        pairs = [naive_overlap(a, b) for a, b in combinations(lists, 2)]
        assert value.details == {
            "seeds": [0, 1, 2], "n_pairs": 3, "overlaps": pytest.approx(pairs, abs=1e-12),
        }  # fmt: skip


def test_stability_over_orders_reads_no_other_seed(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(2)
    lists = [random_topics(rng, 3) for _ in range(4)]
    runs = [result_of(topics, [[1, 0, 0]], seed=0) for topics in lists[:3]]
    other_seed = result_of(lists[3], [[1, 0, 0]], seed=1)
    context = context_of(corpus_of(["a b"]), siblings=[other_seed], reordered=runs[1:])
    value = OrderStability().compute(runs[0], context, view="own")
    pairs = [naive_overlap(a, b) for a, b in combinations(lists[:3], 2)]
    assert value.value == pytest.approx(np.mean(pairs), abs=1e-12)
    assert value.details["orders"] == 3
    alone = context_of(corpus_of(["a b"]), siblings=[other_seed])
    missing = compute_value(runs[0], alone, "stability_order", "own", {})
    assert (missing.value, "set orders in the suite" in str(missing.reason)) == (None, True)


def test_one_seed_has_no_stability(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    result = result_of([["a"]], [[1]])
    context = context_of(corpus_of(["a b"]), siblings=[result])
    reason = Stability().compute(result, context, view="own").reason
    assert reason == "there is no result of another seed to compare"
