"""``mtmbench export``: a board's tables for data frames."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo


def export(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a board's.")],
    to: Annotated[
        Path | None, typer.Option(help="The folder of the files; RUN/tables if not given.")
    ] = None,
) -> None:
    """Writes values, ratings, pairs, topics and matches as Parquet, of plain types.

    For polars, pandas, DuckDB and the like: no index, nothing nested.
    """
    from mtmbench.boards.board import Board
    from mtmbench.boards.flat import flat_tables, write_parquet
    from mtmbench.core.store import read_records, records_file

    tables = flat_tables(Board.read(run).data, read_records(records_file(run)))
    for path in write_parquet(tables, to or run / "tables"):
        echo(str(path))
