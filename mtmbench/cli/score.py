"""``mtmbench score``: every metric for topics made elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.console import print_line, print_table
from mtmbench.cli.options import DataOption, IdOption, LabelOption, TextOption, read_corpus

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
    data_dir: DataOption = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the scores here too.")] = None,
) -> None:
    """Computes every metric for topics made elsewhere; needs no model."""
    from mtmbench.core.serialise import canonical_json, write_atomically
    from mtmbench.metrics.score import score_file

    frame = score_file(topics, read_corpus(corpus, data_dir, text, label, id_column), theta)
    print_scores(frame)
    if json is not None:
        rows = [
            {name: None if value != value else value for name, value in row.items()}
            for row in frame.to_dict(orient="records")
        ]
        write_atomically(json, canonical_json({"schema": 1, "scores": rows}) + "\n")


def print_scores(frame: "pd.DataFrame") -> None:
    """Prints a frame of metric values, and under it what is missing, by reason."""
    shown = []
    missing: dict[str, list[str]] = {}
    # pandas keeps a missing text as NaN.
    for row in frame.astype(object).where(frame.notna(), None).to_dict(orient="records"):
        view = row["view"] or "–"
        if row["value"] is None:
            named = row["metric"] if row["view"] is None else f"{row['metric']} ({view})"
            missing.setdefault(row["reason"], []).append(named)
        else:
            shown.append((row["metric"], view, row["params"], f"{row['value']:.4f}"))
    print_table(("metric", "view", "setting", "value"), shown)
    for reason, names in missing.items():
        print_line(f"Missing: {', '.join(dict.fromkeys(names))}: {reason}")
