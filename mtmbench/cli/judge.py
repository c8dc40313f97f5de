"""``mtmbench judge``: one more judge for a run that is finished."""

from typing import Annotated

import typer

from mtmbench.cli.options import BatchOption, BudgetOption, DataOption, OutOption, PluginOption
from mtmbench.cli.run import play_suite


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
    from mtmbench.engine.add_judge import with_judge

    folder, resolved = with_judge(suite, judge, out)
    play_suite(
        resolved, folder, data_dir=data_dir, plugins=plugin or [], workers=workers, budget=budget,
        batch=batch, fitted=True,
    )  # fmt: skip
