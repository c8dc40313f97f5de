"""Which views are made before which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mtmbench.engine.phases import phases
from mtmbench.models.registry import MODELS


def planned(source: str, models: list[str]) -> Any:
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
    features = SimpleNamespace(source=source, max_tokens=512)
    return SimpleNamespace(
        fits=fits, labels=[], rewrites=[], metrics=[], matches=[], corpora=corpora,
        suite=SimpleNamespace(features=features, judging=None),
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
