"""Records: what a run keeps of its work, and the fields of every kind of them.

A record is about one unit of work. Its payload says which (``identity`` of a cell, or what a text
or a score depends on) and what came of it; with a status other than "ok" the values are missing,
all or in part, and ``reason`` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NotRequired,
    TypedDict,
    TypeVar,
    get_args,
    overload,
)

from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.serialise import canonical_json

if TYPE_CHECKING:
    from mtmbench.core.specs import Representation
    from mtmbench.core.types import ItemKind

SCHEMA_VERSION = 1

RecordKind = Literal["fit", "labels", "metric", "shown", "match", "null", "generation", "steer"]
Status = Literal["ok", "error", "unparsed", "refused", "skipped"]

RewriteTask = Literal["refine", "summary"]
Control = Literal["refit", "other_topic", "repeat"]

_Payload_co = TypeVar("_Payload_co", bound=Mapping[str, object], covariant=True)


class CompetitorFields(TypedDict):
    """Who plays on a board: a model, and its feature setting, None for models that read none."""

    model: str
    setting: str | None


class _AboutFits(CompetitorFields):
    corpus: str
    corpus_revision: str
    k: int
    k_spec: int | str


class FitPlace(_AboutFits):
    """What records of and about one fit have in common."""

    seed: int


class FittedItems(TypedDict):
    """The items of a fit: how many of which kind, and where they come from."""

    kind: ItemKind
    n: int
    source: Mapping[str, object]


class FittedTopic(TypedDict):
    """A topic for people to read: its top items, its projected words and its mean share."""

    items: Sequence[str]
    words: Sequence[str]
    share: float


class FitCautions(TypedDict, total=False):
    """What readers of a fit's ratings are told; each is there only where it holds.

    ``found`` are its topics, fewer than K; ``converged`` is False; ``start`` says from what topics
    were started, "clusters" of the documents; ``largest_cluster`` is the share of documents for
    which HDBSCAN's leaves stand in place of its own choice.
    """

    found: int
    converged: bool
    start: str
    largest_cluster: float


class FitParticulars(TypedDict, total=False):
    """What only some fits have: in which order the documents came, if not in the corpus's own."""

    order: int


class FitIdentity(FitPlace, FitParticulars):
    """Which fit; ``version`` is the model's, which records of the first releases do not say."""

    registry: str
    params: Mapping[str, object]
    version: NotRequired[int]


class FitValues(TypedDict, total=False):
    """What became of a fit; ``result`` is the revision of its topics.

    ``no_words`` says why there are no projected words, where the corpus's cannot be told apart.
    ``encoder`` names what embedded the documents for a model that reads embeddings, where it is not
    all-MiniLM-L6-v2.
    Records of the first releases have no ``cautions``, so that their boards tell none.
    """

    n_docs: int
    n_empty: int
    n_duplicates: int
    params_given: Mapping[str, object]
    needs: Sequence[str]
    n_topics: int
    result: str
    items: FittedItems
    info: Mapping[str, object]
    cautions: FitCautions
    topics: Sequence[FittedTopic]
    no_words: str
    encoder: str
    reason: str | None


class FitPayload(FitIdentity, FitValues):
    """Payload of a "fit" record; its ``params`` are as resolved in the fit."""


class LabelsIdentity(FitPlace):
    """Under which labels the items of which fit are shown; ``labels`` says where they are from."""

    fits: Sequence[str]
    labels: Mapping[str, object]


class LabelsValues(TypedDict, total=False):
    """The top items of every topic under these labels, and what has none of them.

    ``unlabelled`` counts the fit's items that keep their own labels, as nothing gave them another:
    in all documents, and in each half.
    """

    topics: Sequence[Sequence[str]]
    unlabelled: Sequence[int]
    reason: str | None


class LabelsPayload(LabelsIdentity, LabelsValues):
    """Payload of a "labels" record."""


class MetricParticulars(TypedDict, total=False):
    """What only some values have: labels other than the fit's own, by which items were read."""

    labels: Mapping[str, object]


class MetricIdentity(_AboutFits, MetricParticulars):
    """Which value of which fit, or of which model over its seeds (``seed`` None)."""

    seed: int | None
    fits: Sequence[str]
    metric: str
    version: int
    higher_is_better: bool
    view: str | None
    params: Mapping[str, object]


class MetricValues(TypedDict, total=False):
    """A metric's value, with what the metric itself tells of it."""

    value: float | None
    per_topic: Sequence[float | None] | None
    details: Mapping[str, Any]
    reason: str | None


class MetricPayload(MetricIdentity, MetricValues):
    """Payload of a "metric" record."""


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
CellPayload = FitPayload | LabelsPayload | MetricPayload | RewritePayload | MatchPayload
Payload = CellPayload | GenerationPayload | SteerPayload


@dataclass(frozen=True, slots=True)
class Record(Generic[_Payload_co]):
    """One append-only fact of a run.

    Attributes:
        kind: what it records.
        key: hash of every input that can change the value; unique in a store.
        status: "ok", or why there is no value.
        payload: JSON values; the value, its parameters, and ``reason`` where it is missing.
        versions: versions that the value depends on (mtmbench, metric, libraries).
    """

    kind: RecordKind
    key: str
    status: Status
    payload: _Payload_co
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Returns the record as one line of canonical JSON."""
        return canonical_json(
            {
                "schema": self.schema,
                "kind": self.kind,
                "key": self.key,
                "status": self.status,
                "payload": self.payload,
                "versions": self.versions,
            }
        )

    @staticmethod
    def from_json(line: str) -> StoredRecord:
        """Reads one line of ``records.jsonl``.

        Raises:
            InputError: the line is not a record, or of a later schema.
        """
        try:
            data: Any = parse_json(line, "the line")
            if data["schema"] <= SCHEMA_VERSION:
                _check(data["kind"], data["payload"])
            record: StoredRecord = Record(
                data["kind"], data["key"], data["status"], data["payload"],
                data["versions"], data["schema"],
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"not a record: {line[:80]!r} ({error})") from error
        if record.schema > SCHEMA_VERSION:
            raise InputError(
                f"record of schema {record.schema}; this mtmbench reads up to {SCHEMA_VERSION}"
            )
        return record


FitRecord = Record[FitPayload]
LabelsRecord = Record[LabelsPayload]
MetricRecord = Record[MetricPayload]
RewriteRecord = Record[RewritePayload]
MatchRecord = Record[MatchPayload]
GenerationRecord = Record[GenerationPayload]
CellRecord = Record[CellPayload]
StoredRecord = Record[Payload]
"""A record of any kind."""


@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["fit"]) -> list[FitRecord]: ...
@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["labels"]) -> list[LabelsRecord]: ...
@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["metric"]) -> list[MetricRecord]: ...
@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["shown"]) -> list[RewriteRecord]: ...
@overload
def of_kind(
    records: Iterable[StoredRecord], kind: Literal["match", "null"]
) -> list[MatchRecord]: ...
@overload
def of_kind(
    records: Iterable[StoredRecord], kind: Literal["generation"]
) -> list[GenerationRecord]: ...
def of_kind(records: Iterable[StoredRecord], kind: RecordKind) -> list[Record[Any]]:
    """Returns the records of one kind, in their order."""
    return [record for record in records if record.kind == kind]


_KINDS = frozenset(get_args(RecordKind))


def _check(kind: object, payload: object) -> None:
    if kind not in _KINDS:
        raise ValueError(f"there is no kind {kind!r}")
    if not isinstance(payload, dict):
        raise ValueError("its payload is no object")
