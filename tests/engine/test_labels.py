"""Labels laid over fits in a run: which keys know of them, equal bytes, what a judge is shown."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import SUPPORT

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.cells import MatchCell
from mtmbench.core.errors import InputError
from mtmbench.core.store import RunStore, read_records
from mtmbench.corpora.halves import halves_of
from mtmbench.engine.harness import run_suite
from mtmbench.engine.labels import labels_path, read_labels
from mtmbench.engine.phases import LABELS_FAILED
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.workspace import Workspace, WorkspaceSpec
from mtmbench.voting.ballot import suite_ballot

pytestmark = pytest.mark.slow

PLUGINS = [str(SUPPORT / "fast_plugin.py"), str(SUPPORT / "worded_source.py")]
WORDS = ("apples", "bananas", "cherries", "dates", "elderberries", "figs", "grapes", "honey")
FILES = ("records.jsonl", "board.json", "board.csv", "board.md", "index.html")


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """See ``support.models``."""


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    """Documents that each hold a word of their own beside those of all."""
    rng = random.Random(0)
    path = tmp_path / "fruit.jsonl"
    with path.open("w") as file:
        for i in range(40):
            own = "a" + "".join(chr(98 + int(digit)) for digit in f"{i:02d}") + "zzz"
            text = " ".join([*rng.choices(WORDS[(i % 2) * 4 :][:4], k=12), *[own] * 30])
            file.write(json.dumps({"id": f"d{i}", "text": text}) + "\n")
    return path


def suite_of(corpus_file: Path, **changes: Any) -> Suite:
    data: dict[str, Any] = {
        "name": "fruit",
        "corpora": [str(corpus_file)],
        "models": ["drawn", "mlda"],
        "k": [4],
        "seeds": [0, 1],
        "metrics": ["diversity", "embedding_coherence"],
        "features": {"source": "worded"},
        "judging": {"judges": ["lexical"], "documents": 20},
    }
    return parse_card({**data, **changes}, Suite, "test suite")


def plan_of(suite: Suite) -> Plan:
    return make_plan(suite, plugins=PLUGINS)


def keys(plan: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for cell in plan.cells():
        found.setdefault(cell.kind, set()).add(cell.key)
    return found


def test_what_features_are_called_is_in_the_keys_of_what_shows_it(corpus_file: Path) -> None:
    auto = plan_of(suite_of(corpus_file))
    corpus, shipped, other_words = (
        plan_of(suite_of(corpus_file, **changes))
        for changes in (
            {"features": {"source": "worded", "labels": "corpus"}},
            {"features": {"source": "worded", "labels": "shipped"}},
            {"words": {"stop_words": ["honey"]}},
        )
    )
    assert keys(auto) == keys(corpus)
    assert [cell.fit.model for cell in auto.labels] == ["mlda", "mlda"]
    assert len({cell.made for cell in auto.labels}) == 1
    assert not shipped.labels
    assert keys(auto)["fit"] == keys(shipped)["fit"]
    assert keys(auto)["match"].isdisjoint(keys(shipped)["match"])
    moved = {
        (cell.metric, cell.view, cell.fit.model)
        for cell in auto.metrics
        if cell.key not in keys(shipped)["metric"]
    }
    assert moved == {("embedding_coherence", "own", "mlda")}
    assert other_words.labels[0].made != auto.labels[0].made
    with pytest.raises(InputError, match="labels"):
        suite_of(corpus_file, features={"source": "worded", "labels": "own"})


def test_a_match_of_two_settings_tells_whose_labels_are_whose(corpus_file: Path) -> None:
    plan = plan_of(suite_of(corpus_file))
    one, two = plan.labels
    other = replace(two, source={**two.source, "setting": "paper"})
    match = replace(plan.matches[0], a=one.fit, b=two.fit)
    assert replace(match, projected=None, labels=(one, two)).particulars() == {
        "labels": dict(one.source)
    }
    assert replace(match, projected=None, labels=(other,)).particulars() == {
        "labels": dict(other.source)
    }
    assert replace(match, projected=None, labels=(one, other)).particulars() == {
        "side_labels": {"a": dict(one.source), "b": dict(other.source)}
    }


def test_judged_labels_win(corpus_file: Path) -> None:
    params = {"source": "worded", "params": {"scored": 26}}
    assert not plan_of(suite_of(corpus_file, features=params)).labels
    some = plan_of(suite_of(corpus_file, features={"source": "worded", "params": {"scored": 3}}))
    assert some.labels[0].source["judged"] == 3


def test_a_run_gives_the_same_bytes_however_it_is_played(tmp_path: Path, corpus_file: Path) -> None:
    suite = suite_of(corpus_file)
    folders = [tmp_path / "here", tmp_path / "parallel"]
    for folder, workers in zip(folders, (0, 2), strict=True):
        assert run_suite(suite, folder, plugins=PLUGINS, workers=workers).errors == ()
    here, parallel = ({name: (f / name).read_bytes() for name in FILES} for f in folders)
    assert here == parallel
    # Killed behind the fits: labels, and what stands on them, are lost.
    plan = plan_of(suite)
    labels = labels_path(folders[0], plan.labels[0].made)
    whole = labels.read_bytes()
    with RunStore(folders[0]) as store:
        for key in keys(plan)["labels"] | keys(plan)["match"]:
            store.forget(key)
    labels.unlink()
    assert run_suite(suite, folders[0], plugins=PLUGINS, workers=0).errors == ()
    assert labels.read_bytes() == whole
    # A damaged file is made anew.
    labels.write_bytes(whole.replace(b"bananas", b"banana"))
    read_labels.cache_clear()
    with pytest.raises(InputError, match="not a whole file of labels"):
        read_labels(folders[0], plan.labels[0].made)
    assert run_suite(suite, folders[0], plugins=PLUGINS, workers=0).errors == ()
    assert labels.read_bytes() == whole
    assert {name: (folders[0] / name).read_bytes() for name in FILES} == here
    board = json.loads(here["board.json"])
    assert [row["source"]["source"] for row in board["labels"]] == ["corpus"]
    topics = {row["model"]: row for row in board["topics"]}
    assert topics["mlda"]["labels"] == "corpus"
    assert "labels" not in topics["drawn"]
    shown = {word for topic in topics["mlda"]["topics"] for item in topic["items"]
             for word in item.split(", ")}  # fmt: skip
    assert shown & set(WORDS)
    assert b"Features are called by the words at which they fire" in here["board.md"]
    fits = [r for r in read_records(folders[0] / "records.jsonl") if r.kind == "fit"]
    assert {str(fit.payload["items"]["source"].get("labels")) for fit in fits} == {
        "None", "{'source': 'shipped'}",
    }  # fmt: skip


def test_what_waits_for_failed_labels_is_no_failure_of_its_own(
    tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("mtmbench.engine.cell_player.write_labels", refuse)
    outcome = run_suite(suite_of(corpus_file), tmp_path / "out", plugins=PLUGINS, workers=0)
    assert {(what[:14], why) for what, why in outcome.errors} == {
        ("labels of mlda", "OSError: no space left")
    }
    waiting = {
        record.kind
        for record in read_records(tmp_path / "out" / "records.jsonl")
        if record.payload.get("reason") == LABELS_FAILED
    }
    assert waiting == {"metric", "match"}


def test_a_judge_is_shown_no_word_of_a_document_beside_it(
    tmp_path: Path, corpus_file: Path
) -> None:
    suite = suite_of(corpus_file)
    run_suite(suite, tmp_path / "out", plugins=PLUGINS, workers=0)
    plan = plan_of(suite)
    workspace = Workspace(WorkspaceSpec(suite, plan.specs, tmp_path / "out", None, tuple(PLUGINS)))
    (corpus,) = plan.corpora.values()
    seen: dict[str, set[str]] = {"0": set(), "1": set()}
    for cell in plan.matches:
        assert isinstance(cell, MatchCell)
        assert [named.fit.model for named in cell.labels] == ["mlda"]
        pair = workspace.exhibits.of(cell).pair
        side = pair.options()[[cell.a.model, cell.b.model].index("mlda")]
        for row, option in zip(pair.rows, side, strict=True):
            own = corpus.texts[row].split()[-1]
            shown = " ".join(item for topic in option.topics for item in topic.items)
            assert own not in shown
            seen[halves_of(corpus)[row]].update(
                word for word in shown.replace(",", "").split() if word.endswith("zzz")
            )
    # What only one document says is shown beside documents of the other half.
    owners = {
        text.split()[-1]: half for text, half in zip(corpus.texts, halves_of(corpus), strict=True)
    }
    for half, words in seen.items():
        assert words
        assert {owners[word] for word in words} == {"1" if half == "0" else "0"}
    suite_ballot(suite, tmp_path / "out", "human", plan.matches[0].card, plugins=PLUGINS)
    labels_path(tmp_path / "out", plan.labels[0].made).unlink()
    with pytest.raises(InputError, match="1 files of labels of suite 'fruit' are not in"):
        suite_ballot(suite, tmp_path / "out", "human", plan.matches[0].card, plugins=PLUGINS)
