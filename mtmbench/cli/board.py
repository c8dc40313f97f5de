"""``mtmbench board``: a board's files from its records."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo


def board(
    folder: Annotated[
        Path,
        typer.Argument(help="A folder with suite.toml and records.jsonl (or records.jsonl.gz)."),
    ],
) -> None:
    """Rebuilds a board's files from its records, byte for byte."""
    from mtmbench.boards.write import write_board

    for path in write_board(folder):
        echo(str(path))
