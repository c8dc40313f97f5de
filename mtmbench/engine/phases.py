"""The phases of a run: which tasks are played next, as the store grows.

Each phase is laid out when the one before it is done, from the plan and the records alone, so that
a run that was killed goes on with the very phase that it was in.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from mtmbench.core.cells import (
    AdaptiveCell,
    Cell,
    FitCell,
    LabelCell,
    MatchCell,
    MetricCell,
    RewriteCell,
)
from mtmbench.core.competitors import League
from mtmbench.core.records import of_kind
from mtmbench.core.store import RunInfo, RunStore
from mtmbench.engine.asked_judges import asks_models
from mtmbench.engine.cell_player import Produced
from mtmbench.engine.plan import Plan
from mtmbench.engine.workers import ASKING, ON_DEVICE, Task
from mtmbench.features.encoders import is_default
from mtmbench.features.registry import source_of
from mtmbench.matches.adaptive import cells_to_play
from mtmbench.matches.schedule import in_rounds
from mtmbench.models.registry import MODELS

FIT_FAILED = "a fit that it needs failed"
LABELS_FAILED = "labels that it needs failed"
REWRITE_FAILED = "a refinement or summary that it needs failed"

_CHARACTERS_PER_TOKEN, _EMBEDDED_TOKENS, _WORDS_ARE_FASTER = 4.5, 254, 50
"""For estimates of the time left only."""

_C = TypeVar("_C", LabelCell, RewriteCell, MetricCell | MatchCell)

_SHARD_CHARACTERS, _MOST_HELPERS = 300_000, 64


def phases(plan: Plan, store: RunStore) -> Iterator[tuple[str, list[Task]]]:
    """Yields the phases in order; each looks at what the store holds by then."""
    done = store.finished()
    fits = [cell for cell in plan.all_fits if cell.key not in done]
    if fits:
        # The longest first, so that no worker is left alone with it.
        views = sorted(_view_tasks(plan, fits), key=lambda task: -view_characters(plan, task))
        left = _left_by_features(plan, views)
        yield "views", [task for task in views if task not in left]
        if left:
            yield "embeddings", left
        yield "fits", _fit_tasks(plan, fits)
        done = store.finished()
    labels = [cell for cell in plan.labels if cell.key not in done]
    if playable := _playable(plan, store, labels, done):
        # Beside them goes what needs none and asks nobody, so that no worker waits.
        taken = [
            cell
            for cell in plan.rewrites
            if cell.extraction is not None and cell.key not in done and set(cell.needs) <= done
        ]
        name = "labels and summaries" if taken else "labels"
        yield name, _rewrite_tasks(taken) + _label_tasks(plan, playable)
    yield from _rewrite_phases(plan, store)
    _forget_incomplete(plan, store)
    done = store.finished()
    shown = {cell.key for cell in plan.labels} | {cell.key for cell in plan.rewrites}
    fitted = ({cell.key for cell in plan.all_fits} | shown) & done
    rest: list[MetricCell | MatchCell] = [*plan.metrics, *plan.matches]
    missing = [cell for cell in rest if cell.key not in done]
    ready = _playable(plan, store, missing, fitted)
    metrics = [cell for cell in ready if isinstance(cell, MetricCell)]
    if metrics:
        yield "metrics", _metric_tasks(metrics)
    matches = [cell for cell in ready if isinstance(cell, MatchCell)]
    at_once = [cell for cell in matches if not isinstance(cell, AdaptiveCell)]
    if at_once:
        yield "matches", _match_tasks(at_once)
    yield from _looks(plan, store, fitted)


def _forget_incomplete(plan: Plan, store: RunStore) -> None:
    """Forgets values over other models of which one's fit had failed and is there by now."""
    done = store.finished()
    of = {cell.key: cell for cell in plan.metrics if cell.others and cell.key in done}
    for record in list(of_kind(store.records(of), "metric")) if of else ():
        details = record.payload["details"]
        without = details.get("missing", {}).keys() - details.get("documents", {}).keys()
        if any(o.competitor.name in without and o.key in done for o in of[record.key].others):
            store.forget(record.key)


def view_characters(plan: Plan, task: Task) -> float:
    """Returns the characters that a view's encoder reads: the measure of how long it takes."""
    assert task.prepare is not None
    corpus, _, view = task.prepare
    texts = plan.corpora[corpus].texts
    if view in ("words", "word_embeddings"):
        return sum(map(len, texts)) / _WORDS_ARE_FASTER
    tokens = _EMBEDDED_TOKENS if view == "embeddings" else plan.suite.features.max_tokens
    limit = sys.maxsize if tokens is None else tokens * _CHARACTERS_PER_TOKEN
    return float(sum(min(len(text), limit) for text in texts))


def _looks(plan: Plan, store: RunStore, fitted: set[str]) -> Iterator[tuple[str, list[Task]]]:
    """Yields the looks of adaptive leagues, each chosen by the records of those before it."""
    leagues: dict[League, list[AdaptiveCell]] = {}
    for cell in plan.matches:
        if isinstance(cell, AdaptiveCell) and set(cell.needs) <= fitted:
            leagues.setdefault(cell.league, []).append(cell)
    spec = plan.suite.judging
    attempted: set[str] = set()
    while leagues and spec is not None:
        keys = {cell.key for cells in leagues.values() for cell in cells}
        played = of_kind(store.records(keys), "match")
        records = {record.key: record for record in played if record.status != "error"}
        # A cell that failed in this run is not tried again in it; its league rests there.
        chosen = [
            cells_to_play(cells, records, 1 - spec.confidence, spec.resolution)
            for cells in leagues.values()
        ]
        next_look = [
            cell
            for cells in chosen
            for cell in cells
            if attempted.isdisjoint(cell.key for cell in cells)
        ]
        if not next_look:
            return
        attempted.update(cell.key for cell in next_look)
        yield "look", _match_tasks(next_look)


def _rewrite_phases(plan: Plan, store: RunStore) -> Iterator[tuple[str, list[Task]]]:
    """Yields refinements, then summaries, which are of refined topics."""
    for task, name in (("refine", "refining"), ("summary", "summaries")):
        done = store.finished()
        missing = [cell for cell in plan.rewrites if cell.task == task and cell.key not in done]
        if playable := _playable(plan, store, missing, done):
            yield name, _rewrite_tasks(playable)


def _rewrite_tasks(cells: Sequence[RewriteCell]) -> list[Task]:
    # What is taken from documents asks nobody; one worker encodes a corpus's.
    by_corpus: dict[str, list[RewriteCell]] = {}
    for cell in cells:
        affinity = ASKING if cell.extraction is None else cell.corpus
        by_corpus.setdefault(affinity, []).append(cell)
    return [Task(tuple(its), affinity=where) for where, its in by_corpus.items()]


def _playable(plan: Plan, store: RunStore, cells: Sequence[_C], done: Collection[str]) -> list[_C]:
    """Returns the cells that have all that they need; of the others the store is told."""
    playable = [cell for cell in cells if set(cell.needs) <= set(done)]
    keys = {cell.key for cell in playable}
    lost = [cell for cell in cells if cell.key not in keys]
    if lost:
        store.add([_unplayable(plan, cell, done) for cell in lost])
    return playable


def _view_tasks(plan: Plan, fits: Sequence[FitCell]) -> list[Task]:
    tasks: dict[tuple[str, str | None, str], list[Task]] = {}
    for cell in fits:
        for view in MODELS.get(cell.registry).needs:
            setting = cell.setting if view == "features" else None
            prepare = (cell.corpus, setting, str(view))
            affinity = _features_affinity(plan, cell.corpus) if setting else cell.corpus
            tasks.setdefault(prepare, [Task((), affinity=affinity, prepare=prepare)])
    for (corpus, setting, made), (task, *_) in list(tasks.items()):
        if made == "features":
            # Workers that find a shard missing help with it; the others are done at once.
            helpers = min(int(view_characters(plan, task) / _SHARD_CHARACTERS), _MOST_HELPERS)
            shared = (corpus, setting, "activations")
            tasks[shared] = [Task((), affinity=task.affinity, prepare=shared)] * helpers
    return [task for its in tasks.values() for task in its]


def _left_by_features(plan: Plan, views: Sequence[Task]) -> list[Task]:
    """Returns the tasks for embeddings that tasks for features leave behind, which come first."""
    featured = {task.prepare[0] for task in views if task.prepare and task.prepare[2] == "features"}
    suite = plan.suite
    if not is_default(suite.embeddings.encoder) or not featured:
        return []
    if not source_of(suite.features).leaves_embeddings:
        return []
    return [
        task
        for task in views
        if task.prepare and task.prepare[2] == "embeddings" and task.prepare[0] in featured
    ]


def _fit_tasks(plan: Plan, cells: Sequence[FitCell]) -> list[Task]:
    size = {name: sum(map(len, corpus.texts)) for name, corpus in plan.corpora.items()}
    # A fit and what it is under other names are played in a row: fitted by one, read by the others.
    same: dict[str, list[FitCell]] = {}
    # The largest corpus first, so that no worker is left alone with it.
    for cell in sorted(cells, key=lambda cell: -size[cell.corpus]):
        same.setdefault(cell.twin or cell.key, []).append(cell)
    return [Task(tuple(group), affinity=_fit_affinity(group[0])) for group in same.values()]


def _fit_affinity(cell: FitCell) -> str:
    model = MODELS.get(cell.registry)
    # Judges are asked from one process, so that limits and budget hold.
    return ASKING if model.asks else model.warms or cell.registry


def _features_affinity(plan: Plan, corpus: str) -> str:
    """Returns the affinity of what may read a corpus through the language model."""
    device = source_of(plan.suite.features).device
    return corpus if device == "cpu" else ON_DEVICE


def _label_tasks(plan: Plan, cells: Sequence[LabelCell]) -> list[Task]:
    # Fits that share their labels are named by one worker: the labels are made once.
    shared: dict[str, list[LabelCell]] = {}
    for cell in cells:
        shared.setdefault(cell.made, []).append(cell)
    return [
        Task(tuple(group), affinity=_features_affinity(plan, group[0].corpus))
        for group in shared.values()
    ]


def _metric_tasks(cells: Sequence[MetricCell]) -> list[Task]:
    # Values over several fits come last: they read results that the others have loaded.
    by_fit: dict[tuple[str, bool], list[Cell]] = {}
    # Language models are asked from one process, so that limits and budget hold.
    asked = tuple(cell for cell in cells if asks_models([cell]))
    for cell in cells:
        if cell not in asked:
            by_fit.setdefault((cell.fit.key, bool(cell.siblings or cell.others)), []).append(cell)
    tasks = [Task(asked, affinity=ASKING)] if asked else []
    tasks += [Task(tuple(group), affinity=group[0].corpus) for group in by_fit.values()]
    return tasks


def _match_tasks(cells: Sequence[MatchCell]) -> list[Task]:
    leagues: dict[League, list[Cell]] = {}
    # Language models are asked from one process, so that the limits of their endpoints hold.
    asked = [cell for cell in cells if cell.is_llm]
    for cell in cells:
        if not cell.is_llm:
            leagues.setdefault(cell.league, []).append(cell)
    tasks = [Task(tuple(in_rounds(asked)), affinity=ASKING)] if asked else []
    tasks += [Task(tuple(group), affinity=group[0].corpus) for group in leagues.values()]
    return tasks


def _unplayable(
    plan: Plan, cell: LabelCell | MetricCell | RewriteCell | MatchCell, done: Collection[str]
) -> Produced:
    lost = set(cell.needs).difference(done)
    reason = FIT_FAILED
    if lost.isdisjoint(fit.key for fit in plan.all_fits):
        named = lost.isdisjoint(other.key for other in plan.rewrites)
        reason = LABELS_FAILED if named else REWRITE_FAILED
    return cell.record("error", {"reason": reason}, {}), RunInfo()
