"""Rating of any pairwise file: CSV in, ratings as a table and as JSON out."""

from __future__ import annotations

import csv
import difflib
import json
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.stats.rate import RatingTable, TieModel, rate

REQUIRED = ("a", "b", "outcome")
OPTIONAL = ("cluster",)
SCORES = {"a": 1.0, "tie": 0.5, "b": 0.0}


def rate_file(
    path: Path, *, n_bootstrap: int = 1000, confidence: float = 0.95, ties: TieModel = "half"
) -> RatingTable:
    """Rates the competitors of a CSV file with columns ``a``, ``b``, ``outcome``.

    ``outcome`` is ``a``, ``b`` or ``tie``. Rows of one value of the optional column ``cluster``
    are resampled together; without it every row is its own cluster. Other columns are not read.
    The bootstrap's seed derives from the content, so the same file gives the same table.

    Returns:
        The table, rows by name.

    Raises:
        InputError: the file cannot be read, lacks a column or holds a wrong value; the message
            names file and line.
        NotRateableError: the outcomes do not determine ratings; the message names who is cut off.
    """
    left, right, score, group = _read(Path(path))
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


def _read(path: Path) -> tuple[list[str], list[str], list[float], list[str]]:
    left: list[str] = []
    right: list[str] = []
    score: list[float] = []
    group: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = _columns(path, next(reader, []))
            for cells in reader:
                if not cells:
                    continue
                row = _row(path, reader.line_num, columns, cells)
                left.append(row["a"])
                right.append(row["b"])
                score.append(SCORES[row["outcome"]])
                group.append(row.get("cluster", str(reader.line_num)))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, near line {line}: not UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    if not left:
        raise InputError(f"{path} has no comparisons below its header")
    return left, right, score, group


def _columns(path: Path, header: list[str]) -> list[str]:
    columns = [name.strip() for name in header]
    known = (*REQUIRED, *OPTIONAL)
    for name in columns:
        if name in known and columns.count(name) > 1:
            raise InputError(f"{path}, line 1: column {name!r} occurs twice")
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)
        if name not in known and near:
            raise InputError(f"{path}, line 1: unknown column {name!r}; did you mean {near[0]!r}?")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"{path}, line 1: no column {', '.join(map(repr, missing))}; the header must have "
            "a,b,outcome and may have cluster"
        )
    return columns


def _row(path: Path, line: int, columns: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise InputError(f"{path}, line {line}: {len(cells)} cells for {len(columns)} columns")
    row = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    for name in ("a", "b", *(name for name in OPTIONAL if name in columns)):
        if not row[name]:
            raise InputError(f"{path}, line {line}: column {name!r} is empty")
    if row["outcome"] not in SCORES:
        raise InputError(
            f"{path}, line {line}: outcome {row['outcome']!r} is not one of 'a', 'b', 'tie'"
        )
    if row["a"] == row["b"]:
        raise InputError(f"{path}, line {line}: {row['a']!r} is compared with itself")
    return row
