"""The command ``mtmbench label``; what it does is in :mod:`mtmbench.labelling.label_folder`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_INTERRUPTED = 130


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
    concurrency: Annotated[int, typer.Option(help="Questions under way at one time.")] = 8,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A .py file or module that registers more; may be repeated."),
    ] = None,
) -> None:
    """Labels an SAE's features by a judge or from Neuronpedia, and has the labels scored.

    Every answer is kept in answers.sqlite at once: the same command again goes on where this one
    stopped, and asks nothing twice.
    """
    from mtmbench.cli.reports import ConsoleProgress
    from mtmbench.core.plugins import load_plugins
    from mtmbench.labelling.label_folder import label_folder

    load_plugins(plugin or [])
    folder = out or Path("runs") / "labels" / sae_folder.resolve().name
    begun = False

    def tell(_: int, total: int) -> None:
        nonlocal begun
        if not begun:
            progress.phase("labels", total)
        begun = True
        progress.advance(1, sae_folder.name)

    try:
        with ConsoleProgress() as progress:
            report = label_folder(
                sae_folder, folder, judge=judge, neuronpedia=neuronpedia, own=own, score=score,
                classes=classes, n_features=n_features, explainer=explainer, partial=partial,
                concurrency=concurrency, progress=tell,
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command again goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for line in (*report.lines, *(f"wrote {path}" for path in report.files)):
        typer.echo(line)
    if folder.resolve() != sae_folder.resolve():
        typer.echo(f"to use them, copy these files into {sae_folder}")
