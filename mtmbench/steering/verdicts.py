"""Which topics count as steered: held against single directions of the controls, not their means.

Under the hypothesis that a topic's direction is one more of a control's, its win rate on the same
prompts is one more draw from those of the control's directions. So it counts as steered where it
lies above the interval in which one more draw would lie, for both controls that know the topic's
features or the topics but not the topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mtmbench.boards.steering_rows import SteeringRow, VerdictRow
from mtmbench.stats.intervals import above_drawn

BEATEN = ("permuted", "other_topic")
"""The controls that a topic has to beat to count as steered."""

CONFIDENCE = 0.95
"""Of all topics' intervals of one model, judge and control together."""


def verdict_rows(rows: Iterable[SteeringRow], confidence: float = CONFIDENCE) -> list[VerdictRow]:
    """Returns a row for each judge, control to beat and topic with a chosen λ.

    The difference is the topic's win rate at its chosen λ less the mean of the control's
    directions; its interval is :func:`~mtmbench.stats.intervals.above_drawn`'s over the topics of a
    model, so that with m topics each is at level 1 − (1 − confidence) / m. A control has no rows
    where it has one direction of every topic, which says nothing of how they spread; the page says
    so.

    Args:
        rows: of the steering table; those of several models are told apart.
        confidence: of the topics' intervals together.
    """
    chosen: dict[tuple[str, str, int | None, str], dict[int, float]] = {}
    drawn: dict[tuple[str, str, int | None, str, str], dict[int, Sequence[float]]] = {}
    for row in rows:
        place = row["corpus"], row["model"], row.get("k"), row["judge"]
        topic, rate = row["topic"], row["win_rate"]
        if row["chosen"] and rate is not None:
            chosen.setdefault(place, {})[topic] = rate
        if row["method"] in BEATEN and row["by_direction"]:
            drawn.setdefault((*place, row["method"]), {})[topic] = row["by_direction"]
    found: list[VerdictRow] = []
    for (corpus, model, k, judge), rates in chosen.items():
        for control in BEATEN:
            against = drawn.get((corpus, model, k, judge, control), {})
            topics = [topic for topic in rates if topic in against]
            # Of one direction each, nothing says how they spread.
            if all(len(against[topic]) < 2 for topic in topics):
                continue
            intervals = above_drawn(
                [rates[topic] for topic in topics], [against[topic] for topic in topics], confidence
            )
            found += [
                {
                    "corpus": corpus, "model": model, "k": k, "judge": judge, "topic": topic,
                    "control": control, "difference": difference, "lo": lo, "hi": hi,
                    "n_directions": len(against[topic]),
                }
                for topic, (difference, lo, hi) in zip(topics, intervals, strict=True)
            ]  # fmt: skip
    return found


def steered(verdicts: Iterable[VerdictRow]) -> Mapping[tuple[str, int], bool]:
    """Returns, by judge and topic of one model, whether the topic lies above every control.

    A topic that lacks a control to beat is not among them, and counts as not steered.
    """
    above: dict[tuple[str, int], dict[str, bool]] = {}
    for row in verdicts:
        above.setdefault((row["judge"], row["topic"]), {})[row["control"]] = row["lo"] > 0
    return {
        place: len(controls) == len(BEATEN) and all(controls.values())
        for place, controls in above.items()
    }
