"""What the proxies share: shares over the shown topics, and a verdict from two scores."""

from __future__ import annotations

from mtmbench.core.errors import InputError
from mtmbench.judges.base import Option
from mtmbench.judges.replies import Decision


def renormalised_shares(option: Option) -> list[float]:
    """Returns the shares of an option's topics, summing to one.

    Raises:
        InputError: the option has topics, and none has a share above zero.
    """
    total = sum(topic.share for topic in option.topics)
    if option.topics and total <= 0:
        raise InputError(f"the topics of option {option.name!r} have no share in the document")
    return [topic.share / total for topic in option.topics]


def score_verdict(first: float | None, second: float | None, tie_below: float) -> Decision:
    """Returns the verdict for two scores; None, no topic, loses to any and ties with None."""
    if first is None or second is None:
        return "tie" if first is second else "B" if first is None else "A"
    if abs(first - second) < tie_below:
        return "tie"
    # Equal scores tie even where no difference is too small to count.
    return "A" if first > second else "B" if second > first else "tie"
