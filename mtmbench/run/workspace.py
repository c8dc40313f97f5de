"""Where cells are played: a worker's corpora, views and results, each loaded once."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mtmbench.core.cards import CorpusSpec, JudgeCard, Suite
from mtmbench.core.cells import (
    Cell,
    FitCell,
    MatchCell,
    MetricCell,
    RewriteCell,
    behind,
    cell_record,
)
from mtmbench.core.errors import InputError
from mtmbench.core.store import RunInfo
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Record, Status, Views
from mtmbench.judges.consult import Job, consult
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.registry import JUDGES, load_judge_card
from mtmbench.matches.controls import opponent
from mtmbench.matches.match import MatchOutcome, judge_pair, play_pair
from mtmbench.matches.rewrites import read_rewrites, rewrite_topics, show
from mtmbench.matches.summaries import unshown_rows, with_unshown
from mtmbench.models.registry import MODELS

if TYPE_CHECKING:
    from mtmbench.features.words import Tokens
    from mtmbench.judges.asker import Asker
    from mtmbench.judges.base import JudgeClient
    from mtmbench.metrics.context import MetricContext
    from mtmbench.models.base import TopicModel

T = TypeVar("T")

Produced = tuple[Record, RunInfo]

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
        self._projected: dict[str, tuple[list[list[str]], list[list[float]]]] = {}
        self._report: Callable[[int, int], None] | None = None
        self._versions = {"mtmbench": package_version("mtmbench")}
        self.corpus = lru_cache(maxsize=None)(self._load_corpus)
        self.result = lru_cache(maxsize=64)(self._load_result)

    def play(self, cells: Sequence[Cell]) -> Iterator[list[Produced]]:
        """Plays cells of one kind; yields records in batches, each to be made durable at once."""
        if isinstance(cells[0], FitCell):
            for cell in cells:
                yield [self._guard(cell, self._fit)]
        elif isinstance(cells[0], MetricCell):
            yield [self._guard(cell, self._metric) for cell in cells]
        elif isinstance(cells[0], RewriteCell):
            for cell in cells:
                yield [self._guard(cell, self._rewrite)]
        else:
            matches = [cell for cell in cells if isinstance(cell, MatchCell)]
            asked = matches[0].is_llm
            yield from self._play_asked(matches) if asked else self._play_league(matches)

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
                words=self.suite.words,
                source=None if setting is None else features.source,
                setting=setting or "default",
                max_tokens=features.max_tokens,
                params=features.params,
                progress=self._progress,
            )
            if setting is not None:
                plain, featured = self.views(corpus_name, None), made
                made = Views(
                    plain.corpus, lambda: plain.words, lambda: featured.features,
                    lambda: plain.embeddings,
                )  # fmt: skip
            self._views[key] = made
        return self._views[key]

    def _progress(self, done: int, total: int) -> None:
        if self._report is not None:
            self._report(done, total)

    def _load_corpus(self, name: str) -> Corpus:
        from mtmbench.corpora.load import load_spec

        return load_spec(self._specs[name], self._data_dir)

    def _load_result(self, key: str) -> TopicResult:
        return TopicResult.load(result_path(self.folder, key))

    def _guard(self, cell: Cell, play: Callable[[Any], tuple[Status, dict[str, Any]]]) -> Produced:
        start = time.monotonic()
        try:
            return self._produced(cell, start, *play(cell))
        except Exception as error:
            return self._failed(cell, start, error)

    def _produced(
        self, cell: Cell, start: float, status: Status, values: Mapping[str, Any]
    ) -> Produced:
        record = cell_record(cell, status, values, self._versions)
        return record, RunInfo(time.monotonic() - start, peak_rss_mb())

    def _failed(self, cell: Cell, start: float, error: Exception) -> Produced:
        trace = "".join(traceback.format_exception(error))
        reason = {"reason": f"{type(error).__name__}: {error}"}
        record = cell_record(cell, "error", reason, self._versions)
        return record, RunInfo(time.monotonic() - start, peak_rss_mb(), trace)

    def _model(self, cell: FitCell) -> TopicModel:
        return MODELS.get(cell.registry)(**cell.params)

    def _fit(self, cell: FitCell) -> tuple[Status, dict[str, Any]]:
        views = self.views(cell.corpus, cell.setting)
        result = self._model(cell).fit(views, seed=cell.seed)
        result.save(result_path(self.folder, cell.key))
        words, _ = self._projection(cell.key, cell.corpus, result)
        shares = result.doc_topic.mean(axis=0, dtype=float)
        topics = [
            {"items": items, "words": words[k], "share": round(float(shares[k]), 6)}
            for k, items in enumerate(result.top_labels(_TOPIC_ITEMS))
        ]
        return "ok", {
            "n_docs": len(views.corpus),
            "n_empty": views.corpus.n_empty,
            "n_duplicates": views.corpus.n_duplicates,
            "params_given": result.params_given,
            "params": result.params,
            "needs": list(MODELS.get(cell.registry).needs),
            "n_topics": result.n_topics,
            "result": result.revision,
            "items": {
                "kind": result.items.kind,
                "n": len(result.items),
                "source": result.items.source,
            },
            "info": result.info,
            "topics": topics,
        }

    def _metric(self, cell: MetricCell) -> tuple[Status, dict[str, Any]]:
        from mtmbench.metrics.play import play_cell

        view: Any = cell.view
        value = play_cell(
            self.result(cell.fit.key), self._context(cell), cell.metric, view, dict(cell.params)
        )
        return ("ok" if value.value is not None else "skipped"), {
            "value": value.value,
            "per_topic": value.per_topic,
            "reason": value.reason,
            "details": value.details,
        }

    def _context(self, cell: MetricCell) -> MetricContext:
        from mtmbench.features.embeddings import embed_texts
        from mtmbench.metrics.context import MetricContext

        fit = cell.fit
        views = self.views(fit.corpus, fit.setting)
        model = self._model(fit)

        def ask(card: str, job: Job[T]) -> T:
            return consult(
                load_judge_card(card), self.folder / LEDGER, job, budget=self._budget, name=card
            )

        def refit(train: Views, seed: int) -> tuple[TopicModel, TopicResult]:
            fresh = self._model(fit)
            return fresh, fresh.fit(train, seed=seed)

        counts = {view: getattr(views, view) for view in ("words", model.item_view)}
        return MetricContext(
            views.corpus,
            tokens=self._corpus_tokens(fit.corpus),
            counts=counts,
            siblings=[self.result(other.key) for other in cell.siblings],
            # A model that needs no view was fitted elsewhere and cannot be fitted anew here.
            refit=refit if model.needs else None,
            views=views,
            embed=embed_texts,
            consult=ask,
            cache=self._shared.setdefault(fit.corpus, {}),
        )

    def _corpus_tokens(self, corpus_name: str) -> Tokens:
        from mtmbench.features.words import tokenise

        if corpus_name not in self._tokens:
            self._tokens[corpus_name] = tokenise(
                self.corpus(corpus_name), stop_words=self.suite.words.stop_words
            )
        return self._tokens[corpus_name]

    def _projection(
        self, key: str, corpus_name: str, result: TopicResult
    ) -> tuple[list[list[str]], list[list[float]]]:
        from mtmbench.metrics.projected import projected_words

        if key not in self._projected:
            words = self.views(corpus_name, None).words
            assert words is not None
            self._projected[key] = projected_words(result.doc_topic, words, _TOPIC_ITEMS)
        return self._projected[key]

    def _rewrite(self, cell: RewriteCell) -> tuple[Status, dict[str, Any]]:
        above = () if cell.refined is None else (cell.refined,)
        result = show(self.result(cell.fit.key), above, self.folder)
        return "ok", rewrite_topics(cell, result, self.folder, self._budget)

    def _play_league(self, cells: Sequence[MatchCell]) -> Iterator[list[Produced]]:
        """Plays the pairs of one league with one client that has seen all that is coming."""
        client = JUDGES.get(cells[0].card.client).from_card(cells[0].card)
        try:
            for cell in cells:
                yield [self._guard(cell, lambda cell: self._match(client, cell))]
        finally:
            _close(client)

    def _match(self, client: JudgeClient, cell: MatchCell) -> tuple[Status, dict[str, Any]]:
        missing = self._not_shown(cell)
        if missing is not None:
            return missing
        unshown = self._unshown(cell)
        outcome = play_pair(client, *self._sides(cell, unshown), **self._showing(cell))
        return "ok", self._match_values(cell, with_unshown(outcome, cell.rows, unshown))

    def _play_asked(self, cells: Sequence[MatchCell]) -> Iterator[list[Produced]]:
        """Plays the matches of language models, whose answers lie in the run's ledger."""
        from mtmbench.judges.session import completed
        from mtmbench.run.askers import Askers

        for fit in {fit.key: fit for cell in cells for fit in (cell.a, cell.b)}.values():
            self._projected_of(fit)  # else the loop would stand still for it
        cards = {cell.judge: cell.card for cell in cells}
        with Askers(self.folder, cards, self._budget, self._batch) as askers:

            async def play(cell: MatchCell) -> Produced:
                start = time.monotonic()
                try:
                    return self._produced(cell, start, *await self._ask(askers[cell.judge], cell))
                except Exception as error:
                    return self._failed(cell, start, error)

            jobs: list[Callable[[], Coroutine[Any, Any, Produced | None]]]
            jobs = [askers.collect, *(partial(play, cell) for cell in cells), askers.submit]
            at_once = askers.matches_at_once(min(len(cell.rows) for cell in cells))
            for produced in completed(jobs, at_once, askers.close_clients):
                if produced is not None:
                    yield [produced]

    async def _ask(self, asker: Asker, cell: MatchCell) -> tuple[Status, dict[str, Any]]:
        missing = self._not_shown(cell)
        if missing is not None:
            return missing
        unshown = self._unshown(cell)
        outcome = await judge_pair(
            asker.client, *self._sides(cell, unshown), **self._showing(cell), asker=asker
        )
        asker.check_complete()
        return "ok", self._match_values(cell, with_unshown(outcome, cell.rows, unshown))

    def _not_shown(self, cell: MatchCell) -> tuple[Status, dict[str, Any]] | None:
        try:
            a, b = self._pair(cell)
        except InputError as error:
            return "skipped", {"reason": str(error)}
        if cell.representation == "summary" and (a.summaries is None or b.summaries is None):
            return "skipped", {"reason": "a model of the pair has no summaries"}
        return None

    def _pair(self, cell: MatchCell) -> tuple[TopicResult, TopicResult]:
        a, b = (self._as_shown(cell, fit) for fit in (cell.a, cell.b))
        return a, opponent(cell, b)

    def _sides(
        self, cell: MatchCell, unshown: Collection[int]
    ) -> tuple[JudgeCard, Corpus, Sequence[int], TopicResult, TopicResult]:
        rows = [row for row in cell.rows if row not in unshown]
        return (cell.card, self.corpus(cell.a.corpus), rows, *self._pair(cell))

    def _showing(self, cell: MatchCell) -> dict[str, Any]:
        a_name, b_name = cell.sides
        return {
            "a_name": a_name, "b_name": b_name, "replicate": cell.replicate,
            "spec": self._judging(), "representation": cell.representation,
            "projected_a": self._projected_of(cell.a), "projected_b": self._projected_of(cell.b),
        }  # fmt: skip

    def _match_values(self, cell: MatchCell, outcome: MatchOutcome) -> dict[str, Any]:
        lengths = self._lengths(cell, *self._pair(cell)) if self._judging().lengths else {}
        return {**_match_values(cell, outcome), **lengths}

    def _lengths(self, cell: MatchCell, a: TopicResult, b: TopicResult) -> dict[str, Any]:
        from mtmbench.matches.options import document_options, option_lengths

        spec = self._judging()
        lengths = {
            side: option_lengths(
                document_options(
                    result, cell.rows, side, spec=spec, representation=cell.representation
                )
            )
            for side, result in (("a", a), ("b", b))
        }
        return {"lengths": lengths}

    def _as_shown(self, cell: MatchCell, fit: FitCell) -> TopicResult:
        return show(self.result(fit.key), behind(cell.rewrites, fit), self.folder)

    def _unshown(self, cell: MatchCell) -> dict[int, str]:
        """Returns documents of a match that would show a topic whose summary is missing."""
        found: dict[int, str] = {}
        for fit, result in zip((cell.a, cell.b), self._pair(cell), strict=True):
            for rewrite in behind(cell.rewrites, fit):
                if rewrite.task == "summary":
                    statuses = read_rewrites(self.folder, rewrite.key).statuses
                    found |= unshown_rows(result, cell.rows, statuses, self._judging())
        return found

    def _projected_of(self, fit: FitCell) -> tuple[list[list[str]], list[list[float]]]:
        return self._projection(fit.key, fit.corpus, self.result(fit.key))

    def _judging(self) -> Any:
        assert self.suite.judging is not None
        return self.suite.judging


def result_path(folder: Path, key: str) -> Path:
    """Returns where the result of a fit lies."""
    return folder / "results" / f"{key}.safetensors"


def peak_rss_mb() -> float:
    """Returns the peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _match_values(cell: MatchCell, outcome: MatchOutcome) -> dict[str, Any]:
    return {
        "forward": outcome.forward,
        "backward": outcome.backward,
        "calls": outcome.calls,
        "usage": outcome.usage,
        # Judges that use no tokens cost nothing, and their records say nothing of it.
        **({"cost": outcome.cost, "paid": dict(outcome.paid)} if outcome.usage else {}),
        "judge_revisions": outcome.revisions,
        "unread": _unread(cell, outcome),
    }


def _unread(cell: MatchCell, outcome: MatchOutcome) -> dict[str, Any]:
    """Returns unparsed and refused replies by document id, both orders as they came."""
    return {
        doc_id: list(replies)
        for doc_id, replies, chars in zip(
            cell.doc_ids,
            outcome.replies,
            zip(outcome.forward, outcome.backward, strict=True),
            strict=True,
        )
        if set(chars) & {"u", "r"}
    }


def _close(client: JudgeClient) -> None:
    import asyncio

    asyncio.run(client.close())
