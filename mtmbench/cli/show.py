"""``mtmbench show``: all that is known of one topic of a run, in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.console import print_line, print_table
from mtmbench.cli.options import (
    CorpusChoice,
    DataOption,
    KChoice,
    ModelChoice,
    SeedChoice,
    SettingChoice,
)
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.engine.run_topics import Choice, RunFit


def show(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a board's.")],
    topic: Annotated[
        str, typer.Argument(help="Its number, from 0; or CORPUS/MODEL/NUMBER, or MODEL/NUMBER.")
    ],
    model: ModelChoice = None,
    corpus: CorpusChoice = None,
    k: KChoice = None,
    seed: SeedChoice = None,
    setting: SettingChoice = None,
    documents: Annotated[int, typer.Option(help="Documents that are shown.", min=0)] = 5,
    texts: Annotated[
        bool, typer.Option("--texts", help="Show texts whatever their licence.")
    ] = False,
    data_dir: DataOption = None,
) -> None:
    """Shows a topic: summary, share, items with weights, values of metrics, top documents.

    Where the run has several numbers of topics, seeds or settings, the first is shown.
    """
    from mtmbench.engine.run_topics import Choice, one_fit, topic_documents

    choice, number = _asked(topic, Choice(model, corpus, setting, k, seed))
    fit = one_fit(run, choice)
    if not 0 <= number < len(fit.topics):
        raise InputError(
            f"there is no topic {number}: {fit.title()} has topics 0 to {len(fit.topics) - 1}"
        )
    told = fit.topics[number]
    about = topic_documents(run, fit, number, documents, data_dir=data_dir, texts=texts)
    print_line(f"Topic {number} of {fit.title()}", style="bold", highlight=False)
    print_line(f"Share of all documents: {told.share:.1%}", highlight=False)
    if told.summary is not None:
        print_line(f"Summary: {told.summary}", highlight=False)
    if told.words:
        print_line(f"Words of its documents: {', '.join(told.words)}", highlight=False)
    weights = [f"{weight:.4f}" for weight in about.weights] or ["–"] * len(told.items)
    print_table(("item", "weight"), zip(told.items, weights, strict=True))
    if values := _values(fit, number):
        print_table(("metric", "of", "value"), values)
    if about.documents:
        rows = [(name, f"{share:.3f}", text or "–") for name, share, text in about.documents]
        print_table(("document", "share", "beginning"), rows)
    if about.why is not None:
        print_line(f"No texts: {about.why}.", highlight=False)


def _asked(topic: str, choice: "Choice") -> "tuple[Choice, int]":
    """Returns what a topic's name says beside the options, and its number."""
    from dataclasses import replace

    *names, number = topic.split("/")
    if not number.isdecimal() or len(names) > 2:
        raise InputError(f"a topic is NUMBER, MODEL/NUMBER or CORPUS/MODEL/NUMBER, not {topic!r}")
    if names:
        choice = replace(choice, model=names[-1])
    if len(names) == 2:
        choice = replace(choice, corpus=names[0])
    return choice, int(number)


def _values(fit: "RunFit", topic: int) -> list[tuple[str, str, str]]:
    rows = []
    for told in fit.values:
        value = (told.get("per_topic") or [])[topic]
        params = ", ".join(f"{name} = {value}" for name, value in told["params"].items())
        of = " · ".join(filter(None, (told["view"], params)))
        rows.append((told["metric"], of, "–" if value is None else f"{value:.3f}"))
    return sorted(rows)
