"""``mtmbench plan``: its counts, and what it says of schedules against the formulas it quotes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.commands import AS_TYPED, Call, cells

from mtmbench.cli.plan import print_adaptive, print_cells, print_corpora, print_power
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.stats.power import detectable_difference


def test_plan_counts_the_calls_of_quick(call: Call) -> None:
    code, out, _ = call("plan", "quick", "--set", "corpora=['lee']")
    assert code == 0
    # 12 competitors make 66 pairs over 300 documents under either seed, and 24 controls over 50:
    # refits and other documents' topics; so by projected words and by items, and by summaries over
    # the half of the texts that none was taken from, 153 documents. A proxy's one call serves both
    # orders.
    rows = {row[0]: row[1:5] for row in cells(out)}
    n = 2 * 66 * (300 + 300 + 153) + 3 * 24 * 50
    assert rows["embedding"] == ["matches", "468", f"{n}", f"at most {n}"]
    # The lexical judge reads projected words whatever is shown: once is enough.
    assert rows["lexical"] == ["matches", "156", "40800", "at most 40800"]
    # The refits that play in controls are summarised too.
    assert rows["extractive"] == ["summary", "24", "240", "at most 240"]


def plan_of(folder: Path, judging: dict[str, Any] | None, seeds: Sequence[int] = (0,)) -> Plan:
    lines = [json.dumps({"id": f"d{i}", "text": f"word{i % 7} other{i % 5}"}) for i in range(400)]
    (folder / "tiny.jsonl").write_text("\n".join(lines) + "\n")
    data: dict[str, Any] = {
        "name": "tiny", "corpora": [str(folder / "tiny.jsonl")],
        "models": ["lda", "etm", "bertopic"], "k": [5], "seeds": list(seeds),
    }  # fmt: skip
    if judging is not None:
        data["judging"] = {"judges": ["lexical"], **judging}
    return make_plan(parse_card(data, Suite, "test suite"))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (lambda i: i, ["nearly one each", "K = 400 on corpus 'tiny' of 400 documents, the number"]),
        (lambda i: "x", ["has one gold label, 'x'"]),
        (lambda i: i % 30, []),
    ],
)
def test_labels_that_group_nothing_and_k_of_every_document_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], label: Any, expected: list[str]
) -> None:
    rows = [{"text": f"word{i % 7}", "label": label(i)} for i in range(400)]
    (tmp_path / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"name": "t", "corpora": [str(tmp_path / "tiny.jsonl")], "models": ["lda"],
            "k": ["labels"]}  # fmt: skip
    print_corpora(make_plan(parse_card(data, Suite, "test suite")))
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("Warning:") == len(expected)
    for text in expected:
        assert text in shown


def test_power_is_that_of_the_leagues_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_power(plan_of(tmp_path, {"documents": 200}), tie_rate=0.3)
    stated = detectable_difference(200, 3, tie_rate=0.3)
    shown = capsys.readouterr().out
    for number in ("200", f"{stated.independent:.0f}", f"{stated.ordered:.0f}"):
        assert number in shown.split()
    # Fits of later seeds are no more models.
    judging = {"documents": 200, "seeds": "all"}
    print_power(plan_of(tmp_path, judging, seeds=[0, 1, 2]), tie_rate=0.3)
    assert capsys.readouterr().out == shown
    with pytest.raises(InputError, match="no matches"):
        print_power(plan_of(tmp_path, None), tie_rate=0.0)


@pytest.mark.parametrize(("resolution", "verdict"), [(80.0, "will pay"), (30.0, "will NOT pay")])
def test_adaptive_says_when_it_will_not_pay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], resolution: float, verdict: str
) -> None:
    judging = {"documents": 300, "schedule": "adaptive", "resolution": resolution}
    print_adaptive(plan_of(tmp_path, judging))
    shown = " ".join(capsys.readouterr().out.split())
    assert "from 30 to 900 matches" in shown
    assert "10, 40, 120, 210, 300 documents" in shown
    # Standard error 173.7 √(8 / 900) = 16.4 Elo, 2.23 of them at the last look's level.
    assert "within about 37 Elo" in shown
    assert verdict in shown


def test_a_uniform_plan_has_nothing_to_say_of_looks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_adaptive(plan_of(tmp_path, {"documents": 50}))
    assert capsys.readouterr().out == ""


def test_corpora_are_shown_as_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    names = [name for name in AS_TYPED if "/" not in name]
    for name in names:
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": f"word{i % 7} other{i % 5}"}) + "\n" for i in range(50))
        )
    data = {
        "name": "tiny", "corpora": [str(tmp_path / f"{name}.jsonl") for name in names],
        "models": ["lda", "etm", "bertopic"], "k": [5], "seeds": [0], "metrics": ["npmi"],
        "judging": {"judges": ["lexical"], "documents": 20, "schedule": "adaptive"},
    }  # fmt: skip
    plan = make_plan(parse_card(data, Suite, "test suite"))
    print_cells(plan)
    shown = cells(capsys.readouterr().out)
    assert [row[:4] for row in shown[:-1]] == [[name, "50", "0", "3"] for name in names]
    assert shown[-1][:4] == ["all", f"{50 * len(names)}", "", f"{3 * len(names)}"]
    print_power(plan, tie_rate=0.0)
    assert [row[0] for row in cells(capsys.readouterr().out)] == names
    print_adaptive(plan)
    looks = capsys.readouterr().out.split("\n")
    assert [line.partition(", K = 5")[0] for line in looks if ", K = 5" in line] == names
