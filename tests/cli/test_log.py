"""``mtmbench run --log``: what a logger of a plugin is told, and that none can spoil a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import SUPPORT
from support.commands import Call

import mtmbench as mb
from mtmbench.boards.flat import flat_tables, numbers


@pytest.fixture
def logging(played: list[str]) -> list[str]:
    return [
        *played,
        "--plugin",
        str(SUPPORT / "diary_logger.py"),
        "--set",
        "judging.judges=['scripted']",
    ]


def diary() -> list[Any]:
    return [json.loads(line) for line in Path("diary.jsonl").read_text().splitlines()]


def test_a_logger_is_told_of_suite_progress_and_board(call: Call, logging: list[str]) -> None:
    described = "key sk-abcdefghijklmnopqrst"
    code, _, err = call(
        "run", "suite.toml", "--out", "new", "--log", "diary", *logging, "--set",
        "title=by ann, /home/ann/notes/plan.txt", "--set", f"description={described}",
    )  # fmt: skip
    assert code == 0, err
    (_, name, suite, versions), *progress, (_, (found, tables, errors)) = diary()
    assert (name, suite["models"]) == ("judged", ["drawn", "drawn-sharp", "third"])
    assert set(versions) == {"mtmbench", "python"}
    # Nothing of the machine, and no key.
    assert suite["title"] == "by ann, …/plan.txt"
    assert suite["description"] == "[left out: a key of OpenAI or Anthropic]"
    shares: dict[str, list[float]] = {}
    for _, phase, share in progress:
        shares.setdefault(phase, []).append(share)
    assert list(shares) == ["views", "fits", "metrics", "matches"]
    for of_phase in shares.values():
        assert of_phase == sorted(of_phase)
        assert of_phase[-1] == pytest.approx(1)
    board = json.loads(Path("new/board.json").read_text())
    assert (found, errors) == (numbers(board), 0)
    assert tables == {name: flat_tables(board)[name] for name in ("ratings", "values")}


def test_a_logger_that_fails_is_told_no_more_and_spoils_nothing(
    call: Call, logging: list[str]
) -> None:
    code, _, err = call(
        "run", "suite.toml", "--out", "new", "--log", "broken", "--log", "diary", *logging
    )
    assert code == 0, err
    said = [line for line in err.splitlines() if "logger broken" in line]
    assert said == [
        "logger broken failed and is told no more of this run: [left out: a bearer token]"
    ]
    assert Path("broken").read_text() == "start"
    assert diary()[-1][0] == "finish"
    for name in ("records.jsonl", "board.json"):
        assert Path("new", name).read_bytes() == Path("out", name).read_bytes()


def test_a_run_that_is_cut_off_ends_without_a_board(
    call: Call, logging: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mtmbench.engine.harness.run_suite", interrupted)
    code, _, _ = call("run", "suite.toml", "--out", "new", "--log", "diary", *logging)
    assert code == 130
    assert diary()[-1] == ["finish", None]


def test_a_logger_that_is_not_there_is_said_before_anything_is_played(
    call: Call, logging: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    for name, message in (
        ("wandbb", "unknown logger 'wandbb'; did you mean 'wandb'?"),
        ("mlflow", "mlflow is not installed (import of mlflow halted; None in sys.modules): "
                   "pip install 'mtmbench[mlflow]'"),
    ):  # fmt: skip
        code, _, err = call("run", "suite.toml", "--out", "new", "--log", name, *logging)
        assert code == 2
        assert message in err
    assert not Path("new").exists()


def test_python_limits_and_logs_a_run_alike(call: Call, played: list[str]) -> None:
    plugins = [played[1], str(SUPPORT / "diary_logger.py")]
    board = mb.run(
        "suite.toml", overrides={"judging.judges": ["scripted"]}, plugins=plugins, workers=0,
        limit=6, log=["diary"],
    )  # fmt: skip
    assert board.folder == Path("runs/judged-limit-6")
    assert diary()[0][1] == "judged-limit-6"
    assert diary()[-1][1][0] == numbers(board.data)
