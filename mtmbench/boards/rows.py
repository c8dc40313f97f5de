"""The rows of ``board.json``: what makes them and what shows them agree on these fields.

What cannot be had is None with a ``reason`` beside it. Fields come in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from mtmbench.core.fit_payloads import CompetitorFields, FitCautions
from mtmbench.core.judge_facts import JudgeFacts, PromptFacts
from mtmbench.core.match_payloads import ExtractionFacts, RefineLimits

if TYPE_CHECKING:
    from mtmbench.core.match_payloads import Control, RewriteTask
    from mtmbench.core.records import RecordKind
    from mtmbench.core.specs import Representation
    from mtmbench.core.types import ItemKind


class CorpusRow(TypedDict):
    """A corpus; its counts are None where every fit on it failed."""

    name: str
    revision: str
    n_docs: int | None
    n_empty: int | None
    n_duplicates: int | None


class CompetitorRow(CompetitorFields):
    """A competitor, under its display name."""

    name: str
    items: ItemKind | None


class ShareRow(TypedDict):
    """A share with its interval, over ``n``."""

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    reason: str | None


class AuditRow(TypedDict):
    """How a judge behaved over its matches (:mod:`mtmbench.matches.audit`)."""

    documents: int
    ruled: int
    removed: int
    first_slot_rate: ShareRow
    flip_rate: ShareRow
    tie_rate: ShareRow
    unparsed_rate: ShareRow
    refused_rate: ShareRow


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


class ProjectedWords(TypedDict, total=False):
    """How projected words were taken where a judge was shown or read some, as records say it.

    ``wordless`` of ``worded`` options had topics without any; the two are there where some had.
    """

    projected: Literal["crossed"]
    wordless: int
    worded: int


class RulingJudge(JudgeSpending, LackingReplies, ProjectedWords):
    """A judge, without the verdict of its controls."""

    id: str
    is_llm: bool
    order_free: bool
    encoder: str | None
    client: str | None
    version: int | None
    prompt: str | None
    params: Mapping[str, object]
    revisions: Sequence[str]
    protocol: Mapping[str, object]
    calls: int
    usage: Mapping[str, int]
    shares_encoder_with: Sequence[str]
    audit: AuditRow


class JudgeRow(RulingJudge):
    """A judge; ``reliable`` is None where no control has tested it."""

    reliable: bool | None


class ControlPlace(TypedDict):
    """Before whom a control was played, and how its topics were shown."""

    judge: str
    representation: Representation


class ControlRow(ControlPlace):
    """A control, pooled (``model`` None) or of one competitor."""

    control: Control | str
    corpus: str
    k: int | None
    k_spec: int | str | None
    model: str | None
    setting: str | None
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    passed: bool | None
    reason: str | None


class RewrittenFit(CompetitorFields):
    """How many topics of a fit got an answer of each status.

    ``seed`` is told where fits under several are summarised.
    """

    corpus: str
    k_spec: int | str
    seed: NotRequired[int]
    statuses: Mapping[str, int]


class RewriteRow(LackingReplies):
    """Who refined or summarised the topics of the board.

    ``prompt`` is None, and ``extraction`` there, where summaries were taken from documents; its
    counts are over all corpora.
    """

    task: RewriteTask
    judge: str
    facts: JudgeFacts
    prompt: PromptFacts | None
    extraction: NotRequired[ExtractionFacts]
    limits: NotRequired[RefineLimits]
    top_items: int
    revisions: Sequence[str]
    questions: int
    usage: Mapping[str, int]
    cost: float | None
    statuses: Mapping[str, int]
    failed: int
    fits: Sequence[RewrittenFit]


class LabelsRow(TypedDict):
    """Where the labels of features are from, under a setting; see :func:`label_rows`."""

    setting: str | None
    source: Mapping[str, object]
    fits: int
    items: int
    unlabelled: Sequence[int]


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


class LeaguePlace(TypedDict):
    """Which league; ``k`` is None where pooled corpora differ in it."""

    judge: str
    corpus: str
    k: int | None
    k_spec: int | str
    representation: Representation


class RatedNumbers(TypedDict):
    """A rating with its interval, and what it rests on."""

    elo: float | None
    lo: float | None
    hi: float | None
    rank: int | None
    wins: int
    losses: int
    ties: int
    reason: str | None


class AdjustedNumbers(TypedDict, total=False):
    """The rating at equal lengths, where lengths were asked for."""

    elo_adjusted: float | None
    lo_adjusted: float | None
    hi_adjusted: float | None


class SeedNumbers(TypedDict, total=False):
    """The rating of each seed's fits among themselves, where matches of several were played.

    The first is the rating; None is a seed that the model has no rateable fit of. ``elo_sd`` is
    their sample standard deviation.
    """

    elo_by_seed: list[float | None]
    elo_sd: float | None


class LeagueRow(LeaguePlace, CompetitorFields, RatedNumbers, AdjustedNumbers, SeedNumbers):
    """A competitor of a league; comparisons that it lost are "unparsed" or "refused"."""

    unparsed: int
    refused: int


class LengthSummary(TypedDict):
    """What twice the length is worth, in Elo."""

    per_doubling: float | None
    lo: float | None
    hi: float | None
    reason: str | None


class AdaptiveSummary(TypedDict):
    """How far an adaptive league has come; ``uniform`` is what every pair would have played."""

    look: int
    looks: int
    level: float | None
    finished: bool
    comparisons: int
    uniform: int
    decided: int | None
    neighbours: int


class WinRateNumbers(TypedDict):
    """Win rates and counts in the order of ``names``, and what the ratings rest on.

    ``sandwich`` are half-widths by the sandwich estimator; ``nu`` is Davidson's tie parameter,
    where ties have one; ``intervals`` is "sandwich" where models were too many for a bootstrap.
    """

    names: Sequence[str]
    rates: Sequence[Sequence[float | None]]
    comparisons: Sequence[Sequence[int]]
    n_documents: int
    n_bootstrap: int
    n_unrateable: int
    confidence: float | None
    reason: str | None
    sandwich: Sequence[float | None]
    nu: NotRequired[float | None]
    intervals: NotRequired[Literal["sandwich"]]


class LeagueExtras(TypedDict, total=False):
    """What only some leagues have."""

    length: LengthSummary
    adaptive: AdaptiveSummary


class WinRateTable(LeaguePlace, WinRateNumbers, LeagueExtras):
    """The win rates of a league."""


class SequentialRow(LeaguePlace, CompetitorFields):
    """A competitor's sequential Elo."""

    elo: float | None


class PairGap(TypedDict):
    """A pair of competitors, and by how much its mean score differs between two judges."""

    a: CompetitorFields
    b: CompetitorFields
    difference: float | None


class DocumentGap(TypedDict):
    """A document, and on how many of its ``n`` comparisons two judges name opposite winners."""

    corpus: str
    document: str
    opposed: int
    n: int


class AgreementPlace(TypedDict):
    """On which comparisons judges agree; ``k`` is None where pooled corpora differ in it."""

    corpus: str
    k: int | None
    k_spec: int | str
    representation: Representation


class JointAgreement(TypedDict):
    """Krippendorff's alpha of two judges or more."""

    n_items: int
    n_documents: int
    alpha: float | None
    alpha_lo: float | None
    alpha_hi: float | None
    alpha_reason: str | None


class PairAgreement(TypedDict, total=False):
    """What only two judges have: Cohen's kappa, correlations of Elo, and where they differ."""

    kappa: float | None
    kappa_lo: float | None
    kappa_hi: float | None
    kappa_reason: str | None
    opposed: float | None
    n_models: int
    kendall_tau: float | None
    spearman: float | None
    pairs: Sequence[PairGap]
    documents: Sequence[DocumentGap]


class AgreementNumbers(JointAgreement, PairAgreement):
    """How far two judges or more agree."""


class AgreementRow(AgreementPlace, AgreementNumbers):
    """How far judges agree in a league."""

    judges: Sequence[str]


class LeftOutNumbers(TypedDict, total=False):
    """What a metric leaves out, over all seeds, where its records say so.

    Words of topics that the reference does not know, topics without a value, and a note about them.
    """

    n_out_of_vocabulary: int
    n_topics_without_value: int
    note: str


class MetricRow(CompetitorFields, LeftOutNumbers):
    """A metric of a competitor: the mean over seeds, or one value over all of them."""

    corpus: str
    k: int
    k_spec: int | str
    metric: str
    view: str | None
    params: Mapping[str, object]
    value: float | None
    lo: float | None
    hi: float | None
    n_seeds: int
    reason: str | None


class CorrelationRow(CompetitorFields):
    """How alike two competitors sort the documents: the mean over the seeds that both have."""

    other: CompetitorFields
    corpus: str
    k: int
    k_spec: int | str
    value: float | None
    lo: float | None
    hi: float | None
    n_seeds: int


class MetricFacts(TypedDict):
    """Version and direction of a metric."""

    version: int
    higher_is_better: bool


class FitItems(TypedDict):
    """The items of a competitor's fits, and what each filter did to them."""

    kind: ItemKind | None
    n: int | None
    filters: Mapping[str, object] | None


class ToldFits(TypedDict, total=False):
    """What readers are told of fits, by seed; there where records hold it, None of one without.

    ``plays`` is the seed of the fit that is rated.
    """

    cautions: Sequence[FitCautions | None]
    plays: int


class FitRow(CompetitorFields, ToldFits):
    """A competitor's fits; ``n_topics`` is None of one that failed."""

    corpus: str
    k: int
    k_spec: int | str
    registry: str | None
    seeds: Sequence[int]
    n_topics: Sequence[int | None]
    n_failed: int
    params_given: Mapping[str, object] | None
    items: FitItems | None


class TopicCell(TypedDict):
    """One topic of a fit."""

    topic: int
    share: float | None
    items: Sequence[str]
    words: Sequence[str]


class ItemsCalled(TypedDict, total=False):
    """Where the labels of items are from; there where records say it."""

    labels: str | None


class TopicsRow(CompetitorFields, ItemsCalled):
    """The largest topics of a competitor's first seed."""

    corpus: str
    k: int
    k_spec: int | str
    seed: int
    n_topics: int
    topics: Sequence[TopicCell]


class ErrorRow(TypedDict):
    """A cell that failed, by the fields of its kind; matches have sides, others a competitor."""

    kind: RecordKind
    corpus: str
    k: int
    k_spec: int | str
    judge: NotRequired[str]
    representation: NotRequired[str]
    control: NotRequired[Control]
    a: NotRequired[CompetitorFields]
    b: NotRequired[CompetitorFields]
    model: NotRequired[str]
    setting: NotRequired[str]
    seed: NotRequired[int | Mapping[str, int]]
    metric: NotRequired[str]
    view: NotRequired[str]
    params: NotRequired[Mapping[str, object]]
    task: NotRequired[RewriteTask]
    reason: str | None


class BoardLinks(TypedDict, total=False):
    """The page of the steering table, where text was steered too; the records, where packed."""

    steering: str
    records: str


class BoardExtras(TypedDict, total=False):
    """What only some boards have.

    Where labels are from, who rewrote topics, what was spent, replies about metrics, correlation of
    models' shares in documents.
    """

    labels: Sequence[LabelsRow]
    shown: Sequence[RewriteRow]
    spending: Sequence[SpendingRow]
    spent: SpentTotal
    metric_replies: Sequence[MetricReplies]
    doc_topic_correlation: Sequence[CorrelationRow]


class BoardTables(BoardLinks, BoardExtras):
    """The content of ``board.json``; package versions are by package."""

    schema: int
    suite: str
    title: str
    description: str
    corpora: Sequence[CorpusRow]
    competitors: Sequence[CompetitorRow]
    judges: Sequence[JudgeRow]
    controls: Sequence[ControlRow]
    ratings: Sequence[LeagueRow]
    win_rates: Sequence[WinRateTable]
    sequential_elo: Sequence[SequentialRow]
    agreement: Sequence[AgreementRow]
    metrics: Sequence[MetricRow]
    metric_versions: Mapping[str, MetricFacts]
    fits: Sequence[FitRow]
    topics: Sequence[TopicsRow]
    errors: Sequence[ErrorRow]
    versions: Mapping[str, Sequence[str]]
