"""Fits of documents in other orders: what is fitted, how it is put back, who reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT

from mtmbench.core.cards import Suite
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.engine.harness import run_suite
from mtmbench.engine.orders import document_order
from mtmbench.engine.plan import make_plan
from mtmbench.engine.results import result_path

PLUGINS = [str(SUPPORT / name) for name in ("order_plugin.py", "fast_plugin.py")]
WORDS = ("bread", "soup", "oven", "orbit", "moon", "goal", "team")


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    """Document i has word i mod 7, and as many copies of it as its number."""
    path = tmp_path / "told.jsonl"
    rows = [{"id": f"d{i}", "text": " ".join([WORDS[i % 7]] * (i + 1))} for i in range(21)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def suite(corpus_file: Path, **more: Any) -> Suite:
    return Suite.model_validate(
        {
            "name": "orders", "corpora": [str(corpus_file)], "models": ["first-words", "drawn"],
            "k": [3], "seeds": [4, 5], "metrics": ["stability", "stability_order"],
            "words": {"max_df": 1.0, "min_df": 1}, **more,
        }
    )  # fmt: skip


def test_orders_add_fits_and_change_no_other_key(corpus_file: Path) -> None:
    plain = make_plan(suite(corpus_file), plugins=PLUGINS)
    more = make_plan(suite(corpus_file, orders=3), plugins=PLUGINS)
    assert [fit.key for fit in more.fits] == [fit.key for fit in plain.fits]
    assert [(fit.competitor.name, fit.seed, fit.order) for fit in more.reordered] == [
        ("first-words", 4, 1), ("first-words", 4, 2), ("drawn", 4, 1), ("drawn", 4, 2),
    ]  # fmt: skip
    assert len(more.keys()) == len(plain.keys()) + 4
    assert {c.key for c in more.metrics if c.metric == "stability"} == {
        c.key for c in plain.metrics if c.metric == "stability"
    }
    # What reads no orders asks for none.
    assert make_plan(suite(corpus_file, orders=3, metrics=["stability"])).reordered == ()


def test_orders_differ_and_hold_every_document(corpus_file: Path) -> None:
    plan = make_plan(suite(corpus_file, orders=3), plugins=PLUGINS)
    first, second, *others = (document_order(fit, 21).tolist() for fit in plan.reordered)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(21))
    assert others == [first, second]  # every model reads the same orders


def test_results_are_put_back_and_compared(corpus_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = suite(corpus_file, orders=3)
    assert run_suite(asked, out, plugins=PLUGINS, workers=0).errors == ()
    plan = make_plan(asked, plugins=PLUGINS)
    own = next(fit for fit in plan.fits if fit.model == "first-words")
    for fit in [own, *(f for f in plan.reordered if f.model == "first-words")]:
        result = TopicResult.load(result_path(out, fit.key))
        # Its topics are the words of the first documents that it reads, and θ says which is a
        # document's: in whatever order it read them, row i is of document i.
        rows = document_order(fit, 21) if fit.order else np.arange(21)
        words = list(dict.fromkeys(WORDS[i % 7] for i in rows))[:3]
        assert result.top_labels(1) == [[word] for word in words]
        for i, theta in enumerate(result.doc_topic):
            word = WORDS[i % 7]
            assert theta.tolist() == [float(word == topic) for topic in words]
            assert bool(result.outlier[i]) == (word not in words)  # type: ignore[index]
        assert result.corpus["revision"] == own.corpus_revision
    board = json.loads((out / "board.json").read_text())
    values = {
        row["metric"]: (row["value"], row["n_seeds"], row["reason"])
        for row in board["metrics"]
        if row["model"] == "first-words" and row["view"] == "own"
    }
    firsts = [set(WORDS[:3])] + [
        set(list(dict.fromkeys(WORDS[i % 7] for i in document_order(fit, 21)))[:3])
        for fit in plan.reordered[:2]
    ]
    # Topics of one word each: as many of three are matched as the orders share.
    shared = [len(a & b) / 3 for n, a in enumerate(firsts) for b in firsts[n + 1 :]]
    assert values["stability_order"] == (
        pytest.approx(np.mean(shared), abs=1e-4),
        3,
        "no interval: one value over all 3 orders of one seed",
    )
    assert values["stability"] == (1.0, 2, "no interval: one value over all seeds")
    # Fits in other orders are on record, and play and show nothing.
    fits = [r for r in read_records(out / "records.jsonl") if r.kind == "fit"]
    assert sorted(r.payload.get("order", 0) for r in fits) == [0, 0, 0, 0, 1, 1, 2, 2]
    assert {tuple(row["seeds"]) for row in board["fits"]} == {(4, 5)}
