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
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A .py file or module that registers more; may be repeated."),
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


ExecutorOption = Annotated[
    ExecutorName, typer.Option(help="Processes of this machine, or actors on Ray's nodes.")
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


def resolve_suite(name: str, overrides: list[str] | None, models: str | None = None) -> Suite:
    """Returns the suite that a command line names.

    Args:
        name: its name, folder or file.
        overrides: what ``--set`` was given.
        models: what ``--models`` was given; played instead of the suite's own.

    Raises:
        UnknownNameError: there is no such suite.
        InputError: the file or an override is wrong.
    """
    from mtmbench.core.card_files import load_suite
    from mtmbench.core.card_reading import parse_overrides

    parsed = parse_overrides(overrides or [])
    if models is not None:
        parsed["models"] = split_names(models)
    return load_suite(name, parsed)


def resolve_executor(
    executor: ExecutorName, address: str | None, actor_cores: int | None, actor_gpus: float | None
) -> RayOptions | None:
    """Returns how Ray is to be used; None for processes of this machine.

    Raises:
        InputError: options of Ray's were given without it.
    """
    if executor is ExecutorName.ray:
        from mtmbench.engine.ray.pool import RayOptions

        return RayOptions(address, actor_cores or 1, actor_gpus or 0.0)
    if (address, actor_cores, actor_gpus) != (None, None, None):
        raise InputError("--address, --actor-cores and --actor-gpus go with --executor ray")
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
