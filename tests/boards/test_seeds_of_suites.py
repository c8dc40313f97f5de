"""Five seeds are the default of committed boards; a suite with fewer says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite

ROOT = Path(__file__).parents[2]
SUITES = sorted(
    str(path.parent.relative_to(ROOT / "leaderboards"))
    for path in (ROOT / "leaderboards").rglob("suite.toml")
)
BEFORE = {"quick": 2, "steering": 1, "studies/layer": 3, "studies/steering": 1,
          "studies/threshold": 3}  # fmt: skip
"""Suites from before that rule, which stand as they were played: docs/boards.md says why."""


def comment_on_seeds(text: str) -> str:
    """Returns the comment beside or right above the key ``seeds``; empty if there is none."""
    above: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            return ""  # the tables have seeds of their own
        if line.split("=")[0].strip() == "seeds":
            beside = line.partition("#")[2].strip()
            return " ".join([*above, beside]).strip()
        above = [*above, line.lstrip("# ")] if line.startswith("#") else []
    return ""


@pytest.mark.parametrize("name", SUITES)
def test_a_committed_suite_has_five_seeds_or_says_why(name: str) -> None:
    path = ROOT / "leaderboards" / name / "suite.toml"
    n = len(set(read_card(path, Suite).seeds))
    if name in BEFORE:
        assert n == BEFORE[name]
        row = f"`{name}`"
        told = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
        assert any(row in line and f"| {n} |" in line for line in told.splitlines())
    else:
        assert n >= 5 or comment_on_seeds(path.read_text(encoding="utf-8"))


def test_what_counts_as_saying_why() -> None:
    assert comment_on_seeds("# It takes days.\nseeds = [0]") == "It takes days."
    assert comment_on_seeds("k = [5]\nseeds = [0]  # a smoke test") == "a smoke test"
    assert comment_on_seeds("# Of k.\nk = [5]\nseeds = [0]") == ""
    assert comment_on_seeds('k = [5]\n[judging]\n# All.\nseeds = "all"') == ""


def test_the_suite_that_the_docs_begin_with_has_five() -> None:
    first = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8").split("```toml\n")[1]
    assert "seeds = [0, 1, 2, 3, 4]" in first
