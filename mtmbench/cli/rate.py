"""``mtmbench rate``: ratings of any pairwise file."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.console import print_line, print_table

if TYPE_CHECKING:
    from mtmbench.stats.rate import RatingTable


class Ties(StrEnum):
    """How ``mtmbench rate`` rates ties."""

    half = "half"
    davidson = "davidson"


def rate(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV, .jsonl or .json with columns a, b, outcome (a, b or tie), or model_a, "
            "model_b, winner."
        ),
    ],
    json: Annotated[Path | None, typer.Option("--json", help="Write the ratings here too.")] = None,
    ties: Annotated[
        Ties, typer.Option(help="Ties as half a win each, or by Davidson's model.")
    ] = Ties.half,
) -> None:
    """Rates any pairwise file by Bradley-Terry, with intervals.

    A column `cluster` groups rows that belong together; a column `weight` or `count` says how many
    identical comparisons a row stands for.
    """
    from mtmbench.core.serialise import write_atomically
    from mtmbench.stats.pairwise_file import rate_file, rating_json

    table = rate_file(file, ties=ties.value)
    _print_ratings(table)
    if json is not None:
        write_atomically(json, rating_json(table))


def _print_ratings(table: "RatingTable") -> None:
    """Prints a rating table, and under it what it says of ties, of intervals and of columns."""
    from mtmbench.boards.numbers import DASH, fixed

    rows = [
        (
            DASH if row.rank is None else str(row.rank),
            row.name,
            DASH if row.ability is None else fixed(4)(row.ability),
            row.reason or DASH if row.elo is None else fixed(1)(row.elo),
            DASH
            if row.lo is None or row.hi is None
            else f"{fixed(1)(row.lo)} … {fixed(1)(row.hi)}",
            *(
                f"{value:.6g}" if value % 1 else f"{value:.0f}"
                for value in (row.wins, row.losses, row.ties)
            ),
        )
        for row in table.ranked()
    ]
    print_table(("rank", "name", "ability", "Elo", "95 % interval", "won", "lost", "tied"), rows)
    if table.tie_parameter is not None:
        print_line(
            f"Davidson's model of ties, ν = {table.tie_parameter:.3f}: Elo differences are the "
            "odds of the comparisons that have a winner."
        )
    if table.intervals == "sandwich" and table.reason is None:
        print_line(
            f"Intervals are the sandwich estimator's over {table.n_clusters:,} clusters: "
            f"{len(table.rows):,} names are too many for a bootstrap."
        )
    if table.reason is not None:
        print_line(table.reason, highlight=False)
    else:
        _print_reasons(table)
    if table.unread:
        named = ", ".join(
            name if name and name.isprintable() else repr(name) for name in table.unread
        )
        print_line(f"Columns that were not read: {named}.", highlight=False)
    if table.weightless:
        print_line(f"Only in rows of weight 0: {_listed(table.weightless)}.", highlight=False)


def _print_reasons(table: "RatingTable") -> None:
    """Prints why some names have no interval where others have one."""
    named: dict[str, list[str]] = {}
    for row in table.ranked():
        if row.reason is not None:
            named.setdefault(row.reason, []).append(row.name)
    for reason, names in named.items():
        print_line(f"{_listed(names)}: {reason}", highlight=False)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


_MOST_NAMED = 20
