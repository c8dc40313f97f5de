"""``mtmbench label``; what it does is in :mod:`mtmbench.labelling.label_folder`."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.asked import print_asked
from mtmbench.cli.console import ConsoleProgress, echo, resumable
from mtmbench.cli.options import BudgetOption, ConcurrencyOption, PluginOption


def label(
    sae_folder: Annotated[Path, typer.Argument(help="An SAE's folder, as `features` builds it.")],
    judge: Annotated[
        str | None, typer.Option(help="A judge card: it writes the labels, and scores them.")
    ] = None,
    neuronpedia: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|MODEL/SAE",
            help="Labels from an export of Neuronpedia: a file, a folder of them, or fetched.",
        ),
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Keep the folder's labels; the judge only scores them.")
    ] = False,
    score: Annotated[
        bool, typer.Option(help="Have the judge predict firings from the labels.")
    ] = True,
    classes: Annotated[
        bool, typer.Option(help="Have the judge sort the labels for the label-class filter.")
    ] = False,
    n_features: Annotated[
        int | None, typer.Option("--features", help="Ask about so many features, drawn at random.")
    ] = None,
    explainer: Annotated[
        str | None, typer.Option(help="Take this model's explanations of Neuronpedia's only.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Accept an export that leaves most features out.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write; runs/labels/NAME by default. SAE_FOLDER itself: its labels "
            "are replaced."
        ),
    ] = None,
    concurrency: ConcurrencyOption = 8,
    plugin: PluginOption = None,
    budget: BudgetOption = None,
) -> None:
    """Labels an SAE's features by a judge or from Neuronpedia, and has the labels scored.

    Every answer is kept in answers.sqlite at once: the same command again goes on where this one
    stopped, and asks nothing twice.
    """
    from mtmbench.core.plugins import load_plugins
    from mtmbench.labelling.label_folder import label_folder

    load_plugins(plugin or [])
    print_asked([judge])
    folder = out or Path("runs") / "labels" / sae_folder.resolve().name
    with resumable(), ConsoleProgress() as progress:
        report = label_folder(
            sae_folder, folder, judge=judge, neuronpedia=neuronpedia, own=own, score=score,
            classes=classes, n_features=n_features, explainer=explainer, partial=partial,
            concurrency=concurrency, budget=budget,
            progress=progress.counted("labels", sae_folder.name),
        )  # fmt: skip
    for line in (*report.lines, *(f"wrote {path}" for path in report.files)):
        echo(line)
    if folder.resolve() != sae_folder.resolve():
        echo(f"to use them, copy these files into {sae_folder}")
