"""Gold-label alignment against counts by hand, pair counting and entropies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.metrics.alignment import (
    ARI,
    NMI,
    InversePurity,
    ProbeF1,
    Purity,
    PurityF1,
    VMeasure,
)
from mtmbench.metrics.coverage import Coverage

Make = Callable[..., Any]
CLUSTER_METRICS = (Purity, InversePurity, PurityF1, NMI, ARI, VMeasure)


@pytest.fixture
def world(corpus_of: Make, context_of: Make, result_of: Make) -> Make:
    """A context and a result from labels and hard topics; topic None has no mass."""

    def make(labels: list[str | None], topics: list[int | None], **more: Any) -> Any:
        theta = np.zeros((len(labels), 4))
        for row, topic in enumerate(topics):
            if topic is not None:
                theta[row] = 0.1
                theta[row, topic] = 0.7
        corpus = corpus_of(["a b"] * len(labels), labels)
        return context_of(corpus), result_of([["a"], ["b"], ["c"], ["d"]], theta, **more)

    return make


def naive(labels: list[Any], clusters: list[Any]) -> dict[type[Any], float]:
    n = len(labels)

    def pure(inner: list[Any], outer: list[Any]) -> float:
        groups = {
            o: [i for i, other in zip(inner, outer, strict=True) if other == o] for o in outer
        }
        return sum(Counter(group).most_common(1)[0][1] for group in groups.values()) / n

    def entropy(*columns: list[Any]) -> float:
        counts = Counter(zip(*columns, strict=True)).values()
        return -sum(c / n * math.log(c / n) for c in counts)

    def same(column: list[Any]) -> np.ndarray:
        return np.array([a == b for a, b in combinations(column, 2)])

    both, left, right = same(labels) & same(clusters), same(labels), same(clusters)
    expected = left.sum() * right.sum() / len(both)
    ceiling = (left.sum() + right.sum()) / 2
    mutual = entropy(labels) + entropy(clusters) - entropy(labels, clusters)
    nmi = mutual / ((entropy(labels) + entropy(clusters)) / 2)
    purity, inverse = pure(labels, clusters), pure(clusters, labels)
    return {
        Purity: purity,
        InversePurity: inverse,
        PurityF1: 2 / (1 / purity + 1 / inverse),
        NMI: nmi,
        VMeasure: nmi,
        ARI: (both.sum() - expected) / (ceiling - expected),
    }


@pytest.mark.parametrize("metric", CLUSTER_METRICS)
def test_cluster_metrics_equal_their_definitions(metric: type[Any], world: Make) -> None:
    rng = np.random.default_rng(5)
    topics = [int(t) for t in rng.integers(0, 4, 60)]
    labels = [f"l{t}" if rng.random() < 0.6 else f"l{rng.integers(0, 3)}" for t in topics]
    context, result = world(labels, topics)
    expected = naive(labels, topics)[metric]
    for documents in ("all", "assigned"):
        value = metric().compute(result, context, documents=documents)
        assert value.value == pytest.approx(expected, abs=1e-12)
        assert value.details == {"n_documents": 60, "n_unlabelled": 0, "n_unassigned": 0}


@pytest.mark.parametrize("metric", CLUSTER_METRICS)
def test_unassigned_documents_are_one_cluster_or_left_out(metric: type[Any], world: Make) -> None:
    labels = ["x", "x", "y", "y", "y", "z", "z", None, "x"]
    topics: list[int | None] = [0, 0, 1, 1, 2, 2, None, 0, 3]
    # Documents 4 and 8 have mass but are outliers; 6 has no mass; 7 has no label.
    outlier = np.zeros(9, dtype=bool)
    outlier[[4, 8]] = True
    context, result = world(labels, topics, outlier=outlier)
    left_out = {"n_unlabelled": 1, "n_unassigned": 3}
    everything = metric().compute(result, context, documents="all")
    expected = naive(["x", "x", "y", "y", "y", "z", "z", "x"], [0, 0, 1, 1, "o", 2, "o", "o"])
    assert everything.value == pytest.approx(expected[metric], abs=1e-12)
    assert everything.details == {"n_documents": 8, **left_out}
    assigned = metric().compute(result, context, documents="assigned")
    expected = naive(["x", "x", "y", "y", "z"], [0, 0, 1, 1, 2])
    assert assigned.value == pytest.approx(expected[metric], abs=1e-12)
    assert assigned.details == {"n_documents": 5, **left_out}


@pytest.mark.parametrize("metric", [*CLUSTER_METRICS, ProbeF1])
def test_without_labels_or_assigned_documents_there_is_a_reason(
    metric: type[Any], world: Make
) -> None:
    context, result = world([None, None], [0, 1])
    assert metric().compute(result, context).reason == "corpus 'made' has no gold labels"
    context, result = world(["x", "y"], [None, None])
    reason = metric().compute(result, context, documents="assigned").reason
    assert reason == "no document with a gold label is assigned to a topic"
    with pytest.raises(InputError, match=r"\"all\" or \"assigned\", not 'some'"):
        metric().compute(result, context, documents="some")


def probe_world(context_of: Make, corpus_of: Make, result_of: Make, signal: float) -> Any:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    theta = rng.dirichlet(np.full(6, 0.3), 300) * (1 - signal)
    theta[np.arange(300), labels] += signal
    corpus = corpus_of(["a b"] * 300, [f"l{label}" for label in labels])
    return context_of(corpus), result_of([[f"i{k}"] for k in range(6)], theta)


def test_the_probe_reads_labels_that_theta_tells_and_no_others(
    context_of: Make, corpus_of: Make, result_of: Make
) -> None:
    clear = ProbeF1().compute(*reversed(probe_world(context_of, corpus_of, result_of, 0.9)))
    blind = ProbeF1().compute(*reversed(probe_world(context_of, corpus_of, result_of, 0.0)))
    assert clear.value > 0.99
    assert abs(blind.value - 1 / 3) < 0.08
    assert clear.details["converged"] is True
    again = ProbeF1().compute(*reversed(probe_world(context_of, corpus_of, result_of, 0.0)))
    assert again.value == blind.value


def test_the_probe_equals_scikit_learns_own_cross_validation(
    context_of: Make, corpus_of: Make, result_of: Make
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    context, result = probe_world(context_of, corpus_of, result_of, 0.15)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3))
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    theta = result.doc_topic.astype(np.float64)
    predicted = cross_val_predict(probe, theta, context.corpus.labels, cv=folds)
    expected = f1_score(context.corpus.labels, predicted, average="macro")
    value = ProbeF1().compute(result, context, seed=7)
    assert value.value == pytest.approx(expected, abs=1e-12)
    assert 0.4 < expected < 0.95


def test_labels_too_rare_to_fold_are_left_out(world: Make) -> None:
    labels: list[str | None] = ["x"] * 6 + ["y"] * 6 + ["rare"] * 2 + [None]
    context, result = world(labels, [0] * 6 + [1] * 6 + [2] * 3)
    value = ProbeF1().compute(result, context)
    assert value.value == 1
    assert value.details["n_labels_too_rare"] == 1
    assert value.details["n_documents"] == 12
    few = ProbeF1().compute(result, context, folds=7)
    assert few.reason == "fewer than two labels have 7 documents or more"


def test_coverage_counts_outliers_and_documents_without_mass(world: Make) -> None:
    outlier = np.array([True, False, False, True, False])
    context, result = world(["x"] * 5, [0, 1, None, None, 2], outlier=outlier)
    value = Coverage().compute(result, context)
    assert value.value == pytest.approx(2 / 5)
    assert value.details == {"n_outliers": 2, "n_unassigned": 3}
    context, result = world(["x"] * 2, [0, 1])
    assert Coverage().compute(result, context).value == 1


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["farm"] * 40, "has one gold label, 'farm', for all its 40 labelled documents"),
        (["farm", None] * 20, "has one gold label, 'farm', for all its 20 labelled documents"),
        ([f"title {i}" for i in range(40)], "has 40 gold labels for 40 documents, nearly one each"),
        (
            [f"title {i % 38}" for i in range(40)],
            "has 38 gold labels for 40 documents, nearly one each, which group nothing",
        ),
    ],
)
def test_labels_that_group_nothing_are_a_reason(
    world: Make, labels: list[str | None], reason: str
) -> None:
    context, result = world(labels, [i % 4 for i in range(40)])
    for metric in (*CLUSTER_METRICS, ProbeF1):
        value = metric().compute(result, context)
        assert value.value is None
        assert reason in (value.reason or "")


def test_one_label_among_the_assigned_is_a_reason(world: Make) -> None:
    context, result = world(["a", "a", "a", "b", "b"], [0, 1, 1, None, None])
    for metric in CLUSTER_METRICS:
        assert metric().compute(result, context, documents="all").value is not None
        value = metric().compute(result, context, documents="assigned")
        assert value.reason is not None
        assert "all 3 documents that count have the gold label 'a'" in value.reason
