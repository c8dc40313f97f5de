"""What commands say before they ask: which card, which host, which variable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import Call

from mtmbench.core.card_files import PACKAGE, card_folders, shadowed_card

SECRET = "sk-very-secret-0123456789"
CARD = """
client = "openai"
model = "m"
[endpoint]
base_url = "http://judge.example/v1"
api_key_env = "MY_SECRET"
"""
SUITE = """
name = "mine"
corpora = ["tiny.jsonl"]
models = ["lda", "etm"]
metrics = ["rating"]
k = [2]
[metric_params.rating]
judge = "rater"
[judging]
judges = ["lexical", "openai"]
summariser = "writer"
representations = ["items", "summary"]
[steering]
judges = ["lexical", "steersman"]
axbench = "openai"
"""

OF_K = ("tiny.jsonl", "--ks", "2,3", "--models", "lda,etm", "--judge", "openai",
        "--set", 'params.etm.judge="rater"')  # fmt: skip
"""Of a study whose model asks a judge too."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_SECRET", SECRET)
    lines = [json.dumps({"text": f"word{i % 7} other{i % 5} more{i % 3}"}) for i in range(40)]
    (tmp_path / "tiny.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "judges").mkdir()
    for name, model in (("openai", "m"), ("rater", "n"), ("writer", "o"), ("steersman", "p")):
        card = CARD.replace('"m"', f'"{model}"')
        (tmp_path / "judges" / f"{name}.toml").write_text(card)
    return tmp_path


def line(place: Path, name: str) -> str:
    shipped = card_folders("judges")[-1] / f"{name}.toml"
    shadows = f", which shadows the shipped {shipped}" if shipped.is_file() else ""
    return (
        f"judge {name}: card {place / 'judges' / name}.toml{shadows}, "
        "asked at http://judge.example/v1 with the key in MY_SECRET"
    )


def told(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("judge ")]


def test_the_shipped_card_is_named_as_it_is(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (place / "judges" / "openai.toml").unlink()
    _, out, _ = call("doctor")
    shipped = card_folders("judges")[-1] / "openai.toml"
    expected = (
        f"judge openai: card {shipped}, asked at https://api.openai.com/v1 with the key in "
        "OPENAI_API_KEY"
    )
    assert expected in told(out)
    assert any(line.startswith("judge jury > gemini: card ") for line in told(out))
    assert not any("embedding" in line for line in told(out))


def test_a_shadowing_card_is_told(call: Call, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _, out, _ = call("doctor")
    assert line(place, "openai") in told(out)
    assert "which shadows the shipped" in line(place, "openai")
    assert line(place, "rater") in told(out)
    assert "shadows" not in line(place, "rater")
    assert SECRET not in out


def test_plan_and_run_name_whom_they_ask(call: Call, place: Path) -> None:
    asked = [line(place, name) for name in ("openai", "writer", "rater")]
    code, out, err = call("plan", "suite.toml")
    # A plan reckons what steering asks too.
    assert (code, told(out)) == (0, [*asked, line(place, "steersman")]), err
    code, out, err = call("run", "suite.toml", "--out", "out", "--workers", "0")
    assert code == 2
    assert out.splitlines()[:3] == asked
    assert "the key would go unencrypted to judge.example" in err
    assert SECRET not in out + err


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("validate", "openai"), ["openai"]),
        (("label", "nowhere", "--judge", "openai"), ["openai"]),
        (("topics", "nowhere.json", "--judge", "openai"), ["openai"]),
        (("steer", "suite.toml"), ["steersman", "openai"]),
        (("study", "features", "lee", "--judge", "openai"), ["openai"]),
        (("study", "k", *OF_K), ["openai", "rater"]),
        (("judge", "out", "--judge", "rater"), ["openai", "rater", "writer"]),
    ],
)
def test_other_commands_do_so_before_they_ask(
    call: Call, place: Path, command: tuple[str, ...], names: list[str]
) -> None:
    (place / "out").mkdir()
    (place / "out" / "suite.toml").write_text(SUITE)
    code, out, _ = call(*command)
    assert code != 0
    assert told(out) == [line(place, name) for name in names]


def test_what_a_card_holds_by_mistake_is_not_shown(call: Call, place: Path) -> None:
    card = CARD.replace("MY_SECRET", SECRET).replace("http://", f"http://me:{SECRET}@")
    (place / "judges" / "openai.toml").write_text(card)
    (place / "judges" / "rater.toml").write_text(CARD.replace("judge.ex", "judge\\u001b31m.ex"))
    _, out, _ = call("plan", "suite.toml")
    assert SECRET not in out
    assert "\x1b" not in out
    first, _, third, _ = told(out)
    assert first.endswith("asked at an address that is refused with the key in (no variable)")
    assert "http://judge\N{REPLACEMENT CHARACTER}31m.example/v1" in third


def test_a_card_that_is_the_shipped_one_shadows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PACKAGE.parent)
    assert shadowed_card("judges", "openai") is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judges").symlink_to(card_folders("judges")[-1])
    assert shadowed_card("judges", "openai") is None
