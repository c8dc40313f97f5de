"""The command line as a whole: its help, its errors, and how Ctrl-C ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from support.commands import Call

from mtmbench.cli.app import app
from mtmbench.cli.study import study_app
from mtmbench.core.store import RunStore

HEAVY = (
    "torch", "sae_lens", "bertopic", "sklearn", "pandas", "transformers", "gensim", "numba",
    "numpy", "rich", "mtmbench.core.cards",
)  # fmt: skip


def test_help_is_light() -> None:
    script = (
        "import sys, resource\n"
        "sys.argv = ['mtmbench', '--help']\n"
        "from mtmbench.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert stop.code in (0, None), stop.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('CPU', usage.ru_utime + usage.ru_stime, 'LOADED', loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert last[2:] == ["LOADED", "[]"]
    assert float(last[1]) < 0.5


def test_help_names_every_command_in_order(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    listed = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line]
    assert listed == [
        "list", "plan", "run", "judge", "board", "export", "compare", "submit", "publish", "rate",
        "score", "import", "features", "label", "topics", "show", "tune", "steer", "validate",
        "view", "serve", "doctor", "study",
    ]  # fmt: skip


def test_annotations_are_no_text_that_typer_must_evaluate() -> None:
    commands = [*app.registered_commands, *study_app.registered_commands]
    assert len(commands) == 22 + 7
    for command in commands:
        assert command.callback is not None
        annotations = command.callback.__annotations__
        texts = [name for name, value in annotations.items() if isinstance(value, str)]
        assert texts == [], command.callback


def test_unknown_names_come_with_the_nearest(call: Call) -> None:
    code, _, err = call("plan", "quik")
    assert code == 2
    assert "did you mean 'quick'" in err
    code, _, err = call("plan", "quick", "--models", "mlad")
    assert code == 2
    assert "did you mean 'mlda'" in err
    code, _, err = call("plan", "quick", "--set", "judging.judges=['embeding']")
    assert code == 2
    assert "did you mean 'embedding'" in err


def test_a_folder_in_use_has_an_exit_status_of_its_own(call: Call, played: list[str]) -> None:
    with RunStore(Path("out")):
        code, _, err = call("run", "suite.toml", "--out", "out", *played)
    assert code == 4
    assert err.startswith("mtmbench: ")


@pytest.mark.parametrize(
    ("works", "command"),
    [
        ("engine.harness.run_suite", ["run", "suite.toml"]),
        ("engine.harness.run_suite", ["judge", "out", "--judge", "lexical"]),
        ("labelling.label_folder.label_folder", ["label", "folder"]),
        ("steering.suite.steer_suite", ["steer", "suite.toml"]),
        ("validation.run.validate", ["validate", "lexical"]),
        ("studies.run.run_study", ["study", "layer", "lee"]),
        ("studies.steering.run_steering_study", ["study", "steering", "lee"]),
    ],
)
def test_ctrl_c_says_that_the_same_command_goes_on(
    call: Call, played: list[str], monkeypatch: pytest.MonkeyPatch, works: str, command: list[str]
) -> None:
    def stop(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"mtmbench.{works}", stop)
    code, out, err = call(*command)
    assert code == 130
    # Only whom it would have asked was said.
    assert [line for line in out.splitlines() if not line.startswith("judge chat: card ")] == []
    assert err == "interrupted; the same command again goes on from here\n"
