"""Suites of contributors beside a board's: what differs, and what both together are."""

from __future__ import annotations

import pytest

from mtmbench.core.cards import Suite
from mtmbench.core.records import Record
from mtmbench.publishing.collisions import NOISE, difference
from mtmbench.publishing.protocol import additions, differences, merged_suite

BOARD = {
    "name": "board", "corpora": ["lee", "gensim-wiki"], "models": ["lda", "etm"], "k": [10],
    "seeds": [0, 1], "params": {"lda": {"iterations": 50}}, "judging": {"documents": 20},
    "features": {"settings": ["default"]},
}  # fmt: skip


def suite(**changes: object) -> Suite:
    return Suite.model_validate({**BOARD, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"name": "mine", "title": "Mine", "description": "of mine"}, {"models": ["mine"]},
        {"seeds": [0, 1, 2]}, {"features": {"settings": ["paper"]}},
        {"models": ["lda", "mine"], "params": {**BOARD["params"], "mine": {"x": 1}}},
        {"corpora": ["gensim-wiki", "lee"]},
    ],
)  # fmt: skip
def test_what_is_played_may_differ(changes: dict[str, object]) -> None:
    assert differences(suite(**changes), suite()) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"k": [20]}, ["k"]), ({"seeds": [1]}, ["seeds", "seeds"]), ({"corpora": ["lee"]},
        ["corpora", "corpora.gensim-wiki.name", "corpora.gensim-wiki.sample_seed"]),
        ({"corpora": [{"name": "lee", "max_documents": 9}, "gensim-wiki"]},
         ["corpora.lee.max_documents"]),
        ({"judging": {"documents": 20, "ties": "davidson"}}, ["judging.ties"]),
        ({"words": {"min_df": 3}}, ["words.min_df"]), ({"params": {}}, ["params.lda"]),
        ({"metrics": ["npmi"]}, ["metrics"]), ({"documents_per_topic": 5}, ["documents_per_topic"]),
        ({"params_per_corpus": {"lee": {"etm": {"epochs": 1}}}}, ["params_per_corpus.lee.etm"]),
        ({"features": {"settings": ["default"], "labels": "shipped"}}, ["features.labels"]),
    ],
)  # fmt: skip
def test_how_it_is_played_may_not(changes: dict[str, object], where: list[str]) -> None:
    found = differences(suite(**changes), suite())
    assert [fault.where for fault in found] == where
    assert {fault.check for fault in found} == {"protocol"}


def test_a_merged_suite_plays_what_both_play() -> None:
    given = suite(
        models=["mine", "lda"], seeds_per_model={"mine": [0, 1, 2]}, title="Mine",
        models_per_corpus={"lee": ["mine"]}, features={"settings": ["paper", "default"]},
        params={"mine": {"x": 1}, "lda": {"iterations": 7}},
        params_per_corpus={"lee": {"mine": {"x": 2}, "lda": {"iterations": 1}}},
    )  # fmt: skip
    merged = merged_suite(given, suite(title="Board"))
    assert merged == suite(
        title="Board", models=["lda", "etm", "mine"], seeds_per_model={"mine": [0, 1, 2]},
        models_per_corpus={"lee": ["lda", "etm", "mine"]},
        features={"settings": ["default", "paper"]},
        params={"mine": {"x": 1}, "lda": {"iterations": 50}},
        params_per_corpus={"lee": {"mine": {"x": 2}}},
    )  # fmt: skip
    assert {*additions(merged, suite(title="Board"))} == {
        "models", "models_per_corpus", "seeds_per_model", "params", "params_per_corpus", "features",
    }  # fmt: skip
    assert merged_suite(suite(), suite()) == suite()
    assert additions(suite(), suite()) == {}
    every = merged_suite(suite(seeds=[0, 1, 2]), suite())
    assert (every.seeds, every.seeds_per_model) == ((0, 1, 2), {})


def record(**payload: object) -> Record:
    return Record("metric", "k", "ok", payload)


def test_float_noise_is_told_from_other_values() -> None:
    held = record(value=0.5, per_topic=[1.0, 2000.0], n=3, result="ab")
    assert difference(held, record(**held.payload)) is None
    near = difference(held, record(value=0.5 + 1e-7, per_topic=[1.0, 2000.001], n=3, result="cd"))
    assert near is not None
    assert near.where == "per_topic[1]"
    assert near.size == pytest.approx(1e-3)
    for changes, where in (
        ({"value": 0.5 + 2 * NOISE}, "value"), ({"n": 4}, "n"), ({"value": None}, "value"),
        ({"per_topic": [1.0]}, "per_topic"), ({"value": True}, "value"), ({"more": 1}, "more"),
    ):  # fmt: skip
        found = difference(held, record(**{**held.payload, **changes}))
        assert found is not None
        assert (found.where, found.size) == (where, None)
    versions = Record("metric", "k", "ok", held.payload, {"mtmbench": "9"})
    assert difference(held, versions) is None
    failed = difference(held, Record("metric", "k", "skipped", held.payload))
    assert failed is not None
    assert failed.where == "status"
