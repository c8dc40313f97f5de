"""``board.json`` as a whole: its tables, and the rows of corpora, competitors and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

from mtmbench.boards.rows.agreement import AgreementRow
from mtmbench.boards.rows.fits import FitRow, LabelsRow, TopicsRow
from mtmbench.boards.rows.judges import ControlRow, JudgeRow
from mtmbench.boards.rows.leagues import LeagueRow, SequentialRow, WinRateTable
from mtmbench.boards.rows.metrics import CorrelationRow, MetricFacts, MetricRow
from mtmbench.boards.rows.rewrites import RewriteRow
from mtmbench.boards.rows.spending import MetricReplies, SpendingRow, SpentTotal
from mtmbench.core.fit_payloads import CompetitorFields

if TYPE_CHECKING:
    from mtmbench.core.match_payloads import Control, RewriteTask
    from mtmbench.core.records import RecordKind
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
