"""Cells: the units of a suite's work, each with the content key of its record.

A cell knows what a record of it says (``identity``), what must be there before it can be played
(``needs``), and what people call it (``describe``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from mtmbench.core.cards import JudgeCard
from mtmbench.core.competitors import Competitor, League
from mtmbench.core.fit_payloads import (
    FitIdentity,
    FitParticulars,
    FitPlace,
    FitValues,
    LabelsIdentity,
    LabelsValues,
    MetricIdentity,
    MetricParticulars,
    MetricValues,
)
from mtmbench.core.judge_facts import JudgeFacts, PromptFacts
from mtmbench.core.match_payloads import (
    Control,
    ExtractionFacts,
    MatchIdentity,
    MatchJudge,
    MatchParticulars,
    OutcomeValues,
    RefineLimits,
    RewriteIdentity,
    RewriteTask,
    RewriteValues,
    RewrittenBy,
)
from mtmbench.core.records import (
    FitRecord,
    LabelsRecord,
    MatchRecord,
    MetricRecord,
    Record,
    RecordKind,
    RewriteRecord,
    Status,
)
from mtmbench.core.specs import Representation


@dataclass(frozen=True)
class FitCell:
    """One model fitted once: corpus, feature setting, K and seed; ``version`` is the model's.

    ``order`` says in which order the documents came, 0 in the corpus's own.
    ``twin`` is the key of a fit that is the same under another name (two cards of the same
    parameters, one corpus under two names): its result is this one's too.
    """

    key: str
    corpus: str
    corpus_revision: str
    model: str
    registry: str
    setting: str | None
    k: int
    k_spec: int | str
    seed: int
    params: Mapping[str, Any]
    version: int
    twin: str | None = None
    order: int = 0
    kind: ClassVar[RecordKind] = "fit"

    @property
    def competitor(self) -> Competitor:
        """What the fit plays as."""
        return Competitor(self.model, self.setting or "")

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of what must be there first: nothing."""
        return ()

    def identity(self) -> FitIdentity:
        """Returns the fields that say which cell a record belongs to."""
        told: FitParticulars = {"order": self.order} if self.order else {}
        return {
            **self.place(),
            "registry": self.registry,
            "params": dict(self.params),
            "version": self.version,
            **told,
        }

    def place(self) -> FitPlace:
        """Returns the fields that records of and about a fit have in common."""
        return {
            "corpus": self.corpus,
            "corpus_revision": self.corpus_revision,
            "model": self.model,
            "setting": self.setting,
            "k": self.k,
            "k_spec": self.k_spec,
            "seed": self.seed,
        }

    def record(self, status: Status, values: FitValues, versions: Mapping[str, str]) -> FitRecord:
        """Returns the cell's record: its identity with ``values`` added."""
        return Record(self.kind, self.key, status, {**self.identity(), **values}, versions)

    def describe(self, *, seed: bool = True) -> str:
        """Returns what people call it."""
        told = f", seed {self.seed}" if seed else ""
        told += f", order {self.order} of the documents" if self.order else ""
        return f"{self.competitor.name} on {self.corpus}, K = {self.k}{told}"


@dataclass(frozen=True)
class LabelCell:
    """What the items of one fit are called where that is not what the fit itself calls them.

    ``made`` is the key of the labels, which fits of one corpus and setting share; ``source`` is
    what is on record of them.
    """

    key: str
    made: str
    source: Mapping[str, object]
    fit: FitCell
    kind: ClassVar[RecordKind] = "labels"

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.fit.corpus

    @property
    def needs(self) -> tuple[str, ...]:
        """Key of the fit."""
        return (self.fit.key,)

    def identity(self) -> LabelsIdentity:
        """Returns the fields that say which cell a record belongs to."""
        return {**self.fit.place(), "fits": [self.fit.key], "labels": dict(self.source)}

    def record(
        self, status: Status, values: LabelsValues, versions: Mapping[str, str]
    ) -> LabelsRecord:
        """Returns the cell's record: its identity with ``values`` added."""
        return Record(self.kind, self.key, status, {**self.identity(), **values}, versions)

    def describe(self) -> str:
        """Returns what people call it."""
        return f"labels of {self.fit.describe()}"


@dataclass(frozen=True)
class MetricCell:
    """One metric value of one fit, or of one model over several (with ``siblings``).

    ``others`` are fits of other models that the value compares with; one that failed is left out of
    it. ``labels`` are there where the value depends on what items are called.
    """

    key: str
    metric: str
    version: int
    higher_is_better: bool
    view: Literal["own", "projected"] | None
    params: Mapping[str, Any]
    fit: FitCell
    siblings: tuple[FitCell, ...] = ()
    labels: LabelCell | None = None
    others: tuple[FitCell, ...] = ()
    kind: ClassVar[RecordKind] = "metric"

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.fit.corpus

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the fits, and of the labels."""
        return *self._fits, *(() if self.labels is None else (self.labels.key,))

    @property
    def _fits(self) -> tuple[str, ...]:
        return self.fit.key, *(other.key for other in self.siblings)

    def identity(self) -> MetricIdentity:
        """Returns the fields that say which cell a record belongs to."""
        told: MetricParticulars = {}
        if self.labels is not None:
            told["labels"] = dict(self.labels.source)
        return {
            **self.fit.place(),
            **told,
            "seed": None if self.siblings else self.fit.seed,
            "fits": [*self._fits, *(other.key for other in self.others)],
            "metric": self.metric,
            "version": self.version,
            "higher_is_better": self.higher_is_better,
            "view": self.view,
            "params": dict(self.params),
        }

    def record(
        self, status: Status, values: MetricValues, versions: Mapping[str, str]
    ) -> MetricRecord:
        """Returns the cell's record: its identity with ``values`` added."""
        return Record(self.kind, self.key, status, {**self.identity(), **values}, versions)

    def describe(self) -> str:
        """Returns what people call it."""
        return f"{self.metric} of {self.fit.describe(seed=not self.siblings)}"


@dataclass(frozen=True)
class RewriteCell:
    """One fit's topics, refined or summarised by one judge card.

    ``extraction`` tells of summaries that are taken from documents, for which there is no prompt;
    ``limits`` of how many items a refiner is shown and may drop, where the suite says so.
    """

    key: str
    task: RewriteTask
    judge: str
    card: JudgeCard
    facts: JudgeFacts
    prompt: PromptFacts | None
    top_items: int
    fit: FitCell
    refined: RewriteCell | None = None
    extraction: ExtractionFacts | None = None
    labels: LabelCell | None = None
    limits: RefineLimits | None = None
    kind: ClassVar[RecordKind] = "shown"

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.fit.corpus

    @property
    def template(self) -> str:
        """Name of the prompt."""
        return self.task if self.limits is None else "refine_up_to"

    @property
    def items_asked(self) -> int:
        """How many items of a topic the judge is shown."""
        return self.top_items if self.limits is None else self.limits["show"]

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the fit, of its labels, and of the refinement that is summarised."""
        named = () if self.labels is None else (self.labels.key,)
        return self.fit.key, *named, *(() if self.refined is None else (self.refined.key,))

    def identity(self) -> RewriteIdentity:
        """Returns the fields that say which cell a record belongs to."""
        return {
            **self.fit.place(),
            "fits": [self.fit.key],
            "task": self.task,
            **self.by(),
            "top_items": self.top_items,
            "refined": None if self.refined is None else self.refined.key,
        }

    def by(self) -> RewrittenBy:
        """Returns who rewrites the topics, for records."""
        by: RewrittenBy = {"judge": self.judge, "facts": self.facts, "prompt": self.prompt}
        if self.extraction is not None:
            by["extraction"] = self.extraction
        if self.limits is not None:
            by["limits"] = self.limits
        return by

    def record(
        self, status: Status, values: RewriteValues, versions: Mapping[str, str]
    ) -> RewriteRecord:
        """Returns the cell's record: its identity with ``values`` added."""
        return Record(self.kind, self.key, status, {**self.identity(), **values}, versions)

    def describe(self) -> str:
        """Returns what people call it."""
        return f"{self.task} of {self.fit.describe()}"


@dataclass(frozen=True)
class MatchCell:
    """All documents of one pair of fits under one judge and representation, both orders.

    ``judged`` are the rows that all matches of the league judge, ``rows`` among them.
    ``nth_seed`` says which of its seeds each model plays with, 0 for the first; ``projected`` from
    which documents the words are that are shown or read of its topics, None where none are.
    """

    key: str
    judge: str
    card: JudgeCard
    representation: Representation
    a: FitCell
    b: FitCell
    rows: tuple[int, ...]
    doc_ids: tuple[str, ...]
    identity_of_judge: MatchJudge
    protocol: Mapping[str, object]
    rewrites: tuple[RewriteCell, ...] = field(default=(), kw_only=True)
    labels: tuple[LabelCell, ...] = field(default=(), kw_only=True)
    judged: tuple[int, ...] = field(default=(), kw_only=True)
    nth_seed: int = field(default=0, kw_only=True)
    projected: Literal["crossed"] | None = field(default=None, kw_only=True)
    kind: ClassVar[RecordKind] = "match"
    replicate: ClassVar[int] = 0

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.a.corpus

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of both fits, of their labels, and of what rewrites their topics."""
        labels = (cell.key for cell in self.labels)
        return self.a.key, self.b.key, *labels, *(cell.key for cell in self.rewrites)

    @property
    def league(self) -> League:
        """Cells of one league are rated together."""
        return League(self.judge, self.corpus, self.a.k_spec, self.representation)

    @property
    def sides(self) -> tuple[str, str]:
        """The names of both sides, which differ and which scripted judges alone see."""
        return self.a.competitor.name, self.b.competitor.name

    @property
    def is_llm(self) -> bool:
        """Whether a language model rules."""
        return self.identity_of_judge["judge_is_llm"]

    def identity(self) -> MatchIdentity:
        """Returns the fields that say which cell a record belongs to."""
        return {
            **self.identity_of_judge,
            "corpus": self.corpus,
            "corpus_revision": self.a.corpus_revision,
            "k": self.a.k,
            "k_spec": self.a.k_spec,
            "representation": self.representation,
            "a": {**self.a.competitor.identity(), "fit": self.a.key},
            "b": {**self.b.competitor.identity(), "fit": self.b.key},
            "seed": {"a": self.a.seed, "b": self.b.seed},
            "documents": list(self.doc_ids),
            "protocol": dict(self.protocol),
            **self.particulars(),
        }

    def particulars(self) -> MatchParticulars:
        """Returns what only some matches have: labels, who rewrote the topics, a later seed."""
        found: MatchParticulars = {}
        named = {"a": labels_of(self.labels, self.a), "b": labels_of(self.labels, self.b)}
        sources = {side: dict(cell.source) for side, cell in named.items() if cell is not None}
        told = list(sources.values())
        if told and all(source == told[0] for source in told):
            found["labels"] = told[0]
        elif told:
            found["side_labels"] = sources
        if self.nth_seed:
            found["nth_seed"] = self.nth_seed
        if self.projected:
            found["projected"] = self.projected
        for cell in reversed(self.rewrites):
            found[cell.task] = cell.by()
        return found

    def record(
        self, status: Status, values: OutcomeValues, versions: Mapping[str, str]
    ) -> MatchRecord:
        """Returns the cell's record: its identity with ``values`` added."""
        return Record(self.kind, self.key, status, {**self.identity(), **values}, versions)

    def describe(self) -> str:
        """Returns what people call it."""
        a, b = self.a.competitor.name, self.b.competitor.name
        return f"{self.judge}: {a} against {b} on {self.corpus}, K = {self.a.k}"


@dataclass(frozen=True)
class AdaptiveCell(MatchCell):
    """One pair on one block of the shared sample.

    ``start`` is the block's place in the sample's order and ``sample`` the sample's size.
    """

    start: int
    sample: int

    def particulars(self) -> MatchParticulars:
        """Returns who rewrote the topics, and the block's place in the sample."""
        return {**super().particulars(), "start": self.start, "sample": self.sample}


@dataclass(frozen=True)
class ControlCell(MatchCell):
    """A control of one fit (or, for "repeat", of one pair), played as any match is."""

    control: Control
    kind: ClassVar[RecordKind] = "null"

    @property
    def sides(self) -> tuple[str, str]:
        """The names of both sides; a fit's own control is named so, since names must differ."""
        a, b = super().sides
        return a, b if self.control == "repeat" else f"{b}/{self.control}"

    @property
    def replicate(self) -> int:  # type: ignore[override]
        """Which replicate of its questions the cell asks."""
        return int(self.control == "repeat")

    def particulars(self) -> MatchParticulars:
        """Returns who rewrote the topics, and the control."""
        return {**super().particulars(), "control": self.control}

    def describe(self) -> str:
        """Returns what people call it."""
        return f"{super().describe()} (control: {self.control.replace('_', ' ')})"


Cell = FitCell | LabelCell | MetricCell | RewriteCell | MatchCell


def labels_of(cells: Sequence[LabelCell], fit: FitCell) -> LabelCell | None:
    """Returns the one of ``cells`` that names the items of ``fit``, None if none does."""
    return next((cell for cell in cells if cell.fit.key == fit.key), None)


def behind(cells: Sequence[RewriteCell], fit: FitCell) -> tuple[RewriteCell, ...]:
    """Returns those of ``cells`` that rewrite the topics of ``fit``."""
    return tuple(cell for cell in cells if cell.fit.key == fit.key)
