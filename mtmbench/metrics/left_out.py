"""What a value leaves out: items that a reference or a model does not know, topics without value.

Every metric that leaves something out says so in its details, under the names that are made here,
and whoever shows a value shows this beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEPT = "reference_keeps"
"""The detail that says what the reference holds beyond the suite's own tokenisation."""

_NAMED = 5
"""Items that are told; a record holds one more where there are more."""


def unknown_items(n: int, n_listed: int, named: Sequence[str]) -> dict[str, object]:
    """Returns the details about items that the reference does not know.

    Args:
        n: how many of them topics list.
        n_listed: how many items topics list.
        named: the items that are not known, each once; the first few stand on record.
    """
    details: dict[str, object] = {"n_out_of_vocabulary": n, "n_items_listed": n_listed}
    return {**details, "out_of_vocabulary": list(named[: _NAMED + 1])} if n else details


def topics_without_value(n: int, n_topics: int) -> dict[str, object]:
    """Returns the details about topics that have no value, of ``n_topics``."""
    return {"n_topics_without_value": n, "n_topics": n_topics}


def improbable_items(n: int, n_occurrences: int) -> dict[str, object]:
    """Returns the details about held-out occurrences of items to which a model gives no chance.

    They count with what the metric gives every item, and so may make up most of a perplexity.
    """
    return {"n_zero_probability": n, "n_occurrences": n_occurrences}


@dataclass(frozen=True)
class LeftOut:
    """What one value, or the values of several seeds together, do not count.

    A count is None where nothing is said of it, or not of how many: records of the first releases
    say only the one.

    Attributes:
        items: items that the reference does not know, of ``of_items`` listed.
        topics: topics without a value, of ``of_topics``.
        named: some of the items that are not known.
        more: whether there are others that are not known.
        improbable: held-out occurrences to which the model gives no probability, of
            ``of_occurrences``.
        of_occurrences: held-out occurrences.
        kept: what the reference holds beyond the suite's own tokenisation, in words.
    """

    items: int | None = None
    of_items: int | None = None
    topics: int | None = None
    of_topics: int | None = None
    named: tuple[str, ...] = ()
    more: bool = False
    improbable: int | None = None
    of_occurrences: int | None = None
    kept: tuple[str, ...] = ()

    @classmethod
    def of(cls, details: Iterable[Mapping[str, Any]]) -> LeftOut:
        """Reads the details of values; counts of several are added up."""
        every = list(details)
        listed = [each.get("out_of_vocabulary", ()) for each in every]
        named = tuple(dict.fromkeys(item for each in listed for item in each))
        more = len(named) > _NAMED or any(len(each) > _NAMED for each in listed)
        items, of_items = _sums(every, "n_out_of_vocabulary", "n_items_listed")
        topics, of_topics = _sums(every, "n_topics_without_value", "n_topics")
        improbable, occurrences = _sums(every, *improbable_items(0, 0))
        kept = tuple(sorted({each[KEPT] for each in every if KEPT in each}))
        return cls(
            items, of_items, topics, of_topics, named[:_NAMED], more, improbable, occurrences, kept
        )

    def text(self) -> str | None:
        """Says what is left out and where words were counted; None where there is nothing to say.

        As in "27 of 40 words unknown (the, to, …); 1 of 4 topics without value".
        """
        parts = []
        if self.items:
            more = ", …" if self.more else ""
            named = f" ({', '.join(self.named)}{more})" if self.named else ""
            parts.append(f"{self.items:,} of {self.of_items:,} words unknown{named}")
        if self.topics:
            parts.append(f"{self.topics:,} of {self.of_topics:,} topics without value")
        if self.improbable:
            parts.append(
                f"{self.improbable:,} of {self.of_occurrences:,} held-out occurrences without "
                "probability"
            )
        parts += [f"counted with {kept}" for kept in self.kept]
        return "; ".join(parts) or None


def _sums(details: Sequence[Mapping[str, Any]], *names: str) -> Sequence[int | None]:
    """Adds counts up; all are None unless every value says them all."""
    if not details or not all(name in each for each in details for name in names):
        return [None] * len(names)
    return [sum(int(each[name]) for each in details) for name in names]
