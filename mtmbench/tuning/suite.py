"""The tuning of a suite: every model on every corpus alike, before anything plays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.core.card_reading import parse_card, set_dotted
from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.specs import KSpec
from mtmbench.core.store import RunStore
from mtmbench.corpora.load import load_spec
from mtmbench.engine.harness import RunProgress, check_judges, open_pool
from mtmbench.engine.plan import make_plan
from mtmbench.engine.ray.pool import RayOptions
from mtmbench.engine.slurm.pool import SlurmOptions
from mtmbench.models.registry import card_of, load_model_card
from mtmbench.tuning.scorer import (
    OF_LIBRARIES,
    Ask,
    Layout,
    Scorer,
    check_metric,
    error_of,
    joined,
)
from mtmbench.tuning.space import check_optuna
from mtmbench.tuning.tune import Steps, Tuned, tuning_steps
from mtmbench.tuning.write import write_summary, write_tuned


@dataclass(frozen=True)
class SuiteTuning:
    """What the tuning of a suite came to.

    Attributes:
        suite: the suite to play: on the documents that tuning left, by the parameters it found.
        tuned: what each model on each corpus came to.
        files: the cards and tables that were written.
        notes: what is to be said of the metric and of models that were not tuned.
    """

    suite: Suite
    tuned: tuple[Tuned, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def suite_of_one(
    model: str,
    corpus: str,
    *,
    k: KSpec,
    tuning: Mapping[str, object],
    limit: int | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Suite:
    """Returns the suite in which one model is tuned on one corpus.

    Args:
        model: a model's name, or the path of a card.
        corpus: a corpus's name, file or folder.
        k: the number of topics.
        tuning: keys of ``[tuning]``.
        limit: most documents; None for all of the tuning part.
        overrides: dotted keys of the suite and their values.
    """
    data: dict[str, object] = {
        "name": f"{card_of(shown_name(model))}-{Path(corpus).stem}",
        "corpora": [{"name": corpus, **({} if limit is None else {"max_documents": limit})}],
        "models": [model],
        "k": [k],
        "metrics": [tuning["metric"]],
        "tuning": {**tuning, "models": [shown_name(model)]},
    }
    for key, value in (overrides or {}).items():
        set_dotted(data, key, value)
    return parse_card(data, Suite, f"tuning of {model!r}")


def tune_suite(
    suite: Suite,
    folder: Path,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    progress: RunProgress | None = None,
    executor: RayOptions | SlurmOptions | None = None,
    budget: float | None = None,
) -> SuiteTuning:
    """Tunes the models of a suite as its ``[tuning]`` says, or goes on with that.

    Trials of all models and corpora are played side by side. What is found depends on the suite
    alone, not on ``workers`` or on how often it was interrupted.

    Args:
        suite: a suite with ``[tuning]``.
        folder: where records lie, and, in ``CORPUS/MODEL`` of it where more than one model or
            corpus is tuned, ``trials.log``, ``trials.csv`` and ``MODEL-tuned.toml``;
            then ``tuning.csv`` has a row for each.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, metrics or judges.
        workers: processes; None takes every core, 0 plays in this process.
        progress: told what is happening.
        executor: a Ray cluster; None for processes of this machine.
        budget: what the answers of judged metrics may cost altogether.

    Raises:
        InputError: Optuna is not installed; a model has nothing to search, or no value with its
            defaults; or nobody can be tuned by the metric.
        UnknownNameError: there is no such metric, or no such model in the suite.
        UnscoredError: a judge or a worker failed; the same call again goes on with it.
        StoreInUseError: another run holds the folder.
    """
    from mtmbench.core.plugins import load_plugins

    spec = suite.tuning
    if spec is None:
        raise InputError(f"suite {suite.name!r} has no [tuning]")
    check_optuna()
    load_plugins(plugins)
    part = suite.on_part("tuning")
    to_tune = [
        on_part for on_part, given in zip(part.corpora, suite.corpora, strict=True)
        if given.part is None
    ]  # fmt: skip
    loaded = {each: load_spec(each, data_dir) for each in to_tune}
    note = check_metric(suite, spec, list(loaded.values()))
    jobs, notes = _jobs(suite, [corpus.name for corpus in loaded.values()])
    # Of what is played after the tuning all is checked first, on documents that are here already.
    later = make_plan(part, data_dir=data_dir, plugins=plugins, loaded=loaded)
    layout = Layout(part, spec, loaded, data_dir, plugins)
    folders = [
        folder / corpus / card_of(shown_name(model)) if len(jobs) > 1 else folder
        for corpus, model in jobs
    ]
    for each in folders:
        each.mkdir(parents=True, exist_ok=True)
    if progress is not None:
        progress.phase("tuning", len(jobs) * spec.trials)
    told = _silent if progress is None else progress.advance
    steps = [
        tuning_steps(*job, layout, where, told) for job, where in zip(jobs, folders, strict=True)
    ]
    with RunStore(folder) as store:
        plan = joined(
            [layout.cells(Ask(corpus, model, {}, (spec.seed,))) for corpus, model in jobs]
        )
        if executor is None:
            if not store.finished():  # later, what was asked for may be on record in the run's own
                check_judges(later, store, budget)
            check_judges(plan, store, budget)
        try:
            with open_pool(plan, store, workers, executor, budget=budget) as pool:
                tuned = _together(steps, Scorer(layout, store, pool))
        finally:
            store.export()
    files = [
        path
        for each, where in zip(tuned, folders, strict=True)
        for path in write_tuned(each, layout, where)
    ]
    if len(tuned) > 1:
        files.append(write_summary(tuned, layout, folder))
    all_notes = (*([note] if note else []), *notes, *_library_faults(tuned))
    return SuiteTuning(_with_found(suite, tuned), tuple(tuned), tuple(files), all_notes)


def _silent(_trials: float, _what: str) -> None:
    """Ignores what is told of progress."""


def most_fits(suite: Suite, corpora: Iterable[str]) -> tuple[list[tuple[str, str]], int]:
    """Returns which models are tuned, as corpus and model, and with how many fits at most.

    Args:
        suite: a suite with ``[tuning]``.
        corpora: names of its corpora, in its order.
    """
    spec = suite.tuning
    assert spec is not None
    named = zip(corpora, suite.corpora, strict=True)
    jobs, _ = _jobs(suite, [name for name, given in named if given.part is None])
    return jobs, len(jobs) * ((1 + spec.trials) * spec.seeds + 2 * spec.fresh_seeds)


def _jobs(suite: Suite, corpora: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns which models are tuned on which corpora, and a note of those that are not."""
    spec = suite.tuning
    assert spec is not None
    shown = [shown_name(model) for model in suite.all_models]
    for name in spec.models:
        if name not in shown:
            raise UnknownNameError("model in tuning.models", name, shown)
    jobs, left = [], []
    for corpus in corpora:
        for model in suite.models_of(corpus):
            if shown_name(model) in spec.models or (
                not spec.models and load_model_card(model).search
            ):
                jobs.append((corpus, model))
            elif not spec.models:
                left.append(shown_name(model))
    if not jobs:
        raise InputError(
            f"suite {suite.name!r} has nothing to tune: the cards of its models have no [search], "
            "or each of its corpora names its part"
        )
    names = ", ".join(dict.fromkeys(left))
    return jobs, [f"Not tuned, for want of a [search] in the card: {names}."] if left else []


def _library_faults(tuned: Sequence[Tuned]) -> Iterator[str]:
    """Yields a note for each tuning in which a library failed: it may be a slip in the model."""
    for each in tuned:
        reasons = [
            row.reason for row in each.trials
            if row.state == "failed" and row.reason and error_of(row.reason) in OF_LIBRARIES
        ]  # fmt: skip
        if reasons:
            yield (
                f"{each.shown} on {each.corpus}: {len(reasons)} of {len(each.trials)} trials "
                f"failed by an error that may not be their parameters': {reasons[0]}"
            )


def _together(steps: Sequence[Steps], scorer: Scorer) -> list[Tuned]:
    """Plays tunings side by side: what they ask for at one time is scored together."""
    tuned: dict[int, Tuned] = {}
    asked = {nth: next(each) for nth, each in enumerate(steps)}
    while asked:
        scores = iter(scorer.scores([ask for asks in asked.values() for ask in asks]))
        answered = {nth: [next(scores) for _ in asks] for nth, asks in asked.items()}
        asked = {}
        for nth, answer in answered.items():
            try:
                asked[nth] = steps[nth].send(answer)
            except StopIteration as end:
                tuned[nth] = end.value
    return [tuned[nth] for nth in range(len(steps))]


def _with_found(suite: Suite, tuned: Sequence[Tuned]) -> Suite:
    """Returns the suite on what tuning left, by the parameters that it found."""
    params = {corpus: dict(told) for corpus, told in suite.params_per_corpus.items()}
    for each in tuned:
        of_corpus = params.setdefault(each.corpus, {})
        shown = shown_name(each.model)
        of_corpus[shown] = {**of_corpus.get(shown, {}), **each.best.params}
    told = {
        corpus: {model: own for model, own in its.items() if own} for corpus, its in params.items()
    }
    kept = {corpus: its for corpus, its in told.items() if its}
    assert suite.tuning is not None
    # Those whose defaults stayed among them, as no parameters tell.
    models = tuple(dict.fromkeys(shown_name(each.model) for each in tuned))
    tuning = suite.tuning.model_copy(update={"models": models})
    return suite.on_part("scored").model_copy(update={"params_per_corpus": kept, "tuning": tuning})
