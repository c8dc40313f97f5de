"""What is known of metrics: of each, and of all in one table, which reads their pages too."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache

from about_people import against_people
from about_plugins import own_names
from markdown_tables import code, facts_table, listed, table, value_text, yes
from repository import ROOT

from mtmbench.metrics.registry import METRICS

_NEEDS = {
    "labels": "gold labels",
    "words": "a reference text",
    "embeddings": "a text encoder",
    "siblings": "fits under other seeds",
    "orders": "fits of the documents in other orders (`orders` in the suite)",
    "others": "other models with the same K and seed",
    "refit": "to fit the model anew",
    "judge": "a judge card",
    "theta": "weights of topics in documents",
}
_TITLE = re.compile(r"\A# `\w+`: (.+)$", re.M)
_SOURCE = re.compile(r"Source[^:]*:\s+(this project|.+?\b\d{4}\b)", re.S)
_BEWARE = re.compile(r"^## Pitfalls\n\n(?:- )?(.+?\.)(?=\s)", re.M | re.S)


def metric_facts(name: str) -> str:
    """Returns what is known of a metric: range, direction, views, needs, settings."""
    metric = METRICS.get(name)
    views = [view for view in metric.item_views if view is not None]
    rows = [
        ("name in suites", code(name)),
        ("range", _range(metric.bounds)),
        ("better", "higher" if metric.higher_is_better else "lower"),
        ("needs", ", ".join(_NEEDS[need] for need in metric.needs)),
        ("played on", " and ".join(f"{view} items" for view in views) or "θ alone; no items"),
        ("reads what items are called", yes(metric.reads_labels)),
        ("against people", against_people(metric)),
        ("class", code(METRICS.origin(name).replace(":", "."))),
        ("version", str(metric.version)),
    ]
    names = list(dict.fromkeys(key for variant in metric.variants for key in variant))
    if not names:
        return facts_table(rows) + "\n\nIt has no parameters."
    settings = [[value_text(variant.get(key)) for key in names] for variant in metric.variants]
    played = "Played by default with:" if len(settings) == 1 else "Played by default in each of:"
    return f"{facts_table(rows)}\n\n{played}\n\n" + table([code(key) for key in names], settings)


def metric_list() -> str:
    """Returns all metrics, a row each."""
    rows = []
    for name in own_names(METRICS):
        metric, page = METRICS.get(name), page_facts(name)
        better = "higher" if metric.higher_is_better else "lower"
        needs = listed(_NEEDS[need] for need in metric.needs)
        rows.append(
            (f"[`{name}`]({name}.md)", f"{page.title} ([formula]({name}.md#formula))", page.source,
             _range(metric.bounds), better, needs, page.beware, against_people(metric))
        )  # fmt: skip
    return table(
        ("metric", "what it is", "source", "range", "better", "needs", "beware", "against people"),
        rows,
    )


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


def _range(bounds: tuple[float, float]) -> str:
    ends = [
        ("−∞" if end < 0 else "∞") if math.isinf(end) else f"{end:g}".replace("-", "−")
        for end in bounds
    ]
    return "any number" if bounds == (-math.inf, math.inf) else " to ".join(ends)
