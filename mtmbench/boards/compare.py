"""Two boards held against each other: what moved, whether for the worse, and whether it counts.

A value moved beyond tolerance if it changed by more than the larger of the absolute tolerance and
the relative one times the old value. An Elo moved if, besides, the two intervals do not overlap.
Boards compare only as far as corpus revisions, metric versions and judges are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from mtmbench.boards.board import Board
from mtmbench.boards.board_file import BoardFile, BoardValue, parse_board, read_board
from mtmbench.core.card_files import card_folders
from mtmbench.core.card_reading import read_card
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import canonical_json
from mtmbench.core.specs import Card
from mtmbench.judges.registry import reads_words
from mtmbench.stats.elo import level_shift

Outcome = Literal["not comparable", "regression", "improvement", "moved", "new"]

FINE, REGRESSION, NOT_COMPARABLE = 0, 1, 3
"""Exit codes; 2 is wrong usage."""

_OUTCOMES: tuple[Outcome, ...] = ("not comparable", "regression", "improvement", "moved", "new")
_POOLED = "all"
_ROUNDING = 1e-9
_WORDS = "projected words before judge"
_TAKEN = {"whole": "all documents", "crossed": "the other half of the documents"}
_JUDGE_FIELDS = (
    "client", "is_llm", "order_free", "encoder", "version", "prompt", "params", "protocol",
    "revisions",
)  # fmt: skip


class Tolerance(Card):
    """How far a value may move: the larger of ``absolute`` and ``relative · |old|``."""

    absolute: float | None = Field(default=None, ge=0)
    relative: float | None = Field(default=None, ge=0)


class EloTolerance(Card):
    """How many Elo points a rating may move."""

    absolute: float = Field(default=0.0, ge=0)


class ModelTolerance(Card):
    """How many times as far a model's metric values may move."""

    times: float = Field(default=1.0, ge=0)


class Tolerances(Card):
    """A tolerances file: ``[default]``, ``[elo]``, ``[metrics.NAME]`` and ``[models.NAME]``.

    What the exception of a metric leaves out is as in ``[default]``; what that leaves out is 0.
    """

    default: Tolerance = Tolerance()
    elo: EloTolerance = EloTolerance()
    metrics: Mapping[str, Tolerance] = Field(default_factory=dict)
    models: Mapping[str, ModelTolerance] = Field(default_factory=dict)

    def allowed(self, metric: str, old: float, model: str = "") -> float:
        """Returns by how much the value of a metric of a model may differ from ``old``."""
        own = self.metrics.get(metric, self.default)
        absolute = own.absolute if own.absolute is not None else self.default.absolute
        relative = own.relative if own.relative is not None else self.default.relative
        times = self.models.get(model, ModelTolerance()).times
        return times * max(absolute or 0.0, (relative or 0.0) * abs(old))


@dataclass(frozen=True)
class Change:
    """One row of the table.

    Attributes:
        outcome: what it amounts to; "moved" is a change within tolerance.
        what: which value of which model, or what cannot be compared.
        old: the old value, None where there was none.
        new: the new value, None where there is none.
        allowed: the tolerance, None where none applies.
        note: why, where the numbers do not say it.
    """

    outcome: Outcome
    what: str
    old: float | None = None
    new: float | None = None
    allowed: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """What moved between two boards.

    Attributes:
        rows: every change, the gravest first.
        n_compared: rows that stand on both boards and were compared.
    """

    rows: tuple[Change, ...]
    n_compared: int

    @property
    def exit_code(self) -> int:
        """0 fine, 1 a regression, 3 not comparable (which goes before a regression)."""
        outcomes = {row.outcome for row in self.rows}
        if "not comparable" in outcomes:
            return NOT_COMPARABLE
        return REGRESSION if "regression" in outcomes else FINE

    def table(self) -> str:
        """Returns the changes as a plain-text table, and a line that counts them."""
        counts = [(sum(row.outcome == name for row in self.rows), name) for name in _OUTCOMES]
        summary = ", ".join(f"{n} {name}" for n, name in counts if n) or "nothing moved"
        summary = f"{self.n_compared} rows compared: {summary}"
        if not self.rows:
            return summary
        cells = [("", "what", "old", "new", "change", "allowed", ""), *map(_cells, self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if 2 <= i <= 5 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        return "\n".join([*lines, "", summary])


def compare_files(
    old: str | Path | Board, new: str | Path | Board, tolerances: str | Path | None = None
) -> Comparison:
    """Compares two boards, each a ``board.json``, a folder that holds one, or a board as played.

    Args:
        old: the board to hold to.
        new: the board in question.
        tolerances: a TOML file; the default is ``baselines/expected/tolerances.toml``.

    Raises:
        InputError: a file is missing or not what it should be; the message names it.
    """
    allowed = read_card(Path(tolerances or _default_tolerances()), Tolerances)
    return _compare(_board_file(old), _board_file(new), allowed)


def _board_file(board: str | Path | Board) -> BoardFile:
    if isinstance(board, Board):
        return parse_board(board.data, str(board.folder))
    return read_board(Path(board))


def _compare(old: BoardFile, new: BoardFile, tolerances: Tolerances) -> Comparison:
    _check_names(tolerances, old, new)
    apart = _differences(old, new)
    rows = [
        Change("not comparable", f"{kind} {name}", note=note)
        for (kind, name), note in apart.items()
    ]
    shifts = _shifts(old, new)
    n_compared = 0
    for key in sorted({*old.values, *new.values}):
        before, after = old.values.get(key), new.values.get(key)
        if _depends_on(apart, before or after):
            continue
        shift = shifts.get(after.league, 0.0) if after else 0.0
        n_compared += before is not None and after is not None
        change = _change(before, after.shifted(shift) if after else None, tolerances, old)
        if change is not None:
            rows.append(_told(change, shift) if shift else change)
    rows.sort(key=lambda row: (_OUTCOMES.index(row.outcome), row.what))
    return Comparison(tuple(rows), n_compared)


def _change(
    old: BoardValue | None, new: BoardValue | None, tolerances: Tolerances, board: BoardFile
) -> Change | None:
    if old is None:
        return None if new is None else Change("new", new.what, None, new.value)
    if new is None:
        return Change("regression", old.what, old.value, None, note="the row vanished")
    if old.value is None or new.value is None:
        if old.value is not None:
            note = f"lost its value: {new.reason or 'no reason given'}"
            return Change("regression", old.what, old.value, None, note=note)
        if new.value is not None:
            return Change("new", old.what, None, new.value, note="had no value before")
        return None
    if abs(new.value - old.value) <= _ROUNDING:
        return None
    higher_is_better: bool | None = True
    if old.kind == "metric":
        allowed = tolerances.allowed(old.name, old.value, old.model)
        higher_is_better = _direction(old.name, board)
    else:
        allowed = tolerances.elo.absolute
    outcome: Outcome = "moved"
    note = ""
    if abs(new.value - old.value) > allowed + _ROUNDING:
        if old.kind == "judge" and _overlap(old, new):
            note = "the intervals overlap"
        elif higher_is_better is None:
            outcome, note = "regression", "which direction is better is not known"
        else:
            outcome = "improvement" if (new.value > old.value) == higher_is_better else "regression"
    return Change(outcome, old.what, old.value, new.value, allowed, note)


def _shifts(old: BoardFile, new: BoardFile) -> dict[str, float]:
    """Returns by how much each league's new Elos are moved to be held against the old ones."""
    found = {}
    for league in sorted({value.league for value in new.values.values() if value.kind == "judge"}):
        before, after = (
            {v.what: v.value for v in board.values.values()
             if v.league == league and v.value is not None}
            for board in (old, new)
        )  # fmt: skip
        shift = level_shift(before, after)
        if shift:
            found[league] = shift
    return found


def _told(change: Change, shift: float) -> Change:
    note = f"moved by {shift:+.1f}, as there are other competitors"
    return replace(change, note="; ".join(filter(None, [change.note, note])))


def _overlap(old: BoardValue, new: BoardValue) -> bool:
    if old.lo is None or old.hi is None or new.lo is None or new.hi is None:
        return False
    return old.lo <= new.hi and new.lo <= old.hi


def _direction(metric: str, board: BoardFile) -> bool | None:
    """Returns whether more is better: what the board says, else the metric itself."""
    from mtmbench.metrics.registry import METRICS

    stated = board.metrics.get(metric, {}).get("higher_is_better")
    if isinstance(stated, bool):
        return stated
    return METRICS.get(metric).higher_is_better if metric in METRICS else None


def _differences(old: BoardFile, new: BoardFile) -> dict[tuple[str, str], str]:
    """Returns what keeps the boards from being compared, and in which respect it differs."""
    found: dict[tuple[str, str], str] = {}
    nothing_shared = bool(old.corpora) and bool(new.corpora) and not {*old.corpora} & {*new.corpora}
    for name, revision in old.corpora.items():
        if nothing_shared:
            found["corpus", name] = f"the new board is about {', '.join(sorted(new.corpora))}"
        elif revision and new.corpora.get(name) not in (None, revision):
            found["corpus", name] = f"revision {revision}, now {new.corpora[name]}"
    pooled = [any(v.corpus == _POOLED for v in board.values.values()) for board in (old, new)]
    if all(pooled) and old.corpora and new.corpora and {*old.corpora} != {*new.corpora}:
        pools = [", ".join(sorted(board.corpora)) for board in (old, new)]
        found["corpus", _POOLED] = f"pooled over {pools[0]}, now over {pools[1]}"
    for name, stated in old.metrics.items():
        for field in ("version", "higher_is_better"):
            ours, theirs = stated.get(field), new.metrics.get(name, {}).get(field)
            if None not in (ours, theirs) and ours != theirs:
                found["metric", name] = f"{field} {ours}, now {theirs}"
                break
    for name, judge in old.judges.items():
        if name not in new.judges:
            others = ", ".join(sorted(new.judges)) or "no judge"
            found["judge", name] = f"the new board is judged by {others}"
            continue
        for field in _JUDGE_FIELDS:
            if field in judge and field in new.judges[name]:
                ours, theirs = judge[field], new.judges[name][field]
                if canonical_json(ours) != canonical_json(theirs):
                    found["judge", name] = f"{field} {_short(ours)}, now {_short(theirs)}"
                    break
        sources = [each.get("projected", "whole") for each in (judge, new.judges[name])]
        reads = reads_words(str(judge.get("client")))
        shown = reads or any(v.name == name and v.projected for v in old.values.values())
        if shown and sources[0] != sources[1]:
            kind = "judge" if reads else _WORDS
            told = [_TAKEN[str(source)] for source in sources]
            found[kind, name] = f"projected words of {told[0]}, now of {told[1]}"
    return found


def _depends_on(apart: Mapping[tuple[str, str], str], value: BoardValue | None) -> bool:
    if value is None:
        return False
    pooled = value.corpus == _POOLED and any(kind == "corpus" for kind, _ in apart)
    words = value.projected and (_WORDS, value.name) in apart
    of = (("corpus", value.corpus), (value.kind, value.name))
    return pooled or words or any(each in apart for each in of)


def _check_names(tolerances: Tolerances, *boards: BoardFile) -> None:
    from mtmbench.metrics.registry import METRICS
    from mtmbench.models.registry import MODELS

    played = {v.name for board in boards for v in board.values.values() if v.kind == "metric"}
    known = {*METRICS.names(), *played}
    for name in tolerances.metrics:
        if name not in known:
            raise UnknownNameError("metric in the tolerances", name, known)
    models = {*MODELS.names(), *(v.model for board in boards for v in board.values.values())}
    for name in tolerances.models:
        if name not in models:
            raise UnknownNameError("model in the tolerances", name, models)


def _default_tolerances() -> Path:
    folders = card_folders("baselines")
    for folder in folders:
        path = folder / "expected" / "tolerances.toml"
        if path.is_file():
            return path
    raise InputError(
        "there is no expected/tolerances.toml in "
        + (" or ".join(map(str, folders)) or "any folder of baselines")
        + "; give one with --tolerances"
    )


def _cells(row: Change) -> tuple[str, ...]:
    both = row.old is not None and row.new is not None
    change = f"{(row.new or 0.0) - (row.old or 0.0):+.6g}" if both else ""
    numbers = ["" if x is None else f"{x:.6g}" for x in (row.old, row.new)]
    allowed = "" if row.allowed is None else f"{row.allowed:.6g}"
    return (row.outcome, row.what, *numbers, change, allowed, row.note)


def _short(value: object) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "…"
