"""What a metric's page and the judges' board say of it, for the tables of facts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mtmbench.metrics.base import Metric

ROOT = Path(__file__).parents[2]
NOT_MEASURED = "not measured against people"

_TITLE = re.compile(r"\A# `\w+`: (.+)$", re.M)
_SOURCE = re.compile(r"Source[^:]*:\s+(this project|.+?\b\d{4}\b)", re.S)
_BEWARE = re.compile(r"^## Pitfalls\n\n(?:- )?(.+?\.)(?=\s)", re.M | re.S)
_JUDGED = {
    ("hoyle-nytimes", "rating"): "ratings of {n} New York Times topics",
    ("hoyle-wikitext", "rating"): "ratings of {n} WikiText topics",
    ("hoyle-nytimes", "intrusion"): "intruders found in {n} New York Times topics",
    ("hoyle-wikitext", "intrusion"): "intruders found in {n} WikiText topics",
    ("proxann-bills", "fit"): "fits of documents to {n} topics of bills",
    ("proxann-bills", "rank"): "ranks of documents of {n} topics of bills",
}


@dataclass(frozen=True)
class PageFacts:
    """What a metric's page says of it.

    Attributes:
        title: what it is, in a few words.
        source: who defined it.
        beware: the first pitfall.
    """

    title: str
    source: str
    beware: str


@cache
def page_facts(name: str) -> PageFacts:
    """Reads a metric's page.

    Raises:
        ValueError: it has no title, source or pitfall where they are looked for.
    """
    text = (ROOT / f"docs/metrics/{name}.md").read_text(encoding="utf-8")
    found = [pattern.search(text) for pattern in (_TITLE, _SOURCE, _BEWARE)]
    if None in found:
        raise ValueError(f"docs/metrics/{name}.md lacks a title, a source or a pitfall")
    return PageFacts(*(" ".join(match[1].split()) for match in found if match))


def against_people(metric: type[Metric]) -> str:
    """Returns how far a metric agrees with people, by the committed board of judges.

    Kendall's τ over topics, with its 95 % interval; of documents' fits and ranks, its mean over
    topics. Of the names under which a metric may stand, the first that the board has is read.
    """
    people = metric.people
    if people is None:
        return NOT_MEASURED
    rows = _board()
    known = {judge for judge, *_ in rows}
    judge = next((name for name in people.judges if name in known), None)
    told = [
        f"{_figure(row)} with {text.format(n=row['n'])}"
        for (dataset, task), text in _JUDGED.items()
        if task in people.tasks and (row := rows.get((judge, dataset, task))) is not None
    ]
    if not told:
        return NOT_MEASURED
    by = f", by `{judge}`" if "judge" in metric.needs else ""
    return f"Kendall's τ {'; '.join(told)}{by}"


@cache
def _board() -> dict[tuple[str | None, str, str], Mapping[str, Any]]:
    board = json.loads((ROOT / "leaderboards/judges/board.json").read_text(encoding="utf-8"))
    return {
        (row["judge"], row["dataset"], row["task"]): row
        for row in board["rows"]
        if row["statistic"] == "kendall_tau"
    }


def _figure(row: Mapping[str, Any]) -> str:
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})".replace("-", "−")
