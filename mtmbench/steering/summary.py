"""The steering table in few numbers: what a model's topics did at the λ that was chosen for them.

Everything is of the prompts that no λ was chosen on. A topic that no λ leaves fluent has no chosen
λ, counts as not steered, and is left out of means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from mtmbench.boards.steering_rows import LambdaFields, SteeredTopic, SteeringRow, SteeringSummary
from mtmbench.stats.correlation import spearman
from mtmbench.steering.verdicts import BEATEN

_Row = TypeVar("_Row")
_Key = TypeVar("_Key", bound=Hashable)


def topic_rows(rows: Sequence[SteeringRow]) -> list[SteeredTopic]:
    """Returns a row for each topic of each model: its λ, Δℓ against λ, and whether it is steered.

    ``delta_l_spearman`` is Spearman's correlation of Δℓ with λ over the grid up to the chosen λ;
    None where λ was not chosen or is the least of the grid. ``steered`` names the judges by which
    the topic lies above the controls' intervals, ``n_judges`` says how many ruled.
    """
    found: list[SteeredTopic] = []
    for ((corpus, model, k), topic), group in _groups(rows, lambda r: (_of(r), r["topic"])):
        by_judge = dict(_groups(group, lambda row: row["judge"]))
        grid = [
            (level, row)
            for row in next(iter(by_judge.values()))
            if row["chosen"] is not None and (level := row["lambda"]) is not None
        ]
        grid.sort(key=lambda steered: steered[0])
        own = next(((level, row) for level, row in grid if row["chosen"]), None)
        upto = [] if own is None else [(level, row) for level, row in grid if level <= own[0]]
        found.append(
            {
                "corpus": corpus,
                "model": model,
                "k": k,
                "topic": topic,
                "lambda": None if own is None else own[0],
                "lambda_unit": None if own is None else own[1]["lambda_unit"],
                "delta_l_spearman": rank_correlation(
                    [(level, gain) for level, row in upto if (gain := row["delta_l"]) is not None]
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


def summary_rows(rows: Sequence[SteeringRow]) -> list[SteeringSummary]:
    """Returns a row for each model and judge.

    ``win_rate`` is the mean over topics at their chosen λ; ``controls`` holds the same means of the
    controls of the same topics, ``changes`` their mean ‖a′ − a‖ as multiples of the topics' own.
    ``n_steered`` counts the topics above the controls that must be beaten, ``n_steered_by_all``
    those that are so by every judge, and ``n_spearman_positive`` those whose Δℓ rises with λ, of
    ``n_spearman`` that have a correlation.
    """
    topics = dict(_groups(topic_rows(rows), _of))
    found: list[SteeringSummary] = []
    for ((corpus, model, k), judge), group in _groups(rows, lambda r: (_of(r), r["judge"])):
        told = topics[corpus, model, k]
        chosen = [row for row in group if row["chosen"]]
        own = {row["topic"]: row["mean_change"] for row in chosen}
        controls: dict[str, list[float]] = {}
        changes: dict[str, list[float]] = {}
        for row in group:
            rate, method = row["win_rate"], row["method"]
            if row["chosen"] is None and rate is not None and row["topic"] in own:
                controls.setdefault(method, []).append(rate)
                if row["mean_change"] and own[row["topic"]]:
                    changes.setdefault(method, []).append(row["mean_change"] / own[row["topic"]])
        correlations = [t["delta_l_spearman"] for t in told if t["delta_l_spearman"] is not None]
        found.append(
            {
                "corpus": corpus,
                "model": model,
                "k": k,
                "judge": judge,
                "method": next(row["method"] for row in group if row["chosen"] is not None),
                "n_topics": len(told),
                "n_chosen": len(chosen),
                "win_rate": _mean(row["win_rate"] for row in chosen),
                "controls": _means(controls),
                "changes": _means(changes),
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


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Returns Spearman's correlation; None of fewer than two pairs, or where a side is constant."""
    value = spearman(*zip(*pairs, strict=True)) if len(pairs) > 1 else math.nan
    return None if math.isnan(value) else value


def strength_text(row: LambdaFields) -> str | None:
    """Returns a row's λ with its unit, None where nothing was steered."""
    return None if row["lambda"] is None else f"{row['lambda']:g} {row['lambda_unit']}"


def in_words(row: SteeringSummary) -> str:
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
        f"{f' ({beaten})' if beaten else ''}.{correlated}{_changes_in_words(row)}"
    )


def _changes_in_words(row: SteeringSummary) -> str:
    changes = row.get("changes")
    if not changes:
        return ""
    least, most = (pick(changes, key=changes.__getitem__) for pick in (min, max))
    return (
        f" In the scored texts controls changed activations by {changes[least]:.2f} ({least}) to "
        f"{changes[most]:.2f} ({most}) times as much as the topics."
    )


def _groups(rows: Iterable[_Row], key: Callable[[_Row], _Key]) -> list[tuple[_Key, list[_Row]]]:
    """Returns rows by their keys, in the order in which these come."""
    found: dict[_Key, list[_Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.items())


def _of(row: SteeringRow | SteeredTopic) -> tuple[str, str, int | None]:
    """Returns the model of a row, on its corpus and with its number of topics."""
    return row["corpus"], row["model"], row.get("k")


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(fmean(each), 4) for name, each in values.items()}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
