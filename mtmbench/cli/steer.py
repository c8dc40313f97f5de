"""The command ``mtmbench steer``; what it does is in :mod:`mtmbench.steering.suite`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtmbench.core.types import Progress as TextProgress
    from mtmbench.run.harness import Progress

EXIT_INTERRUPTED = 130


def steer(
    suite: Annotated[str, typer.Argument(help="A suite's name, its folder, or a .toml file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The played run's folder; runs/SUITE by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the suite (dotted)."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Folder of local corpora; MTMBENCH_DATA by default."),
    ] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A .py file or module that registers more; may be repeated."),
    ] = None,
) -> None:
    """Steers text by the topics of a played suite, beside controls, and writes the table.

    The suite's file says how in its table [steering]. The same command again goes on where this
    one stopped.
    """
    from mtmbench.cli.reports import ConsoleProgress
    from mtmbench.core.card_files import load_suite
    from mtmbench.core.cards import parse_overrides
    from mtmbench.steering.suite import steer_suite

    resolved = load_suite(suite, parse_overrides(overrides or []))
    folder = out or Path("runs") / resolved.name
    try:
        with ConsoleProgress() as progress:
            written = steer_suite(
                resolved, folder, data_dir=data_dir, plugins=plugin or [],
                progress=told_to(progress, resolved.name),
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command again goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for path in written:
        typer.echo(str(path))


def told_to(progress: Progress, name: str) -> TextProgress:
    """Returns what counts texts as a phase of a progress bar."""
    done = of = 0

    def tell(now: int, total: int) -> None:
        nonlocal done, of
        if total != of or now < done:
            progress.phase("texts", total)
            done, of = 0, total
        progress.advance(now - done, name)
        done = now

    return tell
