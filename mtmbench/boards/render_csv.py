"""``board.csv``: ratings and metrics in one long table."""

from __future__ import annotations

from collections.abc import Mapping

from mtmbench.boards.rows.board import BoardTables
from mtmbench.core.serialise import canonical_json
from mtmbench.core.tables import csv_text

_COLUMNS = (
    "table", "judge", "corpus", "k", "k_spec", "representation", "model", "setting", "metric",
    "view", "params", "value", "lo", "hi", "rank", "wins", "losses", "ties", "unparsed", "refused",
    "n_seeds", "reason",
)  # fmt: skip

_LEFT_OUT = ("n_out_of_vocabulary", "n_topics_without_value", "note")
"""Columns of boards whose records say what values leave out."""


def render_csv(board: BoardTables) -> str:
    """Returns the ratings (metric ``elo``), then the metrics; a missing value is empty."""
    ratings: list[Mapping[str, object]] = [
        {**row, "table": "rating", "metric": "elo", "value": row["elo"]} for row in board["ratings"]
    ]
    spread = ("elo_sd",) if any("elo_sd" in row for row in ratings) else ()
    metrics: list[Mapping[str, object]] = [
        {**row, "table": "metric", "params": canonical_json(row["params"]) if row["params"] else ""}
        for row in board["metrics"]
    ]
    left_out = [name for name in _LEFT_OUT if any(name in row for row in metrics)]
    return csv_text((*_COLUMNS, *spread, *left_out), [*ratings, *metrics])
