"""Models that ask a judge, in a run over TCP: key, plan, budget, what is paid once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.asking import TEXTS
from support.chat_server import ChatServer
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.cli.asked import asked_by_run
from mtmbench.core.card_files import load_suite
from mtmbench.core.errors import InputError
from mtmbench.core.store import read_records
from mtmbench.engine.estimate import estimates
from mtmbench.engine.harness import RunOutcome, run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.judges.prompt import prompt_names

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"\[([0-9a-f]{16}) (?P<what>[a-z]+) begins\]\n(?P<text>.*?)\n\[\1 ", re.DOTALL)
LINE = re.compile(r"^([0-9]+)\. (.*)$", re.MULTILINE)
N_QUESTIONS = len(TEXTS) + 1 + len(TEXTS)
SUITE = """
name = "asking"
corpora = [{ name = "eight.jsonl" }]
models = ["topicgpt", "k_means"]
k = [2]
seeds = [0]
metrics = ["diversity"]

[words]
min_df = 1
max_df = 1.0

[params.topicgpt]
judge = "chat"
least_share = 0.2
"""
CARD = """
client = "openai"
model = "small"

[endpoint]
base_url = "URL"

[decoding]
max_tokens = 50

[prices]
input = 1.0
output = 4.0

[limits]
concurrency = 2
"""


def reads(messages: Any) -> str:
    """Names the subjects whose word stands in the document that the messages show."""
    user = messages[-1]["content"]
    blocks = {found["what"]: found["text"] for found in BLOCK.finditer(user)}
    names = [line.partition(":")[0] for _, line in LINE.findall(blocks["topics"])]
    if "document" not in blocks:
        return "SAME: none"
    found = [word for word in ("ice", "law") if re.search(rf"\b{word}\b", blocks["document"])]
    if '{"topics"' in user:
        return json.dumps({"topics": [{"name": w, "description": f"All of {w}."} for w in found]})
    assigned = [{"topic": names.index(w) + 1, "quote": w} for w in found if w in names]
    return json.dumps({"assigned": assigned})


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(models={"small": reads}) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    lines = [json.dumps({"id": f"d{i}", "text": text}) for i, text in enumerate(TEXTS)]
    (tmp_path / "eight.jsonl").write_text("\n".join(lines))
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "chat.toml").write_text(CARD.replace("URL", server.url))
    return tmp_path


def run(out: str, **options: Any) -> RunOutcome:
    return run_suite(load_suite("suite.toml"), Path(out), workers=0, **options)


def fit(out: str) -> Any:
    records = read_records(Path(out) / "records.jsonl")
    return next(r for r in records if r.kind == "fit" and r.payload["model"] == "topicgpt")


def keys() -> dict[str, str]:
    return {cell.model: cell.key for cell in make_plan(load_suite("suite.toml")).fits}


def test_a_run_asks_and_says_what_it_took(place: Path, server: ChatServer) -> None:
    assert run("out").errors == ()
    info = fit("out").payload["info"]
    assert info["names"] == ["ice", "law"]
    told = info["answers_by"]
    assert {task: by["questions"] for task, by in told.items()} == {
        "topic_write": 8, "topic_merge": 1, "topic_assign": 8,
    }  # fmt: skip
    assert server.paid.total() == len(server.paid) == N_QUESTIONS
    cost = sum(by["usage"]["input"] + 4 * by["usage"]["output"] for by in told.values()) / 1e6
    assert sum(by["cost"] for by in told.values()) == pytest.approx(cost)
    # Nothing is asked twice, and of another K only which topics each document has.
    assert run("out").played == 0
    (place / "suite.toml").write_text(SUITE.replace("k = [2]", "k = [1]"))
    assert run("out").errors == ()
    assert server.paid.total() == N_QUESTIONS + 8


def test_the_plan_counts_what_a_model_asks(place: Path, server: ChatServer) -> None:
    told = CliRunner().invoke(app, ["plan", "suite.toml"], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    assert server.requests == []
    (row,) = estimates(make_plan(load_suite("suite.toml")))
    assert (row.judge, row.asked, row.n_calls) == ("chat", "topicgpt", N_QUESTIONS)
    assert f"{row.cost:.4f}" in told.output
    run("out")
    by = fit("out").payload["info"]["answers_by"].values()
    assert row.input_tokens == pytest.approx(sum(b["usage"]["input"] for b in by), rel=0.15)


def test_fits_in_other_orders_ask_too(place: Path) -> None:
    run("out")
    ordered = SUITE.replace('["diversity"]', '["stability_order"]\norders = 2')
    (place / "suite.toml").write_text(ordered)
    (row,) = estimates(make_plan(load_suite("suite.toml")))
    assert (row.n_cells, row.n_calls) == (2, 2 * N_QUESTIONS)
    card = place / "judges" / "chat.toml"
    card.write_text(card.read_text().replace("[prices]\ninput = 1.0\noutput = 4.0\n", ""))
    with pytest.raises(InputError, match="price"):
        run("out", budget=1.0)


def test_the_boards_total_has_what_fits_paid_each_answer_once(
    place: Path, server: ChatServer
) -> None:
    ordered = SUITE.replace('["diversity"]', '["stability_order"]\norders = 2')
    (place / "suite.toml").write_text(ordered)
    assert run("out").errors == ()
    records = read_records(place / "out" / "records.jsonl")
    infos = [record.payload["info"] for record in records if record.kind == "fit"]
    told = [by for info in infos for by in info.get("answers_by", {}).values()]
    paid = {mark: cost for by in told for mark, cost in by["paid"].items()}
    spent = json.loads((place / "out" / "board.json").read_text())["spent"]
    assert spent["answers"] == len(paid) == server.paid.total() < sum(b["questions"] for b in told)
    assert spent["cost"] == pytest.approx(sum(paid.values()))


def test_a_budget_stops_it_and_a_larger_one_goes_on(place: Path, server: ChatServer) -> None:
    run("whole")
    by = fit("whole").payload["info"]["answers_by"].values()
    whole, before = sum(b["cost"] for b in by), server.paid.total()
    outcome = run("out", budget=0.7 * whole)
    ((what, why),) = [error for error in outcome.errors if "topicgpt" in error[0]]
    assert "is used up" in why, what
    asked = server.paid.total() - before
    assert 0 < asked < N_QUESTIONS
    run("out", budget=0.7 * whole)
    assert server.paid.total() - before == asked
    assert run("out", budget=10 * whole).errors == ()
    assert server.paid.total() - before == N_QUESTIONS
    assert fit("out") == fit("whole")


def test_the_key_holds_the_judge_and_the_prompts(place: Path) -> None:
    first = keys()
    card = place / "judges" / "chat.toml"
    card.write_text(card.read_text().replace("max_tokens = 50", "max_tokens = 60"))
    second = keys()
    (place / "judges" / "prompts").mkdir()
    prompt = prompt_names()["topic_merge"].read_text()
    (place / "judges" / "prompts" / "topic_merge.md").write_text(prompt + "\nBe brief.\n")
    third = keys()
    assert len({each["topicgpt"] for each in (first, second, third)}) == 3
    assert len({each["k_means"] for each in (first, second, third)}) == 1


def test_whom_a_run_asks_is_told_from_suite_and_card(place: Path) -> None:
    assert asked_by_run(load_suite("suite.toml")) == [None, "chat"]
    tuned = {"tuning.metric": "rating", "metric_params.rating.judge": "other"}
    assert asked_by_run(load_suite("suite.toml", tuned)) == [None, "other", "chat"]
    (place / "baselines").mkdir()
    card = 'model = "topicgpt"\n\n[params]\njudge = "chat"\n'
    (place / "baselines" / "mine.toml").write_text(card)
    own = SUITE.partition("[params.topicgpt]")[0].replace('"topicgpt"', '"mine"')
    (place / "suite.toml").write_text(own)
    assert asked_by_run(load_suite("suite.toml")) == [None, "chat"]
    assert [cell.params["judge"] for cell in make_plan(load_suite("suite.toml")).fits[:1]] == [
        "chat"
    ]


@pytest.mark.parametrize("judge", ["chat", "twin", "jury"])
def test_a_judge_does_not_rule_on_topics_that_its_own_model_wrote(place: Path, judge: str) -> None:
    judges = place / "judges"
    card = (judges / "chat.toml").read_text()
    (judges / "twin.toml").write_text(f'description = "the same model"\n{card}')
    (judges / "other.toml").write_text(card.replace('"small"', '"large"'))
    (judges / "jury.toml").write_text('client = "jury"\nparams.members = ["lexical", "chat"]\n')
    suite = SUITE.replace("[words]", '[judging]\njudges = ["other", "JUDGE"]\n\n[words]')
    (place / "suite.toml").write_text(suite.replace("JUDGE", judge))
    with pytest.raises(InputError, match=f"judge '{judge}' would rule on topics that its own"):
        make_plan(load_suite("suite.toml"))
    (place / "suite.toml").write_text(suite.replace("JUDGE", "lexical"))
    assert make_plan(load_suite("suite.toml")).matches


def test_a_suite_that_names_no_judge_is_told_how(place: Path) -> None:
    (place / "suite.toml").write_text(SUITE.replace('judge = "chat"', ""))
    with pytest.raises(InputError, match="model 'topicgpt' asks a judge, and judge is None; name"):
        make_plan(load_suite("suite.toml"))
