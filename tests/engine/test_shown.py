"""Whole runs in which topics are shown by projected words and by summaries out of documents."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT

from mtmbench.boards.rows.board import BoardTables
from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.match_payloads import MatchPayload, RewritePayload
from mtmbench.core.misfits import misfits
from mtmbench.core.plugins import load_plugins
from mtmbench.core.records import Record
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.corpora.halves import halves_of
from mtmbench.corpora.load import load_spec
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.engine.results import result_path
from mtmbench.engine.workspace import Workspace, WorkspaceSpec
from mtmbench.features.words import word_counts
from mtmbench.judges.registry import JUDGES
from mtmbench.matches.schedule import sample_documents, summary_halves
from mtmbench.metrics.projected import projected_words
from mtmbench.voting.ballot import suite_ballot

PLUGINS = [str(SUPPORT / "fast_plugin.py"), str(SUPPORT / "topic_plugin.py")]
THEMES = (
    ("bread", "soup", "oven", "butter", "kitchen", "pepper"),
    ("orbit", "rocket", "moon", "planet", "comet", "star"),
    ("goal", "team", "match", "ball", "season", "coach"),
)
EVERY = ("projected", "items", "summary")


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty texts: of sentences, of one sentence, of words without an end; and two copies."""
    rng = random.Random(1)
    texts = []
    for i in range(58):
        words = THEMES[i % 3]
        sentences = [" ".join(rng.choices(words, k=9)).capitalize() for _ in range(4)]
        texts.append(
            (". ".join(sentences) + ".", sentences[0] + ".", " ".join(sentences).lower())[i % 3]
            if i % 2
            else ". ".join(sentences) + "."
        )
    texts += texts[:2]
    path = tmp_path_factory.mktemp("corpus") / "tiny.jsonl"
    rows = [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def suite_of(corpus_file: Path, **judging: Any) -> Suite:
    return Suite.model_validate(
        {
            "name": "tiny", "corpora": [str(corpus_file)], "models": ["drawn", "drawn-sharp"],
            "k": [4], "seeds": [0, 1], "words": {"max_df": 1.0},
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {
                "judges": ["embedding", "lexical"], "documents": 40, "representations": EVERY,
                "summariser": "extractive", "nulls": True, "null_documents": 20, **judging,
            },
        }
    )  # fmt: skip


def records(folder: Path, *kinds: str) -> list[Record]:
    return [r for r in read_records(folder / "records.jsonl") if r.kind in kinds]


@pytest.fixture(scope="module")
def run(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    outcome = run_suite(suite_of(corpus_file), folder, plugins=PLUGINS, workers=0)
    assert outcome.errors == ()
    return folder


def test_no_judged_document_is_a_source_and_every_side_is_on_record(
    run: Path, corpus_file: Path
) -> None:
    corpus = load_spec(suite_of(corpus_file).corpora[0], None)
    sources, judged = ({corpus.doc_ids[row] for row in half} for half in summary_halves(corpus))
    texts = dict(zip(corpus.doc_ids, corpus.texts, strict=True))
    taken: set[str] = set()
    for record in records(run, "shown"):
        payload = record.payload
        assert set(misfits(payload, RewritePayload, "shown")) == set()
        assert payload["prompt"] is None
        assert payload["extraction"]["is_llm"] is False
        assert payload["extraction"]["rule"].startswith("the distinct texts of a corpus")
        assert payload["extraction"]["n_sources"] == len(sources)
        assert payload["extraction"]["n_judged"] == len(judged)
        assert payload["extraction"]["encoder"] == "all-MiniLM-L6-v2"
        for topic in payload["topics"]:
            if topic["status"] != "ok":
                continue
            taken |= set(topic["documents"])
            words = " ".join(texts[one] for one in topic["documents"]).lower().replace(".", "")
            assert 0 < len(topic["value"].split()) <= 25
            for phrase in topic["value"].lower().replace(".", "").split("; "):
                assert phrase in words
    assert taken
    assert taken <= sources
    played = {name: set() for name in EVERY}
    for match in records(run, "match", "null"):
        assert set(misfits(match.payload, MatchPayload, match.kind)) == set()
        shown = match.payload["representation"]
        played[shown] |= set(match.payload["documents"])
        assert ("summary" in match.payload) == (shown == "summary")
    assert played["summary"] <= judged
    assert not {texts[one] for one in played["summary"]} & {texts[one] for one in taken}
    assert played["items"] == played["projected"]
    assert played["items"] & sources


@pytest.mark.parametrize("judge", ["topic-reader", "chat-topic-reader"])
def test_what_judges_see_by_projected_words_is_of_the_other_half(
    run: Path, corpus_file: Path, tmp_path: Path, judge: str
) -> None:
    load_plugins(PLUGINS)
    reader: Any = JUDGES.get(judge)
    reader.seen.clear()
    suite = suite_of(
        corpus_file, judges=[judge], representations=["projected"], summariser=None,
        nulls=False, top_items=3,
    )  # fmt: skip
    run_suite(suite, tmp_path / "out", plugins=PLUGINS, workers=0)
    corpus = load_spec(suite.corpora[0], None)
    counts = word_counts(corpus, suite.words)
    halves = np.array(list(halves_of(corpus)))
    words = {
        ", ".join(topic)
        for fit in records(tmp_path / "out", "fit")
        if fit.payload["seed"] == 0
        for half in "01"
        for topic in projected_words(
            TopicResult.load(result_path(tmp_path / "out", fit.key)).doc_topic[halves == half],
            counts.select_docs(np.flatnonzero(halves == half)),
            3,
            3,
        )[0]
    }
    assert reader.seen
    assert reader.seen <= words
    played = records(tmp_path / "out", "match")
    assert {match.payload["projected"] for match in played} == {"crossed"}
    ballot = suite_ballot(
        suite, tmp_path / "out", "human", JudgeCard(client="human"), plugins=PLUGINS
    )
    shown = {
        topic
        for item in ballot.items("ann")
        if not item.vote.get("check")
        for side in item.sets
        for topic in side
    }
    assert shown == reader.seen


def test_topics_without_words_in_the_other_half_are_told(tmp_path: Path) -> None:
    """Twelve documents of words that too few share: nothing can be taken from either half."""
    path = tmp_path / "few.jsonl"
    rows = [{"id": f"d{i}", "text": f"one two{i // 2} three{i // 3}"} for i in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = suite_of(
        path, judges=["lexical"], representations=["projected"], summariser=None, nulls=False
    )
    suite = suite.model_copy(
        update={"words": suite.words.model_copy(update={"min_df": 2, "max_df": 0.9})}
    )
    run_suite(suite, tmp_path / "out", plugins=PLUGINS, workers=0)
    (match,) = records(tmp_path / "out", "match")
    pages = (tmp_path / "out" / "board.md").read_text(encoding="utf-8")
    n = match.payload["wordless"]
    assert 0 < n <= 24
    assert f"Of 24 options by projected words {n} had none" in pages


def test_a_board_says_how_topics_are_shown(run: Path) -> None:
    board = json.loads((run / "board.json").read_text())
    assert set(misfits(board, BoardTables, "board")) == set()
    leagues = {(row["judge"], row["representation"]) for row in board["ratings"]}
    # The lexical judge reads projected words whatever is shown: one table is all that it has.
    assert leagues == {("embedding", each) for each in EVERY} | {("lexical", "projected")}
    page = (run / "board.md").read_text()
    titles = [line for line in page.splitlines() if line.startswith("#### ")]
    assert [title.rpartition("· ")[2] for title in titles] == [
        "projected words shown", "top items shown", "summaries shown", "projected words shown",
    ]  # fmt: skip
    assert "| against its refit, top items | all |" in page
    assert "No language model wrote the summaries: judge card extractive took them" in page
    assert "lexical: reads projected words however topics are shown" in page
    (row,) = board["shown"]
    assert row["extraction"]["is_llm"] is False
    assert row["extraction"]["encoder"] == "all-MiniLM-L6-v2"
    html = (run / "index.html").read_text()
    for said in ("projected words shown", "No language model wrote the summaries"):
        assert said in html


def test_a_second_run_plays_nothing_and_another_process_takes_the_same(
    run: Path, corpus_file: Path, tmp_path: Path
) -> None:
    suite = suite_of(corpus_file)
    assert run_suite(suite, run, plugins=PLUGINS, workers=0).played == 0
    assert not (run / "answers.sqlite").exists()
    # One model alone: each document is embedded among its own sentences whoever asks for it.
    alone = suite.model_copy(update={"models": ("drawn-sharp",)})
    run_suite(alone, tmp_path / "alone", plugins=PLUGINS, workers=0)
    said = [
        {r.key: r.payload["topics"] for r in records(folder, "shown")}
        for folder in (run, tmp_path / "alone")
    ]
    assert said[1].items() <= said[0].items()
    assert said[1]


@pytest.mark.parametrize("schedule", ["uniform", "adaptive"])
def test_summaries_are_judged_on_a_sample_of_their_own(corpus_file: Path, schedule: str) -> None:
    suite = suite_of(corpus_file, documents=10, null_documents=10, schedule=schedule)
    plan = make_plan(suite, plugins=PLUGINS)
    (corpus,) = plan.corpora.values()
    _, judged = summary_halves(corpus)
    for kind in ("match", "null"):
        rows: dict[str, set[int]] = {name: set() for name in EVERY}
        for cell in plan.matches:
            if cell.kind == kind:
                rows[cell.representation] |= set(cell.rows)
        assert rows["items"] == rows["projected"] == set(sample_documents(corpus, 10, 0))
        assert rows["summary"] == set(sample_documents(corpus, 10, 0, judged))
        assert rows["summary"] <= set(judged)


@pytest.mark.parametrize("schedule", ["uniform", "adaptive"])
def test_what_is_judged_beside_a_summary_is_no_source_either(
    run: Path, corpus_file: Path, schedule: str
) -> None:
    suite = suite_of(corpus_file, documents=20, null_documents=10, schedule=schedule)
    plan = make_plan(suite, plugins=PLUGINS)
    workspace_spec = WorkspaceSpec(suite, plan.specs, run, None, tuple(PLUGINS))
    workspace = Workspace(workspace_spec)
    (corpus,) = plan.corpora.values()
    _, half = summary_halves(corpus)
    shown = set()
    for cell in plan.matches:
        pair = workspace.exhibits.of(cell).pair
        # What is kept from match to match is what would be made for this one alone.
        alone = Workspace(workspace_spec).exhibits.of(cell).pair
        assert pair.options() == alone.options()
        among = half if cell.representation == "summary" else None
        assert list(pair.league) == sample_documents(corpus, 20, 0, among)
        assert set(pair.rows) <= set(pair.league)
        assert among is None or set(pair.league) <= set(half)
        shown.add(cell.representation)
    assert shown == set(EVERY)


def test_refits_have_summaries_too_where_they_cost_nothing(run: Path) -> None:
    board = json.loads((run / "board.json").read_text())
    refits = {
        row["representation"]: row["n"]
        for row in board["controls"]
        if (row["judge"], row["control"], row["model"]) == ("embedding", "refit", None)
    }
    assert set(refits) == set(EVERY)
    assert all(refits.values())


def test_nothing_is_summarised_that_no_judge_would_be_shown(corpus_file: Path) -> None:
    for summariser in ("extractive", "writer"):
        suite = suite_of(corpus_file, judges=["lexical"], summariser=summariser)
        assert make_plan(suite, plugins=PLUGINS).rewrites == ()
        refined = suite_of(corpus_file, judges=["lexical"], summariser=summariser, refiner="writer")
        assert make_plan(refined, plugins=PLUGINS).rewrites == ()
    items = suite_of(corpus_file, judges=["lexical"], representations=["summary", "items"])
    plan = make_plan(items, plugins=PLUGINS)
    assert {cell.representation for cell in plan.matches} == {"items"}
    assert plan.rewrites == ()
    alone = suite_of(corpus_file, judges=["lexical"], representations=["summary"])
    assert make_plan(alone, plugins=PLUGINS).rewrites


def test_one_representation_plays_as_before(corpus_file: Path) -> None:
    """Keys of matches by items do not depend on what else is shown."""
    alone = suite_of(corpus_file, representations=["items"], summariser=None, judges=["embedding"])
    every = make_plan(suite_of(corpus_file), plugins=PLUGINS)
    assert make_plan(alone, plugins=PLUGINS).keys() < every.keys()
    assert JudgingSpec().representations == ("items",)
