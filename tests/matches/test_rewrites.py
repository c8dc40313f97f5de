"""Suites whose topics are refined and summarised: cells, records, boards, resuming."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support import SUPPORT

from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.write import write_board
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.fit_payloads import FitPayload, MetricPayload
from mtmbench.core.match_payloads import MatchPayload, RewritePayload
from mtmbench.core.misfits import misfits
from mtmbench.core.plugins import load_plugins
from mtmbench.core.records import Record
from mtmbench.core.store import read_records
from mtmbench.engine.estimate import estimates
from mtmbench.engine.harness import RunOutcome, run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.judges.registry import JUDGES
from mtmbench.judges.topic_questions import topic_template
from mtmbench.matches.rewrites import read_rewrites, rewrites_path

PLUGINS = [
    str(SUPPORT / "fast_plugin.py"),
    str(SUPPORT / "topic_plugin.py"),
]
WORDS = ("bread", "soup", "oven", "butter", "orbit", "rocket", "moon", "planet", "goal", "team")


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    rng = random.Random(0)
    path = tmp_path / "tiny.jsonl"
    rows = [{"id": f"d{i}", "text": " ".join(rng.choices(WORDS, k=30))} for i in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def suite_of(corpus_file: Path, **judging: Any) -> Suite:
    return Suite.model_validate(
        {
            "name": "tiny", "corpora": [str(corpus_file)], "models": ["drawn", "drawn-sharp"],
            "k": [4], "seeds": [0, 1], "words": {"max_df": 1.0},
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {"judges": ["topic-reader"], "documents": 20, **judging},
        }
    )  # fmt: skip


def play(suite: Suite, folder: Path, **options: Any) -> RunOutcome:
    return run_suite(suite, folder, plugins=PLUGINS, workers=0, **options)


def records(folder: Path, kind: str) -> list[Record]:
    return [r for r in read_records(folder / "records.jsonl") if r.kind == kind]


def _judge(name: str) -> Any:
    load_plugins(PLUGINS)
    return JUDGES.get(name)


BOTH = {"representations": ["items", "summary"], "summariser": "writer", "refiner": "writer"}


def test_what_a_run_writes_is_what_the_types_say(tmp_path: Path, corpus_file: Path) -> None:
    more = {"nulls": True, "null_documents": 10, "lengths": True}
    suite = suite_of(corpus_file, **BOTH, **more).model_copy(update={"metrics": ("npmi",)})
    assert play(suite, tmp_path / "run").errors == ()
    payloads = {
        "fit": FitPayload, "metric": MetricPayload, "shown": RewritePayload,
        "match": MatchPayload, "null": MatchPayload,
    }  # fmt: skip
    written = read_records(tmp_path / "run" / "records.jsonl")
    assert {record.kind for record in written} == set(payloads)
    assert {m for r in written for m in misfits(r.payload, payloads[r.kind], r.kind)} == set()
    board = json.loads((tmp_path / "run" / "board.json").read_text())
    assert {"shown", "spent"} <= set(board)
    assert all("length" in table for table in board["win_rates"])
    assert set(misfits(board, BoardTables, "board")) == set()


def test_topics_are_refined_then_summarised_for_all_models_alike(
    tmp_path: Path, corpus_file: Path
) -> None:
    reader: Any = _judge("topic-reader")
    reader.seen.clear()
    outcome = play(suite_of(corpus_file, **BOTH), tmp_path / "run")
    assert outcome.errors == ()
    shown = records(tmp_path / "run", "shown")
    # Two models; the second seed plays no match and is not asked about.
    assert sorted(r.payload["task"] for r in shown) == ["refine", "refine", "summary", "summary"]
    fits = {r.key: r.payload["topics"] for r in records(tmp_path / "run", "fit")}
    expected: set[str] = set()
    for record in shown:
        topics = fits[record.payload["fits"][0]]
        assert len(record.payload["topics"]) == 4
        for topic, row in zip(topics, record.payload["topics"], strict=True):
            items = topic["items"]
            if record.payload["task"] == "refine":
                assert row == {"status": "ok", "value": [items[1]]}
                expected.add(", ".join([items[0], *items[2:]]))
            else:
                assert row == {"status": "ok", "value": f"About {items[0]}."}
                expected.add(row["value"])
        assert record.payload["answers_by"]["revisions"] == ["writer-1"]
        assert record.payload["answers_by"]["questions"] == 4
    assert reader.seen <= expected
    assert {text for text in reader.seen if text.startswith("About")}
    matches = {r.payload["representation"]: r.payload for r in records(tmp_path / "run", "match")}
    assert set(matches) == {"items", "summary"}
    assert matches["items"]["refine"]["judge"] == matches["summary"]["summary"]["judge"] == "writer"
    assert "summary" not in matches["items"]

    board = json.loads((tmp_path / "run" / "board.json").read_text())
    assert {row["representation"] for row in board["ratings"]} == {"items", "summary"}
    refine, summary = board["shown"]
    assert (refine["task"], refine["statuses"], refine["usage"]) == (
        "refine", {"ok": 8}, {"input": 0, "output": 8},
    )  # fmt: skip
    assert (summary["judge"], summary["revisions"]) == ("writer", ["writer-1"])
    assert [row["model"] for row in summary["fits"]] == ["drawn", "drawn-sharp"]
    page = (tmp_path / "run" / "board.md").read_text()
    assert "Summaries were written from the top items by judge card writer (writer-1)" in page
    assert "Up to two odd ones of every topic's 10 top items" in page
    assert "Warning: " not in page
    before = (tmp_path / "run" / "board.json").read_bytes()
    write_board(tmp_path / "run")
    assert (tmp_path / "run" / "board.json").read_bytes() == before


def test_a_second_run_asks_nothing_and_lost_files_are_made_from_the_answers(
    tmp_path: Path, corpus_file: Path
) -> None:
    suite, folder = suite_of(corpus_file, **BOTH), tmp_path / "run"
    writer: Any = _judge("writer")
    writer.asked = 0
    play(suite, folder)
    first = writer.asked
    assert first == 16
    assert play(suite, folder).played == 0
    summary = next(r for r in records(folder, "shown") if r.payload["task"] == "summary")
    kept = read_rewrites(folder, summary.key)
    rewrites_path(folder, summary.key).write_text("{")
    with pytest.raises(InputError, match="not a whole file of rewritten topics"):
        read_rewrites(folder, summary.key)
    assert play(suite, folder).played == 1
    assert read_rewrites(folder, summary.key) == kept
    assert writer.asked == first


def priced(tmp_path: Path) -> str:
    """A card of which every answer costs 1."""
    path = tmp_path / "priced.toml"
    path.write_text(
        "client = 'writer'\n[decoding]\nmax_tokens = 1\n[prices]\ninput = 0\noutput = 1_000_000\n"
    )
    return str(path)


def test_a_budget_holds_for_refinements_and_summaries_together(
    tmp_path: Path, corpus_file: Path
) -> None:
    card, folder = priced(tmp_path), tmp_path / "run"
    suite = suite_of(corpus_file, **{**BOTH, "refiner": card, "summariser": card})
    writer: Any = _judge("writer")
    writer.asked = 0
    outcome = play(suite, folder, budget=10)
    # Eight topics are refined; two of eight summaries are what is left.
    assert writer.asked == 10
    assert [what.split(" of ")[0] for what, _ in outcome.errors] == ["summary", "summary"]
    assert {reason.split(": ")[0] for _, reason in outcome.errors} == {"JudgeStoppedError"}
    assert play(suite, folder, budget=16).errors == ()
    assert writer.asked == 16
    board = json.loads((folder / "board.json").read_text())
    assert [row["cost"] for row in board["shown"]] == [8.0, 8.0]


def test_a_budget_holds_for_values_that_a_judge_gives(tmp_path: Path, corpus_file: Path) -> None:
    suite = suite_of(corpus_file).model_copy(
        update={"metrics": ("rating",), "metric_params": {"rating": {"judge": priced(tmp_path)}}}
    )
    writer: Any = _judge("writer")
    writer.asked = 0
    outcome = play(suite, tmp_path / "run", budget=7)
    # Four fits of four topics: the first is rated, the others want 12 where 3 are left.
    assert writer.asked == 7
    assert len(outcome.errors) == 3
    assert all("the budget of 7.00 is used up" in reason for _, reason in outcome.errors)


@pytest.mark.parametrize("where", ["summariser", "metric"])
def test_a_budget_needs_prices_of_every_card(tmp_path: Path, corpus_file: Path, where: str) -> None:
    suite = suite_of(corpus_file, **({} if where == "metric" else BOTH))
    if where == "metric":
        params = {"metrics": ("rating",), "metric_params": {"rating": {"judge": "writer"}}}
        suite = suite.model_copy(update=params)
    with pytest.raises(InputError, match="judge 'writer' has no prices"):
        play(suite, tmp_path / "run", budget=1)


@pytest.mark.parametrize("judge", ["topic-reader", "chat-topic-reader"])
def test_missing_summaries_remove_documents_and_warn(
    tmp_path: Path, corpus_file: Path, judge: str
) -> None:
    plain = tmp_path / "plain"
    play(suite_of(corpus_file), plain)
    fit = next(r for r in records(plain, "fit") if r.payload["seed"] == 0)
    mute = fit.payload["topics"][0]["items"][0]
    card = tmp_path / "mute.toml"
    card.write_text(f"client = 'writer'\n[params]\nmute = '{mute}'\n")
    suite = suite_of(corpus_file, representations=["summary"], summariser=str(card), judges=[judge])
    play(suite, tmp_path / "run")
    statuses: dict[str, int] = {}
    for record in records(tmp_path / "run", "shown"):
        for row in record.payload["topics"]:
            statuses[row["status"]] = statuses.get(row["status"], 0) + 1
            assert ("reply" in row) == (row["status"] == "unparsed")
    assert statuses["unparsed"] >= 1
    (match,) = records(tmp_path / "run", "match")
    forward = match.payload["forward"]
    assert len(forward) == 20
    assert 0 < forward.count("u") < 20
    asked = 20 - forward.count("u") - sum(c in "ABT" for c in forward)
    assert match.payload["calls"] == (asked if judge == "topic-reader" else 2 * asked)
    page = (tmp_path / "run" / "board.md").read_text()
    assert f"Warning: {statuses['unparsed']} of 8 replies gave nothing, more than 5 %" in page


def test_a_summariser_that_fails_costs_its_board_alone(tmp_path: Path, corpus_file: Path) -> None:
    card = tmp_path / "dead.toml"
    card.write_text("client = 'writer'\n[params]\nfails = true\n")
    suite = suite_of(corpus_file, representations=["items", "summary"], summariser=str(card))
    outcome = play(suite, tmp_path / "run")
    assert sorted(what for what, _ in outcome.errors) == [
        f"summary of {name} on tiny, K = 4, seed 0" for name in ("drawn", "drawn-sharp")
    ]
    assert all("OSError: the line is dead" in reason for _, reason in outcome.errors)
    statuses = {r.payload["representation"]: r for r in records(tmp_path / "run", "match")}
    assert statuses["items"].status == "ok"
    assert statuses["summary"].payload["reason"] == "a refinement or summary that it needs failed"
    assert "1 topic set" in (tmp_path / "run" / "board.md").read_text()


def test_a_refined_topic_is_filled_up_from_what_the_refiner_saw(
    tmp_path: Path, corpus_file: Path
) -> None:
    reader: Any = _judge("topic-reader")
    reader.seen.clear()
    limits = {"show": 6, "drop": 2}
    suite = suite_of(corpus_file, refiner="writer", refine=limits, top_items=4)
    plan = make_plan(suite, plugins=PLUGINS)
    assert play(suite, tmp_path / "run", plan=plan).errors == ()
    shown = records(tmp_path / "run", "shown")
    assert [record.payload["limits"] for record in shown] == [limits] * 2
    assert {m for r in shown for m in misfits(r.payload, RewritePayload, "shown")} == set()
    expected = set()
    for record in records(tmp_path / "run", "fit"):
        for topic in record.payload["topics"]:
            # The writer finds the second odd, so that of six the first, third, fourth and fifth.
            items = topic["items"]
            expected.add(", ".join([items[0], *items[2:5]]))
    assert reader.seen
    assert reader.seen <= expected
    (match,) = records(tmp_path / "run", "match")
    assert match.payload["refine"]["limits"] == limits
    assert "refine" not in match.payload["protocol"]
    page = (tmp_path / "run" / "board.md").read_text()
    assert "Up to 2 odd ones of every topic's 6 top items were dropped by judge card writer" in page
    assert "Shown are the 4 strongest of those left." in page
    (board,) = json.loads((tmp_path / "run" / "board.json").read_text())["shown"]
    assert (board["limits"], board["prompt"]["name"]) == (limits, "refine_up_to")


def test_limits_of_a_refiner_are_in_the_keys_of_what_it_refines_alone(corpus_file: Path) -> None:
    def keys(**judging: Any) -> dict[str, set[str]]:
        plan = make_plan(suite_of(corpus_file, refiner="writer", **judging), plugins=PLUGINS)
        return {
            "fits": {cell.key for cell in plan.fits},
            "rewrites": {cell.key for cell in plan.rewrites},
            "matches": {cell.key for cell in plan.matches},
        }

    every = [keys(), *(keys(refine={"show": s, "drop": d}) for s, d in ((12, 2), (12, 3), (10, 2)))]
    assert len({frozenset(each["fits"]) for each in every}) == 1
    assert len({frozenset(each["rewrites"]) for each in every}) == 4
    assert len({frozenset(each["matches"]) for each in every}) == 4


def test_the_estimate_counts_the_items_that_the_refiner_is_shown(corpus_file: Path) -> None:
    suite = suite_of(corpus_file, refiner="writer", refine={"show": 50, "drop": 3}, top_items=10)
    plan = make_plan(suite, plugins=PLUGINS)
    (row,) = (row for row in estimates(plan) if row.asked == "refine")
    prompt = topic_template("refine_up_to")
    # Two fits of four topics, twelve characters an item, four a token.
    characters = 8 * (len(prompt.system) + len(prompt.user) + 50 * 12)
    assert (row.n_cells, row.n_calls, row.input_tokens) == (2, 8, characters // 4)


@pytest.mark.parametrize(
    ("judging", "said"),
    [
        ({"refine": {"show": 12}}, "refine says how a refiner refines; name one: refiner ="),
        ({"refine": {"show": 9}, "refiner": "writer"}, "refine.show is 9 and top_items 10"),
        ({"refine": {"show": 12, "drop": 12}, "refiner": "writer"}, "drop is at most 11"),
        ({"refine": {"show": 12, "drop": 0}, "refiner": "writer"}, "greater than or equal to 1"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(
    corpus_file: Path, judging: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        suite_of(corpus_file, **judging)


def test_without_the_options_nothing_changes(corpus_file: Path) -> None:
    plain = make_plan(suite_of(corpus_file), plugins=PLUGINS)
    options = make_plan(suite_of(corpus_file, **BOTH), plugins=PLUGINS)
    summaries = {**BOTH, "refiner": None}
    unrefined = make_plan(suite_of(corpus_file, **summaries), plugins=PLUGINS)
    assert plain.rewrites == ()
    assert plain.matches[0].identity().keys() == unrefined.matches[0].identity().keys()
    # A summariser changes no match of items; a refiner changes them all.
    assert plain.keys() < unrefined.keys()
    keys = {cell.key for cell in options.matches}
    assert not keys & {cell.key for cell in unrefined.matches}
    assert {cell.key for cell in options.fits} == {cell.key for cell in plain.fits}
    assert len({cell.key for cell in options.rewrites}) == 4


def test_refinement_is_of_items_alone(corpus_file: Path) -> None:
    """Neither projected words nor what is taken from documents is refined, nor waits for it."""
    every = ["items", "projected", "summary"]
    written = suite_of(corpus_file, **{**BOTH, "representations": every})
    taken = suite_of(corpus_file, representations=every, refiner="writer", summariser="extractive")
    for suite, of_summaries in ((written, ["refine", "summary"] * 2), (taken, ["summary"] * 2)):
        plan = make_plan(suite, plugins=PLUGINS)
        tasks = {m.representation: [c.task for c in m.rewrites] for m in plan.matches}
        assert sorted(tasks["summary"]) == sorted(of_summaries)
        assert tasks["items"] == ["refine", "refine"]
        assert tasks["projected"] == []
    plain = make_plan(suite_of(corpus_file, representations=["projected"]), plugins=PLUGINS)
    keys = make_plan(written, plugins=PLUGINS).keys()
    assert {match.key for match in plain.matches} < keys


@pytest.mark.parametrize(
    ("judging", "said"),
    [
        ({"refiner": "writer", "representations": ["projected"]}, "which show no items"),
        ({"refiner": "writer", "representations": ["summary"], "summariser": "extractive"},
         "which show no items"),
        ({"judges": ["extractive"]}, "name it as summariser, and others as judges"),
        ({"refiner": "extractive"}, "name it as summariser, and others as judges"),
    ],
)  # fmt: skip
def test_what_shows_or_asks_nothing_is_refused(
    corpus_file: Path, judging: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        make_plan(suite_of(corpus_file, **judging), plugins=PLUGINS)
