"""Suites are tuned on what no board scores, and a kill costs no fit twice."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest

import mtmbench as mb
from mtmbench.cli.run import play_suite
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import JudgeCard, ModelCard, Suite
from mtmbench.core.errors import InputError, MtmbenchError, UnknownNameError
from mtmbench.core.plugins import load_plugins
from mtmbench.core.records import of_kind
from mtmbench.core.store import read_records, run_infos
from mtmbench.corpora.load import load_spec
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.ledger_file import keep_lost, open_ledger
from mtmbench.steering.suite import steer_suite
from mtmbench.tuning.scorer import UnscoredError, check_metric
from mtmbench.tuning.suite import SuiteTuning, suite_of_one, tune_suite
from mtmbench.voting.ballot import suite_ballot

from .conftest import CARD, PLUGIN, MakeSuite

pytestmark = pytest.mark.slow

FOLDER = Path("run/tuning")


def quality(*told: object) -> float:
    """The plugin's own; it is a module of another name than one imported from here would have."""
    load_plugins([PLUGIN])
    return float(sys.modules["mtmbench_plugin_tuned_plugin"].quality(*told))


def tuned(suite: Suite, folder: Path = FOLDER) -> SuiteTuning:
    return tune_suite(suite, folder, plugins=[PLUGIN], workers=0)


def test_the_best_is_that_of_its_means_and_the_fresh_figures_are_the_metric_s(
    found: SuiteTuning,
) -> None:
    (each,) = found.tuned

    def mean(params: tuple[float, str], seeds: range) -> float:
        return fmean(quality(*params, seed) for seed in seeds)

    tried = {(row.params["level"], row.params["kind"]) for row in each.trials}
    assert tried <= set(product((0.0, 2.0, 3.0), "ab"))
    best = max(tried, key=lambda params: mean(params, range(3)))  # type: ignore[arg-type]
    assert tuple(each.best.params.values()) == best == (3.0, "b")
    assert each.settings == len(tried)
    assert each.default_value == pytest.approx(mean((1.0, "a"), range(3, 8)))
    assert each.gain.gain == pytest.approx(mean((3.0, "b"), range(3, 8)) - each.default_value)
    assert each.gain.seen == pytest.approx(mean((3.0, "b"), range(3)) - mean((1.0, "a"), range(3)))


def test_cards_and_tables_say_what_was_found(make_suite: MakeSuite, found: SuiteTuning) -> None:
    done = found
    card_file, table = done.files
    assert (card_file, table) == (FOLDER / "known-tuned.toml", FOLDER / "trials.csv")
    card = read_card(card_file, ModelCard)
    assert card.params == {"level": 3.0, "kind": "b"}
    facts = card.tuned
    assert facts is not None
    part = load_spec(make_suite().on_part("tuning").corpora[0])
    assert (facts.part, facts.corpus_revision, facts.documents) == (
        "tuning", part.revision, len(part),
    )  # fmt: skip
    assert facts.finding == done.tuned[0].finding
    rows = list(csv.DictReader(table.open()))
    assert [row["trial"] for row in rows] == ["defaults", *map(str, range(12))]
    (best,) = (row for row in rows if row["best"] == "True")
    assert best["params.level"] == "3.0"
    assert float(best["fresh seed 5"]) == pytest.approx(quality(3.0, "b", 5))
    assert float(rows[0]["seed 2"]) == pytest.approx(quality(1.0, "a", 2))


def test_a_tuned_card_is_fitted_as_its_parameters_are(
    make_suite: MakeSuite, found: SuiteTuning
) -> None:
    card = found.files[0]
    suite = make_suite(tuning=None, models=[str(card)])
    by_hand = make_suite(
        tuning=None, models=["known"], params={"known": {"level": 3.0, "kind": "b"}}
    )
    of_card, of_params = (make_plan(each, plugins=[PLUGIN]).fits for each in (suite, by_hand))
    assert of_card[0].model == "known-tuned"
    assert of_card[0].key == of_params[0].key


def test_where_lower_is_better_the_same_is_found(make_suite: MakeSuite, found: SuiteTuning) -> None:
    (up,) = found.tuned
    (down,) = tuned(
        make_suite(metrics=["loss"], tuning={"metric": "loss", "trials": 12}), Path("down")
    ).tuned
    assert down.best.params == up.best.params
    assert down.gain.gain == pytest.approx(up.gain.gain)
    assert down.best_value == pytest.approx(-up.best_value)


def test_boards_score_what_tuning_left_by_what_it_found(
    make_suite: MakeSuite, found: SuiteTuning
) -> None:
    suite = make_suite()
    refused = "'tuned' tunes models before it is played"
    with pytest.raises(InputError, match=refused):
        run_suite(suite, Path("run"), plugins=[PLUGIN], workers=0)
    with pytest.raises(InputError, match=refused):
        steer_suite(suite, Path("run"), plugins=[PLUGIN])
    with pytest.raises(InputError, match=refused):
        suite_ballot(suite, Path("run"), "human", JudgeCard(client="human"), plugins=[PLUGIN])
    done = found
    before = len(run_infos(FOLDER))
    assert done.suite.params_per_corpus == {"tiny": {"known": {"level": 3.0, "kind": "b"}}}
    assert done.notes == ("Not tuned, for want of a [search] in the card: knobbed.",)
    mb.run(suite, "run", plugins=[PLUGIN], workers=0)
    # What tuning had played before was read from its records.
    assert len(run_infos(FOLDER)) == before
    fits = of_kind(read_records(Path("run/records.jsonl")), "fit")
    params = {record.payload["model"]: record.payload["params_given"] for record in fits}
    assert params["known"] == {"n_topics": 4, "level": 3.0, "kind": "b"}
    assert params["knobbed"] == {"n_topics": 4}
    scored = load_spec(done.suite.corpora[0])
    part = load_spec(suite.on_part("tuning").corpora[0])
    assert {record.payload["corpus_revision"] for record in fits} == {scored.revision}
    assert len(scored) + len(part) == 60
    assert not set(scored.doc_ids) & set(part.doc_ids)
    # What the run's folder holds is played as it stands, without tuning.
    written = read_card(Path("run/suite.toml"), Suite)
    assert written == done.suite
    again = run_suite(written, Path("run"), plugins=[PLUGIN], workers=0)
    assert again.played == 0


def test_defaults_that_nothing_beats_stay(make_suite: MakeSuite) -> None:
    Path("baselines/known.toml").write_text(
        'model = "knobbed"\nparams = { level = 3.0, kind = "b" }\nsearch.level = [0.0, 1.0]\n'
    )
    done = tuned(make_suite(tuning={"metric": "quality", "trials": 2}))
    (each,) = done.tuned
    assert each.best is each.defaults
    assert "none of 2 settings of known on tiny (K = 4) was better" in each.finding
    assert done.suite.params_per_corpus == {}
    assert done.suite.tuning is not None
    assert done.suite.tuning.models == ("known",)
    card = read_card(done.files[0], ModelCard)
    assert card.params == {"level": 3.0, "kind": "b"}


def test_what_the_suite_sets_is_not_searched_and_failures_are_on_record(
    make_suite: MakeSuite,
) -> None:
    Path("baselines/known.toml").write_text(
        'model = "knobbed"\nsearch.level = [3.0]\n'
        'search.kind = ["a", "b", "broken", "few", "singular", "singular tensor", '
        '"wrong parameter"]\n'
    )
    suite = make_suite(params={"known": {"level": 2.0}}, tuning={"metric": "quality", "trials": 7})
    done = tuned(suite)
    (each,) = done.tuned
    assert each.best.params == {"kind": "b"}
    failed = {
        row.params["kind"]: (row.reason or "").splitlines()[0]
        for row in each.trials
        if row.state == "failed"
    }
    for kind, error in (("singular tensor", "_LinAlgError"), ("wrong parameter", "InvalidParam")):
        assert failed.pop(kind).startswith(error)
    (note,) = (note for note in done.notes if "Error" in note)
    assert note.startswith("known on tiny: 3 of 7 trials failed by an error that may not be")
    assert failed == {
        "broken": "InputError: kind 'broken' fits nothing",
        "singular": "LinAlgError: Singular matrix",
        # The best by far, of half of the topics.
        "few": "2 topics were found, fewer than 3.6",
    }
    assert (each.default_topics, each.best_topics) == (4.0, 4.0)


def test_what_is_not_the_parameters_fault_stops_and_is_asked_again(make_suite: MakeSuite) -> None:
    Path("baselines/known.toml").write_text(
        'model = "knobbed"\nsearch.level = [2.0]\nsearch.kind = ["b", "cut off"]\n'
    )
    suite = make_suite(tuning={"metric": "quality", "trials": 2})
    with pytest.raises(UnscoredError, match="ConnectionError: nobody is there; tuning stops here"):
        tuned(suite)
    Path("back").touch()
    (each,) = tuned(suite).tuned
    assert {row.params["kind"]: row.state for row in each.trials} == {
        "b": "complete",
        "cut off": "complete",
    }


def test_several_models_and_corpora_have_as_many_trials_each(make_suite: MakeSuite) -> None:
    Path("other.jsonl").write_text(Path("tiny.jsonl").read_text())
    Path("baselines/second.toml").write_text('model = "knobbed"\nsearch.level = [2.0, 2.5, 3.0]\n')
    suite = make_suite(
        corpora=["tiny.jsonl", "other.jsonl"],
        models=["known", "second"],
        tuning={"metric": "quality", "trials": 3, "seeds": 2},
    )
    done = tuned(suite)
    assert [(each.corpus, each.model, len(each.trials)) for each in done.tuned] == [
        (corpus, model, 3) for corpus in ("tiny", "other") for model in ("known", "second")
    ]
    assert (FOLDER / "other" / "second" / "second-tuned.toml").is_file()
    rows = list(csv.DictReader((FOLDER / "tuning.csv").open()))
    assert [(row["corpus"], row["model"]) for row in rows] == [
        (each.corpus, each.model) for each in done.tuned
    ]
    assert float(rows[1]["gain"]) == pytest.approx(done.tuned[1].gain.gain, abs=1e-6)
    # Side by side or alone, a model is tuned alike.
    alone = tuned(suite.model_copy(update={"models": ("second",)}), Path("alone"))
    assert alone.tuned[0].trials[0].params == done.tuned[1].trials[0].params
    assert [row.params for row in alone.tuned[0].trials] == [
        row.params for row in done.tuned[1].trials
    ]


def test_no_file_has_a_colon_in_its_name(make_suite: MakeSuite) -> None:
    Path("baselines/own-known.toml").write_text(CARD)
    tuning = {"metric": "quality", "trials": 1, "seeds": 2}
    done = tuned(make_suite(models=["own:known", "known"], tuning=tuning))
    assert FOLDER / "tiny" / "own-known" / "own-known-tuned.toml" in done.files
    one = suite_of_one("own:known", "tiny.jsonl", k=4, tuning=tuning)
    assert one.name == "own-known-tiny"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tuning": {"metric": "stability"}}, "is a number of several fits"),
        ({"tuning": {"metric": "stability_order"}}, "is a number of several fits"),
        ({"tuning": {"metric": "rating"}}, "no judge card is named"),
        ({"tuning": {"metric": "nmi"}}, "needs gold labels, which corpus 'tiny' lacks"),
        ({"tuning": {"metric": "quality", "view": "own"}}, "not played on 'own'"),
        ({"tuning": {"metric": "quality", "models": ["knobbed"]}}, "its card has none"),
        ({"params": {"known": {"level": 1.0, "kind": "a"}}}, "which the suite sets itself"),
        ({"models": ["knobbed"]}, "has nothing to tune"),
    ],
)
def test_what_cannot_be_tuned(make_suite: MakeSuite, changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tuned(make_suite(**changes))


def test_a_metric_whose_own_judge_takes_no_card_of_the_suite_tunes(make_suite: MakeSuite) -> None:
    suite = make_suite(tuning={"metric": "word_split"})
    assert suite.tuning is not None
    assert check_metric(suite, suite.tuning, []) is None


def test_names_that_are_none(make_suite: MakeSuite) -> None:
    with pytest.raises(UnknownNameError, match="unknown metric 'qualty'; did you mean 'quality'"):
        tuned(make_suite(tuning={"metric": "qualty"}))
    with pytest.raises(UnknownNameError, match=r"tuning\.models 'knwn'; did you mean 'known'"):
        tuned(make_suite(tuning={"metric": "quality", "models": ["knwn"]}))
    Path("baselines/known.toml").write_text('model = "knobbed"\nsearch.levl = [3.0]\n')
    with pytest.raises(UnknownNameError, match="'levl'; did you mean 'level'"):
        tuned(make_suite())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": ["qualty"]}, "unknown metric 'qualty'"),
        ({"params": {"knobbed": {"levl": 1.0}}}, "levl"),
        ({"metric_params": {"qualty": {}}}, "metric in metric_params 'qualty'"),
        ({"judging": {"judges": ["nobody"]}}, "nobody"),
        ({"judging": {"judges": ["keyed.toml"]}}, "NO_SUCH_KEY"),
    ],
)
def test_what_is_played_later_is_checked_before_any_trial(
    make_suite: MakeSuite, changes: dict[str, object], said: str
) -> None:
    Path("keyed.toml").write_text(
        'client = "openai"\nmodel = "m"\n'
        'endpoint = { base_url = "https://127.0.0.1:9/v1", api_key_env = "NO_SUCH_KEY" }\n'
    )
    with pytest.raises(MtmbenchError, match=said):
        tuned(make_suite(**changes))
    assert not run_infos(FOLDER)


def test_a_logger_that_is_none_is_said_before_any_trial(make_suite: MakeSuite) -> None:
    with pytest.raises(UnknownNameError, match="wandbb"):
        mb.run(make_suite(), "run", plugins=[PLUGIN], workers=0, log=["wandbb"])
    assert not FOLDER.exists()


def test_models_that_are_not_played_are_not_tuned(make_suite: MakeSuite) -> None:
    suite = make_suite(
        params={"known": {"kind": "b"}}, tuning={"metric": "quality", "models": ["known"]}
    )
    board = mb.run(suite, "run", models=["knobbed"], plugins=[PLUGIN], workers=0)
    assert set(board.metrics["model"]) == {"knobbed"}
    assert not FOLDER.exists()
    # On the documents of the whole suite's board.
    (spec,) = read_card(Path("run/suite.toml"), Suite).corpora
    assert spec.part == "scored"


def test_tuning_and_the_run_after_it_share_a_budget(
    make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def spends(each: Suite, folder: Path, *, budget: float, **_: object) -> SuiteTuning:
        told.append(budget)
        folder.mkdir(parents=True, exist_ok=True)
        db = open_ledger(folder / LEDGER)
        keep_lost(db, "chat", 2.5 if folder == FOLDER else 1.0)
        db.close()
        if folder != FOLDER:
            raise InterruptedError
        return SuiteTuning(each, (), (), ())

    monkeypatch.setattr("mtmbench.tuning.suite.tune_suite", spends)
    monkeypatch.setattr("mtmbench.engine.harness.run_suite", spends)
    suite = make_suite()
    for _ in range(2):
        with pytest.raises(InterruptedError):
            mb.run(suite, "run", plugins=[PLUGIN], budget=10.0)
    for _ in range(2):
        with pytest.raises(InterruptedError):
            play_suite(
                suite, Path("run"), data_dir=None, plugins=[PLUGIN], batch=False, budget=16.0
            )
    # Each is given what the other has left, and counts what it has spent itself.
    assert told == [10.0, 7.5, 9.0, 5.0, 14.0, 8.5, 13.0, 6.0]


def test_optuna_that_is_not_there_is_named(
    make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"needs package optuna: pip install 'mtmbench\[tune\]'"):
        tuned(make_suite())


def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(found: SuiteTuning) -> None:
    """Killed after some trials; then the same files, and no cell is played twice."""
    command = [
        sys.executable, "-P", "-m", "mtmbench", "tune", "known", "--corpus", "tiny.jsonl",
        "--metric", "quality", "--k", "4", "--workers", "0", "--plugin", PLUGIN, "--out", "cut",
        "--set", "words.max_df=1.0",
        "--trials", "12",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while len(run_infos(Path("cut"))) < 20 and run.poll() is None:
            pass
        assert run.poll() is None
        os.kill(run.pid, signal.SIGKILL)
    again = suite_of_one(
        "known", "tiny.jsonl", k=4, overrides={"words.max_df": 1.0},
        tuning={"metric": "quality", "trials": 12},
    )  # fmt: skip
    tuned(again, Path("cut"))
    card = "known-tuned.toml"
    assert (Path("cut") / card).read_bytes() == (FOLDER / card).read_bytes()
    keys = [key for key, _ in run_infos(Path("cut"))]
    assert len(keys) == len(set(keys))
    assert set(keys) == {key for key, _ in run_infos(FOLDER)}
    assert found.files[0] == FOLDER / card
