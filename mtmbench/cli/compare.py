"""``mtmbench compare``: two boards, held to tolerances."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo


def compare(
    old: Annotated[Path, typer.Argument(help="The board to hold to: a board.json or its folder.")],
    new: Annotated[Path, typer.Argument(help="The board in question.")],
    tolerances: Annotated[
        Path | None, typer.Option(help="TOML of tolerances per metric; built-in by default.")
    ] = None,
) -> None:
    """Compares two boards. Exit status: 0; 1 on a regression; 3 if they are not comparable."""
    from mtmbench.boards.compare import compare_files

    comparison = compare_files(old, new, tolerances)
    echo(comparison.table())
    raise typer.Exit(comparison.exit_code)
