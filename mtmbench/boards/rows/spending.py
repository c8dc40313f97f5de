"""What is told of answers: how many lacked something, what they took, what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class JudgeSpending(TypedDict, total=False):
    """Who was asked, and the cost of all of its matches; nothing for judges that are free."""

    model: str
    endpoint: str
    cost: float | None


class LackingReplies(TypedDict, total=False):
    """How many replies broke off, and how many had no text; there where there are any."""

    cut: int
    empty: int


class MetricReplies(LackingReplies):
    """The replies about a metric that a judge answers; ``decoding`` is its card's."""

    metric: str
    decoding: Mapping[str, object]


class SpendingRow(TypedDict):
    """What the answers of a judge about one pair took; ``a`` and ``b`` are display names."""

    judge: str
    a: str
    b: str
    calls: int
    usage: Mapping[str, int]
    cost: float | None


class SpentTotal(TypedDict):
    """What all answers cost together; None where a price is not known."""

    answers: int | None
    shared: int | None
    cost: float | None
