"""What is on record of matches, and of topics that a judge refined or summarised for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from mtmbench.core.fit_payloads import CompetitorFields, FitPlace
from mtmbench.core.judge_facts import AnswersBy, JudgeFacts, PromptFacts

if TYPE_CHECKING:
    from mtmbench.core.specs import Representation

RewriteTask = Literal["refine", "summary"]
Control = Literal["refit", "other_topic", "repeat"]


class ExtractionFacts(TypedDict):
    """How summaries were taken from documents, which no language model wrote.

    ``rule`` splits the corpus: ``n_sources`` documents may be taken from, ``n_judged`` are judged.
    ``encoder`` chose what is taken; records of the first summaries lack it.
    """

    is_llm: Literal[False]
    rule: str
    n_sources: int
    n_judged: int
    encoder: NotRequired[str]


class RefineLimits(TypedDict):
    """Of how many of a topic's strongest items a refiner may drop how many."""

    show: int
    drop: int


class RewriteIdentity(FitPlace):
    """Which fit's topics a judge refines or summarises.

    ``prompt`` is None, and ``extraction`` there, where summaries are taken from documents.
    ``limits`` are there where the suite gives them; else two of ``top_items`` may be dropped.
    """

    fits: Sequence[str]
    task: RewriteTask
    judge: str
    facts: JudgeFacts
    prompt: PromptFacts | None
    top_items: int
    refined: str | None
    limits: NotRequired[RefineLimits]
    extraction: NotRequired[ExtractionFacts]


class RewrittenTopic(TypedDict):
    """A topic's outcome: items dropped, or a summary; the reply where it gave neither.

    ``documents`` are those that the summary was taken from, where it was.
    """

    status: str
    value: Sequence[str] | str | None
    reply: NotRequired[str | None]
    documents: NotRequired[Sequence[str]]


class RewriteValues(TypedDict, total=False):
    """What became of the topics, and who was asked."""

    topics: Sequence[RewrittenTopic]
    statuses: Mapping[str, int]
    answers_by: AnswersBy
    reason: str | None


class RewritePayload(RewriteIdentity, RewriteValues):
    """Payload of a "shown" record."""


class MatchJudge(TypedDict):
    """What records of matches say of their judge; ``prompt`` is the hash of what it reads."""

    judge: str
    judge_is_llm: bool
    order_free: bool
    encoder: str | None
    judge_client: str
    judge_version: int
    judge_params: Mapping[str, object]
    prompt: str | None
    judge_model: NotRequired[str]
    judge_revision: NotRequired[str]
    judge_endpoint: NotRequired[str]
    judge_structured: NotRequired[bool]
    judge_inputs: NotRequired[Mapping[str, object]]
    judge_members: NotRequired[Mapping[str, JudgeFacts]]


class MatchSide(CompetitorFields):
    """One side of a match, with the key of its fit."""

    fit: str


class SideSeeds(TypedDict):
    """The seeds of both fits."""

    a: int
    b: int


class SideLengths(TypedDict):
    """How many characters each side shows for each document."""

    a: Sequence[int]
    b: Sequence[int]


class RewrittenBy(TypedDict):
    """Who refined or summarised the topics that a match shows."""

    judge: str
    facts: JudgeFacts
    prompt: PromptFacts | None
    extraction: NotRequired[ExtractionFacts]
    limits: NotRequired[RefineLimits]


class MatchParticulars(TypedDict, total=False):
    """What only some matches have.

    Where labels are from that are not the fits' own (``side_labels`` where both sides' are from
    different sources, by "a" and "b"), rewritten topics, which of its seeds each model plays with
    if not the first (1 is the second), a block's place in its sample, a control. ``projected`` is
    there where projected words were shown or read: beside each document those from the half of the
    documents that it is not in; without it they are from all documents.
    """

    labels: Mapping[str, object]
    side_labels: Mapping[str, Mapping[str, object]]
    refine: RewrittenBy
    summary: RewrittenBy
    start: int
    sample: int
    control: Control
    nth_seed: int
    projected: Literal["crossed"]


class MatchIdentity(MatchJudge, MatchParticulars):
    """Which pair of fits on which documents, before which judge."""

    corpus: str
    corpus_revision: str
    k: int
    k_spec: int | str
    representation: Representation
    a: MatchSide
    b: MatchSide
    seed: SideSeeds
    documents: Sequence[str]
    protocol: Mapping[str, object]


class OutcomeValues(TypedDict, total=False):
    """What a judge said of two sides, one character a document and order, and what that took.

    ``unread``, replies without a verdict by document, and ``lengths`` are told of matches alone.
    ``cut`` counts the replies that broke off, ``empty`` those without a text, ``wordless`` the
    options, two a document, whose topics have no projected words in the half of the documents that
    they are taken from; they are there where there are any.
    """

    forward: str
    backward: str
    calls: int
    usage: Mapping[str, int]
    cost: float | None
    paid: Mapping[str, float]
    cut: int
    empty: int
    judge_revisions: Sequence[str]
    unread: Mapping[str, Sequence[str | None]]
    lengths: SideLengths
    wordless: int
    reason: str | None


class MatchPayload(MatchIdentity, OutcomeValues):
    """Payload of a "match" or "null" record."""
