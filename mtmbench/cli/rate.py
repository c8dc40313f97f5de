"""``mtmbench rate``: ratings of any pairwise file."""

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
    file: Annotated[Path, typer.Argument(help="CSV with columns a, b, outcome (a, b or tie).")],
    json: Annotated[Path | None, typer.Option("--json", help="Write the ratings here too.")] = None,
    ties: Annotated[
        Ties, typer.Option(help="Ties as half a win each, or by Davidson's model.")
    ] = Ties.half,
) -> None:
    """Rates any pairwise file by Bradley-Terry, with intervals; `cluster` groups its rows."""
    from mtmbench.core.serialise import write_atomically
    from mtmbench.stats.pairwise_file import rate_file, rating_json

    table = rate_file(file, ties=ties.value)
    _print_ratings(table)
    if json is not None:
        write_atomically(json, rating_json(table))


def _print_ratings(table: "RatingTable") -> None:
    """Prints a rating table, and under it what it says of ties and why it may have no ratings."""
    rows = [
        (
            "–" if row.rank is None else str(row.rank),
            row.name,
            "–" if row.ability is None else f"{row.ability:.4f}",
            row.reason or "–" if row.elo is None else f"{row.elo:.1f}",
            "–" if row.lo is None or row.hi is None else f"{row.lo:.1f} … {row.hi:.1f}",
            *(str(value) for value in (row.wins, row.losses, row.ties)),
        )
        for row in table.ranked()
    ]
    print_table(("rank", "name", "ability", "Elo", "95 % interval", "won", "lost", "tied"), rows)
    if table.tie_parameter is not None:
        print_line(
            f"Davidson's model of ties, ν = {table.tie_parameter:.3f}: Elo differences are the "
            "odds of the comparisons that have a winner."
        )
    if table.reason is not None:
        print_line(table.reason, highlight=False)
