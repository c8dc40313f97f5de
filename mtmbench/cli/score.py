"""``mtmbench score``: every metric for topics made elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtmbench.cli.console import print_line, print_table
from mtmbench.cli.corpus import read_corpus
from mtmbench.cli.options import (
    DataOption,
    IdOption,
    LabelOption,
    LanguageOption,
    StopWordsOption,
    TextOption,
    TokeniserOption,
)

if TYPE_CHECKING:
    import pandas as pd


def score(
    topics: Annotated[
        Path, typer.Argument(help="Word lists (JSON, or one topic a line), or a saved result.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", help="A corpus's name, file or folder.")],
    theta: Annotated[
        Path | None,
        typer.Option(help="npz, npy or csv of theta (documents x topics), for word lists."),
    ] = None,
    text: TextOption = None,
    label: LabelOption = None,
    id_column: IdOption = None,
    language: LanguageOption = None,
    stop_words: StopWordsOption = None,
    tokeniser: TokeniserOption = None,
    data_dir: DataOption = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the scores here too.")] = None,
) -> None:
    """Computes every metric for topics made elsewhere; needs no model."""
    from mtmbench.core.serialise import canonical_json, write_atomically
    from mtmbench.metrics.score import score_file

    loaded = read_corpus(corpus, data_dir, text, label, id_column, language, stop_words, tokeniser)
    frame = score_file(topics, loaded, theta)
    print_scores(frame)
    if json is not None:
        write_atomically(json, canonical_json({"schema": 1, "scores": _rows(frame)}) + "\n")


def print_scores(frame: "pd.DataFrame") -> None:
    """Prints a frame of metric values, and under it what is missing or left out, by reason.

    Beside a value stand how many of the topics' words its reference does not know, and how many
    topics have no value, where the metric leaves any out.
    """
    counts = [(name, head) for name, head in _COUNTS.items() if name in frame]
    shown = []
    missing: dict[str, list[str]] = {}
    noted: dict[str, list[str]] = {}
    for row in _rows(frame):
        view = row["view"] or "–"
        named = row["metric"] if row["view"] is None else f"{row['metric']} ({view})"
        if row.get("note"):
            noted.setdefault(row["note"], []).append(named)
        if row["value"] is None:
            missing.setdefault(row["reason"], []).append(named)
        else:
            left = ["" if row[name] is None else f"{row[name]:,}" for name, _ in counts]
            shown.append((row["metric"], view, row["params"], f"{row['value']:.4f}", *left))
    print_table(("metric", "view", "setting", "value", *(head for _, head in counts)), shown)
    for heading, lines in (("Missing", missing), ("Note", noted)):
        for text, names in lines.items():
            print_line(f"{heading}: {', '.join(dict.fromkeys(names))}: {text}")


_COUNTS = {"n_out_of_vocabulary": "words unknown", "n_topics_without_value": "topics without value"}


def _rows(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Returns the rows with None for what is missing, which pandas keeps as NaN."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in rows]
