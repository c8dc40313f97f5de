"""``board.csv``: ratings and metrics in one long table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from mtmbench.core.serialise import canonical_json

COLUMNS = (
    "table", "judge", "corpus", "k", "k_spec", "representation", "model", "setting", "metric",
    "view", "params", "value", "lo", "hi", "rank", "wins", "losses", "ties", "unparsed", "refused",
    "n_seeds", "reason",
)  # fmt: skip


def render_csv(board: Mapping[str, Any]) -> str:
    """Returns the ratings (metric ``elo``), then the metrics; a missing value is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in board["ratings"]:
        writer.writerow({**row, "table": "rating", "metric": "elo", "value": row["elo"]})
    for row in board["metrics"]:
        params = canonical_json(row["params"]) if row["params"] else None
        writer.writerow({**row, "table": "metric", "params": params})
    return text.getvalue()
