"""``mtmbench validate``; what it does is in :mod:`mtmbench.validation.run`."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.asked import print_asked
from mtmbench.cli.console import ConsoleProgress, echo, resumable
from mtmbench.cli.options import BudgetOption, ConcurrencyOption, PluginOption
from mtmbench.core.errors import InputError


def validate(
    judges: Annotated[list[str], typer.Argument(help="Judge cards by name, or their .toml files.")],
    out: Annotated[
        Path, typer.Option("--out", help="The board's folder; other judges' rows stay on it.")
    ] = Path("runs") / "judges",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the human data; MTMBENCH_DATA by default.")
    ] = None,
    stored: Annotated[
        bool,
        typer.Option("--stored", help="Also score the language models that ProxAnn published."),
    ] = False,
    concurrency: ConcurrencyOption = 8,
    plugin: PluginOption = None,
    budget: BudgetOption = None,
) -> None:
    """Runs judges on human data and puts their agreement with people on the judges' board.

    Documents and rankings of ProxAnn, topic ratings and intrusion of Hoyle et al. (2021), from the
    data folder. A language model's answers are kept in OUT/answers at once: the same command again
    goes on where this one stopped.
    """
    from mtmbench.core.plugins import load_plugins
    from mtmbench.validation.run import validate as run_validation

    load_plugins(plugin or [])
    names = list(dict.fromkeys(judges))
    if budget is not None and len(names) > 1:
        raise InputError(
            f"--budget holds for the answers of one judge, and {len(names)} are named; validate "
            "them one by one"
        )
    print_asked(names)
    with resumable(), ConsoleProgress() as progress:
        for judge in names:
            report = run_validation(
                judge, out, data_dir=data_dir, stored=stored and judge == names[0],
                concurrency=concurrency, budget=budget,
                progress=progress.counted("questions", judge),
            )  # fmt: skip
    for path in report.files:
        echo(f"wrote {path}")
