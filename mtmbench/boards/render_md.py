"""``board.md``: the board for GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtmbench.boards.markdown import (
    markdown_bullets,
    markdown_heading,
    markdown_page,
    markdown_table,
    markdown_text,
    markdown_warning,
)
from mtmbench.boards.notes import (
    AGREEMENT_NOTE,
    CONTROL_NOTE,
    STEERING_NOTE,
    agreement_tables,
    audit_line,
    control_table,
    judge_notes,
    judge_warnings,
    league_notes,
    metric_notes,
    rating_notes,
)
from mtmbench.boards.numbers import DASH, fixed, interval, shown
from mtmbench.boards.spending import spending_table
from mtmbench.boards.view import (
    BoardView,
    JudgeView,
    LeagueView,
    MetricEntry,
    MetricLine,
    MetricTable,
)
from mtmbench.core.tables import TableRow


def render_md(board: Mapping[str, Any]) -> str:
    """Returns the board as Markdown: notes, ratings by judge, metrics by corpus, errors."""
    view = BoardView(board)
    parts = [markdown_heading(1, board["title"])]
    if board["description"]:
        parts.append(markdown_text(board["description"]))
    if "steering" in board:
        parts.append(f"{markdown_text(STEERING_NOTE)} [The table]({board['steering']}).")
    parts.append(_corpora(board))
    if board["ratings"]:
        parts.append("## Ratings")
        parts.append(markdown_bullets(rating_notes(view)))
        for judge in view.judges():
            parts += _judge(view, judge)
    if board["agreement"]:
        parts += _agreement(view)
    if board["metrics"]:
        parts.append("## Metrics")
        parts.append(markdown_bullets(metric_notes(view)))
        parts += [part for table in view.metric_tables() for part in _metrics(table)]
    if board["fits"]:
        parts += ["## Fits", _fits(view)]
    if board["errors"]:
        parts += ["## Errors", _errors(view)]
    return markdown_page(parts)


def _corpora(board: Mapping[str, Any]) -> str:
    rows = [
        [row["name"], row["n_docs"], row["n_empty"], row["n_duplicates"], row["revision"][:12]]
        for row in board["corpora"]
    ]
    return markdown_table(["corpus", "documents", "empty, dropped", "duplicates", "revision"], rows)


def _judge(board: BoardView, view: JudgeView) -> list[str]:
    judge = view.judge
    parts = [markdown_heading(3, f"Judge: {judge['id']}"), markdown_text(audit_line(judge))]
    parts.append(markdown_bullets(judge_notes(judge)))
    warnings = judge_warnings(judge, list(view.leagues))
    if warnings:
        parts.append("\n".join(map(markdown_warning, warnings)))
    if view.controls:
        parts += [markdown_text(CONTROL_NOTE), markdown_table(*control_table(board, view.controls))]
    for league in view.leagues:
        parts += _league(league, set(judge["shares_encoder_with"]))
    spending = spending_table(board.board, judge["id"])
    if spending is not None:
        parts += ["#### Calls, tokens and cost by pair", markdown_table(*spending)]
    return parts


def _league(league: LeagueView, flagged: set[str]) -> list[str]:
    header = ["rank", "model", "Elo", "interval", "wins", "ties", "losses"]
    header += ["unparsed", "refused"] if league.removed else []
    header += ["adjusted Elo", "adjusted interval"] if league.length else []
    rows = []
    for name, row in zip(league.names, league.rows, strict=True):
        counts = [row["wins"], row["ties"], row["losses"]]
        counts += [row["unparsed"], row["refused"]] if league.removed else []
        adjusted = _elo(row, "_adjusted") if league.length else []
        shown_name = f"{name} †" if name in flagged else name
        rows.append([row["rank"], shown_name, *_elo(row), *counts, *adjusted])
    parts = [markdown_heading(4, league.title), markdown_table(header, rows)]
    if league_notes(league):
        parts.append(markdown_bullets(league_notes(league)))
    if league.reasons:
        parts.append(markdown_bullets([f"{name}: {reason}" for name, reason in league.reasons]))
    return parts


def _elo(row: TableRow, kind: str = "") -> list[str]:
    """Returns a rating and its interval."""
    elo, lo, hi = (row[f"{name}{kind}"] for name in ("elo", "lo", "hi"))
    return [shown(elo, fixed(1)), interval(lo, hi, fixed(1)) or DASH]


def _agreement(view: BoardView) -> list[str]:
    behaviour, agreement, apart = agreement_tables(view)
    parts = ["## Agreement of the judges", markdown_text(AGREEMENT_NOTE)]
    parts += [markdown_table(*behaviour), markdown_table(*agreement)]
    if apart:
        parts += ["Where they differ most, by mean score and by document:", markdown_bullets(apart)]
    return parts


def _metrics(table: MetricTable) -> list[str]:
    parts = [markdown_heading(3, table.title)]
    for title, lines in (
        ("Comparable across models", table.comparable),
        ("Over each model's own items", table.own),
    ):
        if lines:
            rows = [[_label(line), *map(_value, line.cells)] for line in lines]
            parts += [f"**{title}**", markdown_table(["metric", *table.names], rows, raw=True)]
    if table.notes:
        listed = [f"\\[{i}] {markdown_text(note)}" for i, note in enumerate(table.notes, start=1)]
        parts.append("<br>\n".join(listed))
    return parts


def _label(line: MetricLine) -> str:
    arrow = "↑" if line.higher_is_better else "↓"
    view = f", {line.view}" if line.view == "projected" else ""
    params = f" ({markdown_text(line.params)})" if line.params else ""
    return f"{markdown_text(line.metric)} {arrow}{view}{params}"


def _value(cell: MetricEntry | None) -> str:
    if cell is None:
        return DASH
    value = shown(cell.value, fixed(4))
    half = "" if cell.half is None else f" ± {cell.half:.4f}"
    note = "" if cell.note is None else f" \\[{cell.note}]"
    return f"{f'**{value}**' if cell.best else value}{half}{note}"


def _fits(view: BoardView) -> str:
    rows = []
    for row in view.fits():
        items = row["items"] or {}
        found = ", ".join("failed" if n is None else str(n) for n in row["n_topics"])
        kind = f"{items['n']:,} {items['kind']}" if items.get("n") is not None else None
        seeds = ", ".join(map(str, row["seeds"]))
        rows.append([row["corpus"], row["k"], view.name(row), seeds, found, kind])
    header = ["corpus", "K", "model", "seeds", "topics found, by seed", "items"]
    return markdown_table(header, rows)


def _errors(view: BoardView) -> str:
    rows = [[e.corpus, e.k, e.who, e.what, e.reason] for e in view.errors()]
    return markdown_table(["corpus", "K", "model", "failed", "reason"], rows)
