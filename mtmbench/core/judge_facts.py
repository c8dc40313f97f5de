"""What is on record of judges: all that their answers depend on, and what these took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict


class JudgeFacts(TypedDict):
    """All of a judge's card that an answer can depend on beside its question."""

    client: str
    version: int
    params: Mapping[str, object]
    decoding: Mapping[str, object]
    model: NotRequired[str]
    revision: NotRequired[str]
    endpoint: NotRequired[str]
    structured: NotRequired[bool]
    inputs: NotRequired[Mapping[str, object]]
    members: NotRequired[Mapping[str, MemberFacts]]


class MemberFacts(JudgeFacts):
    """A jury's member, with the hash of the prompt that it reads, if any."""

    prompt: NotRequired[str]


class PromptFacts(TypedDict):
    """Name and content hash of a prompt file."""

    name: str
    hash: str


class AnswersBy(TypedDict):
    """A judge, and what its answers took.

    ``paid`` is what each answer cost, by :func:`mtmbench.judges.asker.mark`; it and ``cost`` are
    there where every cost is known. ``cut`` counts the replies that broke off, ``empty`` those
    without a text; they are there where there are any.
    """

    card: JudgeFacts
    revisions: Sequence[str]
    questions: int
    usage: Mapping[str, int]
    cost: NotRequired[float]
    paid: NotRequired[Mapping[str, float | None]]
    cut: NotRequired[int]
    empty: NotRequired[int]
