"""Rating of any comparisons: a CSV file or a data frame in, ratings as a table and as JSON out."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.stats.rate import RatingTable, TieModel, rate

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("a", "b", "outcome")
OPTIONAL = ("cluster",)
SCORES = {"a": 1.0, "tie": 0.5, "b": 0.0}

_Rows = Iterator[tuple[str, Mapping[str, str]]]
"""Where a comparison stands, for messages, and its cells by column."""


def rate_file(
    path: Path, *, n_bootstrap: int = 1000, confidence: float = 0.95, ties: TieModel = "half"
) -> RatingTable:
    """Rates the competitors of a CSV file with columns ``a``, ``b``, ``outcome``.

    ``outcome`` is ``a``, ``b`` or ``tie``. Rows of one value of the optional column ``cluster``
    are resampled together; without it every row is its own cluster. Other columns are not read.
    The bootstrap's seed derives from the content, so the same file gives the same table.

    Args:
        path: the file.
        n_bootstrap: number of resamples, at least 2.
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
    path = Path(path)
    empty = f"{path} has no comparisons below its header"
    return _rated(_file_rows(path), empty, n_bootstrap, confidence, ties)


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
    empty = "the data frame has no comparisons"
    return _rated(_frame_rows(frame), empty, n_bootstrap, confidence, ties)


def rating_json(table: RatingTable) -> str:
    """Returns the table as JSON text, strongest first.

    ``{"schema": 1, "ratings": [{"name", "ability", "elo", "lo", "hi", "rank", "wins", "losses",
    "ties"}]}``; ability in natural log with mean zero, to 6 decimals; ``elo``, ``lo`` and ``hi`` on
    the Elo scale, to 1. A missing end is null and the row has a ``reason``. Davidson's model adds
    ``"ties": "davidson"`` and ``"tie_parameter"``, its ν.
    """
    model: dict[str, object] = {}
    if table.tie_parameter is not None:
        model = {"ties": "davidson", "tie_parameter": rounded(table.tie_parameter, 6)}
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


def _rated(
    rows: _Rows, empty: str, n_bootstrap: int, confidence: float, ties: TieModel
) -> RatingTable:
    if ties not in get_args(TieModel):
        raise UnknownNameError("model of ties", str(ties), get_args(TieModel))
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, not {confidence!r}")
    if n_bootstrap < 2:
        raise InputError(f"there must be at least 2 resamples, not {n_bootstrap!r}")
    left: list[str] = []
    right: list[str] = []
    score: list[float] = []
    group: list[str] = []
    for n, (where, row) in enumerate(rows):
        _check_row(where, row)
        left.append(row["a"])
        right.append(row["b"])
        score.append(SCORES[row["outcome"]])
        # A file without blank lines has its first comparison in line 2.
        group.append(row.get("cluster", str(n + 2)))
    if not left:
        raise InputError(empty)
    names = sorted({*left, *right})
    index = {name: i for i, name in enumerate(names)}
    clusters = {name: i for i, name in enumerate(dict.fromkeys(group))}
    table = rate(
        names,
        [index[name] for name in left],
        [index[name] for name in right],
        score,
        [clusters[name] for name in group],
        seed=seed_from("rate", left, right, score, group),
        n_bootstrap=n_bootstrap,
        confidence=confidence,
        ties=ties,
    )
    return table.require_rateable()


def _file_rows(path: Path) -> _Rows:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = _columns(f"{path}, line 1", next(reader, []))
            for cells in reader:
                if not cells:
                    continue
                where = f"{path}, line {reader.line_num}"
                if len(cells) != len(columns):
                    raise InputError(f"{where}: {len(cells)} cells for {len(columns)} columns")
                yield where, {n: cell.strip() for n, cell in zip(columns, cells, strict=True)}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, near line {line}: not UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error


def _frame_rows(frame: pd.DataFrame) -> _Rows:
    columns = _columns("the data frame", [str(name) for name in frame.columns])
    kept = [i for i, name in enumerate(columns) if name in (*REQUIRED, *OPTIONAL)]
    part = frame.iloc[:, kept]
    cells = zip(part.itertuples(name=None), part.isna().to_numpy(), strict=True)
    for (label, *values), missing in cells:
        texts = [
            "" if gone else str(value).strip() for value, gone in zip(values, missing, strict=True)
        ]
        yield (
            f"row {label!r} of the data frame",
            dict(zip([columns[i] for i in kept], texts, strict=True)),
        )


def _columns(where: str, header: Sequence[str]) -> list[str]:
    columns = [name.strip() for name in header]
    known = (*REQUIRED, *OPTIONAL)
    for name in columns:
        if name in known and columns.count(name) > 1:
            raise InputError(f"{where}: column {name!r} occurs twice")
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)
        if name not in known and near:
            raise InputError(f"{where}: unknown column {name!r}; did you mean {near[0]!r}?")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"{where}: no column {', '.join(map(repr, missing))}; the header must have "
            "a,b,outcome and may have cluster"
        )
    return columns


def _check_row(where: str, row: Mapping[str, str]) -> None:
    for name in ("a", "b", *OPTIONAL):
        if row.get(name) == "":
            raise InputError(f"{where}: column {name!r} is empty")
    if row["outcome"] not in SCORES:
        raise InputError(f"{where}: outcome {row['outcome']!r} is not one of 'a', 'b', 'tie'")
    if row["a"] == row["b"]:
        raise InputError(f"{where}: {row['a']!r} is compared with itself")
