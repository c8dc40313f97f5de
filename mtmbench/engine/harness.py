"""Plays a suite: plan the cells, play those that are missing, write records and board."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mtmbench.core.card_reading import read_card, suite_text
from mtmbench.core.cards import Suite
from mtmbench.core.cells import MatchCell, RewriteCell
from mtmbench.core.errors import InputError
from mtmbench.core.records import of_kind
from mtmbench.core.serialise import write_atomically
from mtmbench.core.store import RunStore
from mtmbench.core.topic_result import TopicResult
from mtmbench.engine.asked_judges import judges_of_fits, judges_of_metrics
from mtmbench.engine.labels import labels_path, read_labels
from mtmbench.engine.phases import (
    FIT_FAILED,
    LABELS_FAILED,
    REWRITE_FAILED,
    phases,
    view_characters,
)
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.ray.pool import RayOptions, RayPool
from mtmbench.engine.results import check_revision, result_path
from mtmbench.engine.slurm.pool import SlurmOptions, SlurmPool
from mtmbench.engine.workers import (
    Executor,
    Notice,
    TaskFailure,
    Underway,
    WorkerPool,
)
from mtmbench.engine.workspace import WorkspaceSpec
from mtmbench.judges.budget import Budget
from mtmbench.judges.registry import JUDGES, clients_of, load_judge_card
from mtmbench.matches.rewrites import read_rewrites
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS

_NAMES = ("corpus", "model", "setting", "judge", "a", "b")
"""Fields of records that a key does not always tell apart: who is called what."""


_JOBS = 4
"""Jobs at one time on Slurm, where no number is given."""


class RunProgress(Protocol):
    """Told what is happening; the command line draws bars from it."""

    def phase(self, name: str, total: float) -> None:
        """A phase of ``total`` units of work begins."""

    def advance(self, units: float, what: str) -> None:
        """``units`` more units of the phase are done; ``what`` names the last."""


class _NoProgress:
    """Draws nothing."""

    def phase(self, name: str, total: float) -> None:
        """Ignores a phase."""

    def advance(self, units: float, what: str) -> None:
        """Ignores an advance."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run did.

    Attributes:
        folder: where ``records.jsonl`` and the board's files lie.
        played: cells played by this run.
        reused: cells that an earlier run had finished.
        errors: (cell description, reason) of every error record on the board, without those
            that wait for a failed fit, failed labels or a failed rewriting of topics.
    """

    folder: Path
    played: int
    reused: int
    errors: tuple[tuple[str, str], ...]


def run_suite(
    suite: Suite,
    folder: Path,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    progress: RunProgress | None = None,
    plan: Plan | None = None,
    executor: RayOptions | SlurmOptions | None = None,
    budget: float | None = None,
    batch: bool = False,
    fitted: bool = False,
) -> RunOutcome:
    """Plays every cell of a suite that ``folder`` does not hold yet and writes its board.

    The board's files do not depend on how often the run was interrupted, nor on ``workers`` and
    ``executor``.

    Args:
        suite: what to play.
        folder: the run's folder; made if need be, resumed if it holds records.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, metrics or judges.
        workers: processes, each on one thread; None takes the cores that are usable, 0 plays in
            this process. On Ray: the most actors; None takes what the nodes can hold. On Slurm: the
            most jobs at one time; None takes 4.
        progress: told what is happening.
        plan: the suite's plan if it was made already.
        executor: a Ray cluster whose actors play the cells, or Slurm, whose jobs do; None for
            processes of this machine.
        budget: what the language models' answers in this folder may cost altogether, those of
            earlier runs among them. Matches and values that it does not reach for are errors on the
            board, and are played when the same suite is run with a larger one.
        batch: hand the questions of matches to a Batch API, where language models rule. Matches
            that wait for it are errors on the board until a later run has collected their answers.
        fitted: every fit must be there already.

    Raises:
        StoreInUseError: another run holds the folder.
        InputError: the suite names what does not exist, or the folder holds what is not a run.
        ExecutorError: the Ray cluster has no actor left, or Slurm's jobs end before they begin;
            what was played is kept.
    """
    from mtmbench.boards.write import write_board
    from mtmbench.engine.site_parts import write_site_parts

    suite.check_tuned()
    progress = progress or _NoProgress()
    plan = plan or make_plan(suite, data_dir=data_dir, plugins=plugins)
    with RunStore(folder) as store:
        _drop_other_names(store, plan)
        _drop_lost_results(store, plan)
        if fitted:
            _check_fitted(plan, store)
        _write_suite(folder, plan.suite)
        if executor is None:  # else the actors' environment counts
            check_judges(plan, store, budget)
        before = store.finished() & plan.keys()
        try:
            with open_pool(plan, store, workers, executor, budget=budget, batch=batch) as pool:
                failures = play_plan(plan, store, pool, progress)
        finally:
            store.export(plan.keys())
        try:
            write_site_parts(plan, folder)
        except Exception as error:  # what a page shows beside the board must not lose the board
            warnings.warn(f"the page lacks the run's own parts: {error!r}", stacklevel=2)
        write_board(folder)
        finished = store.finished() & plan.keys()
        cells = {cell.key: cell for cell in plan.cells()}
        errors = tuple(
            (cells[record.key].describe(), str(record.payload.get("reason", "")))
            for record in store.records(cells)
            if record.status == "error"
            and record.payload.get("reason") not in (FIT_FAILED, LABELS_FAILED, REWRITE_FAILED)
        )
    played = len(finished - before) + len(errors)
    return RunOutcome(folder, played, len(before), (*errors, *failures))


def open_pool(
    plan: Plan,
    store: RunStore,
    workers: int | None,
    executor: RayOptions | SlurmOptions | None,
    *,
    budget: float | None,
    batch: bool = False,
) -> Executor:
    """Returns where cells of a plan, and others like them, are played; see :func:`run_suite`."""
    modules = _registering_modules(plan)
    plugins = (*plan.plugins, *sorted(modules - {"__main__"}))
    spec = WorkspaceSpec(
        plan.suite, plan.specs, store.folder, plan.data_dir, plugins, budget, batch
    )
    told = {"on_start": store.note_worker, "on_end": store.drop_worker}
    if executor is not None:
        if "__main__" in modules:
            raise InputError(
                "actors cannot import what a script or notebook defines, nor can jobs: put the "
                "models, metrics and judges into a .py file and name it as a plugin"
            )
        if isinstance(executor, SlurmOptions):
            return SlurmPool(spec, executor, _JOBS if workers is None else workers, **told)
        return RayPool(spec, executor, workers, **told)
    if "__main__" in modules and workers is None:
        workers = 0  # a spawned worker cannot import what a script or notebook defines
    return WorkerPool(spec, _usable_cores() if workers is None else workers, **told)


def play_plan(
    plan: Plan, store: RunStore, pool: Executor, progress: RunProgress | None = None
) -> list[tuple[str, str]]:
    """Plays what the store lacks; returns what failed and has no record, each with its reason."""
    progress = progress or _NoProgress()
    failures: list[tuple[str, str]] = []
    cells = {cell.key: cell for cell in plan.cells()}
    for name, tasks in phases(plan, store):
        work = {task.prepare: view_characters(plan, task) for task in tasks if task.prepare}
        done = dict.fromkeys(work, 0.0)
        progress.phase(name, sum(work.values()) + sum(len(task.cells) for task in tasks))
        for event in pool.run(tasks):
            if isinstance(event, list):
                store.add(event)
                progress.advance(len(event), cells[event[-1][0].key].describe())
                continue
            if isinstance(event, TaskFailure | Notice):
                # Each cell that needs a view that failed meets the same error and records it.
                text = event.text if isinstance(event, Notice) else event.reason
                progress.advance(0, text)
                if isinstance(event, TaskFailure) and event.task.cells:
                    failures.append((f"after {event.task.cells[-1].describe()}", text))
                continue
            task, share = (event.task, event.share) if isinstance(event, Underway) else (event, 1.0)
            if task.prepare is not None:
                # A helper, or a task played anew, may know of less than is done.
                more = work[task.prepare] * max(0.0, share - done[task.prepare])
                done[task.prepare] = max(share, done[task.prepare])
                progress.advance(more, f"{task.prepare[2]} of {task.prepare[0]}")
    return failures


def _check_fitted(plan: Plan, store: RunStore) -> None:
    done = store.finished()
    missing = sum(cell.key not in done for cell in plan.all_fits)
    if missing:
        raise InputError(
            f"{store.folder} lacks {missing} of {len(plan.all_fits)} fits; play the suite first "
            f"(mtmbench run {store.folder / 'suite.toml'} --out {store.folder})"
        )


def check_judges(plan: Plan, store: RunStore, budget: float | None) -> None:
    """What stands in the way of asking a judge is said before anything is fitted."""
    done = store.finished()
    asking: list[RewriteCell | MatchCell] = [*plan.rewrites, *plan.matches]
    cards = {cell.judge: cell.card for cell in asking if cell.key not in done}
    values = [cell for cell in plan.metrics if cell.key not in done]
    fits = [cell for cell in plan.all_fits if cell.key not in done]
    names = [*judges_of_metrics(values), *judges_of_fits(fits)]
    cards |= {name: load_judge_card(name) for name in names}
    for name, card in cards.items():
        client = JUDGES.get(card.client)
        client.check_card(card)
        if budget is not None:
            Budget(budget).check(name, card)


def _drop_other_names(store: RunStore, plan: Plan) -> None:
    """Drops records that an earlier suite made of the same work under another name."""
    cells = {cell.key: cell for cell in plan.cells()}
    other = []
    for record in store.records(cells):
        wanted: Mapping[str, object] = cells[record.key].identity()
        held: Mapping[str, object] = record.payload
        if any(held.get(name) != wanted[name] for name in _NAMES if name in wanted):
            other.append(record.key)
    for key in other:
        store.forget(key)


def _drop_lost_results(store: RunStore, plan: Plan) -> None:
    """A fit whose result file is missing, damaged or not what its record says is played again."""
    done = store.finished()
    for record in of_kind(store.records(cell.key for cell in plan.all_fits), "fit"):
        path = result_path(store.folder, record.key)
        if record.key in done:
            try:
                check_revision(TopicResult.load(path), path, record)
            except InputError as error:
                if path.exists():
                    warnings.warn(f"{error}; it is fitted again", stacklevel=2)
                store.forget(record.key)
    for rewrite in plan.rewrites:
        if rewrite.key in done:
            try:
                read_rewrites(store.folder, rewrite.key)
            except InputError:
                store.forget(rewrite.key)
    for named in plan.labels:
        if named.key in done:
            try:
                read_labels(store.folder, named.made)
            except InputError:
                labels_path(store.folder, named.made).unlink(missing_ok=True)
                store.forget(named.key)


def _write_suite(folder: Path, suite: Suite) -> None:
    """Writes ``suite.toml`` as resolved, unless the folder holds the same suite already."""
    path = folder / "suite.toml"
    if path.is_file() and read_card(path, Suite) == suite:
        return
    if path.is_file() and folder.parent.name == "leaderboards":
        raise InputError(
            f"{path} is another suite than the one asked for; choose another --out, or edit it"
        )
    write_atomically(path, suite_text(suite))


def _registering_modules(plan: Plan) -> set[str]:
    """Returns the modules outside this package whose import registers what the plan uses."""
    origins = {MODELS.origin(cell.registry) for cell in plan.all_fits}
    origins |= {METRICS.origin(cell.metric) for cell in plan.metrics}
    origins |= {JUDGES.origin(client) for client in _clients(plan)}
    modules = {origin.partition(":")[0] for origin in origins}
    return {module for module in modules if not module.startswith("mtmbench")}


def _clients(plan: Plan) -> set[str]:
    """Returns the clients of every judge that the plan asks, members of juries among them."""
    cards = [cell.card for cell in plan.matches] + [cell.card for cell in plan.rewrites]
    names = [*judges_of_metrics(plan.metrics), *judges_of_fits(plan.all_fits)]
    return clients_of(cards + [load_judge_card(name) for name in names])


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
