"""Which views are made before which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mtmbench.core.specs import EmbeddingsSpec, FeatureSpec
from mtmbench.engine.phases import phases
from mtmbench.engine.workers import ASKING
from mtmbench.models.registry import MODELS


def planned(source: str, models: list[str], rewrites: Any = ()) -> Any:
    fits = [
        SimpleNamespace(
            corpus=corpus, registry=model, key=f"{corpus} {model}", twin=None,
            setting="default" if "features" in MODELS.get(model).needs else None,
        )
        for corpus in ("long", "short")
        for model in models
    ]  # fmt: skip
    corpora = {
        name: SimpleNamespace(texts=["word " * n]) for name, n in (("long", 9), ("short", 2))
    }
    features = FeatureSpec(source=source, max_tokens=512)
    return SimpleNamespace(
        fits=fits, all_fits=fits, labels=[], rewrites=list(rewrites), metrics=[], matches=[],
        corpora=corpora,
        suite=SimpleNamespace(features=features, embeddings=EmbeddingsSpec(), judging=None),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "models", "expected"),
    [
        ("minilm", ["mlda", "bertopic"], [["features", "words"], ["embeddings"]]),
        ("tinylm", ["mlda", "bertopic"], [["embeddings", "features", "words"]]),
        ("minilm", ["lda", "bertopic"], [["embeddings", "words"]]),
    ],
)
def test_embeddings_that_features_leave_behind_come_after_them(
    source: str, models: list[str], expected: list[list[str]]
) -> None:
    store = SimpleNamespace(finished=set)
    found = []
    for name, tasks in phases(planned(source, models), store):  # type: ignore[arg-type]
        if name in ("views", "embeddings"):
            found.append(sorted({task.prepare[2] for task in tasks if task.prepare}))
            assert {task.prepare[0] for task in tasks if task.prepare} == {"long", "short"}
    assert found == expected


def test_one_worker_asks_for_all_summaries_and_one_a_corpus_takes_them_from_documents() -> None:
    cells = [
        SimpleNamespace(
            task="summary", corpus=corpus, key=f"{corpus} {nth} {taken}", needs=(),
            extraction={} if taken else None,
        )
        for taken in (False, True)
        for corpus in ("long", "short")
        for nth in range(2)
    ]  # fmt: skip
    store = SimpleNamespace(finished=set)
    plan = planned("minilm", [], cells)
    ((name, tasks),) = phases(plan, store)  # type: ignore[arg-type]
    assert name == "summaries"
    assert [(task.affinity, len(task.cells)) for task in tasks] == [
        (ASKING, 4), ("long", 2), ("short", 2),
    ]  # fmt: skip


def test_summaries_that_need_no_labels_are_taken_beside_them() -> None:
    plan = planned("minilm", ["mlda"])
    fitted = {fit.key for fit in plan.fits}
    fit = plan.fits[0].key
    plan.labels = [SimpleNamespace(corpus="long", key="named", made="made", needs=(fit,))]
    plan.rewrites = [
        SimpleNamespace(task="summary", corpus="long", key=key, needs=needs, extraction={})
        for key, needs in (("at once", (fit,)), ("later", (fit, "named")))
    ]
    store = SimpleNamespace(finished=lambda: fitted)
    name, tasks = next(phases(plan, store))  # type: ignore[arg-type]
    assert name == "labels and summaries"
    assert [[cell.key for cell in task.cells] for task in tasks] == [["at once"], ["named"]]


def test_the_largest_corpus_is_fitted_first() -> None:
    plan = planned("minilm", ["lda"])
    plan.fits = plan.fits[::-1]
    store = SimpleNamespace(finished=set)
    (tasks,) = [
        tasks
        for name, tasks in phases(plan, store)  # type: ignore[arg-type]
        if name == "fits"
    ]
    assert [task.cells[0].corpus for task in tasks] == ["long", "short"]
