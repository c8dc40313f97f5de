"""``board.md``: the board for GitHub's Markdown."""

from __future__ import annotations

from mtmbench.boards import about_judges, notes
from mtmbench.boards.league_view import LeagueView
from mtmbench.boards.markdown import MarkdownPage, markdown_text
from mtmbench.boards.metric_view import MetricEntry, MetricLine, MetricTable
from mtmbench.boards.numbers import DASH, fixed, interval, shown, signed
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.metrics import CorrelationRow
from mtmbench.boards.spending import spending_table
from mtmbench.boards.view import BoardView, JudgeView
from mtmbench.metrics.registry import faults_of


def render_md(board: BoardTables) -> str:
    """Returns the board as Markdown: notes, ratings by judge, metrics by corpus, errors."""
    view = BoardView(board)
    page = MarkdownPage(board["title"])
    page.text(board["description"])
    if "steering" in board:
        page.raw(f"{markdown_text(notes.STEERING_NOTE)} [The table]({board['steering']}).")
    _corpora(page, board)
    if board["ratings"]:
        page.heading("Ratings")
        page.bullets(notes.rating_notes(view))
        for judge in view.judges():
            _judge(page, view, judge)
    if board["agreement"]:
        _agreement(page, view)
    if board["metrics"]:
        page.heading("Metrics")
        page.bullets(notes.metric_notes(view))
        for table in view.metric_tables():
            _metrics(page, table)
    _correlations(page, view)
    if board["fits"]:
        _fits(page, view)
    if board["errors"]:
        page.heading("Errors")
        rows = [[e.corpus, e.k, e.who, e.what, e.reason] for e in view.errors()]
        page.table(["corpus", "K", "model", "failed", "reason"], rows)
    return str(page)


def _corpora(page: MarkdownPage, board: BoardTables) -> None:
    rows = [
        [row["name"], row["n_docs"], row["n_empty"], row["n_duplicates"], row["revision"][:12]]
        for row in board["corpora"]
    ]
    page.table(["corpus", "documents", "empty, dropped", "duplicates", "revision"], rows)


def _judge(page: MarkdownPage, view: BoardView, entry: JudgeView) -> None:
    judge = entry.judge
    page.heading(f"Judge: {judge['id']}", level=3)
    page.text(about_judges.audit_line(judge))
    page.bullets(about_judges.judge_notes(judge))
    page.warning(*about_judges.judge_warnings(judge, entry.leagues, entry.controls))
    if entry.controls:
        page.text(about_judges.CONTROL_NOTE)
        page.table(*about_judges.control_table(view, entry.controls))
    for league in entry.leagues:
        _league(page, league, set(judge["shares_encoder_with"]))
    spending = spending_table(view.board, judge["id"])
    if spending is not None:
        page.heading("Calls, tokens and cost by pair", level=4)
        page.table(*spending)


def _league(page: MarkdownPage, league: LeagueView, flagged: set[str]) -> None:
    header = ["rank", "model", "Elo", "interval", "wins", "ties", "losses"]
    header += ["unparsed", "refused"] if league.removed else []
    header += ["adjusted Elo", "adjusted interval"] if league.length else []
    header += ["by projected words", "difference"] if league.wording else []
    several = any("elo_by_seed" in row for row in league.rows)
    header += ["Elo by seed", "s.d."] if several else []
    rows = []
    for name, row in zip(league.names, league.rows, strict=True):
        counts = [row["wins"], row["ties"], row["losses"]]
        counts += [row["unparsed"], row["refused"]] if league.removed else []
        elo = _elo(row["elo"], row["lo"], row["hi"])
        adjusted = []
        if league.length:
            adjusted = _elo(row["elo_adjusted"], row["lo_adjusted"], row["hi_adjusted"])
        worded = []
        if league.wording:
            moved = league.wording.moved.get(name)
            worded = [
                shown(league.wording.elo.get(name), fixed(1)),
                DASH if moved is None else signed(moved, 0, plus=True),
            ]
        if several:
            elos = ", ".join(shown(elo, fixed(0)) for elo in row.get("elo_by_seed", ()))
            worded += [elos, shown(row.get("elo_sd"), fixed(1))]
        who = f"{name} †" if name in flagged else name
        who += " ‡" if name in league.short else ""
        rows.append([row["rank"], who, *elo, *counts, *adjusted, *worded])
    page.heading(league.title, level=4)
    if league.wording:
        page.text(notes.wording_note(league))
    page.table(header, rows)
    page.bullets(notes.league_notes(league))
    page.bullets(f"{name}: {reason}" for name, reason in league.reasons)


def _elo(elo: float | None, lo: float | None, hi: float | None) -> list[str]:
    """Returns a rating and its interval."""
    return [shown(elo, fixed(1)), interval(lo, hi, fixed(1)) or DASH]


def _agreement(page: MarkdownPage, view: BoardView) -> None:
    behaviour, agreement, apart = about_judges.agreement_tables(view)
    page.heading("Agreement of the judges")
    page.text(about_judges.AGREEMENT_NOTE)
    page.table(*behaviour)
    page.table(*agreement)
    if apart:
        page.text("Where they differ most, by mean score and by document:")
        page.bullets(apart)


def _metrics(page: MarkdownPage, table: MetricTable) -> None:
    page.heading(table.title, level=3)
    for title, lines in (
        ("Comparable across models", table.comparable),
        ("Over each model's own items", table.own),
    ):
        if lines:
            page.bold(title)
            rows = [[_label(line), *map(_value, line.cells)] for line in lines]
            page.table(["metric", *table.names], rows, raw=True)
    listed = [f"\\[{i}] {markdown_text(note)}" for i, note in enumerate(table.notes, start=1)]
    page.raw("<br>\n".join(listed))


def _label(line: MetricLine) -> str:
    arrow = "↑" if line.higher_is_better else "↓"
    view = f", {line.view}" if line.view == "projected" else ""
    params = f" ({markdown_text(line.params)})" if line.params else ""
    mark = f" {notes.FAULTY}" if faults_of(line.metric) else ""
    return f"{markdown_text(line.metric)} {arrow}{mark}{view}{params}"


def _value(cell: MetricEntry | None) -> str:
    if cell is None:
        return DASH
    value = shown(cell.value, fixed(4))
    half = "" if cell.half is None else f" ± {cell.half:.4f}"
    note = "" if cell.note is None else f" \\[{cell.note}]"
    return f"{f'**{value}**' if cell.best else value}{half}{note}"


def _correlations(page: MarkdownPage, view: BoardView) -> None:
    for i, table in enumerate(view.correlations()):
        if not i:
            page.heading("Correlation of document shares")
            page.text(notes.CORRELATION_NOTE)
        page.heading(table.title, level=3)
        rows = [
            [name, *map(_correlation, row)]
            for name, row in zip(table.names, table.matrix, strict=True)
        ]
        page.table(["model", *table.names], rows)


def _correlation(cell: CorrelationRow | None) -> str:
    if cell is None or cell["value"] is None:
        return DASH
    lo, hi = cell["lo"], cell["hi"]
    half = "" if lo is None or hi is None else f" ± {(hi - lo) / 2:.2f}"
    return f"{signed(cell['value'], 2)}{half}"


def _fits(page: MarkdownPage, view: BoardView) -> None:
    rows = []
    for row in view.fits():
        items = row["items"]
        found = ", ".join("failed" if n is None else str(n) for n in row["n_topics"])
        kind = f"{items['n']:,} {items['kind']}" if items and items["n"] is not None else None
        seeds = ", ".join(map(str, row["seeds"]))
        rows.append([row["corpus"], row["k"], view.name(row), seeds, found, kind])
    page.heading("Fits")
    page.bullets(notes.fit_notes(view))
    page.table(["corpus", "K", "model", "seeds", "topics found, by seed", "items"], rows)
