"""Rating of any comparisons: a file or a data frame in, ratings as a table and as JSON out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.stats.comparisons import (
    CLUSTER,
    Comparisons,
    frame_comparisons,
    read_comparisons,
)
from mtmbench.stats.rate import RatingTable, TieModel, rate

if TYPE_CHECKING:
    import pandas as pd


def rate_file(
    path: Path, *, n_bootstrap: int = 1000, confidence: float = 0.95, ties: TieModel = "half"
) -> RatingTable:
    """Rates the competitors of a file of comparisons: CSV, JSON lines or a JSON list of objects.

    The file may be gzipped. Its columns are ``a``, ``b`` and ``outcome``, which is ``a``, ``b`` or
    ``tie``; or, as arenas publish battles, ``model_a``, ``model_b`` and ``winner``, which is
    ``model_a``, ``model_b``, ``tie``, ``tie (bothbad)``, ``both_bad`` or ``tie (inconsistent)``.
    Rows of one value of the optional column ``cluster`` are resampled together; without it every
    row is its own cluster. A row whose optional column ``weight`` or ``count`` holds w is w
    identical comparisons of one cluster; w is not negative, and need not be whole. Rows of weight 0
    count for nothing, and the table names who stands in such rows alone. Other columns are not
    read; the table names them. The bootstrap's seed derives from the content, so the same file
    gives the same table.

    Args:
        path: the file; ``.jsonl``, ``.ndjson`` and ``.json`` are JSON, any other name is CSV,
            before a ``.gz`` as well.
        n_bootstrap: number of resamples, at least 2; nothing is drawn where there are more than
            :data:`mtmbench.stats.rate.MOST_BOOTSTRAPPED` competitors.
        confidence: level of the intervals.
        ties: as half a win each, or by Davidson's model.

    Returns:
        The table, rows by name.

    Raises:
        InputError: the file cannot be read, lacks a column or holds a wrong value; the message
            names file and line. Or a setting is wrong.
        UnknownNameError: there is no such model of ties.
        NotRateableError: the outcomes do not determine ratings; the message names who is cut off.
    """
    return _rated(read_comparisons(Path(path)), n_bootstrap, confidence, ties)


def rate_frame(
    frame: pd.DataFrame,
    *,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    ties: TieModel = "half",
) -> RatingTable:
    """Rates the competitors of a data frame; see :func:`rate_file`, whose columns it has.

    Cells are read as texts, so that a frame has the table of the file that holds its rows.

    Raises:
        InputError: a column is missing or holds a wrong value; the message names the row by its
            index. Or a setting is wrong.
        UnknownNameError: there is no such model of ties.
        NotRateableError: the outcomes do not determine ratings.
    """
    return _rated(frame_comparisons(frame), n_bootstrap, confidence, ties)


def rating_json(table: RatingTable) -> str:
    """Returns the table as JSON text, strongest first.

    ``{"schema": 1, "ratings": [{"name", "ability", "elo", "lo", "hi", "rank", "wins", "losses",
    "ties"}]}``; ability in natural log with mean zero, to 6 decimals; ``elo``, ``lo`` and ``hi`` on
    the Elo scale, to 1. A missing end is null and the row has a ``reason``. Davidson's model adds
    ``"ties": "davidson"`` and ``"tie_parameter"``, its ν; ``"intervals": "sandwich"`` says that
    there were too many names for a bootstrap, ``"unread"`` names columns that were not read, and
    ``"weightless"`` names that stand only in rows of weight 0.
    """
    model: dict[str, object] = {}
    if table.tie_parameter is not None:
        model = {"ties": "davidson", "tie_parameter": rounded(table.tie_parameter, 6)}
    if table.intervals != "bootstrap":
        model["intervals"] = table.intervals
    if table.unread:
        model["unread"] = list(table.unread)
    if table.weightless:
        model["weightless"] = list(table.weightless)
    return json.dumps({"schema": 1, **model, "ratings": rating_rows(table)}, indent=2) + "\n"


def rating_rows(table: RatingTable) -> list[dict[str, object]]:
    """Returns the rows of :func:`rating_json`, strongest first, then by name."""
    return [
        {
            "name": row.name,
            "ability": rounded(row.ability, 6),
            "elo": rounded(row.elo, 1),
            "lo": rounded(row.lo, 1),
            "hi": rounded(row.hi, 1),
            "rank": row.rank,
            "wins": row.wins,
            "losses": row.losses,
            "ties": row.ties,
            **({} if row.reason is None else {"reason": row.reason}),
        }
        for row in table.ranked()
    ]


def _rated(rows: Comparisons, n_bootstrap: int, confidence: float, ties: TieModel) -> RatingTable:
    if ties not in get_args(TieModel):
        raise UnknownNameError("model of ties", str(ties), get_args(TieModel))
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, not {confidence!r}")
    if n_bootstrap < 2:
        raise InputError(f"there must be at least 2 resamples, not {n_bootstrap!r}")
    read = _read(rows)
    if not len(read.score):
        raise InputError("every comparison has weight 0" if read.names else rows.empty)
    met = np.bincount(read.first, minlength=len(read.names))
    met += np.bincount(read.second, minlength=len(read.names))
    order = sorted(np.flatnonzero(met).tolist(), key=read.names.__getitem__)
    names = [read.names[i] for i in order]
    known = set(names)
    for name in names:
        if name.isdecimal() and (twin := f"{name}.0") in known:
            raise InputError(
                f"{name!r} and {twin!r} are one number written in two ways: whole numbers "
                "become fractions in a column with gaps; write every name in one way"
            )
    index = np.zeros(len(read.names), dtype=np.int64)
    index[order] = np.arange(len(order))
    table = rate(
        names,
        index[read.first],
        index[read.second],
        read.score,
        read.group,
        weight=read.weight,
        seed=read.seed(),
        n_bootstrap=n_bootstrap,
        confidence=confidence,
        ties=ties,
    )
    return replace(
        table.require_rateable(),
        unread=tuple(rows.unread),
        weightless=tuple(sorted(set(read.names) - known)),
    )


@dataclass(frozen=True)
class _Columns:
    """Comparisons as columns of numbers, those of weight 0 left out.

    Attributes:
        names: every name, in the order of their first rows.
        first: (M,) the name of one competitor, by number.
    second: (M,) that of the other.
    score: (M,) the score of the first.
    group: (M,) the cluster, by number; in the order of their first rows.
    weight: (M,) its weight.
    clusters: every cluster; None where each row is its own, which the number says.
    weighted: whether a column weighs the rows.
    """

    names: Sequence[str]
    first: IntArray
    second: IntArray
    score: Float64Array
    group: IntArray
    weight: Float64Array
    clusters: Sequence[str] | None
    weighted: bool

    def seed(self) -> int:
        """Returns the seed that derives from the content."""
        sides = [[self.names[i] for i in side.tolist()] for side in (self.first, self.second)]
        group: list[int] = self.group.tolist()
        told = map(str, group) if self.clusters is None else map(self.clusters.__getitem__, group)
        weights = [self.weight.tolist()] if self.weighted else []
        return seed_from("rate", *sides, self.score.tolist(), list(told), *weights)


def _read(rows: Comparisons) -> _Columns:
    """Reads all comparisons.

    Raises:
        InputError: one cannot be read or holds a wrong value.
    """
    names: dict[str, int] = {}
    clusters: dict[str, int] = {}
    clustered = weighted = False
    right: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    parts: list[Sequence[NDArray[Any]]] = [[np.zeros(0, np.int64)] * 3 + [np.zeros(0)] * 2]
    # A file without blank lines has its first comparison in line 2.
    line = 2
    for batch in rows.read:
        score, weight = map(np.array, batch.scores_and_weights(right))
        clustered, weighted = CLUSTER in batch.cells, weighted or batch.weighed_by is not None
        counted = weight > 0
        groups = np.arange(line, line + len(batch))[counted]
        if clustered:
            groups = _numbered(list(compress(batch.cells[CLUSTER], counted)), clusters)
        sides = (_numbered(batch.cells[side], names)[counted] for side in batch.form.columns[:2])
        parts.append([*sides, groups, score[counted], weight[counted]])
        line += len(batch)
    first, second, group, score, weight = map(np.concatenate, zip(*parts, strict=True))
    told = list(clusters) if clustered else None
    return _Columns(list(names), first, second, score, group, weight, told, weighted)


def _numbered(texts: Sequence[str], known: dict[str, int]) -> IntArray:
    """Returns the number of each text; those that are not known yet get the next ones, in order."""
    try:
        return np.fromiter(map(known.__getitem__, texts), np.int64, len(texts))
    except KeyError:
        for text in texts:
            known.setdefault(text, len(known))
        return _numbered(texts, known)
