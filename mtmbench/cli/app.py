"""The ``mtmbench`` command. Every heavy import waits until the command that needs it runs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtmbench.cli.label import label
from mtmbench.cli.serve import serve
from mtmbench.cli.steer import steer
from mtmbench.cli.study import study_app
from mtmbench.cli.topics import topics
from mtmbench.cli.validate import validate
from mtmbench.core.errors import MtmbenchError, StoreInUseError

if TYPE_CHECKING:
    from mtmbench.run.ray.pool import RayOptions

EXIT_ERRORS = 1
EXIT_USAGE = 2
EXIT_STORE_IN_USE = 4
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="The evaluation-first benchmark harness for topic models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(study_app, name="study")

SuiteArgument = Annotated[str, typer.Argument(help="A suite's name, its folder, or a .toml file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the suite file (dotted)."),
]
ModelsOption = Annotated[
    str | None, typer.Option("--models", help="Play these instead, separated by commas.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of local corpora; MTMBENCH_DATA by default."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A .py file or module that registers more; may be repeated."),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        help="What language models' answers in this folder may cost altogether, earlier ones too; "
        "the run stops before exceeding it."
    ),
]
BatchOption = Annotated[
    bool,
    typer.Option(
        "--batch",
        help="Hand the questions of matches to the Batch API; the same command again collects "
        "them. Summaries, refinement and judged metrics are asked at once.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run's folder; runs/SUITE by default.")
]


class Listed(StrEnum):
    """What ``mtmbench list`` can list."""

    models = "models"
    judges = "judges"
    metrics = "metrics"
    corpora = "corpora"
    features = "features"
    suites = "suites"


class ExecutorName(StrEnum):
    """Where ``mtmbench run`` plays."""

    local = "local"
    ray = "ray"


class Ties(StrEnum):
    """How ``mtmbench rate`` rates ties."""

    half = "half"
    davidson = "davidson"


@app.command("list")
def list_names(what: Annotated[Listed, typer.Argument(help="What to list.")]) -> None:
    """Lists what is registered or installed, with where it comes from."""
    from mtmbench.cli.reports import list_table

    list_table(what.value)


@app.command()
def plan(
    suite: SuiteArgument,
    overrides: SetOption = None,
    models: ModelsOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    power: Annotated[
        bool, typer.Option("--power", help="Also say how small an Elo difference would be found.")
    ] = False,
    tie_rate: Annotated[
        float, typer.Option(help="With --power: share of ties to expect; none is the worst case.")
    ] = 0.0,
) -> None:
    """Says what a suite would play: cells, matches, judge calls, tokens, cost. Plays nothing."""
    from mtmbench.cli.reports import print_plan
    from mtmbench.cli.schedule_report import print_adaptive, print_power
    from mtmbench.run.plan import make_plan

    plugins = plugin or []
    made = make_plan(_suite(suite, overrides, models), data_dir=data_dir, plugins=plugins)
    print_plan(made)
    print_adaptive(made)
    if power:
        print_power(made, tie_rate)


@app.command()
def run(
    suite: SuiteArgument,
    out: OutOption = None,
    overrides: SetOption = None,
    models: ModelsOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, by default every usable core; on Ray: actors.", min=0),
    ] = None,
    executor: Annotated[
        ExecutorName, typer.Option(help="Processes of this machine, or actors on Ray's nodes.")
    ] = ExecutorName.local,
    address: Annotated[
        str | None,
        typer.Option(help="Ray: HOST:PORT of the cluster; RAY_ADDRESS, else this machine's."),
    ] = None,
    actor_cores: Annotated[
        int | None, typer.Option(help="Ray: cores that an actor reserves; 1 by default.", min=1)
    ] = None,
    actor_gpus: Annotated[
        float | None,
        typer.Option(help="Ray: GPUs that an actor reserves, or a share of one.", min=0),
    ] = None,
    budget: BudgetOption = None,
    batch: BatchOption = False,
) -> None:
    """Plays a suite, or what is left of it, and writes its board.

    With --executor ray, every node must have this mtmbench installed and see --out, the feature
    cache (MTMBENCH_CACHE), the corpora and the plugins under the same paths: a file system that
    all nodes share. The keys of judges are read from each node's own environment.

    What language models answer is kept in OUT/answers.sqlite before it is used: no answer is paid
    for twice.

    Exit status: 0; 1 if cells failed; 4 if another run holds the folder; 130 if interrupted. The
    same command again goes on where this one stopped.
    """
    resolved = _suite(suite, overrides, models)
    _play(
        resolved, out or Path("runs") / resolved.name, data_dir=data_dir, plugins=plugin or [],
        workers=workers, executor=_cluster(executor, address, actor_cores, actor_gpus),
        budget=budget, batch=batch,
    )  # fmt: skip


@app.command()
def judge(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the folder of its run.")],
    judge: Annotated[str, typer.Option("--judge", help="The judge card that rules.")],
    out: OutOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes, by default every usable core.", min=0)
    ] = None,
    budget: BudgetOption = None,
    batch: BatchOption = False,
) -> None:
    """Has one more judge rule on a run that is finished; plays its missing matches alone.

    The run's suite.toml then names the judge too, so that `mtmbench run` would play the same.
    """
    from mtmbench.run.add_judge import with_judge

    folder, resolved = with_judge(suite, judge, out)
    _play(
        resolved, folder, data_dir=data_dir, plugins=plugin or [], workers=workers, budget=budget,
        batch=batch, fitted=True,
    )  # fmt: skip


@app.command()
def board(
    folder: Annotated[Path, typer.Argument(help="A folder with suite.toml and records.jsonl.")],
) -> None:
    """Rebuilds a board's files from its records, byte for byte."""
    from mtmbench.boards.write import write_board

    for path in write_board(folder):
        typer.echo(str(path))


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="The board to hold to: a board.json or its folder.")],
    new: Annotated[Path, typer.Argument(help="The board in question.")],
    tolerances: Annotated[
        Path | None, typer.Option(help="TOML of tolerances per metric; built-in by default.")
    ] = None,
) -> None:
    """Compares two boards. Exit status: 0; 1 on a regression; 3 if they are not comparable."""
    from mtmbench.boards.compare import compare_files

    comparison = compare_files(old, new, tolerances)
    typer.echo(comparison.table())
    raise typer.Exit(comparison.exit_code)


@app.command()
def rate(
    file: Annotated[Path, typer.Argument(help="CSV with columns a, b, outcome (a, b or tie).")],
    json: Annotated[Path | None, typer.Option("--json", help="Write the ratings here too.")] = None,
    ties: Annotated[
        Ties, typer.Option(help="Ties as half a win each, or by Davidson's model.")
    ] = Ties.half,
) -> None:
    """Rates any pairwise file by Bradley-Terry, with intervals; `cluster` groups its rows."""
    from mtmbench.cli.reports import print_ratings
    from mtmbench.core.serialise import write_atomically
    from mtmbench.stats.pairwise_file import rate_file, rating_json

    table = rate_file(file, ties=ties.value)
    print_ratings(table)
    if json is not None:
        write_atomically(json, rating_json(table))


@app.command()
def score(
    topics: Annotated[
        Path, typer.Argument(help="JSON list of word lists, or a saved topic result.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", help="A corpus's name, file or folder.")],
    theta: Annotated[
        Path | None, typer.Option(help="npz of theta (documents x topics), for word lists.")
    ] = None,
    data_dir: DataOption = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the scores here too.")] = None,
) -> None:
    """Computes every metric for topics made elsewhere; needs no model."""
    from mtmbench.cli.reports import print_scores
    from mtmbench.corpora.load import load_corpus
    from mtmbench.metrics.score import score_file

    frame = score_file(topics, load_corpus(corpus, data_dir=data_dir), theta)
    print_scores(frame)
    if json is not None:
        from mtmbench.core.serialise import canonical_json, write_atomically

        rows = [
            {name: None if value != value else value for name, value in row.items()}
            for row in frame.to_dict(orient="records")
        ]
        write_atomically(json, canonical_json({"schema": 1, "scores": rows}) + "\n")


@app.command("import")
def import_topics(
    source: Annotated[
        Path, typer.Argument(help="npz, csv folder, BERTopic, gensim or OCTIS output.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", help="The corpus it was fitted on.")],
    name: Annotated[str, typer.Option("--name", help="The name under which it plays.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the result and its card.")] = None,
    source_format: Annotated[
        str, typer.Option("--format", help="auto, npz, csv, bertopic, gensim or octis.")
    ] = "auto",
    items: Annotated[
        Path | None, typer.Option("--items", help="File of item names, where SOURCE has none.")
    ] = None,
    doc_ids: Annotated[
        Path | None, typer.Option("--doc-ids", help="File of document ids, in θ's order.")
    ] = None,
    data_dir: DataOption = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Accept weights that do not sum to one.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow formats that unpickle; only for files of yours.")
    ] = False,
) -> None:
    """Checks topics fitted elsewhere against a corpus and makes a model card that plays them."""
    import tomli_w

    from mtmbench.core.serialise import write_atomically
    from mtmbench.corpora.load import load_corpus
    from mtmbench.models.importers import import_result

    loaded = load_corpus(corpus, data_dir=data_dir)
    result = import_result(
        source, corpus=loaded, name=name, format=source_format, items=items, doc_ids=doc_ids,
        normalise=normalise, trust=trust,
    )  # fmt: skip
    folder = out or Path("imported")
    result_file = (folder / f"{name}.safetensors").resolve()
    result.save(result_file)
    card = {
        "model": "external",
        "description": f"imported from {source.name}",
        "corpus": {loaded.name: {"path": str(result_file), "revision": result.revision}},
    }
    card_file = folder / f"{name}.toml"
    write_atomically(card_file, tomli_w.dumps(card))
    typer.echo(f"{result.n_topics} topics over {len(loaded)} documents: {result_file}")
    typer.echo(f"play it: mtmbench run SUITE --models lda,{card_file}")


@app.command()
def features(
    backbone: Annotated[str, typer.Option(help="A model of the hub, or a folder in its format.")],
    reference: Annotated[str, typer.Option(help="The text to read: a corpus, file or folder.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to build.")],
    sae: Annotated[
        str, typer.Option(help="A folder in sae-lens's format, or an id of the release.")
    ],
    release: Annotated[str | None, typer.Option(help="A release that sae-lens knows.")] = None,
    tokens: Annotated[int, typer.Option(help="Tokens of the reference to read.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Of the documents drawn.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="A torch device, such as cpu or cuda.")] = "cpu",
    data_dir: DataOption = None,
) -> None:
    """Reads a reference text for an SAE: thresholds, densities, contexts, labels, in one folder.

    Killed, the same command goes on. Suites use the folder by source = "sae".
    """
    from mtmbench.cli.reports import ConsoleProgress
    from mtmbench.corpora.load import load_corpus
    from mtmbench.features.sae.hub import ModelFeatures, SAEEntry
    from mtmbench.features.sae.reference import build_folder

    given: SAEEntry = {"folder": sae} if release is None else {"release": release, "id": sae}
    source = ModelFeatures(backbone, {out.name: given}, dtype=dtype, device=device)
    corpus = load_corpus(reference, data_dir=data_dir)
    with ConsoleProgress() as progress:
        done = 0

        def tell(now: int, total: int) -> None:
            nonlocal done
            if not done:
                progress.phase("activations", total)
            progress.advance(now - done, corpus.name)
            done = now

        built = build_folder(source, corpus, out, n_tokens=tokens, seed=seed, progress=tell)
    alive = int((built.density > 0).sum()) if built.density is not None else 0
    typer.echo(f"{alive} of {built.sae.n_features} features fire; built {out}")


app.command()(label)
app.command()(topics)
app.command()(steer)
app.command()(validate)
app.command()(serve)


@app.command()
def doctor(
    data_dir: DataOption = None,
    backbone: Annotated[
        str | None, typer.Option(help="Say instead what reading this model would fetch.")
    ] = None,
) -> None:
    """Says what is installed and usable here: features, judges, corpora; or why not."""
    from mtmbench.cli.doctor import print_backbone_doctor, print_doctor

    if backbone is not None:
        print_backbone_doctor(backbone)
    else:
        print_doctor(data_dir)


def main() -> None:
    """Runs the command line; errors a user can mend are printed bare, without a traceback."""
    try:
        app()
    except StoreInUseError as error:
        typer.echo(f"mtmbench: {error}", err=True)
        sys.exit(EXIT_STORE_IN_USE)
    except MtmbenchError as error:
        typer.echo(f"mtmbench: {error}", err=True)
        sys.exit(EXIT_USAGE)


def _play(suite: Any, folder: Path, **options: Any) -> None:
    from mtmbench.cli.reports import ConsoleProgress, print_outcome
    from mtmbench.run.harness import run_suite

    if options["batch"]:
        from mtmbench.run.estimate import batch_notice
        from mtmbench.run.plan import make_plan

        made = make_plan(suite, data_dir=options["data_dir"], plugins=options["plugins"])
        typer.echo(batch_notice(made))
        options["plan"] = made
    try:
        with ConsoleProgress() as progress:
            outcome = run_suite(suite, folder, progress=progress, **options)
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command again goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_outcome(outcome)
    if outcome.errors:
        raise typer.Exit(EXIT_ERRORS)


def _cluster(
    executor: ExecutorName, address: str | None, actor_cores: int | None, actor_gpus: float | None
) -> RayOptions | None:
    from mtmbench.core.errors import InputError
    from mtmbench.run.ray.pool import RayOptions

    if executor is ExecutorName.ray:
        return RayOptions(address, actor_cores or 1, actor_gpus or 0.0)
    if (address, actor_cores, actor_gpus) != (None, None, None):
        raise InputError("--address, --actor-cores and --actor-gpus go with --executor ray")
    return None


def _suite(name: str, overrides: list[str] | None, models: str | None) -> Any:
    from mtmbench.core.card_files import load_suite
    from mtmbench.core.cards import parse_overrides

    parsed = parse_overrides(overrides or [])
    if models is not None:
        parsed["models"] = [model.strip() for model in models.split(",") if model.strip()]
    return load_suite(name, parsed)
