"""``import mtmbench as mb``: every function gives what the long way round gives."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import SUPPORT
from test_imports import HEAVY

import mtmbench as mb
from mtmbench.boards.compare import compare_files
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.store import RunStore, read_records
from mtmbench.engine.results import result_path
from mtmbench.features.sae.shipped import TinyLMFeatures
from mtmbench.matches.match import fold
from mtmbench.metrics.projected import projected_words
from mtmbench.stats.pairwise_file import rate_file, rating_rows
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.units import read_reference, strength
from mtmbench.steering.vector import check_topic, topic_vector

PLUGIN = str(SUPPORT / "fast_plugin.py")
QUICK = Path(mb.__file__).parents[1] / "leaderboards" / "quick"


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def corpus() -> mb.Corpus:
    return mb.load_corpus("lee", max_documents=60)


@pytest.fixture(scope="module")
def views(corpus: mb.Corpus) -> mb.Views:
    return mb.views(corpus, features=None)


@pytest.fixture(scope="module")
def result(views: mb.Views) -> mb.TopicResult:
    return mb.model("lda", n_topics=4).fit(views, seed=0)


class TestDoor:
    def test_every_name_is_there_and_comes_when_it_is_asked_for(self) -> None:
        code = """
import sys, mtmbench as mb
print([name for name in ("numpy", "pydantic", "mtmbench.api") if name in sys.modules])
for name in mb.__all__: getattr(mb, name)
"""
        assert python(code) == "[]"
        assert set(mb.__all__) <= set(dir(mb))

    @pytest.mark.parametrize(
        "name", ["compare", "judge", "plot_ratings", "rate", "steer", "topics", "views"]
    )
    def test_a_function_is_had_for_next_to_nothing(self, name: str) -> None:
        heavy = f"[name for name in {HEAVY!r} if name in sys.modules]"
        assert python(f"import sys, mtmbench as mb; mb.{name}; print({heavy})") == "[]"

    def test_no_room_covers_a_name_of_the_interface(self) -> None:
        """Python binds a subpackage to its name once imported, whatever stood there before."""
        rooms = {found.name for found in pkgutil.iter_modules(mb.__path__)}
        assert len(rooms) > 10
        assert set(mb.__all__) & rooms == {"errors"}

    def test_errors_are_there_by_themselves_and_together(self) -> None:
        assert python("import mtmbench as mb; print(mb.errors.InputError is mb.InputError)") == (
            "True"
        )
        assert issubclass(mb.errors.UnknownNameError, mb.errors.MtmbenchError)
        with pytest.raises(mb.InputError):
            mb.load_corpus("./nowhere.csv")


class TestTopics:
    def test_a_row_a_topic(self, result: mb.TopicResult) -> None:
        frame = mb.topics(result, 3)
        assert list(frame.columns) == ["topic", "share", "items"]
        assert list(frame["topic"]) == [0, 1, 2, 3]
        np.testing.assert_allclose(frame["share"], np.asarray(result.doc_topic, float).mean(0))
        for k, items in enumerate(frame["items"]):
            best = np.argsort(-result.topic_item[k], kind="stable")[:3]
            assert items == ", ".join(result.items.labels[i] for i in best)
        assert frame.attrs == {"outlier_share": None}

    def test_words_summaries_and_outliers_where_there_are_any(
        self, result: mb.TopicResult, views: mb.Views
    ) -> None:
        outlier = np.arange(60) < 15
        summaries = ("one", "two", "three", "four")
        told = replace(result, outlier=outlier, summaries=summaries)
        frame = mb.topics(told, 5, views)
        assert list(frame.columns) == ["topic", "share", "items", "words", "summary"]
        assert views.words is not None
        words, _ = projected_words(result.doc_topic, views.words, 5)
        assert [text.split(", ") for text in frame["words"]] == words
        assert tuple(frame["summary"]) == summaries
        assert frame.attrs == {"outlier_share": 0.25}
        assert "words" not in mb.topics(result, views=mb.Views(views.corpus))

    def test_what_does_not_fit_is_named(self, result: mb.TopicResult, corpus: mb.Corpus) -> None:
        for n in (0, 1.5):
            with pytest.raises(mb.InputError, match=f"n must be a whole number of .* 1, not {n}"):
                mb.topics(result, n)  # type: ignore[arg-type]
        for topic in ("x", 1.7):
            with pytest.raises(mb.InputError, match=f"by its number from 0, not {topic!r}"):
                check_topic(result, topic)  # type: ignore[arg-type]
        other = mb.views(corpus.select(range(30)), features=None)
        with pytest.raises(mb.InputError, match="the result was fitted on corpus 'lee'"):
            mb.topics(result, views=other)


@pytest.mark.parametrize("judge", ["lexical", "embedding"])
def test_judge_says_what_a_suite_records_of_the_same_fits(
    tmp_path: Path, corpus: mb.Corpus, judge: str
) -> None:
    suite = parse_card(
        {
            "name": "tiny",
            "corpora": [{"name": "lee", "max_documents": 60}],
            "models": ["drawn", "drawn-sharp"],
            "k": [5],
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {"judges": [judge], "documents": 25, "seed": 4},
        },
        Suite,
        "suite",
    )
    board = mb.run(suite, tmp_path, plugins=[PLUGIN], workers=0)
    (match,) = (r for r in read_records(tmp_path / "records.jsonl") if r.kind == "match")
    played = match.payload
    a, b = (mb.TopicResult.load(result_path(tmp_path, played[side]["fit"])) for side in ("a", "b"))
    found = mb.judge(a, b, corpus, judge, documents=25, seed=4)
    assert found.names == (played["a"]["model"], played["b"]["model"])
    assert list(found.doc_ids) == played["documents"]
    assert found.outcome.forward == played["forward"]
    assert found.outcome.backward == played["backward"]
    scores = [fold(*both) for both in zip(played["forward"], played["backward"], strict=True)]
    assert list(found.frame["score"]) == scores
    assert len(set(scores)) > 1
    wins = {row["model"]: row["wins"] for _, row in board.ratings.iterrows()}
    assert wins == {found.names[0]: scores.count(1.0), found.names[1]: scores.count(0.0)}


class TestRate:
    FRAME = pd.DataFrame(
        {
            "a": ["x", "y", "z"] * 20,
            "b": ["y", "z", "x"] * 20,
            "outcome": ["a", "tie", "b", "b", "a", "a", "a"] * 8 + ["b"] * 4,
            "cluster": [f"d{i // 4}" for i in range(60)],
        }
    )

    @pytest.mark.parametrize("columns", [3, 4])
    @pytest.mark.parametrize("ties", ["half", "davidson"])
    def test_a_frame_and_its_file_have_the_table_of_the_command(
        self, tmp_path: Path, columns: int, ties: Any
    ) -> None:
        frame, path = self.FRAME.iloc[:, :columns], tmp_path / "f.csv"
        frame.to_csv(path, index=False)
        expected = rate_file(path, ties=ties, confidence=0.8, n_bootstrap=300)
        for given in (frame, path, str(path)):
            found = mb.rate(given, ties=ties, confidence=0.8, bootstrap=300)
            rows = rating_rows(expected)
            assert found.drop(columns="reason").to_dict("records") == rows
            assert found["reason"].isna().all()
            assert found.attrs == {
                "confidence": 0.8,
                "n_clusters": expected.n_clusters,
                "tie_parameter": expected.tie_parameter,
            }
        assert (expected.tie_parameter is None) == (ties == "half")

    def test_a_reason_stands_where_something_is_missing(self) -> None:
        found = mb.rate(self.FRAME.assign(cluster="d"))
        assert found["reason"].str.startswith("no interval: ").all()
        assert found["lo"].isna().all()
        assert found["rank"].isna().all()

    def test_what_is_wrong_is_named_with_its_row(self) -> None:
        with pytest.raises(mb.InputError, match="row 2 of the data frame: outcome 'left'"):
            mb.rate(self.FRAME.replace({"outcome": {"b": "left"}}))
        with pytest.raises(mb.InputError, match="the data frame: no column 'outcome'"):
            mb.rate(self.FRAME.drop(columns="outcome"))
        with pytest.raises(mb.errors.NotRateableError, match=r"\[star\]"):
            mb.rate(pd.DataFrame({"a": ["star"], "b": ["x"], "outcome": ["a"]}))


class TestCompare:
    @pytest.fixture
    def moved(self, tmp_path: Path) -> Path:
        data = json.loads((QUICK / "board.json").read_text(encoding="utf-8"))
        data["ratings"][0]["elo"] -= 200
        data["ratings"][0]["lo"] -= 200
        data["ratings"][0]["hi"] -= 200
        del data["metrics"][0]
        data["metrics"][1]["value"] += 0.0001
        (tmp_path / "board.json").write_text(json.dumps(data))
        return tmp_path

    def test_it_is_the_comparison_of_the_files(self, moved: Path) -> None:
        expected = compare_files(QUICK, moved)
        board = mb.Board(json.loads((moved / "board.json").read_text()), moved)
        for old, new in ((QUICK, moved), (str(QUICK), moved / "board.json"), (QUICK, board)):
            frame = mb.compare(old, new)
            rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
            assert rows == [asdict(row) for row in expected.rows]
            assert frame.attrs == {"n_compared": expected.n_compared, "exit_code": 1}
        assert {"regression", "moved"} <= set(frame["outcome"])

    def test_a_board_is_as_it_was(self) -> None:
        frame = mb.compare(QUICK, QUICK)
        assert frame.empty
        assert list(frame.columns) == ["outcome", "what", "old", "new", "allowed", "note"]
        assert frame.attrs["exit_code"] == 0
        assert frame.attrs["n_compared"] > 300

    def test_tolerances_of_ones_own(self, moved: Path, tmp_path: Path) -> None:
        lax = tmp_path / "lax.toml"
        lax.write_text("[default]\nabsolute = 1.0\n[elo]\nabsolute = 500.0\n")
        old = mb.compare(moved, QUICK, lax)
        assert set(old["outcome"]) == {"moved", "new"}
        assert old.attrs["exit_code"] == 0


def test_steer_makes_the_texts_that_the_parts_make(tmp_path: Path) -> None:
    source = TinyLMFeatures()
    items = mb.ItemSpace("features", ("5", "900", "77"), ("x", "y", "z"), source.describe())
    result = mb.TopicResult(
        "mlda", {}, {}, 0, np.full((4, 2), 0.5, np.float32),
        np.array([[0.7, 0.3, 0], [0, 0.1, 0.9]], np.float32), items, {"name": "toy"},
    )  # fmt: skip
    corpus = mb.load_corpus("lee", max_documents=3)
    prompts = ["The report says that", "This morning,"]
    frame = mb.steer(result, 0, prompts, 3.0, corpus=corpus, max_tokens=12, seed=1)

    lm, sae = CausalLM(source.backbone), source.folder("block1").sae
    vector = topic_vector(result, 0, sae)
    reference = read_reference(lm.backbone, corpus, vector.origin.hook_point)
    push = Push(vector, strength(3.0, "p99", vector, reference).absolute)
    jobs = [Job(prompt, pushes=pushes) for prompt in prompts for pushes in ((), (push,))]
    with RunStore(tmp_path) as store:
        texts = [t.text for t in generate(lm, jobs, Sampling(max_tokens=12, seed=1), store)]
    assert list(frame["prompt"]) == prompts
    assert list(frame["unsteered"]) == texts[0::2]
    assert list(frame["steered"]) == texts[1::2]
    assert frame.attrs["lambda_reference"] == reference.describe()
    assert frame.attrs["lambda_absolute"] == push.strength


def test_what_a_corpus_leaves_out_is_a_warning(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "meta.json"):
        (tmp_path / name).write_text("{}")
    with pytest.warns(UserWarning, match=r"documents are the \.txt files; not read: meta\.json"):
        mb.load_corpus(tmp_path)
