"""Agreement of judges on boards, ratings at equal lengths and tie models, by hand-made records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import cohen_kappa_score

from mtmbench.boards.render_md import render_md
from mtmbench.boards.tables import build_board
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record

Make = Callable[..., tuple[Suite, list[Record]]]


def suite(**judging: Any) -> Suite:
    data = {"name": "tiny", "corpora": ["one"], "models": ["x", "y"], "k": [5]}
    return Suite.model_validate({**data, "judging": {"bootstrap": 200, **judging}})


def match(judge: str, outcomes: str, a: str = "x", b: str = "y", **more: Any) -> Record:
    payload = {
        "judge": judge, "judge_is_llm": False, "order_free": True, "encoder": None,
        "judge_client": judge, "judge_version": 1, "prompt": None, "corpus": "one",
        "corpus_revision": "r", "k": 5, "k_spec": 5, "representation": "items",
        "a": {"model": a, "setting": None}, "b": {"model": b, "setting": None},
        "seed": {"a": 0, "b": 0}, "documents": [f"d{i}" for i in range(len(outcomes))],
        "forward": outcomes, "backward": outcomes, "calls": 1, "usage": {}, "judge_revisions": [],
        "protocol": {}, **more,
    }  # fmt: skip
    return Record("match", f"{judge} {a} {b}", "ok", payload, {})


def test_items_are_matched_whichever_side_a_model_stood_on() -> None:
    turned = "baatbbaaab"  # what the second judge says, with y as a
    records = [match("j", "aababtaaba"), match("k", turned, a="y", b="x")]
    (row,) = build_board(suite(), records)["agreement"]
    other = turned.translate(str.maketrans("ab", "ba"))
    assert row["judges"] == ["j", "k"]
    assert (row["n_items"], row["n_documents"]) == (10, 10)
    assert row["kappa"] == round(cohen_kappa_score(list("aababtaaba"), list(other)), 4)
    apart = sum({p, q} == {"a", "b"} for p, q in zip("aababtaaba", other, strict=True))
    assert row["opposed"] == apart / 10
    assert [d["document"] for d in row["documents"]] == [
        f"d{i}" for i in range(10) if {"aababtaaba"[i], other[i]} == {"a", "b"}
    ][:5]
    score = {"a": 1, "t": 0.5, "b": 0}
    gap = np.mean([score[p] - score[q] for p, q in zip("aababtaaba", other, strict=True)])
    assert row["pairs"] == [
        {"a": {"model": "x", "setting": None}, "b": {"model": "y", "setting": None},
         "difference": round(gap, 4)}
    ]  # fmt: skip


@pytest.mark.slow
def test_boards_of_judges_are_correlated_by_rank(make_records: Make, page_of: Any) -> None:
    board = build_board(*make_records(judges=("embedding", "lexical", "chat"), unparsed=0.02))
    rows = [row for row in board["agreement"] if row["corpus"] == "all"]
    assert [row["judges"] for row in rows] == [
        ["chat", "embedding"], ["chat", "lexical"], ["embedding", "lexical"],
        ["chat", "embedding", "lexical"],
    ]  # fmt: skip
    elo = [
        [r["elo"] for r in board["ratings"] if (r["judge"], r["corpus"]) == (judge, "all")]
        for judge in ("embedding", "lexical")
    ]
    assert rows[2]["kendall_tau"] == round(kendalltau(*elo).statistic, 4)
    assert rows[2]["spearman"] == round(spearmanr(*elo).statistic, 4)
    assert rows[2]["n_models"] == 9
    assert rows[2]["kappa_lo"] < rows[2]["kappa"] < rows[2]["kappa_hi"]
    assert "kappa" not in rows[3]
    assert rows[3]["n_documents"] == 100
    for page in (render_md(board), page_of(board)):
        assert "Agreement of the judges" in page
    assert {row["corpus"] for row in board["agreement"]} == {"all", "lee", "wiki"}


def test_one_judge_has_nobody_to_agree_with() -> None:
    board = build_board(suite(), [match("j", "aabab")])
    assert board["agreement"] == []
    assert "Agreement" not in render_md(board)


def test_ratings_at_equal_lengths_stand_beside_the_raw_ones(page_of: Any) -> None:
    random = np.random.default_rng(0)
    lengths = {side: random.integers(20, 200, 400).tolist() for side in "ab"}
    ratio = np.log(np.array(lengths["a"]) / np.array(lengths["b"]))
    outcomes = "".join(np.where(random.random(400) < 1 / (1 + np.exp(-ratio)), "a", "b"))
    record = match("j", outcomes, lengths=lengths)
    board = build_board(suite(lengths=True), [record])
    x = board["ratings"][0]
    (table,) = board["win_rates"]
    assert table["length"]["lo"] < 400 * np.log10(2) < table["length"]["hi"]
    assert x["lo_adjusted"] < 1500 < x["hi_adjusted"]
    assert x["elo"] != x["elo_adjusted"]
    for page in (render_md(board), page_of(board)):
        assert "Twice the length" in page
    without = build_board(suite(), [record])
    assert "elo_adjusted" not in without["ratings"][0]
    assert "length" not in without["win_rates"][0]
    bare = build_board(suite(lengths=True), [match("j", outcomes)])
    assert bare["ratings"][0]["elo_adjusted"] is None
    assert "no lengths" in render_md(bare)


def test_a_suite_may_rate_ties_by_davidsons_model() -> None:
    outcomes = "a" * 30 + "b" * 10 + "t" * 20
    board = build_board(suite(ties="davidson"), [match("j", outcomes)])
    assert board["ratings"][0]["elo"] == round(1500 + 200 * np.log10(3), 1)
    assert board["win_rates"][0]["nu"] == round(20 / np.sqrt(300), 4)
    assert board["win_rates"][0]["sandwich"] == [None, None]
    assert "Davidson" in render_md(board)
    json.dumps(board, allow_nan=False)


def test_sandwich_intervals_are_held_against_the_bootstraps(make_records: Make) -> None:
    board = build_board(*make_records(judges=("lexical",)))
    for table in board["win_rates"]:
        rows = {
            (row["model"], row["setting"]): row
            for row in board["ratings"]
            if row["corpus"] == table["corpus"]
        }
        halves = [(row["hi"] - row["lo"]) / 2 for row in rows.values()]
        assert table["sandwich"] == pytest.approx(halves, rel=0.25)
        assert np.mean(np.array(table["sandwich"]) / halves) == pytest.approx(1, abs=0.06)
    assert "sandwich estimator" in render_md(board)
