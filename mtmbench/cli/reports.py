"""What the command line prints: listings, plans, progress and outcomes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from mtmbench.core.card_files import card_names
from mtmbench.core.cards import JudgeCard, ModelCard, read_card
from mtmbench.corpora.registry import CORPORA
from mtmbench.features.registry import FEATURES
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.run.harness import RunOutcome
    from mtmbench.run.plan import Plan
    from mtmbench.stats.rate import RatingTable


def list_table(what: str) -> None:
    """Prints the names of one kind: models, judges, metrics, corpora, features or suites."""
    table = _table("name", "from", "description")
    if what in ("metrics", "corpora", "features"):
        registry: Any = {"metrics": METRICS, "corpora": CORPORA, "features": FEATURES}[what]
        for name in registry.names():
            table.add_row(name, registry.origin(name), "")
    elif what == "models":
        cards = card_names("baselines")
        for name in sorted({*MODELS.names(), *cards}):
            card = read_card(cards[name], ModelCard) if name in cards else ModelCard(model=name)
            table.add_row(name, MODELS.origin(card.model), card.description)
    elif what == "judges":
        for name, path in sorted(card_names("judges").items()):
            judge = read_card(path, JudgeCard)
            table.add_row(name, judge.client, judge.description)
    else:
        for name, path in sorted(card_names("suites").items()):
            from mtmbench.core.cards import Suite

            suite = read_card(path, Suite)
            table.add_row(name, str(path), suite.title)
    Console().print(table)


def print_plan(plan: Plan) -> None:
    """Prints what a plan would play, and what its judges would cost."""
    from mtmbench.boards.spending import cost_text
    from mtmbench.run.estimate import ESTIMATED, estimates, total

    console = Console()
    table = _table("corpus", "documents", "labels", "fits", "metric values", "matches")
    for name, corpus in plan.corpora.items():
        table.add_row(
            name,
            str(len(corpus)),
            str(corpus.n_labels),
            str(sum(cell.corpus == name for cell in plan.fits)),
            str(sum(cell.fit.corpus == name for cell in plan.metrics)),
            str(sum(len(cell.rows) for cell in plan.matches if cell.a.corpus == name)),
        )
    console.print(table)
    rows = list(estimates(plan))
    if not rows:
        return
    calls = _table(
        "judge", "asked for", "fits or pairs", "topics or documents", "judge calls",
        "input tokens", "output tokens", "cost",
    )  # fmt: skip
    for row in [*rows, *([total(rows)] if len(rows) > 1 else [])]:
        cost = "none" if not row.is_llm else cost_text(row.cost)
        calls.add_row(
            row.judge, row.asked, str(row.n_cells), str(row.n_subjects), f"at most {row.n_calls}",
            str(row.input_tokens), str(row.output_tokens), cost,
        )  # fmt: skip
    console.print(calls)
    console.print(ESTIMATED)


def print_outcome(outcome: RunOutcome) -> None:
    """Prints the board's ratings, where its files lie, and every error."""
    console = Console()
    board = json.loads((outcome.folder / "board.json").read_text(encoding="utf-8"))
    names = {(row["model"], row["setting"]): row["name"] for row in board["competitors"]}
    for (judge, corpus, k, representation), rows in _leagues(board["ratings"]).items():
        title = f"judge {judge} · corpus {corpus} · K = {k} · {representation}"
        table = _table("rank", "model", "Elo", "95 % interval", "won", "lost", "tied", title=title)
        for row in sorted(rows, key=lambda row: (row["elo"] is None, -(row["elo"] or 0))):
            table.add_row(
                "–" if row["rank"] is None else str(row["rank"]),
                names[row["model"], row["setting"]],
                row["reason"] or "–" if row["elo"] is None else f"{row['elo']:.1f}",
                "–" if row["lo"] is None else f"{row['lo']:.1f} … {row['hi']:.1f}",
                *(str(row[name]) for name in ("wins", "losses", "ties")),
            )
        console.print(table)
    console.print(
        f"{outcome.played} cells played, {outcome.reused} reused, {len(outcome.errors)} errors."
    )
    for cell, reason in outcome.errors[:20]:
        console.print(f"error: {cell}: {reason}", style="red", markup=False, highlight=False)
    if len(outcome.errors) > 20:
        console.print(f"… and {len(outcome.errors) - 20} more; see records.jsonl")
    console.print("The board's files:")
    for name in ("index.html", "board.md", "board.csv", "board.json", "records.jsonl"):
        console.print(f"  {outcome.folder / name}", markup=False, highlight=False)


def print_ratings(table: RatingTable) -> None:
    """Prints a rating table."""
    shown = _table("rank", "name", "ability", "Elo", "95 % interval", "won", "lost", "tied")
    for row in table.ranked():
        shown.add_row(
            "–" if row.rank is None else str(row.rank),
            row.name,
            "–" if row.ability is None else f"{row.ability:.4f}",
            row.reason or "–" if row.elo is None else f"{row.elo:.1f}",
            "–" if row.lo is None or row.hi is None else f"{row.lo:.1f} … {row.hi:.1f}",
            *(str(value) for value in (row.wins, row.losses, row.ties)),
        )
    Console().print(shown)
    if table.tie_parameter is not None:
        Console().print(
            f"Davidson's model of ties, ν = {table.tie_parameter:.3f}: Elo differences are the "
            "odds of the comparisons that have a winner."
        )
    if table.reason is not None:
        Console().print(table.reason, markup=False, highlight=False)


def print_scores(frame: pd.DataFrame) -> None:
    """Prints a frame of metric values, and under it what is missing, by reason."""
    console = Console()
    table = _table("metric", "view", "setting", "value")
    missing: dict[str, list[str]] = {}
    # pandas keeps a missing text as NaN.
    for row in frame.astype(object).where(frame.notna(), None).to_dict(orient="records"):
        view = row["view"] or "–"
        if row["value"] is None:
            named = row["metric"] if row["view"] is None else f"{row['metric']} ({view})"
            missing.setdefault(row["reason"], []).append(named)
        else:
            table.add_row(row["metric"], view, row["params"], f"{row['value']:.4f}")
    console.print(table)
    for reason, names in missing.items():
        console.print(f"Missing: {', '.join(dict.fromkeys(names))}: {reason}", markup=False)


class ConsoleProgress:
    """A bar with time left for each phase; on a pipe, a line at each tenth."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[what]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: Any = None
        self._name, self._total, self._done, self._started = "", 0.0, 0.0, 0.0

    def __enter__(self) -> ConsoleProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def phase(self, name: str, total: float) -> None:
        """Begins a bar of ``total`` units."""
        self._task = self._bar.add_task(name, total=total, what="")
        self._name, self._total, self._done = name, total, 0.0
        self._started = time.monotonic()

    def advance(self, units: float, what: str) -> None:
        """Moves the bar; ``what`` names the last unit."""
        before, self._done = self._done, self._done + units
        self._bar.update(self._task, advance=units, what=what[:60])
        share = self._done / self._total
        reached, passed = (int(10 * done / self._total + 1e-6) for done in (self._done, before))
        if not self._console.is_terminal and reached > passed:
            spent = time.monotonic() - self._started
            left = max(0.0, spent / share - spent)
            self._console.print(
                f"{self._name}: {share:.0%}, {spent:.0f} s spent, about {left:.0f} s left",
                highlight=False,
            )


def _leagues(
    ratings: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, str, Any, str], list[Mapping[str, Any]]]:
    leagues: dict[tuple[str, str, Any, str], list[Mapping[str, Any]]] = {}
    for row in ratings:
        key = row["judge"], row["corpus"], row["k"], row["representation"]
        leagues.setdefault(key, []).append(row)
    return leagues


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
