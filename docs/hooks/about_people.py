"""How far judges and metrics agree with people, by the committed board of judges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from markdown_tables import code, table
from repository import ROOT

from mtmbench.metrics.base import Metric

NOT_MEASURED = "not measured against people"

_STATISTICS = {
    "kendall_tau": "Kendall's τ",
    "spearman": "Spearman's ρ",
    "agreement": "agreement, fits or not",
    "found": "share of intruders found",
}
_JUDGED = {
    ("hoyle-nytimes", "rating"): "ratings of {n} New York Times topics",
    ("hoyle-wikitext", "rating"): "ratings of {n} WikiText topics",
    ("hoyle-nytimes", "intrusion"): "intruders found in {n} New York Times topics",
    ("hoyle-wikitext", "intrusion"): "intruders found in {n} WikiText topics",
    ("proxann-bills", "fit"): "fits of documents to {n} topics of bills",
    ("proxann-bills", "rank"): "ranks of documents of {n} topics of bills",
}


def people_facts(dataset: str, task: str) -> str:
    """Returns how far judges agree with people on one task, a row each.

    Args:
        dataset: "proxann-bills", "hoyle-nytimes" or "hoyle-wikitext".
        task: "fit", "rank", "rating" or "intrusion".
    """
    found = {
        (row["judge"], row["statistic"]): row
        for row in _rows()
        if (row["dataset"], row["task"]) == (dataset, task) and "published" not in row["judge"]
    }
    statistics = [name for name in _STATISTICS if any(stat == name for _, stat in found)]
    first = statistics[0]
    judges = sorted(
        {judge for judge, stat in found if stat == first},
        key=lambda judge: (-found[judge, first]["value"], judge),
    )
    rows = [
        [code(judge), *(_estimate(found.get((judge, s))) for s in statistics)] for judge in judges
    ]
    return table(["judge", *(_STATISTICS[name] for name in statistics)], rows)


def against_people(metric: type[Metric]) -> str:
    """Returns how far a metric agrees with people, by the committed board of judges.

    Kendall's τ over topics, with its 95 % interval; of documents' fits and ranks, its mean over
    topics. Of the names under which a metric may stand, the first that the board has is read.
    """
    people = metric.people
    if people is None:
        return NOT_MEASURED
    rows = {
        (row["judge"], row["dataset"], row["task"]): row
        for row in _rows()
        if row["statistic"] == "kendall_tau"
    }
    known = {judge for judge, *_ in rows}
    judge = next((name for name in people.judges if name in known), None)
    told = [
        f"{_estimate(row)} with {text.format(n=row['n'])}"
        for (dataset, task), text in _JUDGED.items()
        if task in people.tasks and (row := rows.get((judge, dataset, task))) is not None
    ]
    if not told:
        return NOT_MEASURED
    by = f", by `{judge}`" if "judge" in metric.needs else ""
    return f"Kendall's τ {'; '.join(told)}{by}"


@cache
def _rows() -> list[Mapping[str, Any]]:
    text = (ROOT / "leaderboards/judges/board.json").read_text(encoding="utf-8")
    rows: list[Mapping[str, Any]] = json.loads(text)["rows"]
    return rows


def _estimate(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})".replace("-", "−")
