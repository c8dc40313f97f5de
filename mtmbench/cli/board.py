"""``mtmbench board``: a board's files from its records."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo
from mtmbench.cli.options import DataOption, PluginOption


def board(
    folder: Annotated[
        Path,
        typer.Argument(help="A folder with suite.toml and records.jsonl (or records.jsonl.gz)."),
    ],
    texts: Annotated[
        bool, typer.Option("--texts", help="Show all texts of a run, whatever their licence.")
    ] = False,
    parts_mb: Annotated[
        float | None,
        typer.Option(
            "--parts-mb",
            min=0,
            max=1_000_000,
            help="Megabytes that the page's parts may take where the folder is no run's; 3 if not "
            "given.",
        ),
    ] = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
) -> None:
    """Rebuilds a board's files from its records, byte for byte.

    In a run's folder the page also shows texts, what judges were shown, and times.
    """
    from mtmbench.boards.site.page import MOST_COMMITTED
    from mtmbench.boards.write import write_board

    if (folder / "store.sqlite").is_file():
        from mtmbench.core.card_reading import read_card
        from mtmbench.core.cards import Suite
        from mtmbench.engine.plan import make_plan
        from mtmbench.engine.site_parts import write_site_parts

        try:
            suite = read_card(folder / "suite.toml", Suite)
            plan = make_plan(suite, data_dir=data_dir, plugins=plugin or [])
            write_site_parts(plan, folder, texts=texts)
        except Exception as error:  # as the harness has it: a part must not lose the board
            echo(f"the run's own parts of the page stay as they are: {str(error) or repr(error)}")
    most = MOST_COMMITTED if parts_mb is None else round(parts_mb * 1_000_000)
    for path in write_board(folder, most=most):
        echo(str(path))
