"""What several commands take: arguments and options, the suite they name, how they end."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.core.cards import Suite
    from mtmbench.core.specs import KSpec
    from mtmbench.engine.ray.pool import RayOptions
    from mtmbench.engine.slurm.pool import SlurmOptions

EXIT_ERRORS = 1
EXIT_USAGE = 2
EXIT_STORE_IN_USE = 4
EXIT_INTERRUPTED = 130

INTERRUPTED = "interrupted; the same command again goes on from here"


def set_option(whose: str) -> object:
    """Returns the option ``--set``, which overrides keys of what ``whose`` names."""
    return typer.Option("--set", metavar="KEY=VALUE", help=f"Override a key of {whose} (dotted).")


SuiteArgument = Annotated[str, typer.Argument(help="A suite's name, its folder, or a .toml file.")]
SetOption = Annotated[list[str] | None, set_option("the suite file")]
ModelsOption = Annotated[
    str | None, typer.Option("--models", help="Play these instead, separated by commas.")
]
MetricsOption = Annotated[
    str | None, typer.Option("--metrics", help="Compute these instead, separated by commas.")
]
JudgesOption = Annotated[
    str | None,
    typer.Option("--judges", help="Judge matches by these cards instead, separated by commas."),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=1,
        help="Take a seeded sample of N documents of each corpus; the suite's name and title say "
        "so.",
    ),
]
ModelChoice = Annotated[str | None, typer.Option(help="Of a run: the model.")]
CorpusChoice = Annotated[str | None, typer.Option(help="Of a run: the corpus.")]
KChoice = Annotated[str | None, typer.Option("--k", help="Of a run: K, a number or 'labels'.")]
SeedChoice = Annotated[int | None, typer.Option(help="Of a run: the seed of the fit.")]
SettingChoice = Annotated[str | None, typer.Option(help="Of a run: the setting of features.")]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of local corpora; MTMBENCH_DATA by default."),
]
TextOption = Annotated[
    str | None, typer.Option("--text", help="The corpus's column of texts; text by default.")
]
LabelOption = Annotated[
    str | None, typer.Option("--label", help="The corpus's column of labels; label by default.")
]
IdOption = Annotated[
    str | None, typer.Option("--id", help="The corpus's column of ids; id by default, else rows.")
]
LanguageOption = Annotated[
    str | None, typer.Option(help="The corpus's language, by name or ISO code; English by default.")
]
StopWordsOption = Annotated[
    str | None,
    typer.Option(help="A file of the corpus's stop words; by default those of its language."),
]
TokeniserOption = Annotated[
    str | None,
    typer.Option(help="What cuts the corpus into words: unicode (default), whitespace or jieba."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A .py file or module that registers more; may be repeated."),
]
LogOption = Annotated[
    list[str] | None,
    typer.Option(
        "--log", help="Tell a logger of the run: wandb, mlflow, trackio, …; may be repeated."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run's folder; runs/SUITE by default.")
]
ConcurrencyOption = Annotated[int, typer.Option(help="Questions under way at one time.")]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        help="What the answers of language models that this command keeps may cost altogether, "
        "those of earlier runs too; it stops before exceeding it."
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


class ExecutorName(StrEnum):
    """Where a suite is played."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


ExecutorOption = Annotated[
    ExecutorName,
    typer.Option(help="Processes of this machine, actors on Ray's nodes, or Slurm jobs."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="Ray: HOST:PORT of the cluster; RAY_ADDRESS, else this machine's."),
]
ActorCoresOption = Annotated[
    int | None, typer.Option(help="Ray: cores that an actor reserves; 1 by default.", min=1)
]
ActorGpusOption = Annotated[
    float | None,
    typer.Option(help="Ray: GPUs that an actor reserves, or a share of one.", min=0),
]


SlurmOption = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm",
        metavar="KEY=VALUE",
        help="Slurm: a parameter of submitit, as partition=gpu, timeout_min=600, mem_gb=16; "
        "cluster=local plays jobs as processes of this machine.",
    ),
]


def resolve_suite(
    name: str,
    overrides: list[str] | None,
    models: str | None = None,
    *,
    metrics: str | None = None,
    judges: str | None = None,
    limit: int | None = None,
) -> Suite:
    """Returns the suite that a command line names.

    Args:
        name: its name, folder or file.
        overrides: what ``--set`` was given.
        models: what ``--models`` was given; played instead of the suite's own.
        metrics: what ``--metrics`` was given, likewise.
        judges: what ``--judges`` was given: they rule on matches instead of the suite's own.
        limit: what ``--limit`` was given; see :meth:`~mtmbench.core.cards.Suite.limited`.

    Raises:
        UnknownNameError: there is no such suite.
        InputError: the file or an override is wrong.
    """
    from mtmbench.core.card_files import load_suite
    from mtmbench.core.card_reading import parse_overrides

    parsed = parse_overrides(overrides or [])
    instead = {"models": models, "metrics": metrics, "judging.judges": judges}
    parsed |= {key: split_names(given) for key, given in instead.items() if given is not None}
    suite = load_suite(name, parsed)
    return suite if limit is None else suite.limited(limit)


def resolve_executor(
    executor: ExecutorName,
    address: str | None = None,
    actor_cores: int | None = None,
    actor_gpus: float | None = None,
    slurm: list[str] | None = None,
) -> RayOptions | SlurmOptions | None:
    """Returns how Ray or Slurm is to be used; None for processes of this machine.

    Raises:
        InputError: options of one were given without it, or are wrong.
    """
    if executor is not ExecutorName.ray and (address, actor_cores, actor_gpus) != (None,) * 3:
        raise InputError("--address, --actor-cores and --actor-gpus go with --executor ray")
    if executor is not ExecutorName.slurm and slurm:
        raise InputError("--slurm goes with --executor slurm")
    if executor is ExecutorName.ray:
        from mtmbench.engine.ray.pool import RayOptions

        return RayOptions(address, actor_cores or 1, actor_gpus or 0.0)
    if executor is ExecutorName.slurm:
        from mtmbench.core.card_reading import parse_overrides
        from mtmbench.engine.slurm.pool import SlurmOptions

        parameters = parse_overrides(slurm or [], "--slurm")
        return SlurmOptions(parameters, str(parameters.pop("cluster", "slurm")))
    return None


def split_names(text: str) -> list[str]:
    """Returns the names of a list that is separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_k(text: str) -> KSpec:
    """Returns what ``--k`` was given.

    Raises:
        InputError: it is neither a number of topics nor "labels".
    """
    if text == "labels":
        return "labels"
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--k takes a number of topics from 1 up, or labels, not {text!r}")
    return int(text)
