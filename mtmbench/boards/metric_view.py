"""The metrics of a board as pages show them: one table a corpus and K, the clear best marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.metrics import MetricRow
from mtmbench.boards.terms import corpus_and_k, k_text
from mtmbench.core.competitors import Competitor


@dataclass(frozen=True)
class MetricEntry:
    """A value with the half-width of its interval; ``note`` is the number of a reason."""

    value: float | None
    half: float | None
    best: bool
    note: int | None


@dataclass(frozen=True)
class MetricLine:
    """One metric over all competitors of a table; ``rows`` are what its cells are made of."""

    metric: str
    higher_is_better: bool
    view: str | None
    params: str
    cells: Sequence[MetricEntry | None]
    rows: Sequence[MetricRow | None] = ()


@dataclass
class MetricTable:
    """Metrics of one corpus and K, competitors as columns; ``notes`` are reasons, from 1."""

    corpus: str
    k: int
    k_spec: int | str
    title: str
    names: Sequence[str]
    kinds: Sequence[str | None]
    comparable: list[MetricLine] = field(default_factory=list)
    own: list[MetricLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def metric_tables(board: BoardTables) -> list[MetricTable]:
    """Returns one table per corpus and K."""
    groups: dict[tuple[str, int | str], list[MetricRow]] = {}
    for row in board["metrics"]:
        groups.setdefault((row["corpus"], row["k_spec"]), []).append(row)
    return [_table(board, groups[key]) for key in sorted(groups, key=corpus_and_k)]


def _table(board: BoardTables, rows: Sequence[MetricRow]) -> MetricTable:
    competitors = sorted({Competitor.of(row) for row in rows})
    told = {Competitor.of(row): row for row in board["competitors"]}
    documents = {corpus["name"]: corpus["n_docs"] for corpus in board["corpora"]}
    corpus = rows[0]["corpus"]
    size = f" · {documents[corpus]:,} documents" if documents[corpus] else ""
    table = MetricTable(
        corpus=corpus,
        k=rows[0]["k"],
        k_spec=rows[0]["k_spec"],
        title=f"{corpus} · {k_text(rows[0]['k'], rows[0]['k_spec'])}{size}",
        names=[told[who]["name"] for who in competitors],
        kinds=[told[who]["items"] for who in competitors],
    )
    lines: dict[tuple[str, str, str], dict[Competitor, MetricRow]] = {}
    for row in rows:
        key = row["metric"], row["view"] or "", _params_text(row["params"])
        lines.setdefault(key, {})[Competitor.of(row)] = row
    for metric, view, params in sorted(lines, key=lambda key: (key[0], key[1], key[2])):
        cells = [lines[metric, view, params].get(who) for who in competitors]
        comparable = view != "own"
        higher = board["metric_versions"][metric]["higher_is_better"]
        best = _clear_best(cells, higher) if comparable else None
        line = MetricLine(
            metric, higher, view or None, params,
            [_entry(cell, i == best, table.notes) for i, cell in enumerate(cells)],
            cells,
        )  # fmt: skip
        (table.comparable if comparable else table.own).append(line)
    return table


def _params_text(params: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {params[name]}" for name in sorted(params))


def _clear_best(cells: Sequence[MetricRow | None], higher: bool) -> int | None:
    """Returns the column whose interval lies beyond everyone else's, if there is one."""
    sign = 1 if higher else -1
    ends: dict[int, tuple[float, float]] = {}
    for i, cell in enumerate(cells):
        if cell is None or cell["value"] is None:
            continue
        if cell["lo"] is None or cell["hi"] is None:
            return None
        ends[i] = (
            min(sign * cell["lo"], sign * cell["hi"]),
            max(sign * cell["lo"], sign * cell["hi"]),
        )
    if len(ends) < 2:
        return None
    best = max(ends, key=lambda i: ends[i][0])
    clear = all(ends[best][0] > ends[i][1] for i in ends if i != best)
    return best if clear else None


def _entry(row: MetricRow | None, best: bool, notes: list[str]) -> MetricEntry | None:
    if row is None:
        return None
    lo, hi = row["lo"], row["hi"]
    half = None if lo is None or hi is None else (hi - lo) / 2
    expected = row["value"] is not None and (row["reason"] or "").startswith("no interval: ")
    said = "; ".join(filter(None, (None if expected else row["reason"], row.get("note"))))
    if said and said not in notes:
        notes.append(said)
    note = notes.index(said) + 1 if said else None
    return MetricEntry(row["value"], half, best, note)
