"""What a suite will play: one cell per fit, metric value and match, each with its content key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from mtmbench.core.cards import Suite
from mtmbench.core.cells import Cell, FitCell, LabelCell, MatchCell, MetricCell, RewriteCell
from mtmbench.core.errors import InputError
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.types import Corpus
from mtmbench.corpora.offline import offline as without_network
from mtmbench.engine.asked_judges import judges_of_fits
from mtmbench.engine.fits import fit_cells
from mtmbench.engine.labels import label_cells
from mtmbench.engine.leagues import leagues_of, match_cells, rounds_of
from mtmbench.engine.metric_values import metric_cells
from mtmbench.engine.orders import reordered_cells
from mtmbench.engine.suite_names import check_names
from mtmbench.features.words import check_spaces
from mtmbench.judges.registry import JUDGES, clients_of, load_judge_card
from mtmbench.matches.controls import refits_of
from mtmbench.matches.rewrites import rewrite_cells
from mtmbench.matches.summaries import check_writers
from mtmbench.models.registry import MODELS


@dataclass(frozen=True)
class Plan:
    """Every cell of a suite, in the order in which they are played.

    ``reordered`` are fits whose documents came in another order: what compares orders reads them,
    and nothing else does.
    """

    suite: Suite
    corpora: Mapping[str, Corpus]
    fits: tuple[FitCell, ...]
    metrics: tuple[MetricCell, ...]
    matches: tuple[MatchCell, ...]
    data_dir: Path | None = None
    plugins: tuple[str, ...] = ()
    specs: Mapping[str, CorpusSpec] = field(default_factory=dict)
    rewrites: tuple[RewriteCell, ...] = ()
    labels: tuple[LabelCell, ...] = ()
    reordered: tuple[FitCell, ...] = ()

    @property
    def all_fits(self) -> tuple[FitCell, ...]:
        """The fits that compete, and those in other orders of the documents."""
        return self.fits + self.reordered

    def cells(self) -> Iterator[Cell]:
        """Yields every cell."""
        yield from self.all_fits
        yield from self.labels
        yield from self.metrics
        yield from self.rewrites
        yield from self.matches

    def keys(self) -> set[str]:
        """Returns the keys of every cell; a board shows these and no others."""
        return {cell.key for cell in self.cells()}


def make_plan(
    suite: Suite,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    offline: bool = False,
    loaded: Mapping[CorpusSpec, Corpus] | None = None,
) -> Plan:
    """Loads the corpora and lays out every cell; nothing is fitted, judged or extracted.

    Args:
        suite: what to play.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, metrics or judges.
        offline: lay the cells out without a network and without weights, to be counted: a corpus
            that is not here is one of its stated size (:mod:`mtmbench.corpora.stated`), and
            settings of features are told apart by how they were given. Such a plan cannot be
            played, and its keys are those of no records.
        loaded: corpora that need not be loaded again.

    With ``[tuning]`` that is the plan of what is played after it, on the documents that are left,
    and by the parameters that the suite gives by now.

    Raises:
        InputError: a corpus cannot be loaded, or has no spaces between words while something that
            is played needs them; the list of stop words cannot be had; or a tokeniser, model,
            metric or judge is unknown; the message names the nearest valid one.
    """
    # Encoders, too, are not fetched to be counted with.
    with without_network() if offline else nullcontext():
        return _make_plan(suite, data_dir, plugins, offline, loaded)


def _make_plan(
    suite: Suite,
    data_dir: Path | None,
    plugins: Sequence[str],
    offline: bool,
    loaded: Mapping[CorpusSpec, Corpus] | None,
) -> Plan:
    from mtmbench.core.plugins import load_plugins
    from mtmbench.corpora.load import load_spec
    from mtmbench.corpora.stated import StandIn, load_here
    from mtmbench.features.stop_words import stop_words_of
    from mtmbench.features.tokenisers import tokeniser_of

    load_plugins(plugins)
    suite = suite.on_part("scored")
    if isinstance(suite.words.stop_words, str):
        stop_words_of(suite.words.stop_words)
    tokeniser_of(suite.words)
    corpora: dict[str, Corpus] = {}
    specs: dict[str, CorpusSpec] = {}
    for spec in suite.corpora:
        load = load_here if offline else load_spec
        corpus = (loaded or {}).get(spec) or load(spec, data_dir)
        corpus = corpus.with_words(suite.words)
        if corpus.name in corpora:
            raise InputError(f"corpus {corpus.name!r} stands twice in suite {suite.name!r}")
        corpora[corpus.name], specs[corpus.name] = corpus, spec
    check_names(suite, corpora)
    fits = fit_cells(suite, corpora.values(), offline=offline)
    if suite.judging is not None:
        check_writers(judges_of_fits(fits), suite.judging)
    first: list[FitCell] = []
    later: list[FitCell] = []
    for name, k_spec in leagues_of(fits):
        rounds = rounds_of(suite, fits, name, k_spec)
        first += rounds[0]
        later += [fit for fits_of_seed in rounds[1:] for fit in fits_of_seed]
    refits = [fit for fit in refits_of(suite.judging, first, fits) if fit not in later]
    labels = label_cells(suite, corpora, fits, offline=offline)
    rewrites = rewrite_cells(suite.judging, [*first, *later], refits, corpora, labels)
    reordered = reordered_cells(suite, fits)
    metrics = tuple(metric_cells(suite, fits, reordered, labels))
    if _reads_words(suite, fits, metrics, rewrites):
        for corpus in corpora.values():
            if not isinstance(corpus, StandIn):
                check_spaces(corpus)
    return Plan(
        suite,
        corpora,
        tuple(fits),
        metrics,
        tuple(match_cells(suite, corpora, fits, rewrites, labels)),
        data_dir,
        tuple(plugins),
        specs,
        tuple(rewrites),
        tuple(labels),
        tuple(reordered),
    )


def _reads_words(
    suite: Suite,
    fits: Sequence[FitCell],
    metrics: Sequence[MetricCell],
    rewrites: Sequence[RewriteCell],
) -> bool:
    """Whether a model, metric, judge or summariser of a suite needs the words of the documents.

    Those that topics are projected to are none of that: without them a fit's record says why, and
    so does a metric's value of them, where the metric has others.
    """
    from mtmbench.metrics.compute import reads_words

    judges = [] if suite.judging is None else map(load_judge_card, suite.judging.judges)
    has_other = {
        cell.metric
        for cell in metrics
        if not reads_words(cell.metric, cell.view, MODELS.get(cell.fit.registry).item_view)
    }
    return (
        any("words" in MODELS.get(fit.registry).needs for fit in fits)
        or any(cell.metric not in has_other for cell in metrics)
        or any(JUDGES.get(client).reads_words for client in clients_of(judges))
        or any(cell.extraction is not None for cell in rewrites)
        or (suite.judging is not None and "projected" in suite.judging.representations)
    )
