"""What is on record of generated texts, and of what steering did to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from mtmbench.core.judge_facts import JudgeFacts
from mtmbench.core.match_payloads import OutcomeValues


class BackboneFacts(TypedDict):
    """All of a language model that its activations and texts depend on."""

    backbone: str
    backbone_revision: str
    precision: NotRequired[str]
    specials: NotRequired[Sequence[Sequence[int]]]
    device: NotRequired[str]


PushFacts = TypedDict("PushFacts", {"vector": str, "lambda": float})
"""A direction, by its revision, and how far along it text is steered."""


class TextFacts(TypedDict):
    """What a text goes on from, and how it is steered."""

    prompt: str
    sample: int
    lead: str
    pushes: Sequence[PushFacts]


class GenerationPayload(TextFacts, BackboneFacts):
    """Payload of a "generation" record: a text, its tokens, and how far it was steered."""

    sampling: Mapping[str, object]
    text: str
    ids: Sequence[int]
    ended: bool
    mean_change: float


class _OfTexts(BackboneFacts):
    steering_version: int


class TextScoresIdentity(_OfTexts):
    """Texts, by their keys, beside unsteered ones, and the number of each one's direction."""

    texts: Sequence[str]
    plain: Sequence[str]
    replicates: Sequence[int]


class TextScoresPayload(TextScoresIdentity):
    """Payload of a "steer" record of texts without a judge."""

    scores: Mapping[str, Any]


class DeltaLPlace(_OfTexts):
    """On which documents Δℓ is measured, and how."""

    corpus: str
    on: Sequence[int]
    off: Sequence[int]
    mode: str
    max_tokens: int


class DeltaLIdentity(DeltaLPlace):
    """The same under a push."""

    vector: str
    strength: float


class DeltaLPayload(DeltaLIdentity):
    """Payload of a "steer" record of Δℓ."""

    condition: Mapping[str, object]
    value: float
    lo: float | None
    hi: float | None


class CalibrationIdentity(_OfTexts):
    """A direction, the change to reach along it, and the text in which that is measured.

    ``turn`` is the level that changes a reference text least; the search keeps to the start's side.
    """

    vector: str
    start: float
    turn: float
    target: float
    sampling: Mapping[str, object]
    prompts: Sequence[str]


class CalibrationPayload(CalibrationIdentity):
    """Payload of a "steer" record of the search for λ: each λ tried, and its mean ‖a′ − a‖."""

    trials: Sequence[Sequence[float]]


class ComparisonIdentity(JudgeFacts):
    """Which texts a judge holds against unsteered ones, about which topic."""

    judge: str
    prompt: str | None
    steering_version: int
    corpus: str
    result: str
    topic: int
    description: str
    texts: Sequence[str]
    plain: Sequence[str]


class ComparisonPayload(ComparisonIdentity, OutcomeValues):
    """Payload of a "steer" record of what a judge said."""

    conditions: Sequence[Mapping[str, object]]
    strength: Mapping[str, object] | None


SteerPayload = TextScoresPayload | DeltaLPayload | CalibrationPayload | ComparisonPayload
