"""``mtmbench study``: each study is one command, and the same command again goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtmbench.core.errors import InputError

EXIT_ERRORS = 1
EXIT_INTERRUPTED = 130

study_app = typer.Typer(
    help="Open questions about SAE features, played and told: a table, a plot, plain sentences.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CorporaArgument = Annotated[
    list[str] | None, typer.Argument(help="Names, files or folders; 20ng and bills by default.")
]
SourceOption = Annotated[str, typer.Option("--source", help="The feature source.")]
ModelsOption = Annotated[
    str, typer.Option("--models", help="Models over features, separated by commas.")
]
ReferenceOption = Annotated[
    str, typer.Option("--reference", help="A model over words beside them; none for no one.")
]
SeedsOption = Annotated[int, typer.Option("--seeds", help="Number of seeds.", min=1)]
KOption = Annotated[
    str, typer.Option("--k", help="Number of topics, or labels: as many as there are, at least 20.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The study's folder; runs/studies/NAME by default.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of the suite behind it (dotted)."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of local corpora; MTMBENCH_DATA by default."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A .py file or module that registers more; may be repeated."),
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes; every usable core by default.", min=0)
]


_QUESTIONS = {
    "threshold": "At which quantile of its activations should a feature's firing begin to count?",
    "layer": "From which layer should features come? Needs SAEs of one width at several layers.",
    "filters": "What does each feature filter do, turned on or off by itself?",
    "width": "How many features should the SAE have? Needs SAEs of several widths at one layer.",
}


def _add(name: str) -> None:
    @study_app.command(name, help=_QUESTIONS[name])
    def play(
        corpora: CorporaArgument = None,
        source: SourceOption = "minilm",
        models: ModelsOption = "mlda,metm",
        reference: ReferenceOption = "lda",
        seeds: SeedsOption = 5,
        k: KOption = "labels",
        out: OutOption = None,
        overrides: SetOption = None,
        data_dir: DataOption = None,
        plugin: PluginOption = None,
        workers: WorkersOption = None,
    ) -> None:
        _play(
            name, corpora or [], overrides, source=source, models=_names(models),
            reference=None if reference in ("", "none") else reference, seeds=seeds, k=_k(k),
            out=out, data_dir=data_dir,
            plugins=plugin or [], workers=workers,
        )  # fmt: skip


for _name in _QUESTIONS:
    _add(_name)


@study_app.command()
def features(
    corpus: Annotated[str, typer.Argument(help="A corpus's name, file or folder.")],
    documents: Annotated[int, typer.Option(help="Documents that are sampled.", min=1)] = 50,
    source: SourceOption = "minilm",
    setting: Annotated[str, typer.Option(help="A setting of the feature source.")] = "default",
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the bootstrap.")] = 0,
    judge: Annotated[
        str | None, typer.Option("--judge", help="A judge card that says which labels match.")
    ] = None,
    marks: Annotated[
        Path | None, typer.Option("--marks", help="features.csv with its column matches filled in.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The study's folder; runs/studies/features-CORPUS by default."),
    ] = None,
    overrides: SetOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
) -> None:
    """Do the labels of a document's top features match it? Marked by a person or a judge."""
    from mtmbench.core.cards import parse_overrides
    from mtmbench.studies.features import run_feature_study

    outcome = run_feature_study(
        corpus, documents=documents, source=source, setting=setting, seed=seed, judge=judge,
        marks=marks, out=out, overrides=parse_overrides(overrides or []), data_dir=data_dir,
        plugins=plugin or [],
    )  # fmt: skip
    typer.echo(outcome.study["finding"])
    for path in outcome.files:
        typer.echo(f"  {path}")


@study_app.command()
def steering(
    corpora: Annotated[
        list[str] | None, typer.Argument(help="Names, files or folders; bills by default.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="A feature source of a causal language model.")
    ] = "tinylm",
    models: ModelsOption = "mlda,metm,mbertopic",
    topics: Annotated[int, typer.Option(help="Topics of each model, the largest.", min=1)] = 5,
    k: KOption = "labels",
    out: OutOption = None,
    overrides: SetOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    workers: WorkersOption = None,
) -> None:
    """What does λ buy and cost, by each model's topics? mBERTopic with and without TF-IDF too."""
    from mtmbench.cli.reports import ConsoleProgress
    from mtmbench.cli.steer import told_to
    from mtmbench.core.cards import parse_overrides
    from mtmbench.studies.steering import run_steering_study

    try:
        with ConsoleProgress() as progress:
            outcome = run_steering_study(
                corpora or [], source=source, models=_names(models), topics=topics, k=_k(k),
                out=out, overrides=parse_overrides(overrides or []), data_dir=data_dir,
                plugins=plugin or [], workers=workers, progress=progress,
                text_progress=told_to(progress, "steering"),
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command again goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for finding in outcome.study["findings"]:
        typer.echo(f"{finding['corpus']}, {finding['model']}: {finding['text']}")
    for path in outcome.files:
        typer.echo(f"  {path}")


def _play(name: str, corpora: list[str], overrides: list[str] | None, **options: Any) -> None:
    from mtmbench.cli.reports import ConsoleProgress
    from mtmbench.cli.study_report import print_study
    from mtmbench.core.cards import parse_overrides
    from mtmbench.studies.run import run_study

    try:
        with ConsoleProgress() as progress:
            outcome = run_study(
                name, corpora, overrides=parse_overrides(overrides or []), progress=progress,
                **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command again goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_study(outcome)
    if outcome.run.errors:
        raise typer.Exit(EXIT_ERRORS)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _k(text: str) -> Any:
    if text == "labels":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--k takes a number of topics from 1 up, or labels, not {text!r}")
    return int(text)
