"""Steering for a whole suite: the topics that it fitted, one table beside its board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtmbench.boards.steering_rows import SteeringRow
from mtmbench.boards.write import write_board
from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.cells import FitCell
from mtmbench.core.competitors import Competitor
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.names import check_name
from mtmbench.core.specs import SteeringSpec
from mtmbench.core.store import RunStore, records_file
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Progress, Views
from mtmbench.engine.cell_player import CellPlayer
from mtmbench.engine.labels import plan_of
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.results import recorded_result, result_path
from mtmbench.engine.workspace import Workspace, WorkspaceSpec
from mtmbench.features.registry import feature_source
from mtmbench.judges.base import EMPTY_TOPIC
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import load_judge_card, traits_of
from mtmbench.metrics.projected import projected_words
from mtmbench.models.registry import MODELS
from mtmbench.steering.experiment import Experiment
from mtmbench.steering.gguf_file import export_gguf, package
from mtmbench.steering.language_model import language_model
from mtmbench.steering.rows import experiment_rows, unit_vectors
from mtmbench.steering.table import write_table
from mtmbench.steering.weights import with_frequencies

_STORE = "steering"
"""Folder below the run's that holds texts and verdicts; a run's own records stay as they are."""


def steer_suite(
    suite: Suite,
    folder: Path,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
    budget: float | None = None,
    vectors: Path | None = None,
) -> list[Path]:
    """Steers by the topics of a suite that was played, and writes the table beside its board.

    Killed, the same call goes on where it stopped. Of several seeds the first one's fit steers. A
    table [steering] with features of its own needs nothing played: its models are fitted here. One
    thread is used, as by every worker of a run.

    Args:
        suite: the suite, with a table ``[steering]``.
        folder: the run's folder, with its results.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, judges or feature sources.
        progress: told how many of how many texts are there.
        budget: what language models' answers about texts of this folder may cost altogether.
        vectors: a folder into which every topic's direction is written as a control vector, one λ
            of the table's unit long (:mod:`mtmbench.steering.gguf_file`); None writes none.

    Returns:
        The files of the table, and the control vectors. A board that lies there is written anew:
        its page draws the table's curves.

    Raises:
        InputError: the suite has no such table or no model over features, a fit is not in the
            folder or failed, its features are not those of a causal language model, or package
            gguf is not installed.
        StoreInUseError: another process steers in this folder.
    """
    if vectors is not None:
        package()  # better said before the experiment than after it
    rows: list[SteeringRow] = []
    written: list[Path] = []
    for cell, experiment in experiments(suite, folder, data_dir, plugins, progress, budget):
        rows += [{**row, "k": cell.k} for row in experiment_rows(experiment)]
        if vectors is not None:
            written += _export(cell, experiment, vectors)
    assert suite.steering is not None
    table = write_table(
        folder, rows, title=f"Steering: {suite.title or suite.name}",
        notes=table_notes(suite.steering),
    )  # fmt: skip
    if records_file(folder).is_file():
        write_board(folder)
    return [*table, *written]


def steering_plan(suite: Suite, plan: Plan) -> Plan:
    """Returns the plan of the fits whose topics would steer: reads no weights and no network.

    With features of its own that is another plan than the suite's.

    Raises:
        InputError: the suite has no such table, or no model over features.
    """
    if suite.steering is None:
        raise InputError(f"suite {suite.name!r} has no table [steering]")
    if suite.steering.features is not None:
        steered = _steered(suite, suite.steering)
        plan = make_plan(steered, data_dir=plan.data_dir, plugins=plan.plugins, offline=True)
    return replace(plan, fits=tuple(_cells(plan, suite.steering)))


def table_notes(spec: SteeringSpec) -> list[str]:
    """Returns what a reader of the table must know of its suite: its note, its proxies."""
    proxies = [name for name in spec.judges if not traits_of(load_judge_card(name))["is_llm"]]
    notes = [spec.note] if spec.note else []
    if proxies:
        notes.append(f"Proxies, not language models: {', '.join(proxies)}.")
    return notes


def experiments(
    suite: Suite,
    folder: Path,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
    budget: float | None = None,
) -> Iterator[tuple[FitCell, Experiment]]:
    """Yields the experiment of every fit that steers, while its store and judges are open.

    Arguments and errors are those of :func:`steer_suite`.
    """
    suite.check_tuned()
    if suite.steering is None:
        raise InputError(f"suite {suite.name!r} has no table [steering]")
    spec = suite.steering
    steered = _steered(suite, spec)
    plan = make_plan(steered, data_dir=data_dir, plugins=plugins)
    cells = _cells(plan, spec)
    features = steered.features
    source, lm = language_model(feature_source(features.source, features.params))
    place = folder if spec.features is None else folder / _STORE
    workspace = Workspace(WorkspaceSpec(steered, plan.specs, place, plan.data_dir, plan.plugins))
    names = [*spec.judges, *([] if spec.axbench is None else [spec.axbench])]
    paid = any(traits_of(load_judge_card(name))["is_llm"] for name in names)
    with (
        RunStore(folder / _STORE) as store,
        Panel(folder / _STORE / LEDGER if paid else None, budget=budget) as panel,
        _one_thread(),
    ):
        for cell in cells:
            if spec.features is not None:
                _fit(workspace, store, cell)
            views = workspace.views(cell.corpus, cell.setting)
            counts = views.require("features", cell.model)
            result, called = _result(place, cell), cell.competitor.name
            if spec.describe == "items" and (names_of := plan_of(steered, cell.setting)):
                made = names_of.make(plan.corpora[cell.corpus], progress)
                items = made.name_items(result.items, names_of.described)
                result = replace(result, items=items)
            if spec.weights == "frequencies":
                result, called = with_frequencies(result, counts), f"{called}, frequencies"
            described = source.describe(cell.setting or "default")
            yield (
                cell,
                Experiment(
                    name=called,
                    lm=lm,
                    corpus=plan.corpora[cell.corpus],
                    result=result,
                    sae=source.folder(str(described["sae"])).sae,
                    frequency=np.asarray(counts.matrix.sum(axis=0), np.int64).ravel(),
                    panel=panel,
                    judges={name: panel.seat(name) for name in spec.judges},
                    spec=spec,
                    store=store,
                    descriptions=None if spec.describe == "items" else _words(result, views),
                    rater=None if spec.axbench is None else panel.seat(spec.axbench),
                    progress=progress,
                ),
            )
        store.export()


def _export(cell: FitCell, experiment: Experiment, folder: Path) -> list[Path]:
    written = []
    for topic, vector in unit_vectors(experiment).items():
        named = f"{cell.corpus}-{cell.competitor.name}-k{cell.k}-topic{topic}".replace(":", "-")
        path = folder / f"{check_name(named, 'a control vector')}.gguf"
        export_gguf(vector, path, model_type=experiment.lm.backbone.family)
        written.append(path)
    return written


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs torch on one thread: two of them wait for each other on cores that others use too."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _steered(suite: Suite, spec: SteeringSpec) -> Suite:
    """Returns the suite whose fits steer: with features of its own, one of these fits alone."""
    if spec.features is None:
        return suite
    changes: dict[str, object] = {
        "features": spec.features, "metrics": (), "metric_params": {}, "judging": None,
        "seeds": suite.seeds[:1], "seeds_per_model": {},
    }  # fmt: skip
    if spec.models:
        # What the suite says of models that do not steer is of no model here.
        changes |= {"models": spec.models, "models_per_corpus": {}}
        steers = set(map(shown_name, spec.models))
        changes["params"] = {name: suite.params[name] for name in steers & suite.params.keys()}
        changes["params_per_corpus"] = {
            corpus: {name: told[name] for name in steers & told.keys()}
            for corpus, told in suite.params_per_corpus.items()
        }
    return suite.model_copy(update=changes)


def _cells(plan: Plan, spec: SteeringSpec) -> list[FitCell]:
    over_features = [cell for cell in plan.fits if "features" in MODELS.get(cell.registry).needs]
    names = {cell.model for cell in over_features}
    for model in spec.models:
        if model not in names:
            raise UnknownNameError("model over features", model, names)
    chosen: dict[tuple[str, int | str, Competitor], FitCell] = {}
    for cell in over_features:
        if cell.model in (spec.models or names) and cell.corpus in (spec.corpora or plan.corpora):
            chosen.setdefault((cell.corpus, cell.k_spec, cell.competitor), cell)
    if not chosen:
        raise InputError(f"suite {plan.suite.name!r} has no model over features to steer by")
    return list(chosen.values())


def _words(result: TopicResult, views: Views) -> list[str]:
    """Returns each topic's ten projected words."""
    words, _ = projected_words(result.doc_topic, views.require("words", result.model))
    return [", ".join(each) or EMPTY_TOPIC for each in words]


def _fit(workspace: Workspace, store: RunStore, cell: FitCell) -> None:
    """Fits a model, unless its record and its topics are there."""
    if cell.key in store.finished():
        try:
            recorded_result(workspace.folder, cell.key)
        except InputError:
            store.forget(cell.key)
        else:
            return
    for produced in CellPlayer(workspace).play([cell]):
        store.add(produced)
        for record, _ in produced:
            if record.status != "ok":
                raise InputError(
                    f"{cell.describe(seed=False)}: the fit failed: {record.payload['reason']}"
                )


def _result(folder: Path, cell: FitCell) -> TopicResult:
    path = result_path(folder, cell.key)
    if not path.is_file():
        raise InputError(
            f"{folder} has no topics of {cell.describe(seed=False)}; play the suite first: "
            "mtmbench run"
        )
    return recorded_result(folder, cell.key)
