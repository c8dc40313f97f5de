"""What a plan says that judges will be asked, against what they were asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.chat_server import ChatServer
from support.killing import PLUGIN, lay_out
from support.paper_path import FEATURES, HIDDEN, HOOK, scope_arrays, write_gemma, write_texts

from mtmbench.core.card_files import load_suite
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import RunStore
from mtmbench.engine.estimate import batch_notice, estimates, total
from mtmbench.engine.harness import run_suite
from mtmbench.engine.phases import phases
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.workers import ASKING, ON_DEVICE, Task, take
from mtmbench.judges.ledger import LEDGER, Ledger


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    lay_out(tmp_path, server.url, documents=10)
    card = (tmp_path / "judges" / "chat.toml").read_text()
    other = card.replace('"small"', '"other"').replace("output = 4.0", "output = 8.0")
    (tmp_path / "judges" / "other.toml").write_text(other)
    return tmp_path


def planned(**judging: Any) -> Plan:
    overrides = {f"judging.{name}": value for name, value in judging.items()}
    return make_plan(load_suite("suite.toml", overrides), plugins=[str(PLUGIN)])


@pytest.mark.slow
def test_all_that_judges_are_asked_is_in_the_estimate(place: Path, server: ChatServer) -> None:
    with (place / "suite.toml").open("a") as file:
        file.write(
            'representations = ["items", "summary"]\nsummariser = "other"\nrefiner = "other"\n'
            '[metric_params]\nrating = { judge = "other" }\nintrusion = { judge = "chat" }\n'
        )
    text = (place / "suite.toml").read_text()
    (place / "suite.toml").write_text(text.replace('["coverage"]', '["rating", "intrusion"]'))
    plan = planned()
    rows = list(estimates(plan))
    # Three fits of five topics; three pairs, ten documents, two orders, two boards.
    assert [(row.judge, row.asked, row.n_calls) for row in rows] == [
        ("other", "refine", 15), ("other", "summary", 15), ("other", "rating", 15),
        ("chat", "intrusion", 15), ("chat", "matches", 120),
    ]  # fmt: skip
    everything = total(rows)
    assert everything.n_calls == 180
    priced = sum(
        (row.input_tokens + (8 if row.judge == "other" else 4) * row.output_tokens) / 1e6
        for row in rows
    )
    assert everything.cost == pytest.approx(priced)
    assert batch_notice(plan) == (
        "In the batch: matches by chat (at most 120 calls). Asked at once, at the full price: "
        "refine by other (at most 15 calls), summary by other (at most 15 calls), rating by other "
        "(at most 15 calls), intrusion by chat (at most 15 calls)."
    )
    assert server.requests == []
    run_suite(plan.suite, Path("out"), plugins=[str(PLUGIN)], workers=0, plan=plan)
    asked = Counter(request.body["model"] for request in server.completions)
    assert asked["other"] <= 45
    assert asked["small"] <= 135
    board = json.loads(Path("out/board.json").read_text())
    with Ledger(Path("out") / LEDGER) as ledger:
        assert board["spent"]["cost"] == pytest.approx(ledger.spent())
    assert board["spent"]["answers"] == server.paid.total() == len(server.paid)
    sent = sum(
        len(message["content"]) for r in server.completions for message in r.body["messages"]
    )
    planned_tokens = everything.input_tokens * server.paid.total() / everything.n_calls
    assert sent / 4 == pytest.approx(planned_tokens, rel=0.3)


def test_a_jury_costs_what_its_members_cost_together(place: Path, server: ChatServer) -> None:
    (place / "judges" / "both.toml").write_text(
        'client = "jury"\n[params]\nmembers = ["chat", "other", "lexical"]\n'
    )
    one, two = list(estimates(planned(judges=["chat", "other"])))
    (jury,) = estimates(planned(judges=["both"]))
    assert (jury.n_calls, jury.n_subjects) == (3 * 60, 30)
    assert jury.input_tokens == one.input_tokens + two.input_tokens
    assert one.cost is not None
    assert two.cost is not None
    assert jury.cost == pytest.approx(one.cost + two.cost)
    suite = load_suite("suite.toml", {"judging.judges": ["both"]})
    outcome = run_suite(suite, Path("out"), plugins=[str(PLUGIN)], workers=0, budget=1.0)
    assert outcome.errors == ()
    (judge,) = json.loads((place / "out" / "board.json").read_text())["judges"]
    by_model: Counter[str] = Counter()
    for request in server.completions:
        by_model[request.body["model"]] += 1
    assert by_model["small"] == by_model["other"] > 0
    # Both members read the same; the second's answers cost twice as much.
    usage = judge["usage"]
    assert judge["cost"] == pytest.approx((usage["input"] + 6 * usage["output"]) / 1e6, rel=0.05)


def test_a_member_without_prices_leaves_the_cost_unknown(place: Path) -> None:
    card = (place / "judges" / "other.toml").read_text()
    bare = card.replace("[prices]\ninput = 1.0\noutput = 8.0\n", "")
    (place / "judges" / "other.toml").write_text(bare)
    (place / "judges" / "both.toml").write_text(
        'client = "jury"\n[params]\nmembers = ["chat", "other"]\n'
    )
    (row,) = estimates(planned(judges=["both"]))
    assert row.cost is None


def test_what_asks_language_models_is_played_by_one_worker() -> None:
    asks, fits = Task((), affinity=ASKING), Task((), affinity="lda")
    waiting = [asks, fits]
    assert take(waiting, set(), {ASKING}) is fits
    assert take(waiting, set(), {ASKING}) is None
    assert waiting == [asks]
    assert take(waiting, {ASKING}, {ASKING}) is asks


def test_a_gpu_is_used_by_one_worker_whatever_it_reads(tmp_path: Path) -> None:
    model, scope = tmp_path / "gemma", tmp_path / "scope"
    write_gemma(model)
    scope.mkdir()
    np.savez(scope / "params.npz", **scope_arrays(HIDDEN, FEATURES))
    for name in ("one", "two"):
        write_texts(tmp_path / f"{name}.jsonl", 12, seed=0)
    suite = parse_card(
        {
            "name": "gpu", "models": ["lda", "mlda"], "k": [2],
            "corpora": [str(tmp_path / f"{name}.jsonl") for name in ("one", "two")],
            "features": {
                "source": "sae",
                "params": {
                    "backbone": str(model), "device": "cuda", "dtype": "bfloat16",
                    "saes": {"scope": {"folder": str(scope), "hook_point": HOOK}},
                },
            },
        },
        Suite, "gpu",
    )  # fmt: skip
    with RunStore(tmp_path / "out") as store:
        _, waiting = next(phases(make_plan(suite), store))
    read = {task.prepare[:1] + task.prepare[2:]: task.affinity for task in waiting if task.prepare}
    assert read == {
        ("one", "features"): ON_DEVICE, ("two", "features"): ON_DEVICE,
        ("one", "words"): "one", ("two", "words"): "two",
    }  # fmt: skip
    alone = {ON_DEVICE}
    first = take(waiting, {ON_DEVICE}, {ON_DEVICE}, alone=alone)
    assert first is not None
    assert first.affinity == ON_DEVICE
    others = [take(waiting, set(), {ON_DEVICE}, alone=alone) for _ in range(3)]
    assert [task and task.affinity for task in others] == ["one", "two", None]
