"""Whole validations: of judges that know or guess, on made-up people; and of the real outputs."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.stats import kendalltau
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, Question
from mtmbench.judges.registry import JUDGES
from mtmbench.stats import correlation as agreement
from mtmbench.validation import alternative
from mtmbench.validation.proxann import read_proxann
from mtmbench.validation.published import published_rows
from mtmbench.validation.run import validate


class Reader(JudgeClient):
    """Reads the made-up documents and words, which say what people think of them."""

    name: ClassVar[str] = "reader"
    is_llm: ClassVar[bool] = True
    asked: ClassVar[list[Question]] = []

    def __init__(self, fails_from: int | None = None, babbles: bool = False) -> None:
        self.fails_from, self.babbles = fails_from, babbles

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        if self.fails_from is not None and len(self.asked) >= self.fails_from:
            raise RuntimeError("out of service")
        self.asked.append(question)
        return Completion(self._reply(question), {"input": 3}, "reader-1")

    def _reply(self, question: Question) -> str:
        if self.babbles and question.context.get("document") == 0:
            return "It fits well."
        if question.kind == "fit":
            return f"FIT: {question.context['text'][-1]}"
        if question.kind == "rank":
            levels = [-int(text[-1]) for text in question.context["texts"]]
            places = np.argsort(levels, kind="stable") + 1
            return "RANKING: " + ", ".join(map(str, places.tolist()))
        words = [topic.items for option in question.options for topic in option.topics]
        if question.kind == "rating":
            return f"RATING: {words[0][0][1]}"
        topics = [word[0].partition("w")[0] for word in words]
        return f"INTRUDER: {topics.index(min(topics, key=topics.count)) + 1}"


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    # Intervals have tests of their own; here they need only be there.
    monkeypatch.setattr(agreement, "BOOTSTRAP_RESAMPLES", 40)
    monkeypatch.setattr(alternative, "TEST_RESAMPLES", 20)
    monkeypatch.setitem(JUDGES._targets, "reader", Reader)
    monkeypatch.setitem(JUDGES._origins, "reader", "here")
    Reader.asked.clear()


def _figures(out: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    board = json.loads((out / "board.json").read_text(encoding="utf-8"))
    assert board["schema"] == 1
    rows = board["rows"]
    assert all(
        sorted(row) == ["dataset", "hi", "judge", "lo", "n", "statistic", "task", "value"]
        for row in rows
    )
    return {tuple(row[k] for k in ("judge", "dataset", "task", "statistic")): row for row in rows}


def _card(tmp_path: Path, **params: Any) -> str:
    path = tmp_path / "knows.toml"
    given = "".join(f"{name} = {json.dumps(value)}\n" for name, value in params.items())
    path.write_text(f'client = "reader"\n[params]\n{given}', encoding="utf-8")
    return str(path)


def test_a_judge_that_knows_what_people_think(made_up: Path, tmp_path: Path) -> None:
    report = validate("reader", tmp_path / "out", data_dir=made_up)
    found = _figures(tmp_path / "out")
    topics = read_proxann(made_up)
    taus = [
        kendalltau([int(text[-1]) for text in t.documents], t.fits.mean(axis=0)).statistic
        for t in topics
    ]
    fit = found["reader", "proxann-bills", "fit", "kendall_tau"]
    assert fit["value"] == pytest.approx(np.mean(taus), abs=1e-4)
    assert fit["lo"] < fit["value"] < fit["hi"]
    assert fit["n"] == 8
    same = [
        np.mean(
            [(int(x[-1]) >= 4) == (y >= 4) for x, y in
             zip(t.documents, np.round(t.fits.mean(axis=0)), strict=True)]
        )
        for t in topics
    ]  # fmt: skip
    agreement = found["reader", "proxann-bills", "fit", "agreement"]
    assert agreement["value"] == pytest.approx(np.mean(same), abs=1e-4)
    # Near the truth that people err about, it is nearer to each than they are to one another.
    advantage = found["reader", "proxann-bills", "fit", "advantage, documents, by dataset"]
    assert advantage["value"] > 0.6
    assert found["reader", "hoyle-nytimes", "rating", "spearman"]["value"] == 1
    # A mean of 1.2, 2.2 and 3 rounds to what the judge says.
    assert found["reader", "hoyle-nytimes", "rating", "kappa"]["value"] == 1
    assert found["reader", "hoyle-wikitext", "intrusion", "found"]["value"] == 1
    # It finds every intruder, so its shares do not tell topics apart.
    assert found["reader", "hoyle-wikitext", "intrusion", "spearman"]["value"] is None
    assert report.asked == 8 * 7 + 8 + 24 + 24 * 4
    assert ("people", "proxann-bills", "fit", "kendall_tau") in found
    assert ("npmi", "proxann-bills", "rank", "topic_tau") in found


def test_stored_outputs_are_averaged_over_runs(made_up: Path, tmp_path: Path) -> None:
    validate("reader", tmp_path, data_dir=made_up, stored=True)
    found = _figures(tmp_path)
    for statistic in ("kendall_tau", "agreement", "advantage, documents, by dataset"):
        key = "proxann-bills", "fit", statistic
        assert found["oracle", *key]["value"] == found["reader", *key]["value"]
    assert found["oracle", "proxann-bills", "rank", "unanswered"] == {
        "judge": "oracle", "dataset": "proxann-bills", "task": "rank", "statistic": "unanswered",
        "value": 0.0, "lo": None, "hi": None, "n": 16,
    }  # fmt: skip
    assert str(tmp_path) not in (tmp_path / "board.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_killed_it_goes_on_and_other_judges_stay(made_up: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(JudgeError, match="out of service"):
        validate(_card(tmp_path, fails_from=50), out, data_dir=made_up, concurrency=1)
    assert len(Reader.asked) == 50
    validate("reader", out, data_dir=made_up)
    first = _figures(out)
    before = (out / "board.md").read_bytes()
    again = validate("reader", out, data_dir=made_up)
    assert again.asked == 0
    assert (out / "board.md").read_bytes() == before
    validate(_card(tmp_path), out, data_dir=made_up)
    both = _figures(out)
    assert {key: row for key, row in both.items() if key[0] != "knows"} == first
    assert {key[1:] for key in both if key[0] == "knows"} == {
        key[1:] for key in both if key[0] == "reader"
    }
    rows = list(csv.DictReader((out / "board.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(both)


def test_what_is_no_answer_is_left_out_and_said(made_up: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    validate(_card(tmp_path, babbles=True), out, data_dir=made_up)
    found = _figures(out)
    assert found["knows", "proxann-bills", "fit", "unanswered"]["value"] == pytest.approx(
        1 / 7, abs=1e-4
    )
    # Every topic lacks an answer, so that there is no figure, and none is made up.
    assert ("knows", "proxann-bills", "fit", "kendall_tau") not in found
    assert ("knows", "proxann-bills", "rank", "kendall_tau") in found
    text = (out / "board.md").read_text(encoding="utf-8")
    assert "**Warning:** knows: 14.3% of 56 replies on the fit of proxann-bills" in text


@pytest.mark.slow
def test_refusals_to_start(made_up: Path, tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text('client = "reader"\n', encoding="utf-8")
    with pytest.raises(InputError, match="'people' cannot stand on the judges' board"):
        validate(str(tmp_path / "people.toml"), tmp_path / "out", data_dir=made_up)
    with pytest.raises(JudgeError, match="judge 'lexical' failed on the fit of document 0"):
        validate("lexical", tmp_path / "out", data_dir=made_up)
    (tmp_path / "board.json").write_text('{"schema": 9}', encoding="utf-8")
    with pytest.raises(InputError, match="no judges' board of schema 1"):
        validate("reader", tmp_path, data_dir=made_up)


def test_the_command(made_up: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["validate", "reader", "--out", str(tmp_path), "--data-dir", str(made_up)]
    )
    assert done.exit_code == 0, done.output
    assert f"wrote {tmp_path / 'board.json'}" in done.output


def test_several_judges_in_one_command(made_up: Path, tmp_path: Path) -> None:
    command = ["validate", "reader", _card(tmp_path), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, [*command, "--data-dir", str(made_up), "--budget", "1"])
    assert "--budget holds for the answers of one judge, and 2 are named" in str(refused.exception)
    assert not Reader.asked
    done = CliRunner().invoke(app, [*command, "--data-dir", str(made_up)])
    assert done.exit_code == 0, done.output
    found = _figures(tmp_path / "out")
    assert {who for who, *_ in found} >= {"reader", "knows"}
    for (who, *what), row in found.items():
        if who == "knows":
            assert row == {**found["reader", *what], "judge": "knows"}


def test_what_a_judge_is_told_is_judged_are_the_documents_of_people_each_once(
    made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        Reader,
        "prepare_documents",
        lambda _, corpus, rows: told.append((corpus.name, [corpus.texts[row] for row in rows])),
    )
    validate("reader", tmp_path / "out", data_dir=made_up)
    ((name, texts),) = told
    assert {q.context["corpus"] for q in Reader.asked if q.kind == "fit"} == {name}
    asked = {q.context["text"] for q in Reader.asked if q.kind == "fit"}
    assert len(texts) == len(asked)
    assert set(texts) == asked


@pytest.mark.slow
def test_the_real_outputs_agree_with_people_as_published(
    shared_data: Path, made_up: Path, tmp_path: Path
) -> None:
    # People's answers on bills are real; Hoyle's topics are made up, to be quick.
    data = tmp_path / "data"
    data.mkdir()
    (data / "human_proxann2025").symlink_to(shared_data.resolve() / "human_proxann2025")
    (data / "human_hoyle2021").symlink_to(made_up / "human_hoyle2021")
    real = tmp_path / "says.toml"
    real.write_text('client = "silent"\n', encoding="utf-8")
    JUDGES._targets["silent"], JUDGES._origins["silent"] = Silent, "here"
    try:
        validate(str(real), tmp_path / "out", data_dir=data, stored=True)
    finally:
        del JUDGES._targets["silent"], JUDGES._origins["silent"]
    found = _figures(tmp_path / "out")
    checked = 0
    for row in published_rows():
        ours = found[row.judge.partition(", ")[0], row.dataset, row.task, row.statistic]
        assert ours["lo"] <= row.value <= ours["hi"], row
        exact = 0.0006 if row.statistic == "agreement" else 0.011
        assert ours["value"] == pytest.approx(row.value, abs=exact), row
        checked += 1
    assert checked == 6 * 9
    # The paper's range for GPT-4o over its tables.
    for task in ("fit", "rank"):
        tau = found["gpt-4o-2024-08-06", "proxann-bills", task, "topic_tau"]["value"]
        assert 0.22 <= tau <= 0.31
        npmi = found["npmi", "proxann-bills", task, "topic_tau"]
        assert npmi["lo"] <= 0.01
        assert npmi["hi"] >= -0.18


class Silent(JudgeClient):
    """Declines everything."""

    name: ClassVar[str] = "silent"

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        return Completion("no", refused=True)
