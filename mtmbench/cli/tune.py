"""``mtmbench tune``: searches the parameters of a model, and says what of the gain is luck."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.boards.numbers import signed, within
from mtmbench.cli.asked import asked_by_run, print_asked
from mtmbench.cli.console import ConsoleProgress, print_files, print_line, print_table, resumable
from mtmbench.cli.options import BudgetOption, DataOption, PluginOption, parse_k, set_option

if TYPE_CHECKING:
    from mtmbench.tuning.suite import SuiteTuning


def tune(
    model: Annotated[str, typer.Argument(help="A model, or a card whose [search] is searched.")],
    corpus: Annotated[str, typer.Option("--corpus", help="A corpus's name, file or folder.")],
    metric: Annotated[str, typer.Option("--metric", help="What is made better.")] = "npmi",
    k: Annotated[
        str, typer.Option("--k", help="Number of topics, or labels: as many as there are.")
    ] = "20",
    trials: Annotated[int, typer.Option(help="Settings that are tried.", min=1)] = 20,
    seeds: Annotated[int, typer.Option(help="Seeds of a trial.", min=1)] = 3,
    seed: Annotated[
        int, typer.Option(help="First of the seeds, and the seed of what is drawn.", min=0)
    ] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Tune on a sample of so many documents.", min=2)
    ] = None,
    share: Annotated[
        float, typer.Option(help="Share of the documents on which is tuned; no board scores them.")
    ] = 0.5,
    workers: Annotated[
        int,
        typer.Option(
            help="Trials that are tried at once, a process each; each more makes the search a "
            "little less informed, and so another one.",
            min=0,
        ),
    ] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; runs/tuning/MODEL-CORPUS by default.")
    ] = None,
    overrides: Annotated[list[str] | None, set_option("the suite behind it")] = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    budget: BudgetOption = None,
) -> None:
    """Searches a model's parameters on a part of a corpus that no board scores.

    Writes a tuned card and every trial, and says how much better it is than the defaults under
    fresh seeds, and what of the gain was luck. The same command again goes on where it stopped;
    with more --trials it goes on from there.
    """
    from mtmbench.core.card_reading import parse_overrides
    from mtmbench.tuning.suite import suite_of_one, tune_suite

    suite = suite_of_one(
        model, corpus, k=parse_k(k), limit=limit, overrides=parse_overrides(overrides or []),
        tuning={
            "metric": metric, "trials": trials, "seeds": seeds, "seed": seed, "share": share,
            "at_once": max(1, workers),
        },
    )  # fmt: skip
    print_asked(asked_by_run(suite), plugin or [])
    folder = out or Path("runs") / "tuning" / suite.name
    with resumable(), ConsoleProgress() as progress:
        done = tune_suite(
            suite, folder, data_dir=data_dir, plugins=plugin or [], workers=workers,
            progress=progress, budget=budget,
        )  # fmt: skip
    print_tuning(done)


def print_tuning(done: "SuiteTuning") -> None:
    """Prints what every model came to on every corpus, and where cards and trials lie."""
    rows = []
    for each in done.tuned:
        gain, form = each.gain, each.gain.form
        change = signed(gain.gain, gain.digits, plus=True) + within(gain.lo, gain.hi, form)
        rows.append(
            (each.corpus, each.shown, form(each.default_value), form(each.best_value),
             change, form(gain.luck), form(gain.expected_luck))
        )  # fmt: skip
    print_table(("corpus", "model", "defaults", "tuned", "gain (95 %)", "luck", "by noise"), rows)
    for each in done.tuned:
        print_line(each.finding, highlight=False)
        found = ", ".join(f"{name} = {value}" for name, value in each.best.params.items())
        if found:
            print_line(f"  {found}", highlight=False)
    for note in done.notes:
        print_line(note, style="dim", highlight=False)
    print_files("Cards and trials:", done.files)
