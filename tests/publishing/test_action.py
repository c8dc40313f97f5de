"""The action for pull requests: its scripts on a real regression, and what its files may hold."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.github_server import TOKEN, GitHub
from support.killing import PLUGIN, lay_out

from mtmbench.core.card_files import load_suite
from mtmbench.engine.harness import run_suite

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "board"
WORKFLOWS = sorted((ACTION / "examples").glob("*.yml"))
SUITE = {"judging.judges": ["scripted"], "metrics": ["diversity"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a committed board, whose suite a change has since made worse."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, "http://127.0.0.1:1/v1", documents=8)
    run_suite(load_suite("suite.toml", SUITE), Path("kept"), plugins=[str(PLUGIN)], workers=0)
    event = {"pull_request": {"number": 7}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    return tmp_path


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as made:
        yield made


def script(name: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_REPOSITORY": "ann/topics",
                   "GITHUB_EVENT_PATH": "event.json", "GITHUB_TOKEN": TOKEN, **more}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", str(ACTION / name)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return done


def board(suite: str) -> subprocess.CompletedProcess[str]:
    return script(
        "board.py", MTMBENCH_SUITE=suite, MTMBENCH_BOARD="kept", MTMBENCH_PLUGINS=f"{PLUGIN}\n\n"
    )


def comment(github: GitHub, **more: str) -> subprocess.CompletedProcess[str]:
    return script("comment.py", GITHUB_API_URL=github.url, **more)


def told() -> str:
    return Path("mtmbench-board/comment.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_worsened_parameter_fails_and_is_told_in_the_one_comment(
    folder: Path, github: GitHub
) -> None:
    kept = Path("kept/suite.toml").read_text()
    # Topics so near the corpus's frequencies that all have the same words.
    assert "sharpness = 5.0" in kept
    Path("worse.toml").write_text(kept.replace("sharpness = 5.0", "sharpness = 0.000001"))
    done = board("worse.toml")
    assert done.returncode == 1, done.stderr
    marker, heading, says, *_ = told().split("\n\n")
    assert re.fullmatch(r"<!-- mtmbench-board [0-9a-f]{16} -->", marker)
    assert heading == "### mtmbench: a regression"
    # The command's own words, from the board that it left.
    compared = subprocess.run(
        [sys.executable, "-P", "-m", "mtmbench", "compare", "kept", "mtmbench-board"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert compared.returncode == 1
    *table, _, summary = compared.stdout.rstrip().split("\n")
    assert says == f"` worse.toml ` held to ` kept `: ` {summary} `"
    assert "<details open><summary>What moved</summary>\n\n```text\n" + "\n".join(table) in told()
    assert any(re.match(r"regression +diversity.* of drawn-sharp on tiny, K = 5", x) for x in table)

    github.comments += [{"id": n, "by": "them", "body": f"comment {n}"} for n in range(100)]
    github.comments.append({"id": 500, "by": "them", "body": marker + "\nfrom a stranger"})
    assert comment(github).stdout == "wrote comment 1101\n"
    assert github.comments[-1]["body"] == told()
    # The change is taken back; the comment that is there says so.
    Path("worse.toml").write_text(kept)
    done = board("worse.toml")
    assert done.returncode == 0, done.stderr
    assert "### mtmbench: no regression" in told()
    assert comment(github).stdout == "updated comment 1101\n"
    assert len(github.comments) == 102
    assert github.comments[-1]["body"] == told()
    assert github.comments[-2]["body"].endswith("from a stranger")


def test_a_run_without_a_board_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = board("nosuch")
    assert done.returncode == 2
    assert "### mtmbench: no board" in told()
    assert "unknown suite 'nosuch'" in told()


def scripts() -> Any:
    sys.path.insert(0, str(ACTION))
    try:
        import board as module
    finally:
        sys.path.remove(str(ACTION))
    return module


def test_a_comment_holds_names_of_whatever_kind_as_code() -> None:
    module = scripts()
    rows = ["what", "``` @ann <!-- mtmbench-board x --> \x1b[2J", "", "2 rows: `x`"]
    text = module.comment("a`b", "board", 0, "\n".join(rows))
    assert "`` a`b `` held to ` board `: `` 2 rows: `x` ``" in text
    assert "````text\nwhat\n``` @ann <!-- mtmbench-board x --> �[2J\n````" in text
    assert text.count("<details>") == 1
    assert module.marker("a`b", "board") == text.split("\n")[0]
    assert module.marker("a", "board") != text.split("\n")[0]
    long = module.comment("a", "b", 1, "\n".join(f"row {n}" for n in range(20_000)) + "\n\nend")
    assert len(long) < 65_536
    shown = re.findall(r"^row \d+$", long, re.M)
    assert f"… and {20_001 - len(shown)} more lines; the board is an artifact" in long


@pytest.mark.parametrize(
    ("method", "status", "code", "says"),
    [
        ("POST", 403, 0, "::warning::this token may not comment on pull request 7 (403)"),
        ("GET", 401, 0, "::warning::"), ("POST", 500, 1, "::error::GitHub answered 500"),
        ("GET", 302, 1, "::error::GitHub answered 302"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_of_a_comment_is_said(
    method: str, status: int, code: int, says: str, github: GitHub, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("mtmbench-board").mkdir()
    Path("mtmbench-board/comment.md").write_text("<!-- mtmbench-board x -->\n")
    Path("event.json").write_text('{"pull_request": {"number": 7}}')
    github.refuses[method] = status
    done = comment(github)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(says)
    assert github.comments == []


def test_nothing_is_said_where_there_is_nobody_to_tell(
    github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("event.json").write_text('{"ref": "refs/heads/main"}')
    assert comment(github).returncode == 0
    Path("event.json").write_text('{"pull_request": {"number": 7}}')
    assert comment(github).stdout == "there is no comparison to tell of\n"
    assert github.calls == []
    Path("mtmbench-board").mkdir()
    Path("mtmbench-board/comment.md").write_text("x")
    done = script("comment.py", GITHUB_API_URL="http://api.example.org")
    assert (done.returncode, done.stdout) == (1, "::error::cannot comment: ValueError\n")


def steps(path: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs = [content["runs"]] if "runs" in content else content["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", [ACTION / "action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_expressions_stand_in_env_alone_and_actions_are_pinned(path: Path) -> None:
    found = steps(path)
    in_env = sum(str(step.get("env", {})).count("${{") for step in found)
    text = re.sub(r"^#.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
    assert text.count("${{") == in_env
    for step in found:
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@v\d+\.\d+\.\d+", step["uses"])
        else:
            assert step["run"]


def test_every_input_is_told_and_read() -> None:
    content = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
    text = (ACTION / "action.yml").read_text(encoding="utf-8")
    for name, told in content["inputs"].items():
        assert told["description"]
        assert f"inputs.{name} " in text, name
    script_text = (ACTION / "board.py").read_text(encoding="utf-8")
    for step in steps(ACTION / "action.yml"):
        for variable in step.get("env", {}):
            if variable.startswith("MTMBENCH_"):
                assert f'"{variable}"' in script_text


@pytest.mark.slow
def test_the_workflow_of_a_leaderboard_checks_every_run(folder: Path) -> None:
    (step,) = (step for step in steps(ACTION / "examples" / "submit.yml") if "env" in step)
    Path("leaderboards").mkdir()
    Path("kept").rename("leaderboards/main")
    for name in ("ann's run", "bob"):
        (folder / "submissions" / name).mkdir(parents=True)
        for file in ("suite.toml", "records.jsonl"):
            text = (folder / "leaderboards/main" / file).read_text()
            (folder / "submissions" / name / file).write_text(text)
    records = folder / "submissions/ann's run/records.jsonl"
    records.write_text(records.read_text() + "{}\n")
    # The plugin is installed where models are; here it is named.
    command = f"{shlex.quote(sys.executable)} -P -m mtmbench"
    line = step["run"].replace("mtmbench submit", f"{command} submit --plugin {PLUGIN}")
    done = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, **step["env"], "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "submissions/ann's run/\nnew: nothing\n" in done.stdout
    assert "schema: records.jsonl line" in done.stdout
    assert done.stdout.endswith("nothing is wrong\n")
