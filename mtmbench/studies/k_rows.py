"""The rows of ``study.json`` of ``study k``. What cannot be had is None with a ``reason``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from mtmbench.studies.rows import BaselineDifference, StudyError

Standing = Literal["best", "like the best", "worse"]
"""How a K stands beside the best one of its model by a measure."""

Fate = Literal["kept", "split", "merged", "vanished"]
"""What became of a topic from one K to the next; see :mod:`mtmbench.studies.flows`."""


class KCorpus(TypedDict):
    """A corpus of the study."""

    name: str
    revision: str
    n_docs: int
    n_labels: int


class KMeasureFacts(TypedDict):
    """A measure of the study."""

    name: str
    title: str
    higher_is_better: bool


class KRow(BaselineDifference):
    """A measure of a model at one K; the difference is to the model's best K, by seed."""

    corpus: str
    measure: str
    model: str
    k: int
    n_seeds: int
    mean: float | None
    lo: float | None
    hi: float | None
    standing: Standing | None
    reason: str | None


class KFinding(TypedDict):
    """A sentence; ``measure`` is None where it is of all measures of a model together."""

    corpus: str
    model: str
    measure: str | None
    text: str


class FlowFacts(TypedDict):
    """How topics of one fit lie in those of another, as they are kept in ``flows.json``.

    ``flows`` are (topic, other topic, share of the topic that lands there, share of the other topic
    that comes from it), where either share is large enough to be told.
    """

    n_from: int
    n_to: int
    flows: Sequence[tuple[int, int, float, float]]


class FlowTopic(TypedDict):
    """A topic of the first seed's fit: its first words, and its mean share of documents."""

    k: int
    topic: int
    label: str
    share: float


class TopicFate(TypedDict):
    """What became of a topic: its parts, the largest first, and which share of it each holds."""

    topic: int
    fate: Fate
    into: Sequence[int]
    shares: Sequence[float]


class FlowStep(FlowFacts):
    """From one K to the next: every topic's fate, and which topics of the next came of none."""

    k_from: int
    k_to: int
    fates: Sequence[TopicFate]
    new: Sequence[int]


class TopicFlows(TypedDict):
    """The topics of a model over K, matched from each K to the next."""

    corpus: str
    model: str
    seed: int
    topics: Sequence[FlowTopic]
    steps: Sequence[FlowStep]


class KStudyTables(TypedDict):
    """The content of ``study.json`` of ``study k``."""

    schema: int
    study: str
    question: str
    models: Sequence[str]
    ks: Sequence[int]
    seeds: Sequence[int]
    judge: str | None
    confidence: float
    corpora: Sequence[KCorpus]
    measures: Sequence[KMeasureFacts]
    rows: Sequence[KRow]
    findings: Sequence[KFinding]
    flows: Sequence[TopicFlows]
    notes: Sequence[str]
    errors: Sequence[StudyError]
    versions: Sequence[str]
