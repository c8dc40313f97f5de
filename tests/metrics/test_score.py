"""Scores of word lists and files, with and without θ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.metrics.score import NO_THETA, score_file, score_result, score_topics, topics_result

TOPICS = [["cat", "dog", "cat", "bird"], ["sun", "moon"]]
METRICS = ["npmi", "c_v", "uci", "u_mass", "diversity", "inverted_rbo", "purity", "coverage",
           "stability", "perplexity"]  # fmt: skip


@pytest.fixture
def corpus(corpus_of: Callable[..., Corpus]) -> Corpus:
    texts = ["cat dog bird", "cat dog", "sun moon star", "moon sun"] * 5
    return corpus_of(texts, ["animal", "animal", "sky", "sky"] * 5)


def value_of(frame: pd.DataFrame, metric: str, view: str | None, **params: Any) -> Any:
    rows = frame[(frame.metric == metric) & (frame["view"].isna() if view is None else
                                             frame["view"] == view)]  # fmt: skip
    for name, value in params.items():
        rows = rows[[f"{name}={value}" in given for given in rows.params]]
    assert len(rows) == 1
    row = rows.iloc[0]
    return row.reason if pd.isna(row.value) else row.value


def test_word_lists_need_no_theta(corpus: Corpus) -> None:
    frame = score_topics(TOPICS, corpus, metrics=METRICS)
    assert list(frame.columns) == [
        "metric", "view", "params", "value", "reason", "n_out_of_vocabulary",
        "n_topics_without_value", "note",
    ]  # fmt: skip
    assert value_of(frame, "diversity", "own") == 1
    together = value_of(frame, "npmi", "own", window="document")
    # cat–dog 1, and cat–bird, dog–bird: log(.25 / (.5 · .25)) / −log .25 = ½; sun–moon 1.
    assert together == pytest.approx(((1 + 0.5 + 0.5) / 3 + 1) / 2, abs=1e-9)
    assert value_of(frame, "npmi", "projected", window=10) == NO_THETA
    assert value_of(frame, "purity", None, documents="all") == NO_THETA
    assert value_of(frame, "perplexity", "own") == NO_THETA
    assert "another seed" in value_of(frame, "stability", "own")


def test_empty_strings_are_no_words(corpus: Corpus) -> None:
    padded = [["cat ", "dog", "", "cat", "bird", ""], ["sun", "  ", "moon", ""]]
    pd.testing.assert_frame_equal(
        score_topics(padded, corpus, metrics=METRICS), score_topics(TOPICS, corpus, metrics=METRICS)
    )
    with pytest.raises(InputError, match="no topic has a word"):
        score_topics([["", " "]], corpus, metrics=METRICS)


def test_what_is_left_out_stands_beside_the_value(corpus: Corpus) -> None:
    topics = [["cat", "dog", "unicorn"], ["sun", "dragon", "phoenix"], ["moon", "sun"]]
    frame = score_topics(topics, corpus, metrics=METRICS)
    row = frame[(frame.metric == "c_v") & (frame["view"] == "own")].iloc[0]
    assert (row.n_out_of_vocabulary, row.n_topics_without_value) == (3, 1)
    assert row.note == (
        "3 of 8 words unknown (unicorn, dragon, phoenix); 1 of 3 topics without value"
    )
    row = frame[frame.metric == "diversity"].iloc[0]
    assert pd.isna(row.n_out_of_vocabulary)
    assert pd.isna(row.note)


def test_theta_brings_the_rest(corpus: Corpus) -> None:
    # Weights as counts: rows are normalised.
    theta = np.array([[9, 1], [9, 1], [1, 3], [0, 2]] * 5)
    frame = score_topics(TOPICS, corpus, theta, metrics=METRICS)
    assert value_of(frame, "purity", None, documents="all") == 1
    assert value_of(frame, "coverage", None) == 1
    hard = score_topics(TOPICS, corpus, [[1, 0], [1, 0], [0, 1], [0, 1]] * 5, ["npmi"])
    # The words of the two halves: cat dog bird, and moon star sun.
    halves = ((1 + 0.5 + 0.5) / 3 + (1 + 0.5 + 0.5) / 3) / 2
    assert value_of(hard, "npmi", "projected", window="document") == pytest.approx(halves)
    result = topics_result(TOPICS, corpus, scipy.sparse.csr_matrix(theta))
    assert result.doc_topic[2] == pytest.approx([0.25, 0.75])
    assert result.top_labels(10) == [["cat", "dog", "bird"], ["sun", "moon"]]
    pd.testing.assert_frame_equal(frame, score_result(result, corpus, metrics=METRICS))


@pytest.mark.parametrize(
    ("topics", "theta", "message"),
    [
        ([], None, "non-empty list"),
        ("cat dog", None, "non-empty list"),
        ([["cat"], "dog"], None, "topic 1 must be a list of words"),
        ([["cat", 3]], None, "topic 0 must be a list of words"),
        ([{"cat", "dog"}], None, "topic 0 must be a list of words"),
        ([3], None, "topic 0 must be a list of words, not 3"),
        ({0: ["cat"], 1: ["dog"]}, None, "list of lists of words, not a dict"),
        (pd.DataFrame([["cat", "dog"]]), None, "list of lists of words, not a DataFrame"),
        ([[], []], None, "no topic has a word"),
        ([["cat"]], np.ones((3, 1)), "θ has 3 rows; corpus 'made' has 20 documents"),
        ([["cat"]], np.ones((20, 2)), r"θ has shape \(20, 2\); expected .* = \(20, 1\)"),
        ([["cat"]], -np.ones((20, 1)), "negative"),
        ([["cat"]], [["x"]], "θ is not a matrix of numbers"),
    ],
)
def test_wrong_topics_and_theta_are_named(
    corpus: Corpus, topics: Any, theta: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score_topics(topics, corpus, theta, metrics=["coverage"])


def test_a_sparse_theta_that_lies_is_refused(corpus: Corpus) -> None:
    theta = scipy.sparse.csr_matrix(np.full((20, 2), 0.5))
    theta.indices[3] = 10**8
    with pytest.raises(InputError, match="θ is no whole sparse matrix"):
        score_topics(TOPICS, corpus, theta, metrics=["coverage"])


def test_metrics_of_theta_need_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmbench.metrics.score._embed", lambda texts: np.eye(len(texts)))
    texts = tuple("中国政治经济发展" * 9 if i % 2 else "足球比赛电影音乐" * 9 for i in range(20))
    corpus = Corpus("zh", tuple(map(str, range(20))), texts, tuple("ab"[i % 2] for i in range(20)))
    frame = score_topics([["中国", "政治"], ["足球", "比赛"]], corpus, np.eye(2)[[0, 1] * 10])
    assert value_of(frame, "nmi", None, documents="all") == pytest.approx(1)
    assert value_of(frame, "embedding_coherence", "own") == pytest.approx(0)
    rows = frame[(frame.metric == "npmi") & frame.value.isna()]
    assert set(rows["view"]) == {"own", "projected"}
    assert all("has no spaces between words" in reason for reason in rows["reason"])


def test_another_corpus_is_an_error(corpus: Corpus, corpus_of: Callable[..., Corpus]) -> None:
    result = topics_result(TOPICS, corpus)
    with pytest.raises(InputError, match="revision"):
        score_result(result, corpus_of(["cat"] * 20), metrics=["coverage"])


def test_files(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmbench.metrics.score._embed", lambda texts: np.eye(len(texts)))
    theta = np.array([[0.9, 0.1], [0.9, 0.1], [0, 1], [0, 1]] * 5)
    listed, weights, saved = (tmp_path / n for n in ("t.json", "t.npz", "t.safetensors"))
    listed.write_text(json.dumps(TOPICS), encoding="utf-8")
    np.savez(weights, theta=theta, other=np.zeros(2))
    topics_result(TOPICS, corpus, theta).save(saved)
    frame = score_file(listed, corpus, weights)
    pd.testing.assert_frame_equal(frame, score_file(saved, corpus))
    assert value_of(frame, "nmi", None, documents="all") == pytest.approx(1)
    assert value_of(frame, "embedding_coherence", "own") == pytest.approx(0)
    assert value_of(score_file(listed, corpus), "nmi", None, documents="all") == NO_THETA
    with pytest.raises(InputError, match=r"holds its own θ"):
        score_file(saved, corpus, weights)


def test_files_that_hold_something_else_are_named(corpus: Corpus, tmp_path: Path) -> None:
    broken, table, array = (tmp_path / name for name in ("b.json", "t.json", "a.npy"))
    broken.write_text("[[", encoding="utf-8")
    table.write_text('{"topics": 3}', encoding="utf-8")
    np.save(array, np.ones(3))
    with pytest.raises(InputError, match=r"cannot read .*b\.json"):
        score_file(broken, corpus)
    with pytest.raises(InputError, match=r"t\.json must hold a JSON list"):
        score_file(table, corpus)
    listed = tmp_path / "l.json"
    listed.write_text('[["cat"]]', encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.npy must be a matrix .*; its shape is \(3,\)"):
        score_file(listed, corpus, array)
    np.savez(tmp_path / "two.npz", a=np.ones((20, 1)), b=np.ones((20, 1)))
    with pytest.raises(InputError, match=r"two\.npz must be an npy, a csv, or .*arrays: 'a', 'b'"):
        score_file(listed, corpus, tmp_path / "two.npz")
    with pytest.raises(InputError, match=r"cannot read .*b\.json as npz"):
        score_file(listed, corpus, broken)


@pytest.mark.parametrize("how", ["t.npy", "t.csv", "ids.csv", "ids.npz"])
def test_theta_in_any_form_lies_on_its_documents(
    corpus: Corpus, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtmbench.metrics.score._embed", lambda texts: np.eye(len(texts)))
    theta = np.array([[0.9, 0.1], [0.9, 0.1], [0, 1], [0, 1]] * 5)
    path, listed = tmp_path / how, tmp_path / "t.json"
    listed.write_text(json.dumps(TOPICS), encoding="utf-8")
    order = np.random.default_rng(0).permutation(len(corpus)) if "ids" in how else np.arange(20)
    ids = [corpus.doc_ids[i] for i in order]
    if how == "t.npy":
        np.save(path, theta)
    elif how == "ids.npz":
        np.savez(path, theta=theta[order], doc_ids=np.array(ids))
    else:
        frame = pd.DataFrame(theta[order], index=ids if "ids" in how else None)
        frame.to_csv(path, index="ids" in how)
    assert value_of(
        score_file(listed, corpus, path), "nmi", None, documents="all"
    ) == pytest.approx(1)


def test_a_frame_of_theta_lies_on_the_documents_of_its_index(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtmbench.metrics.score._embed", lambda texts: np.eye(len(texts)))
    theta = pd.DataFrame(np.array([[0.9, 0.1], [0.9, 0.1], [0, 1], [0, 1]] * 5))
    for frame in (theta, theta.sample(frac=1, random_state=0)):
        assert value_of(
            score_topics(TOPICS, corpus, frame), "nmi", None, documents="all"
        ) == pytest.approx(1)


def test_theta_of_other_documents_is_named(corpus: Corpus, tmp_path: Path) -> None:
    listed = tmp_path / "t.json"
    listed.write_text(json.dumps(TOPICS), encoding="utf-8")
    pd.DataFrame(np.full((20, 2), 0.5), index=[f"x{i}" for i in range(20)]).to_csv(
        tmp_path / "theta.csv"
    )
    with pytest.raises(
        InputError, match=r"theta\.csv has no row for 20 of the 20 .*'0'; its ids are like 'x0'"
    ):
        score_file(listed, corpus, tmp_path / "theta.csv")


def test_a_named_metric_asks_its_proxy_and_no_language_model(
    corpus_of: Callable[..., Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{'cats and dogs' if i % 2 else 'stars and moons'} {i}" for i in range(16)]
    pets = np.arange(16) % 2
    theta = np.column_stack([np.where(pets, 0.9, 0.1), np.where(pets, 0.1, 0.9)])
    topics = [["cat", "dog"], ["star", "moon"]]
    monkeypatch.setattr(
        "mtmbench.judges.clients.encoding._encode_by",
        lambda _: lambda texts: np.array([[1, t.count("cat"), t.count("star")] for t in texts]),
    )
    frame = score_topics(topics, corpus_of(texts), theta, ["proxann"])
    # The one of its kind that is left comes first: 6 of 21 pairs differ in θ, all the right way.
    assert value_of(frame, "proxann", "own", task="rank") == pytest.approx(6 / (6 * 21) ** 0.5)
    assert (
        value_of(score_topics(topics, corpus_of(texts)), "proxann", "own", task="fit") == NO_THETA
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "embedding-exemplars.toml").write_text(
        'client = "replay"\n[params]\npath = "x"\n'
    )
    with pytest.raises(InputError, match="'embedding-exemplars' is a language model"):
        score_topics(topics, corpus_of(texts), theta, ["proxann"])
