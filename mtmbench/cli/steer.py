"""``mtmbench steer``; what it does is in :mod:`mtmbench.steering.suite`."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.asked import asked_by_steering, print_asked
from mtmbench.cli.console import ConsoleProgress, echo, resumable
from mtmbench.cli.options import (
    BudgetOption,
    DataOption,
    PluginOption,
    SuiteArgument,
    resolve_suite,
    set_option,
)


def steer(
    suite: SuiteArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="The played run's folder; runs/SUITE by default.")
    ] = None,
    overrides: Annotated[list[str] | None, set_option("the suite")] = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    budget: BudgetOption = None,
    gguf: Annotated[
        Path | None,
        typer.Option(
            "--gguf",
            help="Also write every topic's direction into this folder, as a control vector for "
            "llama.cpp, one λ of the table's unit long.",
        ),
    ] = None,
) -> None:
    """Steers text by the topics of a played suite, beside controls, and writes the table.

    The suite's file says how in its table [steering]. The same command again goes on where this
    one stopped.
    """
    from mtmbench.steering.suite import steer_suite

    resolved = resolve_suite(suite, overrides)
    folder = out or Path("runs") / resolved.name
    print_asked(asked_by_steering(resolved), plugin or [])
    with resumable(), ConsoleProgress() as progress:
        written = steer_suite(
            resolved, folder, data_dir=data_dir, plugins=plugin or [],
            progress=progress.counted("texts", resolved.name), budget=budget, vectors=gguf,
        )  # fmt: skip
    for path in written:
        echo(str(path))
