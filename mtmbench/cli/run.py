"""``mtmbench run``: plays a suite and prints its ratings; ``mtmbench judge`` plays by it too."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtmbench.cli.asked import asked_by_run, print_asked
from mtmbench.cli.console import (
    MOST_ERRORS,
    ConsoleProgress,
    echo,
    print_files,
    print_line,
    print_played,
    print_table,
    resumable,
)
from mtmbench.cli.options import (
    EXIT_ERRORS,
    ActorCoresOption,
    ActorGpusOption,
    AddressOption,
    BatchOption,
    BudgetOption,
    DataOption,
    ExecutorName,
    ExecutorOption,
    JudgesOption,
    LimitOption,
    LogOption,
    MetricsOption,
    ModelsOption,
    OutOption,
    PluginOption,
    SetOption,
    SlurmOption,
    SuiteArgument,
    resolve_executor,
    resolve_suite,
)
from mtmbench.cli.plan import print_plan

if TYPE_CHECKING:
    from mtmbench.boards.rows.board import BoardTables
    from mtmbench.boards.rows.leagues import LeagueRow
    from mtmbench.core.cards import Suite
    from mtmbench.engine.harness import RunOutcome

_FILES = ("index.html", "board.md", "board.csv", "board.json", "records.jsonl")


def run(
    suite: SuiteArgument,
    out: OutOption = None,
    overrides: SetOption = None,
    models: ModelsOption = None,
    metrics: MetricsOption = None,
    judges: JudgesOption = None,
    limit: LimitOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes, by default every usable core; on Ray: actors; on Slurm: jobs, by "
            "default 4.",
            min=0,
        ),
    ] = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    actor_cores: ActorCoresOption = None,
    actor_gpus: ActorGpusOption = None,
    slurm: SlurmOption = None,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    log: LogOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be played, as `plan` does; play nothing."),
    ] = False,
) -> None:
    """Plays a suite, or what is left of it, and writes its board.

    With --executor ray or slurm, every node must have this mtmbench installed and see --out, the
    feature cache (MTMBENCH_CACHE), the corpora and the plugins under the same paths: a file system
    that all nodes share. Ray's nodes read the keys of judges from their own environment; Slurm's
    jobs inherit this one's, as far as Slurm is set up so.

    What language models answer is kept in OUT/answers.sqlite before it is used: no answer is paid
    for twice.

    Exit status: 0; 1 if cells failed; 4 if another run holds the folder; 130 if interrupted. The
    same command again goes on where this one stopped.
    """
    resolved = resolve_suite(suite, overrides, models, metrics=metrics, judges=judges, limit=limit)
    folder = out or Path("runs") / resolved.name
    where = resolve_executor(executor, address, actor_cores, actor_gpus, slurm)
    if limit is not None:
        from mtmbench.engine.apart import check_apart

        check_apart(folder, resolved)
    if dry_run:
        print_plan(resolved, data_dir=data_dir, plugins=plugin or [])
        return
    play_suite(
        resolved, folder, data_dir=data_dir, plugins=plugin or [], workers=workers, executor=where,
        budget=budget, batch=batch, log=log or [],
    )  # fmt: skip


def play_suite(
    suite: "Suite",
    folder: Path,
    *,
    data_dir: Path | None,
    plugins: Sequence[str],
    batch: bool,
    log: Sequence[str] = (),
    **options: Any,
) -> None:
    """Plays what ``folder`` does not hold yet of a suite, and prints whom it asks and the outcome.

    Args:
        suite: what to play.
        folder: the run's folder.
        data_dir: folder of local corpora.
        plugins: files or modules that register more.
        batch: hand the questions of matches to a Batch API; says first what is asked at once.
        log: loggers that are told of the run.
        options: more of :func:`mtmbench.engine.harness.run_suite`'s.

    Raises:
        typer.Exit: cells failed, or Ctrl-C ended it.
    """
    from mtmbench.engine.harness import run_suite
    from mtmbench.judges.ledger import left_of
    from mtmbench.publishing.loggers import Loggers

    print_asked(asked_by_run(suite), plugins)
    # Before hours of tuning, so that a name that is none, or a missing package, is said first.
    loggers = Loggers(log, suite, lambda text: echo(text, err=True))
    if suite.tunes_first:
        suite = loggers.suite = _tuned(suite, folder, data_dir, plugins, options)
        options["budget"] = left_of(options.get("budget"), folder / "tuning")
    plan = None
    if batch:
        from mtmbench.engine.estimate import batch_notice
        from mtmbench.engine.plan import make_plan

        plan = make_plan(suite, data_dir=data_dir, plugins=plugins)
        echo(batch_notice(plan))
    with resumable(), loggers, ConsoleProgress() as progress:
        outcome = run_suite(
            suite, folder, data_dir=data_dir, plugins=plugins, batch=batch, plan=plan,
            progress=loggers.beside(progress), **options,
        )  # fmt: skip
        loggers.played(outcome)
    print_outcome(outcome)
    if outcome.errors:
        raise typer.Exit(EXIT_ERRORS)


def _tuned(
    suite: "Suite",
    folder: Path,
    data_dir: Path | None,
    plugins: Sequence[str],
    options: Mapping[str, Any],
) -> "Suite":
    """Tunes the models of a suite, prints what that came to, and returns the suite to play."""
    from mtmbench.cli.tune import print_tuning
    from mtmbench.judges.ledger import left_of
    from mtmbench.tuning.suite import tune_suite

    asked = {name: options[name] for name in ("workers", "executor") if name in options}
    budget = left_of(options.get("budget"), folder)
    with resumable(), ConsoleProgress() as progress:
        done = tune_suite(
            suite, folder / "tuning", data_dir=data_dir, plugins=plugins, progress=progress,
            budget=budget, **asked,
        )  # fmt: skip
    print_tuning(done)
    return done.suite


def print_outcome(outcome: "RunOutcome") -> None:
    """Prints the board's ratings, the first errors, and where its files lie."""
    from mtmbench.boards.spending import lacking_text

    board: BoardTables = json.loads((outcome.folder / "board.json").read_text(encoding="utf-8"))
    names = {(row["model"], row["setting"]): row["name"] for row in board["competitors"]}
    for (judge, corpus, k, representation), ratings in _leagues(board).items():
        rows = [
            (
                "–" if row["rank"] is None else str(row["rank"]),
                names[row["model"], row["setting"]],
                row["reason"] or "–" if row["elo"] is None else f"{row['elo']:.1f}",
                "–" if row["lo"] is None else f"{row['lo']:.1f} … {row['hi']:.1f}",
                str(row["wins"]),
                str(row["losses"]),
                str(row["ties"]),
            )
            for row in sorted(ratings, key=lambda row: (row["elo"] is None, -(row["elo"] or 0)))
        ]
        print_table(
            ("rank", "model", "Elo", "95 % interval", "won", "lost", "tied"), rows,
            title=f"judge {judge} · corpus {corpus} · K = {k} · {representation}",
        )  # fmt: skip
    for ruled in board["judges"]:
        if lacking := lacking_text(ruled, ruled["params"]):
            print_line(f"judge {ruled['id']}: {lacking}", highlight=False)
    print_played(outcome)
    if len(outcome.errors) > MOST_ERRORS:
        print_line(f"… and {len(outcome.errors) - MOST_ERRORS} more; see records.jsonl")
    print_files("The board's files:", [outcome.folder / name for name in _FILES])


def _leagues(
    board: "BoardTables",
) -> "dict[tuple[str, str, int | None, str], list[LeagueRow]]":
    from mtmbench.boards.terms import lead

    place = {judge["id"]: lead(judge).index for judge in board["judges"]}
    order = list(dict.fromkeys((row["judge"], row["corpus"], row["k"]) for row in board["ratings"]))
    leagues: dict[tuple[str, str, int | None, str], list[LeagueRow]] = {}
    for row in sorted(
        board["ratings"],
        key=lambda row: (
            order.index((row["judge"], row["corpus"], row["k"])),
            place[row["judge"]](row["representation"]),
        ),
    ):
        key = row["judge"], row["corpus"], row["k"], row["representation"]
        leagues.setdefault(key, []).append(row)
    return leagues
