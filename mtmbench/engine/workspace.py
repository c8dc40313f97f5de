"""Where cells are played: a worker's corpora, views and results, each loaded once."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from importlib.metadata import version as package_version
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mtmbench.core.cards import Suite
from mtmbench.core.cells import (
    Cell,
    FitCell,
    LabelCell,
    MatchCell,
    MetricCell,
    RewriteCell,
)
from mtmbench.core.records import (
    CellRecord,
    FitRecord,
    FitValues,
    LabelsRecord,
    LabelsValues,
    MatchRecord,
    MetricRecord,
    MetricValues,
    RewriteRecord,
    Status,
)
from mtmbench.core.specs import CorpusSpec, JudgingSpec
from mtmbench.core.store import RunInfo
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts, ItemKind, Views
from mtmbench.corpora.halves import halves_of
from mtmbench.engine.asked_judges import asks_models
from mtmbench.engine.exhibits import Exhibits, NothingToShowError
from mtmbench.engine.labels import labelled, labels_path, plan_of, read_labels, write_labels
from mtmbench.engine.orders import document_order, in_corpus_order
from mtmbench.engine.results import cautions, result_path
from mtmbench.features.encoders import is_default, shown_encoder
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.panel import Consult, Consultation, Panel
from mtmbench.judges.topic_writer import JudgeWriter
from mtmbench.matches.match import judge_pair
from mtmbench.matches.options import Projected, words_to_project
from mtmbench.matches.rewrites import rewrite_topics, show
from mtmbench.metrics.projected import crossed_projection, projected_words
from mtmbench.models.registry import MODELS

if TYPE_CHECKING:
    from mtmbench.features.words import Tokens
    from mtmbench.judges.asker import Asker
    from mtmbench.metrics.context import MetricContext
    from mtmbench.models.base import TopicModel

_T = TypeVar("_T")
_C = TypeVar("_C", bound=Cell)

Produced = tuple[CellRecord, RunInfo]

_TOPIC_ITEMS = 10
"""Items and projected words kept in a fit record for people to read."""


@dataclass(frozen=True)
class WorkspaceSpec:
    """All that a worker needs to make its workspace; sent once, when it starts."""

    suite: Suite
    specs: Mapping[str, CorpusSpec]
    folder: Path
    data_dir: Path | None
    plugins: tuple[str, ...]
    budget: float | None = None
    batch: bool = False


class Workspace:
    """Plays cells one after the other and yields their records; raises for none of them.

    A cell that fails yields an error record with its traceback and the next one is played.
    """

    def __init__(self, spec: WorkspaceSpec) -> None:
        from mtmbench.core.plugins import load_plugins

        load_plugins(spec.plugins)
        self.suite = spec.suite
        self.folder = spec.folder
        self._specs = spec.specs
        self._budget, self._batch = spec.budget, spec.batch
        self._data_dir = spec.data_dir
        self._views: dict[tuple[str, str | None], Views] = {}
        self._tokens: dict[str, Tokens] = {}
        self._shared: dict[str, dict[Any, Any]] = {}
        self._projected: dict[tuple[str, int], Projected] = {}
        self._report: Callable[[int, int], None] | None = None
        self._versions = {"mtmbench": package_version("mtmbench")}
        self.corpus = lru_cache(maxsize=None)(self._load_corpus)
        self._no_words = lru_cache(maxsize=None)(self._why_no_words)
        self._halves = lru_cache(maxsize=None)(lambda name: halves_of(self.corpus(name)))
        self.result = lru_cache(maxsize=64)(self._load_result)

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
            with self._panel(keep=any(cell.extraction is None for cell in rewrites)) as panel:
                for rewrite in rewrites:
                    yield [self._guard(rewrite, partial(self._rewrite, panel))]
        else:
            yield from self._play_matches(_only(cells, MatchCell))

    def prepare(
        self,
        corpus_name: str,
        setting: str | None,
        what: str,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        """Makes one view of a corpus, so that it lies in the cache for every worker.

        The view "activations" is what "features" is made from; several workers share its making.
        ``report`` is told how much of how much is done, where that takes long.
        """
        from mtmbench.features.registry import FEATURES

        self._report = report
        features = self.suite.features
        try:
            if what == "activations":
                FEATURES.get(features.source)(**features.params).prepare(
                    self.corpus(corpus_name), setting=setting or "default",
                    max_tokens=features.max_tokens, progress=self._progress,
                )  # fmt: skip
            else:
                getattr(self.views(corpus_name, setting), what)
        finally:
            self._report = None

    def views(self, corpus_name: str, setting: str | None) -> Views:
        """Returns the views of a corpus under a feature setting, made when asked for."""
        from mtmbench.features.views import make_views

        key = corpus_name, setting
        if key not in self._views:
            features = self.suite.features
            made = make_views(
                self.corpus(corpus_name),
                source=None if setting is None else features.source,
                setting=setting or "default",
                max_tokens=features.max_tokens,
                params=features.params,
                labels="shipped",
                encoder=self.suite.embeddings.encoder,
                progress=self._progress,
            )
            if setting is not None:
                plain, featured = self.views(corpus_name, None), made
                made = Views(
                    plain.corpus, lambda: plain.words, lambda: featured.features,
                    lambda: plain.embeddings, lambda: plain.word_embeddings,
                )  # fmt: skip
            self._views[key] = made
        return self._views[key]

    def _progress(self, done: int, total: int) -> None:
        if self._report is not None:
            self._report(done, total)

    def _load_corpus(self, name: str) -> Corpus:
        from mtmbench.corpora.load import load_spec

        return load_spec(self._specs[name], self._data_dir).with_words(self.suite.words)

    def _load_result(self, key: str) -> TopicResult:
        return TopicResult.load(result_path(self.folder, key))

    def _guard(self, cell: _C, play: Callable[[_C], CellRecord]) -> Produced:
        start = time.monotonic()
        try:
            return _timed(play(cell), start)
        except Exception as error:
            return self._failed(cell, start, error)

    def _failed(self, cell: Cell, start: float, error: Exception) -> Produced:
        reason = f"{type(error).__name__}: {error}"
        record = cell.record("error", {"reason": reason}, self._versions)
        return _timed(record, start, "".join(traceback.format_exception(error)))

    def _model(self, cell: FitCell) -> TopicModel:
        return MODELS.get(cell.registry)(**cell.params)

    def _fit(self, cell: FitCell) -> FitRecord:
        views = self.views(cell.corpus, cell.setting)
        result = self._twin(cell) or self._fitted(cell, views)
        result.save(result_path(self.folder, cell.key))
        words: Sequence[Sequence[str]] = [[]] * result.n_topics
        if self._no_words(cell.corpus) is None:
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
        if embedded and not is_default(self.suite.embeddings.encoder):
            values["encoder"] = shown_encoder(self.suite.embeddings.encoder)
        if (no_words := self._no_words(cell.corpus)) is not None:
            values["no_words"] = no_words
        # A record holds the parameters as the fit resolved them.
        return replace(cell, params=result.params).record("ok", values, self._versions)

    def _fitted(self, cell: FitCell, views: Views) -> TopicResult:
        model = self._model(cell)
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
        path = None if cell.twin is None else result_path(self.folder, cell.twin)
        if path is None or not path.is_file():
            return None
        corpus = {"name": cell.corpus, "revision": cell.corpus_revision}
        return replace(TopicResult.load(path), corpus=corpus)

    def _label(self, cell: LabelCell) -> LabelsRecord:
        """Makes labels once, which many fits share, and tells of this fit's topics under them."""
        if not labels_path(self.folder, cell.made).is_file():
            plan = plan_of(self.suite, cell.fit.setting)
            assert plan is not None
            made = plan.make(self.corpus(cell.corpus), self._progress)
            write_labels(self.folder, cell.made, made)
        own = self.result(cell.fit.key)
        values: LabelsValues = {
            "topics": labelled(own, cell, self.folder).top_labels(_TOPIC_ITEMS),
            "unlabelled": read_labels(self.folder, cell.made).missing(own.items),
        }
        return cell.record("ok", values, self._versions)

    def _consult(self, undo: ExitStack, *, keep: bool = True) -> Consult:
        """Returns what asks the judges of metrics and models, by a panel made when one is asked."""
        panel = lru_cache(maxsize=None)(lambda: undo.enter_context(self._panel(keep=keep)))

        def consult(card: str, job: Consultation[_T]) -> _T:
            return panel().consult(card, job)

        return consult

    def _metric(self, consult: Consult, cell: MetricCell) -> MetricRecord:
        from mtmbench.metrics.compute import compute_value

        value = compute_value(
            labelled(self.result(cell.fit.key), cell.labels, self.folder),
            self._context(consult, cell),
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
        return cell.record(status, values, self._versions)

    def _context(self, consult: Consult, cell: MetricCell) -> MetricContext:
        from mtmbench.features.embeddings import embed_texts
        from mtmbench.metrics.context import MetricContext

        fit = cell.fit
        views = self.views(fit.corpus, fit.setting)
        model, encoder = self._model(fit), self.suite.embeddings.encoder

        def refit(train: Views, seed: int) -> tuple[TopicModel, TopicResult]:
            fresh = self._model(fit)
            return fresh, fresh.fit(train, seed=seed)

        counts: dict[ItemKind, Callable[[], Counts]] = {
            view: partial(views.require, view, model.name) for view in ("words", model.item_view)
        }
        return MetricContext(
            views.corpus,
            tokens=partial(self._corpus_tokens, fit.corpus),
            counts=counts,
            siblings=[self.result(other.key) for other in cell.siblings if not other.order],
            reordered=[self.result(other.key) for other in cell.siblings if other.order],
            others={
                other.competitor.name: self.result(other.key)
                if result_path(self.folder, other.key).exists()
                else None
                for other in cell.others
            },
            # A model that needs no view was fitted elsewhere and cannot be fitted anew here.
            refit=refit if model.needs else None,
            views=views,
            embed=partial(embed_texts, model=encoder),
            encoder=None if is_default(encoder) else shown_encoder(encoder),
            consult=consult,
            cache=self._shared.setdefault(fit.corpus, {}),
        )

    def _corpus_tokens(self, corpus_name: str) -> Tokens:
        from mtmbench.features.words import tokenise

        if corpus_name not in self._tokens:
            self._tokens[corpus_name] = tokenise(self.corpus(corpus_name))
        return self._tokens[corpus_name]

    def _why_no_words(self, corpus_name: str) -> str | None:
        from mtmbench.features.words import why_no_words

        return why_no_words(self.corpus(corpus_name))

    def _rewrite(self, panel: Panel, cell: RewriteCell) -> RewriteRecord:
        above = () if cell.refined is None else (cell.refined,)
        own = labelled(self.result(cell.fit.key), cell.labels, self.folder)
        result = show(own, above, self.folder)
        values = rewrite_topics(cell, result, self.corpus(cell.corpus), self.folder, panel)
        return cell.record("ok", values, self._versions)

    def _play_matches(self, cells: Sequence[MatchCell]) -> Iterator[list[Produced]]:
        """Plays matches with judges that have seen all that is coming.

        Language models are asked about several matches at one time, and their answers lie in the
        run's ledger.
        """
        llm = cells[0].is_llm
        if llm:
            for fit in {fit.key: fit for cell in cells for fit in (cell.a, cell.b)}.values():
                # Else the loop would stand still for it.
                self.projected(fit, words_to_project(self.suite.judging or JudgingSpec()))
        # A Batch API takes the questions of matches alone; all else is asked at once.
        with self._panel(keep=llm, batch=llm and self._batch) as panel:
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
            exhibit = self.exhibits.of(cell)
        except NothingToShowError as error:
            return cell.record("skipped", {"reason": str(error)}, self._versions)
        outcome = await judge_pair(asker, exhibit.pair)
        asker.check_complete()
        return cell.record("ok", exhibit.values(outcome), self._versions)

    @cached_property
    def exhibits(self) -> Exhibits:
        """What judges are shown of the suite's matches."""
        spec = self.suite.judging or JudgingSpec()
        return Exhibits(spec, self.folder, self.corpus, self.result, self.projected)

    def _panel(self, *, keep: bool = True, batch: bool = False) -> Panel:
        if not keep:
            return Panel()
        return Panel(self.folder / LEDGER, budget=self._budget, batch=batch)

    def projected(self, fit: FitCell, n: int) -> Projected | None:
        """Returns ``n`` projected words of each topic by halves of the documents, made once.

        None where the corpus has no words.
        """
        if self._no_words(fit.corpus) is not None:
            return None
        if (fit.key, n) not in self._projected:
            counts = self.views(fit.corpus, None).require("words", fit.model)
            halves = self._halves(fit.corpus)
            theta = self.result(fit.key).doc_topic
            of_half = crossed_projection(theta, counts, halves, n)
            self._projected[fit.key, n] = Projected(halves, of_half)
        return self._projected[fit.key, n]


def _only(cells: Sequence[Cell], kind: type[_C]) -> list[_C]:
    return [cell for cell in cells if isinstance(cell, kind)]


def _timed(record: CellRecord, start: float, trace: str | None = None) -> Produced:
    return record, RunInfo(time.monotonic() - start, peak_rss_mb(), trace)


def peak_rss_mb() -> float:
    """Returns the peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
