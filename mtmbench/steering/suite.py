"""Steering for a whole suite: the topics that it fitted, one table beside its board."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtmbench.cards import SteeringSpec, Suite, load_judge_card
from mtmbench.errors import InputError, UnknownNameError
from mtmbench.features.backbone import HuggingFaceBackbone
from mtmbench.features.source import StoredFeatures
from mtmbench.plan import FitCell, Plan, make_plan
from mtmbench.registries import FEATURES, JUDGES, MODELS
from mtmbench.results import TopicResult
from mtmbench.steering.bench import Bench
from mtmbench.steering.generate import Progress
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.play import play_steering
from mtmbench.steering.table import write_table
from mtmbench.store import RunStore
from mtmbench.workspace import Workspace, WorkspaceSpec, competitor_id, result_path

STORE = "steering"
"""Folder below the run's that holds texts and verdicts; a run's own records stay as they are."""


def steer_suite(
    suite: Suite,
    folder: Path,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Path]:
    """Steers by the topics of a suite that was played, and writes the table beside its board.

    Killed, the same call goes on where it stopped. Of several seeds the first one's fit steers.

    Args:
        suite: the suite, with a table ``[steering]``.
        folder: the run's folder, with its results.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, judges or feature sources.
        progress: told how many of how many texts are there.

    Returns:
        The files written.

    Raises:
        InputError: the suite has no such table or no model over features, a fit is not in the
            folder, or its features are not those of a causal language model.
        StoreInUseError: another process steers in this folder.
    """
    if suite.steering is None:
        raise InputError(f"suite {suite.name!r} has no table [steering]")
    spec = suite.steering
    plan = make_plan(suite, data_dir=data_dir, plugins=plugins)
    cells = _cells(plan, spec)
    source = FEATURES.get(suite.features.source)(**suite.features.params)
    lm = _language_model(source, suite.features.source)
    workspace = Workspace(WorkspaceSpec(suite, plan.specs, folder, plan.data_dir, plan.plugins))
    cards = {name: load_judge_card(name) for name in spec.judges}
    judges = {name: (card, JUDGES.get(card.client).from_card(card)) for name, card in cards.items()}
    rows: list[dict[str, Any]] = []
    try:
        with RunStore(folder / STORE) as store:
            for cell in cells:
                counts = workspace.views(cell.corpus, cell.setting).require("features", cell.model)
                described = source.describe(cell.setting or "default")
                bench = Bench(
                    name=competitor_id(cell),
                    lm=lm,
                    corpus=plan.corpora[cell.corpus],
                    result=_result(folder, cell),
                    sae=source.folder(described["sae"]).sae,
                    frequency=np.asarray(counts.matrix.sum(axis=0), np.int64).ravel(),
                    judges=judges,
                    spec=spec,
                    store=store,
                    progress=progress,
                )
                rows += [{**row, "k": cell.k} for row in play_steering(bench)]
            store.export()
    finally:
        for _, client in judges.values():
            asyncio.run(client.close())
    proxies = [name for name, (_, client) in judges.items() if not client.is_llm]
    notes = [spec.note] if spec.note else []
    if proxies:
        notes.append(f"Proxies, not language models: {', '.join(proxies)}.")
    return write_table(folder, rows, title=f"Steering: {suite.title or suite.name}", notes=notes)


def _cells(plan: Plan, spec: SteeringSpec) -> list[FitCell]:
    over_features = [cell for cell in plan.fits if "features" in MODELS.get(cell.registry).needs]
    names = {cell.model for cell in over_features}
    for model in spec.models:
        if model not in names:
            raise UnknownNameError("model over features", model, names)
    chosen: dict[tuple[Any, ...], FitCell] = {}
    for cell in over_features:
        if not spec.models or cell.model in spec.models:
            chosen.setdefault((cell.corpus, cell.k_spec, *cell.competitor), cell)
    if not chosen:
        raise InputError(f"suite {plan.suite.name!r} has no model over features to steer by")
    return list(chosen.values())


def _language_model(source: Any, name: str) -> CausalLM:
    backbone = source.backbone if isinstance(source, StoredFeatures) else None
    if not isinstance(backbone, HuggingFaceBackbone):
        raise InputError(f"feature source {name!r} has no language model that can be steered")
    return CausalLM(backbone)


def _result(folder: Path, cell: FitCell) -> TopicResult:
    path = result_path(folder, cell.key)
    if not path.is_file():
        raise InputError(
            f"{folder} has no topics of {competitor_id(cell)} on {cell.corpus}, K = {cell.k}; play "
            "the suite first: mtmbench run"
        )
    return TopicResult.load(path)
