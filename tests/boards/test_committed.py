"""The committed boards, the README's extracts of them, and the board that CI holds runs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmbench.steering.summary import summary_rows

ROOT = Path(__file__).parents[2]
BOARDS = ROOT / "leaderboards"
QUICK = BOARDS / "quick"
LABELLED = BOARDS / "labelled"


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


def steering_extract() -> str:
    """The README's table of steering: means over topics of both committed tables, by judge."""
    lines = [
        "| topics | judge | win rate | permuted | other topics | named in the prompt | steered |",
        "|---|---|---|---|---|---|---|",
    ]
    for board in ("steering", "quick"):
        table = json.loads((BOARDS / board / "steering.json").read_text(encoding="utf-8"))
        link = f"[`{board}`](leaderboards/{board}/steering.md)"
        for row in table["summary"]:
            held = [row["controls"][name] for name in ("permuted", "other_topic", "prompt")]
            rates = [f"{100 * rate:.0f} %" for rate in (row["win_rate"], *held)]
            judged = [f"`{row['judge']}`", *rates, f"{row['n_steered']} of {row['n_topics']}"]
            lines.append(f"| {link}: {row['corpus']} | {' | '.join(judged)} |")
    return "\n".join(lines)


def test_readme_quotes_the_steering_tables():
    table = steering_extract()
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"the tables say:\n{table}"


@pytest.mark.parametrize("board", ["steering", "quick"])
def test_committed_steering_tables_are_whole(board):
    """All methods for every topic and judge, and a summary that follows from the rows."""
    table = json.loads((BOARDS / board / "steering.json").read_text(encoding="utf-8"))
    places = {(row["topic"], row["judge"]) for row in table["rows"]}
    assert {row["topic"] for row in table["topics"]} == {topic for topic, _ in places}
    for place in places:
        mine = [row for row in table["rows"] if (row["topic"], row["judge"]) == place]
        assert {row["method"] for row in mine} == {
            "topic", "topic_raw", "none", "prompt", "diff_means", "best_feature", "random",
            "permuted", "other_topic",
        }  # fmt: skip
        own = [row for row in mine if row["chosen"]]
        assert len(own) <= 1
        for row in mine if own else []:
            if row["method"] in ("random", "permuted", "diff_means", "best_feature"):
                assert row["expected_change"] == pytest.approx(own[0]["expected_change"], rel=0.01)
    for row, again in zip(table["summary"], summary_rows(table["rows"]), strict=True):
        assert row["n_steered"] == again["n_steered"]
        assert row["win_rate"] == pytest.approx(again["win_rate"], abs=1e-4)


@pytest.mark.parametrize("board", ["steering", "quick"])
def test_committed_pages_link_the_steering_table(board):
    page = (BOARDS / board / "index.html").read_text(encoding="utf-8")
    assert '<a href="steering.md">' in page
    assert "(steering.md)" in (BOARDS / board / "board.md").read_text(encoding="utf-8")


def test_readme_quotes_the_labelled_board():
    table = gold_extract(json.loads((LABELLED / "board.json").read_text(encoding="utf-8")))
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"the board says:\n{table}"


def test_readme_quotes_the_committed_board():
    table = extract(json.loads((QUICK / "board.json").read_text(encoding="utf-8")))
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"the board says:\n{table}"


def test_ci_holds_runs_to_the_committed_board():
    expected = ROOT / "baselines" / "expected" / "quick.json"
    assert expected.read_bytes() == (QUICK / "board.json").read_bytes()
