"""Suites on text without spaces between words: what needs no words of it plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT

import mtmbench as mb
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.corpora.load import load_corpus
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.models.import_card import save_import
from mtmbench.models.importers import import_result

SUBJECTS = ("中国政治经济发展", "足球比赛电影音乐")


@pytest.fixture
def suite_data(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "zh.jsonl"
    rows = [{"text": SUBJECTS[i % 2] * (3 + i % 5), "label": "ab"[i % 2]} for i in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus, cards = load_corpus(path), []
    for name, weight in (("sure", 1.0), ("unsure", 0.7)):
        theta = np.array([[weight, 1 - weight], [1 - weight, weight]])[[0, 1] * 10]
        result = import_result(
            {"theta": theta, "beta": np.eye(2), "items": ["政治", "足球"]},
            corpus=corpus, name=name, words=lambda text: (text[2:4], text[:2]),
        )  # fmt: skip
        cards.append(str(save_import(result, tmp_path, described="x")[1]))
    return {
        "name": "zh", "corpora": [str(path)], "models": cards, "k": [2],
        "metrics": ["nmi", "diversity"],
        "judging": {"judges": ["scripted"], "documents": 5, "nulls": False},
    }  # fmt: skip


def suite_of(data: dict[str, Any], **changes: Any) -> Suite:
    return parse_card({**data, **changes}, Suite, "test suite")


def test_what_needs_no_words_is_played(tmp_path: Path, suite_data: dict[str, Any]) -> None:
    run_suite(suite_of(suite_data), tmp_path / "out", workers=0)
    records = list(read_records(tmp_path / "out" / "records.jsonl"))
    assert {(record.kind, record.status) for record in records} == {
        ("fit", "ok"), ("metric", "ok"), ("metric", "skipped"), ("match", "ok"),
    }  # fmt: skip
    for record in records:
        if record.kind == "fit":
            assert [topic["words"] for topic in record.payload["topics"]] == [[], []]
            assert "'zh' has no spaces between words" in record.payload["no_words"]
        if record.kind == "metric" and record.payload["view"] == "projected":
            assert "'zh' has no spaces between words" in record.payload["reason"]
        elif record.kind == "metric":
            assert record.payload["value"] == pytest.approx(1)


@pytest.mark.parametrize("words", [{"tokeniser": "jieba"}, {"language": "chinese"}])
def test_what_words_are_is_in_the_key_of_models_over_features(
    suite_data: dict[str, Any], words: dict[str, str]
) -> None:
    features = {"source": "planted", "params": {"settings": {"default": {}}}, "labels": "shipped"}
    plugins = [str(SUPPORT / "planted_source.py")]

    def key(**changes: Any) -> str:
        data = {**suite_data, "models": ["mk_means"], "features": features, "judging": None}
        (fit,) = make_plan(suite_of(data, **changes), plugins=plugins).fits
        return fit.key

    assert key() == key(words={"min_df": 3}) != key(words=words)


def test_a_tokeniser_gives_topics_their_words(tmp_path: Path, suite_data: dict[str, Any]) -> None:
    for changes in ({}, {"words": {"tokeniser": "jieba", "max_df": 1.0}}):
        run_suite(suite_of(suite_data, **changes), tmp_path / "out", workers=0)
        records = list(read_records(tmp_path / "out" / "records.jsonl"))
        fits = [record.payload for record in records if record.kind == "fit"]
        assert [bool(fit["topics"][0]["words"]) for fit in fits] == [bool(changes)] * 2
        assert [("no_words" in fit) for fit in fits] == [not changes] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ["lda"]},
        {"metrics": ["npmi"]},
        {"judging": {"judges": ["lexical"]}},
        {"judging": {"judges": ["jury.toml"]}},
        {
            "judging": {
                "judges": ["embedding"],
                "representations": ["summary"],
                "summariser": "extractive",
            }
        },
    ],
)
def test_what_needs_words_is_refused_in_the_plan(
    suite_data: dict[str, Any],
    changes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jury.toml").write_text('client = "jury"\nparams.members = ["lexical", "embedding"]\n')
    assert make_plan(suite_of(suite_data)).fits
    with pytest.raises(InputError, match="'zh' has no spaces between words"):
        make_plan(suite_of(suite_data, **changes))


def test_topics_are_listed_and_judged_without_words(
    tmp_path: Path, suite_data: dict[str, Any]
) -> None:
    corpus = load_corpus(suite_data["corpora"][0])
    a, b = (TopicResult.load(tmp_path / f"{name}.safetensors") for name in ("sure", "unsure"))
    assert list(mb.topics(a, views=mb.views(corpus, None))) == ["topic", "share", "items"]
    assert len(mb.judge(a, b, corpus, "scripted", documents=4).doc_ids) == 4
    with pytest.raises(InputError, match="'zh' has no spaces between words"):
        mb.judge(a, b, corpus, "lexical", documents=4)
