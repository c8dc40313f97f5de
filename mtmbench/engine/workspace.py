"""What a worker plays with: a run's corpora, views and results, each loaded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtmbench.core.cards import Suite
from mtmbench.core.cells import FitCell
from mtmbench.core.specs import CorpusSpec, JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Views
from mtmbench.corpora.halves import halves_of
from mtmbench.engine.exhibits import Exhibits
from mtmbench.engine.results import result_path
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.panel import Panel
from mtmbench.matches.options import Projected
from mtmbench.metrics.projected import crossed_projection

if TYPE_CHECKING:
    from mtmbench.features.words import Tokens


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
    """Has what the cells of a run are played with.

    Attributes:
        suite: the run's suite.
        folder: its folder.
        corpus: returns a corpus by name.
        result: returns the result of a fit by the fit's key.
        why_no_words: returns why a corpus has no words, None where it has.
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
        self.corpus = lru_cache(maxsize=None)(self._load_corpus)
        self.why_no_words = lru_cache(maxsize=None)(self._why_no_words)
        self._halves = lru_cache(maxsize=None)(lambda name: halves_of(self.corpus(name)))
        self.result = lru_cache(maxsize=64)(self._load_result)

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
                    max_tokens=features.max_tokens, progress=self.progress,
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
                progress=self.progress,
            )
            if setting is not None:
                plain, featured = self.views(corpus_name, None), made
                made = Views(
                    plain.corpus, lambda: plain.words, lambda: featured.features,
                    lambda: plain.embeddings, lambda: plain.word_embeddings,
                )  # fmt: skip
            self._views[key] = made
        return self._views[key]

    def progress(self, done: int, total: int) -> None:
        """Says how much of how much is done, to who prepares a view."""
        if self._report is not None:
            self._report(done, total)

    def tokens(self, corpus_name: str) -> Tokens:
        """Returns the words of a corpus's documents, cut once."""
        from mtmbench.features.words import tokenise

        if corpus_name not in self._tokens:
            self._tokens[corpus_name] = tokenise(self.corpus(corpus_name))
        return self._tokens[corpus_name]

    def shared(self, corpus_name: str) -> dict[Any, Any]:
        """Returns what metrics keep of a corpus for one another."""
        return self._shared.setdefault(corpus_name, {})

    def projected(self, fit: FitCell, n: int) -> Projected | None:
        """Returns ``n`` projected words of each topic by halves of the documents, made once.

        None where the corpus has no words.
        """
        if self.why_no_words(fit.corpus) is not None:
            return None
        if (fit.key, n) not in self._projected:
            counts = self.views(fit.corpus, None).require("words", fit.model)
            halves = self._halves(fit.corpus)
            theta = self.result(fit.key).doc_topic
            of_half = crossed_projection(theta, counts, halves, n)
            self._projected[fit.key, n] = Projected(halves, of_half)
        return self._projected[fit.key, n]

    @cached_property
    def exhibits(self) -> Exhibits:
        """What judges are shown of the suite's matches."""
        spec = self.suite.judging or JudgingSpec()
        return Exhibits(spec, self.folder, self.corpus, self.result, self.projected)

    def panel(self, *, keep: bool = True, batch: bool = False) -> Panel:
        """Returns what asks judges.

        Args:
            keep: whether answers are kept in the run's ledger, and paid from its budget.
            batch: whether a Batch API takes the questions, where the run asks for one.
        """
        if not keep:
            return Panel()
        return Panel(self.folder / LEDGER, budget=self._budget, batch=batch and self._batch)

    def _load_corpus(self, name: str) -> Corpus:
        from mtmbench.corpora.load import load_spec

        return load_spec(self._specs[name], self._data_dir).with_words(self.suite.words)

    def _load_result(self, key: str) -> TopicResult:
        return TopicResult.load(result_path(self.folder, key))

    def _why_no_words(self, corpus_name: str) -> str | None:
        from mtmbench.features.words import why_no_words

        return why_no_words(self.corpus(corpus_name))
