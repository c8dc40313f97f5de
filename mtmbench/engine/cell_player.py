"""How cells are played: each becomes a record, with the time and memory that it took."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, lru_cache, partial
from importlib.metadata import version as package_version
from math import ceil
from typing import TYPE_CHECKING, TypeVar

from mtmbench.core.cells import (
    Cell,
    FitCell,
    LabelCell,
    MatchCell,
    MetricCell,
    RewriteCell,
)
from mtmbench.core.fit_payloads import FitValues, LabelsValues, MetricValues
from mtmbench.core.records import (
    CellRecord,
    FitRecord,
    LabelsRecord,
    MatchRecord,
    MetricRecord,
    RewriteRecord,
    Status,
)
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.store import RunInfo
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Views
from mtmbench.engine.asked_judges import asks_models
from mtmbench.engine.exhibits import NothingToShowError
from mtmbench.engine.labels import labelled, labels_path, plan_of, read_labels, write_labels
from mtmbench.engine.metric_context import metric_context
from mtmbench.engine.orders import document_order, in_corpus_order
from mtmbench.engine.results import cautions, result_path
from mtmbench.engine.workspace import Workspace
from mtmbench.features.encoders import is_default, shown_encoder
from mtmbench.judges.panel import Consult, Consultation, Panel
from mtmbench.judges.topic_writer import JudgeWriter
from mtmbench.matches.match import judge_pair
from mtmbench.matches.options import words_to_project
from mtmbench.matches.rewrites import rewrite_topics, show
from mtmbench.metrics.projected import projected_words
from mtmbench.models.registry import MODELS

if TYPE_CHECKING:
    from mtmbench.judges.asker import Asker

_T = TypeVar("_T")
_C = TypeVar("_C", bound=Cell)

Produced = tuple[CellRecord, RunInfo]

_TOPIC_ITEMS = 10
"""Items and projected words kept in a fit record for people to read."""


class CellPlayer:
    """Plays cells one after the other and yields their records; raises for none of them.

    A cell that fails yields an error record with its traceback and the next one is played.

    Args:
        workspace: has what cells are played with, and keeps what is loaded for them.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._suite, self._folder = workspace.suite, workspace.folder

    def play(self, cells: Sequence[Cell]) -> Iterator[list[Produced]]:
        """Plays cells of one kind; yields records in batches, each to be made durable at once."""
        if isinstance(cells[0], FitCell):
            for fit in _only(cells, FitCell):
                yield [self._guard(fit, self._fit)]
        elif isinstance(cells[0], LabelCell):
            yield [self._guard(named, self._label) for named in _only(cells, LabelCell)]
        elif isinstance(cells[0], MetricCell):
            with ExitStack() as undo:
                values = _only(cells, MetricCell)
                consult = self._consult(undo, keep=asks_models(values))
                yield [self._guard(value, partial(self._metric, consult)) for value in values]
        elif isinstance(cells[0], RewriteCell):
            rewrites = _only(cells, RewriteCell)
            # What is taken from documents costs nothing and is not kept.
            keep = any(cell.extraction is None for cell in rewrites)
            with self._workspace.panel(keep=keep) as panel:
                for rewrite in rewrites:
                    yield [self._guard(rewrite, partial(self._rewrite, panel))]
        else:
            yield from self._play_matches(_only(cells, MatchCell))

    def _fit(self, cell: FitCell) -> FitRecord:
        views = self._workspace.views(cell.corpus, cell.setting)
        result = self._twin(cell) or self._fitted(cell, views)
        result.save(result_path(self._folder, cell.key))
        words: Sequence[Sequence[str]] = [[]] * result.n_topics
        if self._workspace.why_no_words(cell.corpus) is None:
            counts = views.require("words", result.model)
            words, _ = projected_words(result.doc_topic, counts, _TOPIC_ITEMS)
        shares = result.shares
        values: FitValues = {
            "n_docs": len(views.corpus),
            "n_empty": views.corpus.n_empty,
            "n_duplicates": views.corpus.n_duplicates,
            "params_given": result.params_given,
            "needs": list(MODELS.get(cell.registry).needs),
            "n_topics": result.n_topics,
            "result": result.revision,
            "items": {
                "kind": result.items.kind,
                "n": len(result.items),
                "source": result.items.source,
            },
            "info": result.info,
            "cautions": cautions(result, cell.k),
            "topics": [
                {"items": items, "words": words[k], "share": round(float(shares[k]), 6)}
                for k, items in enumerate(result.top_labels(_TOPIC_ITEMS))
            ],
        }
        embedded = {"embeddings", "word_embeddings"} & set(values["needs"])
        if embedded and not is_default(self._suite.embeddings.encoder):
            values["encoder"] = shown_encoder(self._suite.embeddings.encoder)
        if (no_words := self._workspace.why_no_words(cell.corpus)) is not None:
            values["no_words"] = no_words
        # A record holds the parameters as the fit resolved them.
        return replace(cell, params=result.params).record("ok", values, _versions())

    def _fitted(self, cell: FitCell, views: Views) -> TopicResult:
        model = MODELS.get(cell.registry)(**cell.params)
        with ExitStack() as undo:
            if model.asks:
                views = views.asking(JudgeWriter(str(cell.params["judge"]), self._consult(undo)))
            if not cell.order:
                return model.fit(views, seed=cell.seed)
            rows = document_order(cell, len(views.corpus))
            read = model.fit(views.select_docs(rows), seed=cell.seed)
            return in_corpus_order(read, rows, cell)

    def _twin(self, cell: FitCell) -> TopicResult | None:
        """Returns what was fitted already under another name, as the cell's own result."""
        path = None if cell.twin is None else result_path(self._folder, cell.twin)
        if path is None or not path.is_file():
            return None
        corpus = {"name": cell.corpus, "revision": cell.corpus_revision}
        return replace(TopicResult.load(path), corpus=corpus)

    def _label(self, cell: LabelCell) -> LabelsRecord:
        """Makes labels once, which many fits share, and tells of this fit's topics under them."""
        if not labels_path(self._folder, cell.made).is_file():
            plan = plan_of(self._suite, cell.fit.setting)
            assert plan is not None
            made = plan.make(self._workspace.corpus(cell.corpus), self._workspace.progress)
            write_labels(self._folder, cell.made, made)
        own = self._workspace.result(cell.fit.key)
        values: LabelsValues = {
            "topics": labelled(own, cell, self._folder).top_labels(_TOPIC_ITEMS),
            "unlabelled": read_labels(self._folder, cell.made).missing(own.items),
        }
        return cell.record("ok", values, _versions())

    def _metric(self, consult: Consult, cell: MetricCell) -> MetricRecord:
        from mtmbench.metrics.compute import compute_value

        value = compute_value(
            labelled(self._workspace.result(cell.fit.key), cell.labels, self._folder),
            metric_context(self._workspace, consult, cell),
            cell.metric,
            cell.view,
            dict(cell.params),
        )
        values: MetricValues = {
            "value": value.value,
            "per_topic": value.per_topic,
            "reason": value.reason,
            "details": value.details,
        }
        status: Status = "ok" if value.value is not None else "skipped"
        return cell.record(status, values, _versions())

    def _rewrite(self, panel: Panel, cell: RewriteCell) -> RewriteRecord:
        above = () if cell.refined is None else (cell.refined,)
        own = labelled(self._workspace.result(cell.fit.key), cell.labels, self._folder)
        result = show(own, above, self._folder)
        corpus = self._workspace.corpus(cell.corpus)
        values = rewrite_topics(cell, result, corpus, self._folder, panel)
        return cell.record("ok", values, _versions())

    def _play_matches(self, cells: Sequence[MatchCell]) -> Iterator[list[Produced]]:
        """Plays matches with judges that have seen all that is coming.

        Language models are asked about several matches at one time, and their answers lie in the
        run's ledger.
        """
        llm = cells[0].is_llm
        if llm:
            words = words_to_project(self._suite.judging or JudgingSpec())
            for fit in {fit.key: fit for cell in cells for fit in (cell.a, cell.b)}.values():
                # Else the loop would stand still for it.
                self._workspace.projected(fit, words)
        # A Batch API takes the questions of matches alone; all else is asked at once.
        with self._workspace.panel(keep=llm, batch=llm) as panel:
            cards = {cell.judge: cell.card for cell in cells}
            askers = {judge: panel.seat(judge, card) for judge, card in cards.items()}

            async def play(cell: MatchCell) -> Produced:
                start = time.monotonic()
                try:
                    return _timed(await self._match(askers[cell.judge], cell), start)
                except Exception as error:
                    return self._failed(cell, start, error)

            if not llm:
                for cell in cells:
                    yield [panel.run(play(cell))]
                return
            jobs = [partial(play, cell) for cell in cells]
            # Of matches that are under way when a budget is used up or the run is killed none
            # counts, so there are no more than keep every judge busy.
            fewest = min(len(cell.rows) for cell in cells)
            for produced in panel.completed(jobs, 1 + ceil(2 * panel.questions_at_once() / fewest)):
                yield [produced]

    async def _match(self, asker: Asker, cell: MatchCell) -> MatchRecord:
        try:
            exhibit = self._workspace.exhibits.of(cell)
        except NothingToShowError as error:
            return cell.record("skipped", {"reason": str(error)}, _versions())
        outcome = await judge_pair(asker, exhibit.pair)
        asker.check_complete()
        return cell.record("ok", exhibit.values(outcome), _versions())

    def _consult(self, undo: ExitStack, *, keep: bool = True) -> Consult:
        """Returns what asks the judges of metrics and models, by a panel made when one is asked."""
        new = partial(self._workspace.panel, keep=keep)
        panel = lru_cache(maxsize=None)(lambda: undo.enter_context(new()))

        def consult(card: str, job: Consultation[_T]) -> _T:
            return panel().consult(card, job)

        return consult

    def _guard(self, cell: _C, play: Callable[[_C], CellRecord]) -> Produced:
        start = time.monotonic()
        try:
            return _timed(play(cell), start)
        except Exception as error:
            return self._failed(cell, start, error)

    def _failed(self, cell: Cell, start: float, error: Exception) -> Produced:
        reason = f"{type(error).__name__}: {error}"
        record = cell.record("error", {"reason": reason}, _versions())
        return _timed(record, start, "".join(traceback.format_exception(error)))


def _only(cells: Sequence[Cell], kind: type[_C]) -> list[_C]:
    return [cell for cell in cells if isinstance(cell, kind)]


@cache
def _versions() -> dict[str, str]:
    return {"mtmbench": package_version("mtmbench")}


def _timed(record: CellRecord, start: float, trace: str | None = None) -> Produced:
    return record, RunInfo(time.monotonic() - start, _peak_rss_mb(), trace)


def _peak_rss_mb() -> float:
    """Returns the peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
