"""Top features of documents, their marks by person or judge, and the share with its interval."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.base import TokenContext
from mtmbench.features.registry import FEATURES
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, Question
from mtmbench.judges.registry import JUDGES
from mtmbench.studies.features import FeatureStudy, run_feature_study, share_of_yes
from mtmbench.studies.marks import Case, marks_csv, read_marks, write_cases

ASKED: list[Question] = []


class Reader(JudgeClient):
    """Says yes to features of the document's own subject, from what its messages show alone."""

    name = "reads-labels"
    is_llm = True

    def __init__(self, fails_after: int | None = None) -> None:
        self._left = fails_after

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        if self._left is not None:
            if self._left == 0:
                raise ConnectionError("the line is dead")
            self._left -= 1
        ASKED.append(question)
        shown = question.messages[1]["content"]
        document = shown.split(" document begins]\n")[1].split("\n[")[0]
        label = shown.split(" description begins]\n")[1].split("\n[")[0]
        feature = int(label.split()[1])
        if feature % 10 == 9:
            return Completion("I would rather not", refused=True)
        if feature % 10 == 8:
            return Completion("It might be, it might not be.", usage={"input": 10})
        own = document.split()[0].removeprefix("subject") == label.split()[-1]
        return Completion(f"So it seems.\nMATCH: {'yes' if own else 'no'}", usage={"input": 10})


@pytest.fixture(autouse=True)
def judge() -> None:
    if "reads-labels" not in JUDGES:
        JUDGES.register("reads-labels", Reader)
    ASKED.clear()


def play(corpus: Path, plugin: str, **options: Any) -> FeatureStudy:
    options = {"documents": 12, "out": corpus.parent / "features", **options}
    return run_feature_study(str(corpus), source="planted", plugins=[plugin], **options)


def marked(corpus: Path, plugin: str, marks: Mapping[int, str]) -> Path:
    """The file that the study wrote, with marks by its row."""
    path = play(corpus, plugin).folder / "features.csv"
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), reader.fieldnames or []
    for i, mark in marks.items():
        rows[i]["matches"] = mark
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_file_to_be_marked_shows_document_label_and_contexts(
    corpus_file: Path, plugin: str
) -> None:
    outcome = play(corpus_file, plugin)
    with (outcome.folder / "features.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    documents = {row["doc_id"] for row in rows}
    assert len(documents) == 12
    assert len(rows) == 12 * 5
    assert [row["rank"] for row in rows[:5]] == ["1", "2", "3", "4", "5"]
    first = rows[0]
    words = first["text"].split()
    assert first["label"] == f"feature {first['feature']} of subject {int(first['feature']) // 10}"
    assert first["context_1"] == f"⟦{words[0]}⟧{' '.join(words[1:4])}"
    assert first["context_2"] == f"{words[0]}⟦{words[1]}⟧{' '.join(words[2:5])}"
    assert first["matches"] == ""
    study = json.loads((outcome.folder / "features.json").read_text())
    assert study["share"]["value"] is None
    assert study["marks"]["not marked"] == 60
    assert "is marked yet" in study["finding"]
    text = (outcome.folder / "features.md").read_text()
    assert "`--marks`" in text
    assert all(f"## {doc_id}" in text for doc_id in documents)


def test_the_sample_is_the_seeds(corpus_file: Path, plugin: str, tmp_path: Path) -> None:
    found = [
        {case["doc_id"] for case in play(
            corpus_file, plugin, seed=seed, out=tmp_path / f"{seed}-{i}"
        ).study["cases"]}
        for i, seed in enumerate((3, 3, 4))
    ]  # fmt: skip
    assert found[0] == found[1] != found[2]


def test_a_persons_marks(corpus_file: Path, plugin: str) -> None:
    marks = {i: "yes" if i % 2 else "no" for i in range(40)} | {0: "unsure", 2: " Yes "}
    path = marked(corpus_file, plugin, marks)
    before = path.read_bytes()
    study = play(corpus_file, plugin, marks=path).study
    assert path.read_bytes() == before
    # Rows 0 to 39 with 20 odd ones, row 0 unsure, row 2 yes.
    assert study["marks"] == {
        "yes": 21, "no": 18, "unsure": 1, "unparsed": 0, "refused": 0, "not marked": 20,
    }  # fmt: skip
    share = study["share"]
    assert share["value"] == pytest.approx(21 / 39, abs=1e-4)
    assert share["n_documents"] == 8
    assert share["lo"] < share["value"] < share["hi"]
    assert "21 of 39 marked yes or no by a person match: 53.8 %" in study["finding"]
    assert study["finding"].endswith("Left out of that: 1 unsure, 20 not marked.")
    # Without the option the marked file stays as it is.
    play(corpus_file, plugin)
    assert path.read_bytes() == before


def test_an_id_that_looks_like_a_formula_is_guarded_and_read_back(
    corpus_file: Path, plugin: str
) -> None:
    corpus_file.write_text(corpus_file.read_text().replace('"id": "d', '"id": "=d'))
    path = marked(corpus_file, plugin, dict.fromkeys(range(60), "yes"))
    assert all(line.startswith("'=d") for line in path.read_text().splitlines()[1:])
    assert play(corpus_file, plugin, marks=path).study["marks"]["yes"] == 60
    # A file of before cells were guarded, or one that a spreadsheet took the guard from.
    path.write_text(path.read_text().replace("'=d", "=d"))
    assert play(corpus_file, plugin, marks=path).study["marks"]["yes"] == 60


def test_wrong_marks_are_named(corpus_file: Path, plugin: str, tmp_path: Path) -> None:
    path = marked(corpus_file, plugin, {3: "yess"})
    with pytest.raises(InputError, match=r"features.csv, row 5: matches is 'yess'; did you mean"):
        play(corpus_file, plugin, marks=path)
    with pytest.raises(InputError, match="is there already and is of other documents"):
        play(corpus_file, plugin, seed=9)
    with pytest.raises(InputError, match=r"row 2: document 'd\d+' has no feature \d+ labelled"):
        play(corpus_file, plugin, seed=9, marks=path)
    twice = tmp_path / "twice.csv"
    lines = path.read_text().replace("yess", "yes").splitlines()
    twice.write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(InputError, match="stands there twice"):
        play(corpus_file, plugin, marks=twice)
    bare = tmp_path / "bare.csv"
    bare.write_text("doc_id,label\nd1,x\n")
    with pytest.raises(InputError, match="has no column 'feature'"):
        play(corpus_file, plugin, marks=bare)
    with pytest.raises(InputError, match="cannot read marks"):
        play(corpus_file, plugin, marks=tmp_path / "none.csv")
    with pytest.raises(InputError, match="not both"):
        play(corpus_file, plugin, marks=path, judge="reads-labels")


@pytest.mark.parametrize(
    "odd", [ODD_TEXT, "bare\rreturn", "both\r\nof them", "long " * 30_000], ids=range(4)
)
def test_marks_on_odd_characters_are_read_back(tmp_path: Path, odd: str) -> None:
    cases = [
        Case(i, doc_id, odd, 1, 7, label, 2, (TokenContext("a ", "b", odd, 1.0),))
        for i, (doc_id, label) in enumerate([(odd, "tax"), ("d1", odd)])
    ]
    path = tmp_path / "features.csv"
    content = marks_csv(cases)
    for _ in range(2):
        write_cases(path, content)
    # After the count of 2 comes the mark, which is still empty.
    path.write_bytes(path.read_bytes().replace(b",2,,", b",2,yes,"))
    assert read_marks(path, cases).values == ["yes", "yes"]


def test_a_judge_marks_and_its_answers_are_kept(corpus_file: Path, plugin: str) -> None:
    study = play(corpus_file, plugin, judge="reads-labels").study
    assert len(ASKED) == 60
    question = ASKED[0]
    assert question.kind == "label"
    assert question.options == ()
    assert question.context["doc_id"] == study["cases"][0]["doc_id"]
    assert "1. ⟦subject" in question.messages[1]["content"]
    expected = {"yes": 0, "no": 0, "unparsed": 0, "refused": 0}
    for case in study["cases"]:
        own = int(case["doc_id"].removeprefix("d")) % 4 == case["feature"] // 10
        kind = {9: "refused", 8: "unparsed"}.get(case["feature"] % 10, "yes" if own else "no")
        expected[kind] += 1
        assert case["matches"] == kind
    assert study["marks"] == {**expected, "unsure": 0, "not marked": 0}
    assert expected["yes"] > 0
    assert expected["no"] > 0
    share = expected["yes"] / (expected["yes"] + expected["no"])
    assert study["share"]["value"] == pytest.approx(share, abs=1e-4)
    by = study["marked_by"]
    assert (by["kind"], by["card"], by["questions"]) == ("judge", "reads-labels", 60)
    assert by["usage"] == {"input": 10 * (60 - expected["refused"])}
    assert by["prompt"]["name"] == "feature_match"
    # Nothing is asked twice, and the study is the same.
    again = play(corpus_file, plugin, judge="reads-labels").study
    assert len(ASKED) == 60
    assert again == study


def test_a_judge_that_fails_halfway_goes_on_where_it_stopped(
    corpus_file: Path, plugin: str, tmp_path: Path
) -> None:
    # Two cards of one client and the same parameters share their answers; these do not.
    card = tmp_path / "failing.toml"
    card.write_text('client = "reads-labels"\n[params]\nfails_after = 25\n')
    with pytest.raises(JudgeError, match="the line is dead"):
        play(corpus_file, plugin, judge=str(card))
    answered = len(ASKED)
    assert 25 <= answered < 60
    with pytest.raises(JudgeError):
        play(corpus_file, plugin, judge=str(card))
    study = play(corpus_file, plugin, judge=str(card)).study
    assert len(ASKED) == 60
    assert study["marks"]["not marked"] == 0


class Counted:
    """A source that does not know where its features fire."""

    name = "counted"


def test_sources_and_judges_that_cannot_do_it(corpus_file: Path, plugin: str) -> None:
    if "counted" not in FEATURES:
        FEATURES.register("counted", Counted)
    with pytest.raises(InputError, match="'counted' does not say where in a document"):
        run_feature_study(str(corpus_file), source="counted")
    with pytest.raises(InputError, match="judge 'lexical' is no language model"):
        play(corpus_file, plugin, judge="lexical")
    with pytest.raises(UnknownNameError, match="did you mean 'lexical'"):
        play(corpus_file, plugin, judge="lexicall")
    with pytest.raises(UnknownNameError, match="unknown feature setting 'nope'"):
        play(corpus_file, plugin, setting="nope")
    with pytest.raises(InputError, match="keys below features alone"):
        play(corpus_file, plugin, overrides={"words.min_df": 3})


def test_the_interval_of_one_mark_a_document_is_that_of_a_mean() -> None:
    """With clusters of one the bootstrap's standard error is the binomial one."""
    n, n_yes = 40, 26
    found = share_of_yes([(i, i < n_yes) for i in range(n)], seed=0, n_bootstrap=40000)
    share = n_yes / n
    error = np.sqrt(share * (1 - share) / n) * np.sqrt(n / (n - 1))
    half = stats.t.ppf(0.975, n - 1) * error
    assert found["value"] == share
    assert found["hi"] == pytest.approx(share + half, rel=0.01)
    assert found["lo"] == pytest.approx(share - half, rel=0.01)


def test_documents_are_resampled_as_a_whole() -> None:
    """Five copies of a document's mark say no more than one, however many they seem."""
    once = share_of_yes([(i, i % 3 > 0) for i in range(30)], seed=1)
    five = share_of_yes([(i, i % 3 > 0) for i in range(30) for _ in range(5)], seed=1)
    assert five["n"] == 150
    assert (five["lo"], five["hi"]) == pytest.approx((once["lo"], once["hi"]))


def test_the_interval_covers() -> None:
    """Shares of documents with a spread of their own: 95 % intervals cover about as often."""
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(400):
        matches = rng.beta(3.0, 2.0, size=50)
        marks = [(i, bool(rng.random() < p)) for i, p in enumerate(matches) for _ in range(5)]
        found = share_of_yes(marks, seed=trial, n_bootstrap=400)
        assert found["lo"] is not None
        assert found["hi"] is not None
        covered += found["lo"] <= 0.6 <= found["hi"]
    assert 0.92 <= covered / 400 <= 0.98


def test_what_has_no_interval_says_why() -> None:
    assert share_of_yes([], seed=0)["reason"] == "nothing is marked yes or no"
    assert (
        share_of_yes([(0, True), (0, False)], seed=0)["reason"]
        == "no interval over documents: there is one"
    )
    alike = share_of_yes([(i, True) for i in range(20) for _ in range(5)], seed=0)
    # Wilson's lower end for 20 of 20: n / (n + z²).
    assert (alike["value"], alike["hi"]) == (1.0, 1.0)
    assert alike["lo"] == pytest.approx(20 / (20 + stats.norm.ppf(0.975) ** 2))
    assert alike["reason"] is not None
    assert "Wilson" in alike["reason"]
