"""The committed boards, the README's extracts of them, and the board that CI holds runs to."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "leaderboards" / "quick"
LABELLED = ROOT / "leaderboards" / "labelled"


def extract(board: dict) -> str:
    """The README's table: pooled ratings by both judges and NPMI of projected words on Lee."""
    ratings = {
        (row["judge"], row["model"], row["setting"]): row
        for row in board["ratings"]
        if row["corpus"] == "all"
    }
    npmi = {
        (row["model"], row["setting"]): row["value"]
        for row in board["metrics"]
        if (row["corpus"], row["metric"], row["view"]) == ("lee", "npmi", "projected")
        and row["params"]["window"] == 10
    }
    lines = [
        "| model | Elo, judge `embedding` | Elo, judge `lexical` | NPMI of its words, Lee |",
        "|---|---|---|---|",
    ]
    entries = sorted(npmi, key=lambda key: -ratings["embedding", *key]["elo"])
    for model, setting in entries:
        cells = [f"`{model}`" + (f", {setting}" if setting else "")]
        for judge in ("embedding", "lexical"):
            row = ratings[judge, model, setting]
            cells.append(f"{row['elo']:.0f} ({row['lo']:.0f} to {row['hi']:.0f})")
        cells.append(f"{npmi[model, setting]:.3f}".replace("-", "−"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def gold_extract(board: dict) -> str:
    """The README's table of NMI with gold labels, K the number of labels, over all documents."""
    corpora = ("20ng", "agnews", "bills")
    found: dict[tuple[str, str | None], dict[str, str]] = {}
    for row in board["metrics"]:
        if row["metric"] != "nmi" or row["k_spec"] != "labels":
            continue
        if row["params"]["documents"] == "all":
            half = (row["hi"] - row["lo"]) / 2
            cell = f"{row['value']:.3f} ± {half:.3f} ({row['n_seeds']})"
            found.setdefault((row["model"], row["setting"]), {})[row["corpus"]] = cell
    lines = [f"| model | {' | '.join(corpora)} |", "|---|---|---|---|"]
    for model, setting in sorted(found, key=lambda key: (key[0], key[1] or "")):
        name = f"`{model}`" + (f", {setting}" if setting else "")
        lines.append(f"| {name} | {' | '.join(found[model, setting][c] for c in corpora)} |")
    return "\n".join(lines)


def test_readme_quotes_the_labelled_board():
    table = gold_extract(json.loads((LABELLED / "board.json").read_text(encoding="utf-8")))
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"the board says:\n{table}"


def test_readme_quotes_the_committed_board():
    table = extract(json.loads((QUICK / "board.json").read_text(encoding="utf-8")))
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"the board says:\n{table}"


def test_ci_holds_runs_to_the_committed_board():
    expected = ROOT / "baselines" / "expected" / "quick.json"
    assert expected.read_bytes() == (QUICK / "board.json").read_bytes()
