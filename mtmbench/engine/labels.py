"""What features are called where a run shows topics: a cell a fit, and labels in its folder.

A fit knows its features by the labels that the SAE came with. Others are laid over its result
before anything is shown, so that a fit's key does not depend on wording, and those of matches,
rewritings and metrics that read labels do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from mtmbench.core.cards import Suite
from mtmbench.core.cells import FitCell, LabelCell
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.features.corpus_labels import CorpusLabels, LabelPlan, label_plan
from mtmbench.features.registry import source_of


def label_cells(
    suite: Suite,
    corpora: Mapping[str, Corpus],
    fits: Sequence[FitCell],
    *,
    offline: bool = False,
) -> list[LabelCell]:
    """Lays out a cell for every fit whose features are shown under other labels than its own.

    With ``offline`` the features' outline is asked (:meth:`FeatureSource.outline`).

    Raises:
        InputError: the suite asks for labels that its feature source cannot give.
    """
    settings = {fit.setting for fit in fits} - {None}
    plans = {setting: plan_of(suite, setting, offline=offline) for setting in settings}
    cells = []
    for fit in fits:
        plan = None if fit.setting is None else plans[fit.setting]
        if plan is not None:
            made = plan.key(corpora[fit.corpus])
            key = content_hash("labels", made, fit.key)
            cells.append(LabelCell(key, made, plan.described, fit))
    return cells


def plan_of(suite: Suite, setting: str | None, *, offline: bool = False) -> LabelPlan | None:
    """Returns how labels are made from a corpus under a setting; None where that is not done."""
    features = suite.features
    source = source_of(features, offline=offline)
    return label_plan(
        source, features.labels, setting=setting or "default", max_tokens=features.max_tokens,
        words=suite.words,
    )  # fmt: skip


def labelled(result: TopicResult, cell: LabelCell | None, folder: Path) -> TopicResult:
    """Returns a fit's result under the labels of a cell; None leaves it under its own.

    Raises:
        InputError: the labels are missing or damaged; the message names the file.
    """
    if cell is None:
        return result
    return replace(
        result, items=read_labels(folder, cell.made).name_items(result.items, cell.source)
    )


def write_labels(folder: Path, key: str, labels: CorpusLabels) -> None:
    """Keeps labels in a run's folder; equal labels give equal bytes."""
    held = labels.to_json()
    data = {"hash": content_hash(held), **held}
    write_atomically(labels_path(folder, key), canonical_json(data) + "\n")


@lru_cache(maxsize=16)
def read_labels(folder: Path, key: str) -> CorpusLabels:
    """Reads what :func:`write_labels` kept.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    path = labels_path(folder, key)
    try:
        data = read_json_object(path)
        if data.pop("hash") != content_hash(data):
            raise ValueError("what it holds is not what was written")
        return CorpusLabels.from_json(data)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a whole file of labels: {error}") from error


def labels_path(folder: Path, key: str) -> Path:
    """Returns where labels lie."""
    return folder / "labels" / f"{key}.json"
