"""``mtmbench topics``: tables of topics, or names for them by a judge.

How topics are named is in :mod:`mtmbench.labelling.topic_labels`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.asked import print_asked
from mtmbench.cli.console import echo, print_table
from mtmbench.cli.options import (
    BudgetOption,
    CorpusChoice,
    KChoice,
    ModelChoice,
    PluginOption,
    SeedChoice,
    SettingChoice,
)
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.engine.run_topics import Choice


def topics(
    result: Annotated[
        Path,
        typer.Argument(
            help="A saved result, word lists (JSON, or one topic a line), or a run's folder."
        ),
    ],
    judge: Annotated[
        str | None, typer.Option(help="A judge card: it names the topics, of no run's folder.")
    ] = None,
    top_items: Annotated[int, typer.Option(help="Items that are shown of a topic.", min=1)] = 10,
    out: Annotated[
        Path | None,
        typer.Option(help="The JSON file to write; RESULT with .labels.json by default."),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Questions under way at one time; the card's by default.")
    ] = None,
    plugin: PluginOption = None,
    budget: BudgetOption = None,
    model: ModelChoice = None,
    corpus: CorpusChoice = None,
    k: KChoice = None,
    seed: SeedChoice = None,
    setting: SettingChoice = None,
) -> None:
    """Prints topics as a table; with --judge, has a judge name them in one to five words each.

    Of a run, those of every fit, or of the ones that --model and so on choose; of several seeds the
    first.

    A topic whose reply could not be read, or was refused, gets no name; the file says so. Answers
    are kept beside the file: the same command again asks nothing twice.
    """
    from mtmbench.engine.run_topics import Choice

    choice = Choice(model, corpus, setting, k, seed)
    if result.is_dir():
        if judge is not None:
            raise InputError(
                f"{result} is a folder; --judge names the topics of one result: RUN/results/…"
            )
        _print_run(result, choice, top_items)
        return
    if choice != Choice():
        raise InputError(
            f"--model, --corpus, --k, --seed and --setting choose fits of a run; {result} is none"
        )
    if judge is None:
        _print_result(result, top_items)
        return
    _name_topics(result, judge, top_items, out, concurrency, plugin, budget)


def _print_run(folder: Path, choice: "Choice", top_items: int) -> None:
    from mtmbench.engine.run_topics import run_fits

    for fit in run_fits(folder, choice):
        summed = any(topic.summary for topic in fit.topics)
        print_table(
            ("topic", "share", "items", *(["summary"] if summed else [])),
            [
                (
                    str(topic.number), f"{topic.share:.3f}", ", ".join(topic.items[:top_items]),
                    *([topic.summary or "–"] if summed else []),
                )
                for topic in fit.topics
            ],
            title=fit.title(),
        )  # fmt: skip


def _print_result(path: Path, top_items: int) -> None:
    from mtmbench.api import topics as topics_of
    from mtmbench.core.topic_result import TopicResult
    from mtmbench.labelling.topic_labels import read_topics

    if path.suffix != ".safetensors":
        rows = [(str(k), ", ".join(items)) for k, items in enumerate(read_topics(path, top_items))]
        print_table(("topic", "items"), rows)
        return
    frame = topics_of(TopicResult.load(path), top_items)
    print_table(
        list(frame.columns),
        [
            [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row]
            for row in frame.itertuples(index=False)
        ],
    )


def _name_topics(
    result: Path,
    judge: str,
    top_items: int,
    out: Path | None,
    concurrency: int | None,
    plugin: list[str] | None,
    budget: float | None,
) -> None:
    from mtmbench.core.plugins import load_plugins
    from mtmbench.core.serialise import canonical_json, write_atomically
    from mtmbench.judges.panel import Panel
    from mtmbench.labelling.topic_labels import label_topics, read_topics

    load_plugins(plugin or [])
    print_asked([judge])
    path = out or result.with_suffix(".labels.json")
    with Panel(
        path.with_suffix(".answers.sqlite"), concurrency=concurrency, budget=budget
    ) as panel:
        labels = label_topics(read_topics(result, top_items), judge, panel)
    write_atomically(path, canonical_json(labels) + "\n")
    for row in labels["topics"]:
        name = row["label"] or f"({row['status']})"
        echo(f"{row['topic']}: {name}: {', '.join(row['items'])}")
    echo(f"wrote {path}")
