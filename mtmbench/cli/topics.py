"""``mtmbench topics``; what it does is in :mod:`mtmbench.labelling.topic_labels`."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.asked import print_asked
from mtmbench.cli.console import echo
from mtmbench.cli.options import BudgetOption, PluginOption


def topics(
    result: Annotated[
        Path, typer.Argument(help="A saved result, or word lists (JSON, or one topic a line).")
    ],
    judge: Annotated[str, typer.Option(help="A judge card: it names the topics.")],
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
) -> None:
    """Has a judge name the topics of a result in one to five words each.

    A topic whose reply could not be read, or was refused, gets no name; the file says so. Answers
    are kept beside the file: the same command again asks nothing twice.
    """
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
