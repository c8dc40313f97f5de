"""``mtmbench doctor``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.commands import AS_TYPED, Call, cells

from mtmbench.features.sae.backbone_files import BackboneDescription, BackboneFile


def test_doctor_says_what_is_missing_and_why(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out, _ = call("doctor")
    assert code == 0
    lee = next(line for line in out.splitlines() if "│ lee" in line)
    assert "300 documents" in lee
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    agnews = next(line for line in out.splitlines() if "│ agnews" in line)
    assert "│ no" in agnews


def test_doctor_shows_names_and_reasons_as_typed(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no(_: str) -> str:
        raise ValueError(" ".join(AS_TYPED))

    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    monkeypatch.setattr("mtmbench.cli.doctor._check_judge", no)
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "[bold]mine.toml").write_text('client = "lexical"\n')
    code, out, err = call("doctor")
    assert code == 0, err
    assert ["judge", "[bold]mine", "no", " ".join(AS_TYPED)] in cells(out)


def test_doctor_tells_of_a_backbone_as_typed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    found = BackboneDescription(
        where="here: [/x]",
        files=(BackboneFile("[bold]w.bin", 3 * 2**20, True), BackboneFile("[/x]", None, False)),
        verdict="complete [red]x[/red]",
        hook_points=("blocks.0 [/x]", "blocks.1"),
    )
    monkeypatch.setattr("mtmbench.features.sae.backbone_files.describe_backbone", lambda _: found)
    code, out, err = call("doctor", "--backbone", "[red]x[/red]")
    assert code == 0, err
    assert cells(out) == [["[bold]w.bin", "3.0", "yes"], ["[/x]", "?", "no"]]
    lines = [line for line in out.splitlines() if line[0] not in "┏┃┡│└"]
    assert lines == [
        "[red]x[/red]: here: [/x]", "complete [red]x[/red]",
        "hook points: blocks.0 [/x], blocks.1",
    ]  # fmt: skip
