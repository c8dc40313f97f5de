"""Cells, reasons for missing values, and the registered names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import canonical_json
from mtmbench.core.topic_result import TopicResult
from mtmbench.metrics.compute import compute_value, metric_variants
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.registry import METRICS

BUILT_IN = {
    "npmi", "c_v", "uci", "u_mass", "embedding_coherence", "diversity", "inverted_rbo", "purity",
    "inverse_purity", "purity_f1", "nmi", "ari", "v_measure", "probe_f1", "stability",
    "stability_order", "perplexity", "coverage", "doc_topic_correlation",
}  # fmt: skip


def play_metrics(result: TopicResult, context: MetricContext) -> list[tuple[Any, ...]]:
    """Every cell of the registered metrics, with its value."""
    return [
        (*cell, compute_value(result, context, *cell))
        for cell in metric_variants()
        if METRICS.origin(cell[0]).startswith("mtmbench.")  # tests of plugins register more
    ]


def test_every_built_in_metric_is_registered_under_its_own_name() -> None:
    assert set(METRICS.names()) >= BUILT_IN
    for name in sorted(BUILT_IN):
        assert METRICS.get(name).name == name
        assert METRICS.get(name).higher_is_better is (name != "perplexity")


def test_cells_are_metric_by_view_by_variant() -> None:
    assert metric_variants(["npmi", "coverage", "purity"]) == [
        ("npmi", "own", {"window": 10, "version": "exact", "top_n": 10}),
        ("npmi", "own", {"window": "document", "version": "exact", "top_n": 10}),
        ("npmi", "projected", {"window": 10, "version": "exact", "top_n": 10}),
        ("npmi", "projected", {"window": "document", "version": "exact", "top_n": 10}),
        ("coverage", None, {}),
        ("purity", None, {"documents": "all"}),
        ("purity", None, {"documents": "assigned"}),
    ]
    assert {name for name, _, _ in metric_variants()} >= BUILT_IN
    with pytest.raises(UnknownNameError, match="did you mean 'coverage'"):
        metric_variants(["covrage"])


def test_a_bare_context_gives_values_or_reasons(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    texts = ["cat dog bird", "cat dog", "sun moon star", "moon sun"] * 5
    theta = np.eye(2)[[0, 0, 1, 1] * 5]
    result = result_of([["cat", "dog"], ["sun", "moon"]], theta)
    played = play_metrics(result, context_of(corpus_of(texts)))
    reasons = {name: value.reason for name, _, _, value in played if value.value is None}
    no_labels = "corpus 'made' has no gold labels"
    assert reasons == {
        **dict.fromkeys(
            ["purity", "inverse_purity", "purity_f1", "nmi", "ari", "v_measure", "probe_f1"],
            no_labels,
        ),
        "embedding_coherence": "there is no text encoder here",
        "stability": "there is no result of another seed to compare",
        "stability_order": (
            "there is no result of another order of the documents; set orders in the suite"
        ),
        "doc_topic_correlation": "there is no result of another model to compare",
        "perplexity": "the model cannot be fitted anew here",
        **dict.fromkeys(
            [
                "rating",
                "intrusion",
                "proxann",
                "word_split",
                "word_mixing",
                "repetitiveness",
                "outliers",
                "missing_themes",
            ],
            "no judge can be asked here; play it in a suite",
        ),
    }
    values = {(n, v, p.get("window")): x.value for n, v, p, x in played if x.value is not None}
    assert values["diversity", "own", None] == 1
    # The three-word texts hold two of the ten windows in which cat and dog stand.
    assert values["npmi", "own", "document"] == pytest.approx(1, abs=1e-9)
    for _, _, _, value in played:
        assert json.loads(canonical_json(value.details)) is not None


def test_wrong_views_parameters_and_corpora_are_errors(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b"]))
    result = result_of([["a", "b"]], [[1]])
    with pytest.raises(InputError, match="'coverage' is played on"):
        compute_value(result, context, "coverage", "own", {})
    with pytest.raises(InputError, match=r"'coverage' has no parameter 'n'; it takes none"):
        compute_value(result, context, "coverage", None, {"n": 3})
    with pytest.raises(InputError, match="2 documents but corpus 'made' has 1"):
        compute_value(result_of([["a"]], [[1], [1]]), context, "coverage", None, {})


def test_without_word_counts_projected_words_are_missing(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    context = context_of(corpus_of(["a b"]))
    context.counts = {}
    result = result_of([["a", "b"]], [[1]])
    value = compute_value(result, context, "diversity", "projected", {})
    assert value.reason == (
        "projected words need the word counts of the corpus, which were not given"
    )


def test_contexts_that_share_a_cache_agree_with_those_that_do_not(
    corpus_of: Callable[..., Any], context_of: Callable[..., Any], result_of: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(15)]
    corpus = corpus_of([" ".join(rng.choice(words, 12)) for _ in range(60)], ["x", "y", "z"] * 20)
    cache: dict[Any, Any] = {}
    for seed in range(3):
        topics = [[str(w) for w in rng.permutation(words)[:4]] for _ in range(3)]
        result = result_of(topics, rng.dirichlet([0.2] * 3, 60), seed=seed)
        shared = play_metrics(result, context_of(corpus, cache=cache))
        assert shared == play_metrics(result, context_of(corpus))
        assert shared == play_metrics(result, context_of(corpus, cache=cache))
