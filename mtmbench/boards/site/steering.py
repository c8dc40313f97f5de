"""The curves of a steering table: win rate and perplexity over λ, with the controls beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtmbench.boards.numbers import fixed, percent
from mtmbench.boards.steering_rows import CONTROLS
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object

_WIDTH, _HEIGHT = 240, 126


@dataclass(frozen=True)
class Curve:
    """One topic before one judge.

    Attributes:
        title: which topic.
        where: corpus, model, K and judge in words.
        points: "x,y x,y" of the curve in a box of 240 by 126.
        area: the same of its interval.
        dots: x, y, whether chosen, and in words, of every λ.
        ticks: x and λ of each point.
        controls: y and name of every control's win rate.
        rows: λ, win rate, interval, perplexity, for the table.
    """

    title: str
    where: str
    points: str
    area: str
    dots: Sequence[tuple[str, str, bool, str]]
    ticks: Sequence[tuple[str, str]]
    controls: Sequence[tuple[str, str, str]]
    rows: Sequence[tuple[str, str, str, str]]

    @property
    def marks(self) -> list[tuple[int, str]]:
        """Where the axis of win rates is marked, and as what."""
        return [(6, "100 %"), (_HEIGHT // 2, "50 %"), (_HEIGHT - 6, "0 %")]


def steering_curves(folder: Path | None) -> list[Curve]:
    """Returns a curve per model, judge and topic of a folder's ``steering.json``; none without it.

    Raises:
        InputError: it is not a steering table.
    """
    if folder is None or not (folder / "steering.json").is_file():
        return []
    path = folder / "steering.json"
    table = read_json_object(path)
    try:
        return _curves(table["rows"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a steering table: {error!r}") from error


def _curves(rows: Sequence[Mapping[str, Any]]) -> list[Curve]:
    groups: dict[tuple[object, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        place = row["corpus"], row["model"], row.get("k"), row["judge"], row["topic"]
        groups.setdefault(place, []).append(row)
    curves = []
    for (corpus, model, k, judge, topic), group in groups.items():
        grid = [row for row in group if row.get("lambda_unit") == "p99" and row["lambda"]]
        grid = [row for row in grid if row["method"] == grid[0]["method"]]
        grid = sorted((row for row in grid if row["win_rate"] is not None), key=_strength)
        if not grid:
            continue
        most = float(grid[-1]["lambda"])
        x = {id(row): f"{12 + (_WIDTH - 24) * float(row['lambda']) / most:.1f}" for row in grid}
        where = f"{model} on {corpus}, judge {judge}" + (f", K = {k}" if k else "")
        ends = [(row, row["lo"], row["hi"]) for row in grid if row["lo"] is not None]
        curves.append(
            Curve(
                f"Topic {topic}",
                where,
                " ".join(f"{x[id(row)]},{_y(row['win_rate'])}" for row in grid),
                " ".join(
                    [f"{x[id(row)]},{_y(hi)}" for row, _, hi in ends]
                    + [f"{x[id(row)]},{_y(lo)}" for row, lo, _ in reversed(ends)]
                ),
                [
                    (
                        x[id(row)], _y(row["win_rate"]), bool(row.get("chosen")),
                        f"λ {row['lambda']:g}: {percent(row['win_rate'], 0)}",
                    )
                    for row in grid
                ],
                [(x[id(row)], f"{row['lambda']:g}") for row in grid],
                [
                    (_y(row["win_rate"]), str(row["method"]), percent(row["win_rate"], 0))
                    for row in group
                    if row["method"] in CONTROLS
                    and row["win_rate"] is not None
                ],
                [
                    (
                        f"{row['lambda']:g}{' (chosen)' if row.get('chosen') else ''}",
                        percent(row["win_rate"], 0),
                        "" if row["lo"] is None else
                        f"{percent(row['lo'], 0)} to {percent(row['hi'], 0)}",
                        "" if row.get("perplexity") is None else fixed(1)(row["perplexity"]),
                    )
                    for row in grid
                ],
            )
        )  # fmt: skip
    return curves


def _strength(row: Mapping[str, Any]) -> float:
    return float(row["lambda"])


def _y(rate: float) -> str:
    return f"{6 + (_HEIGHT - 12) * (1 - float(rate)):.1f}"
