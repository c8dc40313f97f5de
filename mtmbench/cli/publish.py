"""``mtmbench publish``: a board's page and data for a web server, or a Hugging Face Space."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo
from mtmbench.cli.options import DataOption


def publish(
    run: Annotated[
        Path,
        typer.Argument(help="A folder with suite.toml and records.jsonl (or records.jsonl.gz)."),
    ],
    to: Annotated[
        str,
        typer.Option("--to", help="A folder (GitHub Pages), or hf:OWNER/NAME, a static Space."),
    ],
    records: Annotated[
        bool, typer.Option("--records", help="Publish the records too, without paths.")
    ] = False,
    data_dir: DataOption = None,
) -> None:
    """Publishes a board's page and tables, and nothing else of its run.

    No store, ledger, traceback or absolute path goes along, and no passage of a corpus whose
    licence does not say that its texts may be shown.
    """
    from mtmbench.core.card_reading import read_card
    from mtmbench.core.cards import Suite
    from mtmbench.core.errors import InputError
    from mtmbench.publishing.publication import clean, publication_files, publish_to_folder
    from mtmbench.publishing.space import SPACE, publish_to_space

    space = SPACE.fullmatch(to)
    if to.startswith("hf:") and space is None:
        raise InputError(f"--to {to!r:.80} names no Space; it is hf:OWNER/NAME")
    files = publication_files(run, records=records, data_dir=data_dir)
    if space is None:
        for path in publish_to_folder(files, Path(to)):
            echo(str(path))
    else:
        suite = read_card(run / "suite.toml", Suite)
        echo(publish_to_space(files, space[1], clean(suite.title or suite.name)))
