"""``mtmbench study``: each study is one command, and the same command again goes on with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtmbench.cli.asked import asked_by_run, print_asked
from mtmbench.cli.console import (
    ConsoleProgress,
    echo,
    print_files,
    print_line,
    print_played,
    resumable,
)
from mtmbench.cli.options import (
    EXIT_ERRORS,
    BudgetOption,
    DataOption,
    PluginOption,
    parse_k,
    set_option,
    split_names,
)
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.studies.run import StudyOutcome

study_app = typer.Typer(
    help="Open questions about SAE features, played and told: a table, a plot, plain sentences.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CorporaArgument = Annotated[
    list[str] | None, typer.Argument(help="Names, files or folders; 20ng and bills by default.")
]
SourceOption = Annotated[str, typer.Option("--source", help="The feature source.")]
StudyModelsOption = Annotated[
    str, typer.Option("--models", help="Models over features, separated by commas.")
]
ReferenceOption = Annotated[
    str, typer.Option("--reference", help="A model over words beside them; none for no one.")
]
SeedsOption = Annotated[int, typer.Option("--seeds", help="Number of seeds.", min=1)]
KOption = Annotated[
    str, typer.Option("--k", help="Number of topics, or labels: as many as there are, at least 20.")
]
StudyOutOption = Annotated[
    Path | None, typer.Option("--out", help="The study's folder; runs/studies/NAME by default.")
]
StudySetOption = Annotated[list[str] | None, set_option("the suite behind it")]
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
        models: StudyModelsOption = "mlda,metm",
        reference: ReferenceOption = "lda",
        seeds: SeedsOption = 5,
        k: KOption = "labels",
        out: StudyOutOption = None,
        overrides: StudySetOption = None,
        data_dir: DataOption = None,
        plugin: PluginOption = None,
        workers: WorkersOption = None,
    ) -> None:
        _play(
            name, corpora or [], overrides, source=source, models=split_names(models),
            reference=None if reference in ("", "none") else reference, seeds=seeds, k=parse_k(k),
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
    overrides: StudySetOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    budget: BudgetOption = None,
) -> None:
    """Do the labels of a document's top features match it? Marked by a person or a judge."""
    from mtmbench.core.card_reading import parse_overrides
    from mtmbench.studies.features import run_feature_study

    print_asked([judge], plugin or [])
    outcome = run_feature_study(
        corpus, documents=documents, source=source, setting=setting, seed=seed, judge=judge,
        marks=marks, out=out, overrides=parse_overrides(overrides or []), data_dir=data_dir,
        plugins=plugin or [], budget=budget,
    )  # fmt: skip
    echo(outcome.study["finding"])
    for path in outcome.files:
        echo(f"  {path}")


@study_app.command()
def steering(
    corpora: Annotated[
        list[str] | None, typer.Argument(help="Names, files or folders; bills by default.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="A feature source of a causal language model.")
    ] = "tinylm",
    models: StudyModelsOption = "mlda,metm,mbertopic",
    topics: Annotated[int, typer.Option(help="Topics of each model, the largest.", min=1)] = 5,
    k: KOption = "labels",
    out: StudyOutOption = None,
    overrides: StudySetOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    workers: WorkersOption = None,
    budget: BudgetOption = None,
) -> None:
    """What does λ buy and cost, by each model's topics? mBERTopic with and without TF-IDF too."""
    from mtmbench.core.card_reading import parse_overrides
    from mtmbench.studies.steering import run_steering_study

    with resumable(), ConsoleProgress() as progress:
        outcome = run_steering_study(
            corpora or [], source=source, models=split_names(models), topics=topics, k=parse_k(k),
            out=out, overrides=parse_overrides(overrides or []), data_dir=data_dir,
            plugins=plugin or [], workers=workers, progress=progress,
            text_progress=progress.counted("texts", "steering"), budget=budget,
        )  # fmt: skip
    for finding in outcome.study["findings"]:
        echo(f"{finding['corpus']}, {finding['model']}: {finding['text']}")
    for path in outcome.files:
        echo(f"  {path}")


@study_app.command("k")
def number_of_topics(
    corpora: CorporaArgument = None,
    models: Annotated[
        str, typer.Option("--models", help="Any models, separated by commas.")
    ] = "lda,k_means",
    ks: Annotated[
        str, typer.Option("--ks", help="Numbers of topics, separated by commas.")
    ] = "5,10,20,50,100,200",
    seeds: SeedsOption = 5,
    judge: Annotated[
        str,
        typer.Option(help="The card before which a model's K play each other; none for no one."),
    ] = "embedding",
    out: StudyOutOption = None,
    overrides: StudySetOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    workers: WorkersOption = None,
    budget: BudgetOption = None,
) -> None:
    """How many topics? Models over K by every measure, with intervals, and topics matched."""
    from mtmbench.core.card_reading import parse_overrides
    from mtmbench.studies.k import CORPORA, run_k_study
    from mtmbench.studies.k_design import k_suite
    from mtmbench.studies.k_pages import k_study_page

    card = None if judge in ("", "none") else judge
    names, numbers = split_names(models), [_whole(k) for k in split_names(ks)]
    changes = parse_overrides(overrides or [])
    suite = k_suite(corpora or CORPORA, names, numbers, seeds, card, changes)
    print_asked(asked_by_run(suite), plugin or [])
    with resumable(), ConsoleProgress() as progress:
        outcome = run_k_study(
            corpora or [], models=names, ks=numbers, seeds=seeds, judge=card, out=out,
            overrides=changes, data_dir=data_dir, plugins=plugin or [], workers=workers,
            progress=progress, budget=budget,
        )  # fmt: skip
    for section in k_study_page(outcome.study).sections:
        print_line(section.title, style="bold", highlight=False)
        for who, sentence in section.findings:
            print_line(f"- {who}: {sentence}", highlight=False)
    print_played(outcome.run)
    print_files("The study's files:", outcome.files)
    if outcome.run.errors:
        raise typer.Exit(EXIT_ERRORS)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--ks takes numbers of topics from 1 up, not {text!r}")
    return int(text)


def _play(name: str, corpora: list[str], overrides: list[str] | None, **options: Any) -> None:
    from mtmbench.core.card_reading import parse_overrides
    from mtmbench.studies.run import run_study

    with resumable(), ConsoleProgress() as progress:
        outcome = run_study(
            name, corpora, overrides=parse_overrides(overrides or []), progress=progress, **options
        )
    print_study(outcome)
    if outcome.run.errors:
        raise typer.Exit(EXIT_ERRORS)


def print_study(outcome: "StudyOutcome") -> None:
    """Prints what was found, what failed and where the files lie."""
    from mtmbench.studies.pages import study_page

    for section in study_page(outcome.study).sections:
        print_line(section.title, style="bold", highlight=False)
        for who, sentence in (*section.findings, *section.others):
            print_line(f"- {who}: {sentence}", highlight=False)
    for note in outcome.study["notes"]:
        print_line(note, style="dim", highlight=False)
    print_played(outcome.run)
    print_files("The study's files:", outcome.files)
