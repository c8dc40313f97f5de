"""``board.json`` against hand-made records whose numbers have closed forms."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_md import render_md
from mtmbench.boards.tables import build_board
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record
from mtmbench.core.tuning import TuningSpec
from mtmbench.stats import rate as rating
from mtmbench.stats.elo import SEQUENTIAL_K

Make = Callable[..., tuple[Suite, list[Record]]]


def suite(**changes: Any) -> Suite:
    plain = {"name": "tiny", "corpora": ["one", "two"], "models": ["x", "y"], "k": [5]}
    judging = {"judges": ["j"], "bootstrap": 200}
    return Suite.model_validate({**plain, "judging": judging, **changes})


def match(forward: str, backward: str, **changes: Any) -> Record:
    corpus = changes.get("corpus", "one")
    payload = {
        "judge": "j", "judge_is_llm": True, "order_free": False, "encoder": None,
        "judge_client": "c", "judge_version": 3, "prompt": "p", "corpus": corpus,
        "corpus_revision": f"r-{corpus}", "k": 5, "k_spec": 5, "representation": "items",
        "a": {"model": "x", "setting": None, "fit": "fx"},
        "b": {"model": "y", "setting": None, "fit": "fy"},
        "seed": {"a": 0, "b": 0}, "documents": [f"d{i}" for i in range(len(forward))],
        "forward": forward, "backward": backward, "calls": 2 * len(forward), "usage": {"input": 7},
        "judge_revisions": ["j-1"], "protocol": {"documents": 9}, **changes,
    }  # fmt: skip
    key = json.dumps([corpus, payload["k_spec"], payload["a"], payload["b"], payload["judge"]])
    return Record("match", key, "ok", payload, {"mtmbench": "0.1.0"})


def metric(value: float | None, seed: int | None, **changes: Any) -> Record:
    payload = {
        "corpus": "one", "corpus_revision": "r-one", "model": "x", "setting": None, "k": 5,
        "k_spec": 5, "seed": seed, "fits": ["f"], "metric": "npmi", "version": 1,
        "higher_is_better": True, "view": "own", "params": {"top_n": 10}, "value": value,
        "reason": None if value is not None else "two words are known", **changes,
    }  # fmt: skip
    status = "ok" if value is not None else "skipped"
    return Record("metric", f"{payload['model']} {seed}", changes.get("status", status), payload)


def test_folding_counts_and_elo_by_hand() -> None:
    # a win, b win, flips (ties), a tie, an unparsed and a refused document, two ruled ones.
    record = match("aababtuaAT", "aabbatarAT")
    board = build_board(suite(), [record])
    x, y = board["ratings"]
    assert (x["model"], x["wins"], x["losses"], x["ties"]) == ("x", 3, 1, 4)
    assert (y["wins"], y["losses"], y["ties"]) == (1, 3, 4)
    assert (x["unparsed"], x["refused"]) == (y["unparsed"], y["refused"]) == (1, 1)
    assert x["elo"] == round(1500 + 200 * np.log10(5 / 3), 1)
    assert x["elo"] + y["elo"] == 3000
    assert x["lo"] < x["elo"] < x["hi"]
    assert board["win_rates"][0]["names"] == ["x", "y"]
    assert board["win_rates"][0]["rates"] == [[None, 0.625], [0.375, None]]
    assert board["win_rates"][0]["comparisons"] == [[0, 8], [8, 0]]
    assert board["win_rates"][0]["n_documents"] == 8


def test_a_row_has_the_keys_of_the_schema() -> None:
    board = build_board(suite(), [match("ab", "ab"), metric(0.1, 0)])
    assert {"schema", "suite", "judges", "ratings", "metrics"} <= set(board)
    assert (board["schema"], board["suite"]) == (1, "tiny")
    assert {
        "judge", "model", "setting", "corpus", "k", "representation", "elo", "lo", "hi", "rank",
        "wins", "losses", "ties", "unparsed", "reason",
    } <= set(board["ratings"][0])  # fmt: skip
    assert {
        "model", "setting", "corpus", "k", "view", "metric", "params", "value", "lo", "hi",
        "n_seeds", "reason",
    } <= set(board["metrics"][0])  # fmt: skip
    assert {"id", "is_llm"} <= set(board["judges"][0])
    assert board["corpora"][0]["revision"] == "r-one"


def test_the_audit_counts_answers() -> None:
    board = build_board(suite(), [match("aababtuaAT", "aabbatarAT")])
    audit = board["judges"][0]["audit"]
    # Of 16 answers one is unparsed and one refused; of 12 decisive ones, forward a and
    # backward b name the first slot.
    assert (audit["documents"], audit["ruled"], audit["removed"]) == (10, 2, 2)
    assert audit["unparsed_rate"]["value"] == 1 / 16
    assert audit["refused_rate"]["value"] == 1 / 16
    assert audit["tie_rate"]["value"] == round(2 / 14, 4)
    assert audit["flip_rate"]["value"] == round(2 / 6, 4)
    assert audit["first_slot_rate"]["value"] == round((4 + 2) / 12, 4)
    assert board["judges"][0]["calls"] == 20
    assert board["judges"][0]["usage"] == {"input": 7}
    assert board["judges"][0]["version"] == 3


def test_an_order_free_judge_has_no_flips() -> None:
    board = build_board(suite(), [match("abt", "abt", order_free=True, judge_is_llm=False)])
    judge = board["judges"][0]
    assert judge["audit"]["flip_rate"]["value"] is None
    assert judge["audit"]["flip_rate"]["reason"].startswith("not applicable")
    assert judge["audit"]["tie_rate"] == {**judge["audit"]["tie_rate"], "value": 0.3333, "n": 3}


def test_pooled_ratings_stand_beside_those_of_each_corpus() -> None:
    board = build_board(
        suite(), [match("aabaab", "aabaab"), match("bbabtb", "bbabtb", corpus="two")]
    )
    by_corpus = {row["corpus"]: row for row in board["ratings"] if row["model"] == "x"}
    assert list(by_corpus) == ["all", "one", "two"]
    assert (by_corpus["all"]["wins"], by_corpus["all"]["losses"]) == (4 + 1, 2 + 4)
    assert by_corpus["all"]["k"] == 5
    pooled = next(table for table in board["win_rates"] if table["corpus"] == "all")
    assert pooled["n_documents"] == 12
    alone = build_board(suite(), [match("aabaab", "aabaab")])
    assert {row["corpus"] for row in alone["ratings"]} == {"one"}


def test_resamples_are_the_leagues_whatever_the_keys_of_its_records() -> None:
    """A record of another version, under another key, moves no interval by chance alone."""
    record = match("aababtbaab", "aabbatbaab")
    again = replace(record, key=f"another {record.key}")
    board = build_board(suite(), [record])
    assert board["ratings"] == build_board(suite(), [again])["ratings"]
    other = replace(record, payload={**record.payload, "judge": "another"})
    moved = build_board(suite(), [other])["ratings"]
    assert [row["elo"] for row in moved] == [row["elo"] for row in board["ratings"]]
    assert [row["lo"] for row in moved] != [row["lo"] for row in board["ratings"]]


def test_k_of_a_pool_is_null_where_the_corpora_differ() -> None:
    board = build_board(
        suite(k=["labels"]),
        [
            match("aab", "aab", k=20, k_spec="labels"),
            match("aba", "aba", corpus="two", k=21, k_spec="labels"),
        ],
    )
    found = {(row["corpus"], row["k"], row["k_spec"]) for row in board["ratings"]}
    assert found == {("all", None, "labels"), ("one", 20, "labels"), ("two", 21, "labels")}


def test_a_whitewash_is_not_rateable_and_says_why() -> None:
    board = build_board(suite(), [match("aaaa", "aaaa")])
    for row in board["ratings"]:
        assert (row["elo"], row["lo"], row["hi"], row["rank"]) == (None,) * 4
        assert "[x] (never lost a point to the others)" in row["reason"]
    assert board["ratings"][0]["wins"] == 4
    assert board["win_rates"][0]["rates"] == [[None, 1.0], [0.0, None]]


def test_a_judge_that_cannot_be_read_leaves_reasons_and_no_numbers() -> None:
    board = build_board(suite(), [match("uur", "ubr")])
    for row in board["ratings"]:
        assert row["elo"] is None
        assert (row["unparsed"], row["refused"]) == (2, 1)
        assert row["reason"] == "no comparison is left: every answer was unparsed or refused"


def test_sequential_elo_follows_documents_then_pairs() -> None:
    board = build_board(suite(), [match("ab", "ab")])
    x, y = board["sequential_elo"]
    gain = SEQUENTIAL_K / 2
    expected = 1 / (1 + 10 ** (-2 * gain / 400))
    assert x["elo"] == round(1500 + gain - SEQUENTIAL_K * expected, 1)
    assert y["elo"] == round(1500 - gain + SEQUENTIAL_K * expected, 1)


def test_metric_values_are_means_with_t_intervals_over_seeds() -> None:
    values = [0.11, 0.15, 0.132]
    board = build_board(suite(), [metric(value, seed) for seed, value in enumerate(values)])
    (row,) = board["metrics"]
    lo, hi = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (row["value"], row["lo"], row["hi"]) == (
        round(float(np.mean(values)), 4), round(lo, 4), round(hi, 4),
    )  # fmt: skip
    assert (row["n_seeds"], row["reason"]) == (3, None)
    assert board["metric_versions"] == {"npmi": {"version": 1, "higher_is_better": True}}


def test_what_a_metric_lacks_is_null_with_a_reason() -> None:
    single = build_board(suite(), [metric(0.1, 0)])["metrics"][0]
    assert (single["value"], single["lo"], single["hi"]) == (0.1, None, None)
    assert (single["n_seeds"], single["reason"]) == (1, "no interval: one seed")
    same = build_board(suite(), [metric(0.1, 0), metric(0.1, 1)])["metrics"][0]
    assert (same["value"], same["lo"], same["n_seeds"]) == (0.1, None, 2)
    assert same["reason"] == "no interval: all seeds give the same value"
    none = build_board(suite(), [metric(None, 0), metric(None, 1)])["metrics"][0]
    assert (none["value"], none["n_seeds"], none["reason"]) == (None, 0, "two words are known")
    some = build_board(suite(), [metric(0.1, 0), metric(0.2, 1), metric(None, 2)])["metrics"][0]
    assert (some["value"], some["n_seeds"]) == (0.15, 2)
    assert some["reason"] == "seed 2: two words are known"
    stable = build_board(suite(), [metric(0.4, None, fits=["f0", "f1", "f2"])])["metrics"][0]
    assert (stable["n_seeds"], stable["reason"]) == (3, "no interval: one value over all seeds")


def test_what_values_leave_out_stands_beside_them_as_far_as_records_say(page_of: Any) -> None:
    details = {
        "n_out_of_vocabulary": 3, "n_items_listed": 50, "out_of_vocabulary": ["the", "a|b"],
        "n_topics_without_value": 1, "n_topics": 5,
    }  # fmt: skip
    none = {
        "n_out_of_vocabulary": 0,
        "n_items_listed": 50,
        "n_topics_without_value": 0,
        "n_topics": 5,
    }
    old = {"n_out_of_vocabulary": 3, "n_topics_without_value": 1}
    records = [
        metric(0.1, 0, details=details), metric(0.2, 1, details=details),
        metric(0.3, 0, details=none, model="y"), metric(0.4, 1, details=none, model="y"),
        metric(0.5, 0, details=old, model="z"), metric(0.6, 1, details=old, model="z"),
        metric(None, 0, details=details, model="zz"),
    ]  # fmt: skip
    board = build_board(suite(), records)
    x, y, z, _ = board["metrics"]
    note = "6 of 100 words unknown (the, a|b); 2 of 10 topics without value"
    assert (x["n_out_of_vocabulary"], x["n_topics_without_value"], x["note"]) == (6, 2, note)
    assert (y["n_out_of_vocabulary"], y["n_topics_without_value"]) == (0, 0)
    assert "note" not in y
    assert not z.keys() & {"n_out_of_vocabulary", "n_topics_without_value", "note"}
    lines = list(csv.DictReader(io.StringIO(render_csv(board))))
    assert [line["n_out_of_vocabulary"] for line in lines] == ["6", "0", "", "3"]
    assert lines[0]["note"] == note
    md, html = render_md(board), page_of(board)
    assert "0.1500 ± 0.6353 \\[1]" in md
    assert "\\[1] 6 of 100 words unknown (the, a\\|b); 2 of 10 topics without value" in md
    assert "two words are known; 3 of 50 words unknown" in md
    assert note in html
    plain = render_csv(build_board(suite(), [metric(0.5, 0, details=old)]))
    assert "n_out_of_vocabulary" not in plain


def test_failed_cells_are_listed_and_a_failed_model_stays_on_the_board(make_records: Make) -> None:
    tiny, records = make_records(failing=[("wiki", "etm")])
    board = build_board(tiny, records)
    rows = [row for row in board["ratings"] if row["model"] == "etm"]
    assert {row["corpus"] for row in rows} == {"all", "lee", "wiki"}
    for row in rows:
        if row["corpus"] == "wiki":
            assert row["elo"] is None
            assert "InputError: too few documents" in row["reason"]
        else:
            assert row["elo"] is not None
    pooled = next(row for row in rows if row["corpus"] == "all")
    assert pooled["reason"].startswith("not on wiki: no match: the fit failed")
    assert sum(error["kind"] == "fit" for error in board["errors"]) == 2
    lost = [m for m in board["metrics"] if m["model"] == "etm" and m["corpus"] == "wiki"]
    assert lost
    assert all(row["value"] is None and row["reason"] for row in lost)


def test_models_of_the_judges_encoder_are_named(make_records: Make) -> None:
    board = build_board(*make_records())
    shared = {judge["id"]: judge["shares_encoder_with"] for judge in board["judges"]}
    assert shared["lexical"] == []
    assert shared["embedding"] == [
        "bertopic", "mbertopic:default", "mbertopic:paper", "metm:default", "metm:paper",
        "mlda:default", "mlda:paper",
    ]  # fmt: skip


def test_a_setting_is_named_only_where_there_are_several(make_records: Make) -> None:
    board = build_board(*make_records(settings=("default",), models=("lda", "mlda")))
    assert [row["name"] for row in board["competitors"]] == ["lda", "mlda"]
    assert {row["setting"] for row in board["ratings"]} == {None, "default"}


def test_the_order_of_records_does_not_matter_and_rows_are_sorted(make_records: Make) -> None:
    tiny, records = make_records(k=(20, 5, "labels"), ks={"lee": 20, "wiki": 21}, seeds=(0,),
                                 models=("lda", "mlda"), judges=("lexical",))  # fmt: skip
    board = build_board(tiny, records)
    shuffled = list(records)
    random.Random(1).shuffle(shuffled)
    assert json.dumps(board) == json.dumps(build_board(tiny, shuffled))
    specs = [row["k_spec"] for row in board["ratings"] if row["corpus"] == "lee"]
    assert specs == ["labels"] * 3 + [5] * 3 + [20] * 3
    corpora = [row["corpus"] for row in board["metrics"]]
    assert corpora == sorted(corpora)


def test_numbers_are_rounded_and_finite(make_records: Make) -> None:
    board = build_board(*make_records(models=("lda", "etm", "mlda")))
    for row in board["ratings"]:
        for name in ("elo", "lo", "hi"):
            assert row[name] == round(row[name], 1)
    for row in board["metrics"]:
        assert row["value"] is None or row["value"] == round(row["value"], 4)
    json.dumps(board, allow_nan=False)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([match("ab", "ab"), match("ba", "ba")], "two match records are about one cell"),
        ([metric(0.1, 0), metric(0.2, 0)], "two metric records are about one cell"),
        ([metric(0.1, 0), metric(0.1, 1, version=2)], "metric 'npmi' stands in two versions"),
        ([metric(0.1, 0), metric(0.1, 1, corpus_revision="r2")], "corpus 'one' stands in two"),
        (
            [match("ab", "ab"), match("ab", "ab", corpus="two", prompt="q")],
            "judge 'j' stands in two versions",
        ),
        ([match("ab", "ab", corpus="all")], "cannot be called 'all'"),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    records: list[Record], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build_board(suite(), records)


def test_a_suite_without_matches_has_metrics_only() -> None:
    board = build_board(suite(judging=None), [metric(0.1, 0)])
    assert (board["judges"], board["ratings"], board["win_rates"]) == ([], [], [])
    assert len(board["metrics"]) == 1


def test_a_league_too_large_for_a_bootstrap_says_where_its_intervals_come_from(
    monkeypatch: pytest.MonkeyPatch, page_of: Any
) -> None:
    record = match("aababtuaAT", "aabbatarAT")
    plain = build_board(suite(), [record])
    assert "intervals" not in plain["win_rates"][0]
    monkeypatch.setattr(rating, "MOST_BOOTSTRAPPED", 1)
    board = build_board(suite(), [record])
    (rates,) = board["win_rates"]
    assert (rates["intervals"], rates["n_bootstrap"]) == ("sandwich", 0)
    for row, other, half in zip(board["ratings"], plain["ratings"], rates["sandwich"], strict=True):
        assert row["elo"] == other["elo"]
        assert row["hi"] - row["elo"] == pytest.approx(half, abs=0.11)
    for page in (render_md(board), page_of(board)):
        assert "the sandwich estimator" in page
        assert "2 models are too many for a bootstrap" in page
        assert "times as wide as these by the bootstrap" not in page


def test_a_board_says_which_models_were_tuned_and_on_what_it_leaves_out() -> None:
    def told(**changes: Any) -> str:
        return build_board(suite().model_copy(update=changes), [match("aabaab", "aabaab")])[
            "description"
        ]

    tuning = TuningSpec(metric="npmi", trials=7, share=0.25, models=("y", "x"))
    assert told(description="Ours.", tuning=tuning) == (
        "Ours. Tuned before they played, on each corpus alike: x, y; 7 trials each by npmi, on 25% "
        "of the documents, which this board leaves out."
    )
    # What the suite sets of a model, and no tuning found, was somebody's choice.
    found = {"one": {"x": {"epochs": 3}}}
    untuned = tuning.model_copy(update={"models": ()})
    assert told(tuning=untuned, params_per_corpus=found) == told(params_per_corpus=found) == ""
