"""Settings of models are scored: fitted on the tuning part, by the engine, and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.cells import FitCell, MetricCell
from mtmbench.core.errors import InputError, MtmbenchError
from mtmbench.core.records import of_kind
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.store import RunStore, run_infos
from mtmbench.core.tuning import Choice, TuningSpec
from mtmbench.core.types import Corpus
from mtmbench.engine.harness import play_plan
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.workers import Executor
from mtmbench.metrics.registry import METRICS
from mtmbench.tuning.trials import Score

Params = Mapping[str, Choice]

OF_LIBRARIES = frozenset({
    "ValueError", "InvalidParameterError", "LinAlgError", "_LinAlgError",
    "ArithmeticError", "FloatingPointError", "OverflowError", "ZeroDivisionError",
})  # fmt: skip
"""What numpy, scikit-learn and torch raise of parameters with which nothing can be fitted."""


class UnscoredError(MtmbenchError, RuntimeError):
    """A setting has no score, for a reason that may not be its parameters'."""


@dataclass(frozen=True)
class Ask:
    """One setting of a model on a corpus, to be scored under some seeds."""

    corpus: str
    model: str
    params: Params
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Cells:
    """What is played for one setting under one seed."""

    fit: FitCell
    value: MetricCell


class Layout:
    """Lays out the cells of settings: those of a suite of one model, one corpus and one metric.

    Args:
        suite: what is tuned, on the part of its corpora on which that is done.
        spec: its ``[tuning]``.
        corpora: the corpora, as loaded.
        data_dir: folder of local corpora.
        plugins: files or modules that register more.
    """

    def __init__(
        self,
        suite: Suite,
        spec: TuningSpec,
        corpora: Mapping[CorpusSpec, Corpus],
        data_dir: Path | None,
        plugins: Sequence[str],
    ) -> None:
        self.suite, self.spec, self.corpora = suite, spec, corpora
        self._data_dir, self._plugins = data_dir, plugins
        self._of = {corpus.name: corpus_spec for corpus_spec, corpus in corpora.items()}

    def corpus(self, name: str) -> Corpus:
        """Returns the documents of a corpus on which models are tuned."""
        return self.corpora[self._of[name]]

    def corpus_spec(self, name: str) -> CorpusSpec:
        """Returns what the suite says of a corpus."""
        return self._of[name]

    def cells(self, ask: Ask) -> tuple[Plan, list[Cells]]:
        """Returns the plan of one setting, and what is played for each of its seeds."""
        suite, spec, shown = self.suite, self.spec, shown_name(ask.model)
        params = {**suite.params_of(shown, ask.corpus), **ask.params}
        alone = suite.model_copy(
            update={
                "corpora": (self._of[ask.corpus],),
                "models": (ask.model,),
                "models_per_corpus": {},
                "k": suite.k_of(ask.corpus)[:1],
                "k_per_corpus": {},
                "seeds": ask.seeds,
                "seeds_per_model": {},
                "metrics": (spec.metric,),
                "metric_params": {
                    name: told for name, told in suite.metric_params.items() if name == spec.metric
                },
                "params": {},
                "params_per_corpus": {ask.corpus: {shown: params}},
                "features": suite.features.model_copy(
                    update={
                        "settings": suite.features.settings_of(ask.corpus)[:1],
                        "settings_per_corpus": {},
                    }
                ),
                "judging": None,
                "steering": None,
                "tuning": None,
            }
        )
        plan = make_plan(alone, data_dir=self._data_dir, plugins=self._plugins, loaded=self.corpora)
        view = spec.view or METRICS.get(spec.metric).item_views[0]
        # The first of a metric's variants; others would be other numbers.
        first: dict[str, MetricCell] = {}
        for cell in plan.metrics:
            if cell.view == view:
                first.setdefault(cell.fit.key, cell)
        return plan, [Cells(fit, first[fit.key]) for fit in plan.fits]


class Scorer:
    """Plays settings, many at once, and reads their values from the records.

    What a record holds is not played again, by a later tuning neither.
    """

    def __init__(self, layout: Layout, store: RunStore, pool: Executor) -> None:
        self._layout, self._store, self._pool = layout, store, pool

    def scores(self, asked: Sequence[Ask]) -> list[list[Score]]:
        """Returns for each setting its score under each of its seeds.

        Raises:
            UnscoredError: something else than a setting failed, such as a judge; what was played is
                on record, and the next tuning asks for the rest again.
        """
        laid = [self._layout.cells(ask) for ask in asked]
        if not laid:
            return []
        play_plan(joined(laid), self._store, self._pool)
        keys = {key for _, its in laid for cells in its for key in (cells.fit.key, cells.value.key)}
        records = list(self._store.records(keys))
        fits = {record.key: record for record in of_kind(records, "fit")}
        values = {record.key: record for record in of_kind(records, "metric")}
        seconds = {key: info.seconds or 0.0 for key, info in run_infos(self._store.folder)}

        def score(cells: Cells) -> Score:
            spent = sum(seconds.get(key, 0.0) for key in (cells.fit.key, cells.value.key))
            record, fit = values.get(cells.value.key), fits.get(cells.fit.key)
            if record is not None and (value := record.payload.get("value")) is not None:
                topics = None if fit is None else fit.payload.get("n_topics")
                return Score(float(value), None, spent, topics)
            if record is not None and record.status != "error":
                return Score(None, record.payload.get("reason"), spent)
            cell, failed = (
                (cells.fit, fit)
                if fit is not None and fit.status == "error"
                else (cells.value, record)
            )
            reason = None if failed is None else failed.payload.get("reason")
            # A model refuses its parameters by an InputError, a library by its own; both would
            # fail again, as anything else may not.
            if failed is fit and reason and error_of(reason) in {"InputError", *OF_LIBRARIES}:
                return Score(None, reason, spent)
            raise UnscoredError(
                f"{cell.describe()}: {reason or 'it was not played'}; tuning stops here, and the "
                "same command goes on with it"
            )

        return [[score(cells) for cells in its] for _, its in laid]


def error_of(reason: str) -> str:
    """Returns the name of the error that a record gives as its reason."""
    return reason.partition(": ")[0]


def joined(laid: Sequence[tuple[Plan, Sequence[Cells]]]) -> Plan:
    """Returns one plan of what is played of several."""
    its = [cells for _, each in laid for cells in each]
    fits = {cells.fit.key: cells.fit for cells in its}
    values = {cells.value.key: cells.value for cells in its}
    labels = {
        value.labels.key: value.labels for value in values.values() if value.labels is not None
    }
    return replace(
        laid[0][0],
        corpora={name: corpus for plan, _ in laid for name, corpus in plan.corpora.items()},
        specs={name: spec for plan, _ in laid for name, spec in plan.specs.items()},
        fits=tuple(fits.values()),
        metrics=tuple(values.values()),
        labels=tuple(labels.values()),
        rewrites=(),
        matches=(),
    )


def check_metric(suite: Suite, spec: TuningSpec, corpora: Sequence[Corpus]) -> str | None:
    """Checks that models can be tuned by a metric; returns what is to be said of it, if anything.

    Raises:
        UnknownNameError: there is no such metric.
        InputError: it compares several fits, asks a judge that is not named, is not played on the
            view, or needs gold labels that a corpus lacks.
    """
    from mtmbench.metrics.judged import NO_JUDGE

    metric = METRICS.get(spec.metric)
    if several := {"siblings", "orders", "others"} & set(metric.needs):
        raise InputError(
            f"metric {spec.metric!r} is a number of several fits ({min(several)}), not of one, so "
            "that no trial has it; tune by another, such as npmi"
        )
    if spec.view is not None and spec.view not in metric.item_views:
        shown = [view for view in metric.item_views if view]
        raise InputError(f"metric {spec.metric!r} is not played on {spec.view!r}, but on {shown}")
    told = {**metric.variants[0], **suite.metric_params.get(spec.metric, {})}
    if "judge" in metric.needs and told.get("judge") is None:
        raise InputError(f"metric {spec.metric!r}: {NO_JUDGE}")
    if "labels" not in metric.needs:
        return None
    for corpus in corpora:
        if not corpus.n_labels:
            raise InputError(
                f"metric {spec.metric!r} needs gold labels, which corpus {corpus.name!r} lacks; "
                "tune by another, such as npmi"
            )
    return (
        f"{spec.metric} reads gold labels: parameters tuned by it are not those of an unsupervised "
        "model."
    )
