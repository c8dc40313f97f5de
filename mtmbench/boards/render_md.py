"""``board.md``: the board for GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtmbench.boards.markdown import markdown_bullets, markdown_table, markdown_text
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
from mtmbench.boards.spending import spending_table
from mtmbench.boards.view import (
    BoardView,
    JudgeView,
    LeagueView,
    MetricCell,
    MetricLine,
    MetricTable,
)


def render_md(board: Mapping[str, Any]) -> str:
    """Returns the board as Markdown: notes, ratings by judge, metrics by corpus, errors."""
    view = BoardView(board)
    parts = [f"# {markdown_text(board['title'])}"]
    if board["description"]:
        parts.append(markdown_text(board["description"]))
    if "steering" in board:
        parts.append(f"{markdown_text(STEERING_NOTE)} [The table]({board['steering']}).")
    parts.append(_corpora(board))
    if board["ratings"]:
        parts.append("## Ratings")
        parts.append(markdown_bullets(rating_notes(view)))
        for judge in view.judges():
            parts += _judge(view, judge, spending_table(board, judge.judge["id"]))
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
    return "\n\n".join(parts) + "\n"


def _corpora(board: Mapping[str, Any]) -> str:
    rows = [
        [row["name"], row["n_docs"], row["n_empty"], row["n_duplicates"], row["revision"][:12]]
        for row in board["corpora"]
    ]
    return markdown_table(["corpus", "documents", "empty, dropped", "duplicates", "revision"], rows)


def _judge(board: BoardView, view: JudgeView, spending: list[list[str]]) -> list[str]:
    judge = view.judge
    parts = [f"### Judge: {markdown_text(judge['id'])}", markdown_text(audit_line(judge))]
    parts.append(markdown_bullets(judge_notes(judge)))
    warnings = judge_warnings(judge, list(view.leagues))
    if warnings:
        parts.append("\n".join(f"> **Warning:** {markdown_text(warning)}" for warning in warnings))
    if view.controls:
        parts += [markdown_text(CONTROL_NOTE), markdown_table(*control_table(board, view.controls))]
    for league in view.leagues:
        parts += _league(league, set(judge["shares_encoder_with"]))
    if spending:
        parts += ["#### Calls, tokens and cost by pair", markdown_table(spending[0], spending[1:])]
    return parts


def _league(league: LeagueView, flagged: set[str]) -> list[str]:
    header = ["rank", "model", "Elo", "interval", "wins", "ties", "losses"]
    header += ["unparsed", "refused"] if league.removed else []
    header += ["adjusted Elo", "adjusted interval"] if league.length else []
    rows = []
    for name, row in zip(league.names, league.rows, strict=True):
        interval = None if row["lo"] is None else f"{row['lo']:.1f} to {row['hi']:.1f}"
        shown = f"{name} †" if name in flagged else name
        elo = None if row["elo"] is None else f"{row['elo']:.1f}"
        counts = [row["wins"], row["ties"], row["losses"]]
        counts += [row["unparsed"], row["refused"]] if league.removed else []
        if league.length:
            elo_at = row["elo_adjusted"]
            counts += [None if elo_at is None else f"{elo_at:.1f}", _adjusted_interval(row)]
        rows.append([row["rank"], shown, elo, interval, *counts])
    parts = [f"#### {markdown_text(league.title)}", markdown_table(header, rows)]
    if league_notes(league):
        parts.append(markdown_bullets(league_notes(league)))
    if league.reasons:
        parts.append(markdown_bullets([f"{name}: {reason}" for name, reason in league.reasons]))
    return parts


def _adjusted_interval(row: Mapping[str, Any]) -> str | None:
    if row["lo_adjusted"] is None:
        return None
    return f"{row['lo_adjusted']:.1f} to {row['hi_adjusted']:.1f}"


def _agreement(view: BoardView) -> list[str]:
    behaviour, agreement, apart = agreement_tables(view)
    parts = ["## Agreement of the judges", markdown_text(AGREEMENT_NOTE)]
    parts += [markdown_table(*behaviour), markdown_table(*agreement)]
    if apart:
        parts += ["Where they differ most, by mean score and by document:", markdown_bullets(apart)]
    return parts


def _metrics(table: MetricTable) -> list[str]:
    parts = [f"### {markdown_text(table.title)}"]
    for title, lines in (
        ("Comparable across models", table.comparable),
        ("Over each model's own items", table.own),
    ):
        if lines:
            rows = [[_label(line), *map(_cell, line.cells)] for line in lines]
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


def _cell(cell: MetricCell | None) -> str:
    if cell is None:
        return "–"
    note = "" if cell.note is None else f" \\[{cell.note}]"
    if cell.value is None:
        return f"–{note}"
    half = "" if cell.half is None else f" ± {cell.half:.4f}"
    value = f"**{cell.value:.4f}**" if cell.best else f"{cell.value:.4f}"
    return f"{value}{half}{note}"


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
