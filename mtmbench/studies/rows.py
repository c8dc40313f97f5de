"""The rows of ``study.json`` and ``features.json``: what makes and what shows them agree on these.

What cannot be had is None with a ``reason`` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from mtmbench.boards.steering_rows import LambdaFields, SteeringTotals
from mtmbench.core.judge_facts import JudgeFacts, PromptFacts

Setting = Mapping[str, Any]
"""A feature setting as a source takes it: a value, or a limit of a filter, by name."""

FiringsColumn = Literal[
    "features", "features_kept", "firings_kept", "counts_per_token", "documents_empty"
]  # fmt: skip
"""What is told of what a setting leaves to count; see :func:`~.firings.count_firings`."""

Measure = Literal["relevance", "perplexity", "drift"]
"""What steering is measured by."""


class StudyCorpus(TypedDict):
    """A corpus of a study, with the number of topics asked for."""

    name: str
    revision: str
    n_docs: int
    n_labels: int
    k: int


class SettingRow(TypedDict):
    """A setting of a study; see :class:`~mtmbench.studies.design.Point`."""

    name: str
    label: str
    detail: str
    x: float | None
    series: str
    role: str
    baseline: bool
    values: Setting


class StudiedMetric(TypedDict):
    """A metric of a study."""

    name: str
    view: str | None
    title: str


class FiringFacts(TypedDict):
    """What a setting leaves to count in a corpus."""

    features: int | None
    features_kept: int | None
    firings_kept: float | None
    counts_per_token: float | None
    documents: int | None
    documents_empty: int | None
    reason: str | None


class FiringsRow(FiringFacts):
    """The same, of which setting in which corpus."""

    corpus: str
    setting: str


class SettingMean(TypedDict):
    """A metric's mean over seeds under one setting; the reference model has no setting."""

    corpus: str
    metric: str
    model: str
    setting: str | None
    series: str | None
    x: float | None
    n_seeds: int
    mean: float | None
    lo: float | None
    hi: float | None


class BaselineDifference(TypedDict):
    """The difference to the baseline, paired by seed; all None where nothing is compared."""

    difference: float | None
    difference_lo: float | None
    difference_hi: float | None
    p: float | None
    p_holm: float | None
    n_paired: int | None
    n_compared: int | None


class StudyRow(SettingMean, BaselineDifference):
    """A metric under one setting, held against the baseline."""

    reason: str | None


class Finding(TypedDict):
    """A sentence about a metric; ``leads`` tells the corpus's first metric."""

    corpus: str
    model: str
    series: str
    metric: str
    leads: bool
    text: str


class StudyError(TypedDict):
    """A fit or a value that failed."""

    kind: str
    corpus: str
    model: str
    setting: str | None
    seed: int | None
    metric: str | None
    reason: str | None


class SettingStudy(TypedDict):
    """The content of ``study.json`` of a study of settings."""

    schema: int
    study: str
    question: str
    varied: str
    source: str
    max_tokens: int | None
    models: Sequence[str]
    reference: str | None
    seeds: Sequence[int]
    confidence: float
    corpora: Sequence[StudyCorpus]
    settings: Sequence[SettingRow]
    metrics: Sequence[StudiedMetric]
    firings: Sequence[FiringsRow]
    rows: Sequence[StudyRow]
    findings: Sequence[Finding]
    notes: Sequence[str]
    errors: Sequence[StudyError]
    versions: Sequence[str]


class MeasureMean(TypedDict):
    """A mean over ``n`` topics."""

    n: int
    mean: float | None
    lo: float | None
    hi: float | None


class SteeringPoint(LambdaFields, MeasureMean):
    """A measure at one λ, whether it is the operating point, and how many topics chose it."""

    corpus: str
    model: str
    measure: Measure
    judge: str | None
    n_chosen: int
    best: bool


class SteeringFinding(TypedDict):
    """A sentence about a model's steering."""

    corpus: str
    model: str
    text: str


class SteeringStudyTables(TypedDict):
    """The content of ``study.json`` of ``study steering``; ``steering`` is the suite's spec."""

    schema: int
    study: str
    question: str
    source: str
    max_tokens: int | None
    steering: Mapping[str, object]
    corpora: Sequence[str]
    models: Sequence[str]
    judges: Sequence[str]
    points: Sequence[SteeringPoint]
    summary: Sequence[SteeringTotals]
    findings: Sequence[SteeringFinding]
    notes: Sequence[str]


class MarkedBy(TypedDict):
    """Who marked: a person, or a judge with what its answers took."""

    kind: Literal["person", "judge"]
    card: NotRequired[str]
    prompt: NotRequired[PromptFacts]
    card_fields: NotRequired[JudgeFacts]
    revisions: NotRequired[Sequence[str]]
    questions: NotRequired[int]
    usage: NotRequired[Mapping[str, int]]
    cost: NotRequired[float]
    paid: NotRequired[Mapping[str, float | None]]


class ContextRow(TypedDict):
    """Where a feature fires: a token, the text around it, and its activation."""

    before: str
    token: str
    after: str
    value: float


class CaseRow(TypedDict):
    """A feature of a document, and what it was marked."""

    doc_id: str
    rank: int
    feature: int
    label: str
    count: int
    matches: str | None
    contexts: Sequence[ContextRow]


class YesShare(TypedDict):
    """The share of yes among labels marked yes or no.

    Attributes:
        value: yes over n; None where n is 0.
        lo: lower end of the interval over documents; None where it cannot be had.
        hi: upper end.
        yes: how many are yes.
        n: how many are yes or no.
        n_documents: documents that these lie in.
        reason: why the interval is missing or of another kind, or None.
    """

    value: float | None
    lo: float | None
    hi: float | None
    yes: int
    n: int
    n_documents: int
    reason: str | None


class FeatureStudyTables(TypedDict):
    """The content of ``features.json``; ``described`` is the feature setting in full."""

    schema: int
    study: str
    corpus: str
    corpus_revision: str
    source: str
    setting: str
    described: Mapping[str, object]
    max_tokens: int | None
    seed: int
    documents: int
    documents_without_features: int
    marked_by: MarkedBy | None
    marks: Mapping[str, int]
    share: YesShare
    finding: str
    cases: Sequence[CaseRow]
