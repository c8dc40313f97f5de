"""The steering table in few numbers: what a model's topics did at the λ that was chosen for them.

Everything is of the prompts that no λ was chosen on. A topic that no λ leaves fluent has no chosen
λ, counts as not steered, and is left out of means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from mtmbench.core.tables import TableRow
from mtmbench.steering.evaluate import BEATEN


def topic_rows(rows: Sequence[TableRow]) -> list[dict[str, Any]]:
    """Returns a row for each topic of each model: its λ, Δℓ against λ, and whether it is steered.

    ``delta_l_spearman`` is Spearman's correlation of Δℓ with λ over the grid up to the chosen λ;
    None where λ was not chosen or is the least of the grid. ``steered`` names the judges by which
    the topic lies above the controls' intervals, ``n_judges`` says how many ruled.
    """
    found = []
    for (corpus, model, k, topic), group in _groups(rows, "corpus", "model", "k", "topic"):
        by_judge = {judge: list(its) for (judge,), its in _groups(group, "judge")}
        grid = sorted(
            (row for row in next(iter(by_judge.values())) if row["method"] == "topic"),
            key=lambda row: float(row["lambda"]),
        )
        own = next((row for row in grid if row["chosen"]), None)
        upto = [] if own is None else [row for row in grid if row["lambda"] <= own["lambda"]]
        found.append(
            {
                "corpus": corpus,
                "model": model,
                "k": k,
                "topic": topic,
                "lambda": None if own is None else own["lambda"],
                "lambda_unit": None if own is None else own["lambda_unit"],
                "delta_l_spearman": spearman(
                    [(row["lambda"], row["delta_l"]) for row in upto if row["delta_l"] is not None]
                ),
                "n_lambdas": len(upto),
                "n_judges": len(by_judge),
                "steered": [
                    judge
                    for judge, its in by_judge.items()
                    if any(row["chosen"] and row["steered"] for row in its)
                ],
            }
        )
    return found


def summary_rows(rows: Sequence[TableRow]) -> list[dict[str, Any]]:
    """Returns a row for each model and judge.

    ``win_rate`` is the mean over topics at their chosen λ; ``controls`` holds the same means of the
    controls of the same topics. ``n_steered`` counts the topics above the intervals of the controls
    that must be beaten, ``n_steered_by_all`` those that are so by every judge, and
    ``n_spearman_positive`` those whose Δℓ rises with λ, of ``n_spearman`` that have a correlation.
    """
    topics = dict(_groups(topic_rows(rows), "corpus", "model", "k"))
    found = []
    for (corpus, model, k, judge), group in _groups(rows, "corpus", "model", "k", "judge"):
        told = topics[corpus, model, k]
        chosen = [row for row in group if row["chosen"]]
        rated = {row["topic"] for row in chosen}
        controls: dict[str, list[float]] = {}
        for row in group:
            known = row["win_rate"] is not None and row["topic"] in rated
            if row["method"] != "topic" and known:
                controls.setdefault(row["method"], []).append(row["win_rate"])
        correlations = [t["delta_l_spearman"] for t in told if t["delta_l_spearman"] is not None]
        found.append(
            {
                "corpus": corpus,
                "model": model,
                "k": k,
                "judge": judge,
                "n_topics": len(told),
                "n_chosen": len(chosen),
                "win_rate": _mean(row["win_rate"] for row in chosen),
                "controls": {method: fmean(values) for method, values in controls.items()},
                "n_steered": sum(judge in t["steered"] for t in told),
                "n_steered_by_all": sum(len(t["steered"]) == t["n_judges"] for t in told),
                "n_spearman": len(correlations),
                "n_spearman_positive": sum(value > 0 for value in correlations),
                "perplexity_ratio": _mean(
                    row["perplexity"] / row["perplexity_baseline"]
                    for row in chosen
                    if row["perplexity"] is not None and row["perplexity_baseline"]
                ),
            }
        )
    return found


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Returns Spearman's correlation; None of fewer than two pairs, or where a side is constant."""
    from scipy.stats import spearmanr

    if len(pairs) < 2 or any(len({pair[side] for pair in pairs}) < 2 for side in (0, 1)):
        return None
    value = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return None if math.isnan(value) else value


def strength_text(row: TableRow) -> str | None:
    """Returns a row's λ with its unit, None where nothing was steered."""
    return None if row["lambda"] is None else f"{row['lambda']:g} {row['lambda_unit']}"


def in_words(row: TableRow) -> str:
    """Says what a row of :func:`summary_rows` holds, in a sentence or two."""
    n = row["n_topics"]
    if row["win_rate"] is None:
        return f"No λ left the text of any of {n} topics fluent."
    beaten = " and ".join(
        f"{method} {100 * row['controls'][method]:.0f} %"
        for method in BEATEN
        if method in row["controls"]
    )
    left = n - row["n_chosen"]
    unfluent = f"; for {left} no λ left the text fluent" if left else ""
    correlated = (
        f" Δℓ rises with λ, up to the chosen one, for {row['n_spearman_positive']} of the "
        f"{row['n_spearman']} topics whose λ is not the grid's least."
        if row["n_spearman"]
        else ""
    )
    return (
        f"{row['n_steered']} of {n} topics count as steered ({row['n_steered_by_all']} by every "
        f"judge){unfluent}. Mean win rate at the chosen λ {100 * row['win_rate']:.0f} %"
        f"{f' ({beaten})' if beaten else ''}.{correlated}"
    )


def _groups(rows: Iterable[TableRow], *names: str) -> list[tuple[tuple[Any, ...], list[Any]]]:
    """Returns rows by the values of some fields, in the order in which these come."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(name) for name in names), []).append(row)
    return list(found.items())


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
