"""Results of fits in a run's folder: where they lie, checked against their records."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from mtmbench.core.errors import InputError
from mtmbench.core.fit_payloads import FitCautions
from mtmbench.core.records import StoredRecord
from mtmbench.core.store import recorded
from mtmbench.core.topic_result import TopicResult


def result_path(folder: Path, key: str) -> Path:
    """Returns where the result of a fit lies."""
    return folder / "results" / f"{key}.safetensors"


def cautions(result: TopicResult, k: int) -> FitCautions:
    """Returns what readers of ratings must be told of a fit for which ``k`` topics were asked."""
    told: FitCautions = {}
    # Where K counts the outlier cluster, a topic less was asked for.
    if result.n_topics < k - bool(result.info.get("outlier_counted")):
        told["found"] = result.n_topics
    if result.info.get("converged") is False:
        told["converged"] = False
    if result.info.get("start", result.params.get("start")) == "clusters":
        told["start"] = "clusters"
    if result.info.get("selection") == "leaf":
        told["largest_cluster"] = cast(float, result.info["largest_cluster"])
    return told


def recorded_result(folder: Path, key: str) -> TopicResult:
    """Returns the result of a fit, checked against the fit's record.

    Raises:
        InputError: the file is missing or damaged, or not what the record says it is.
    """
    path = result_path(folder, key)
    result = TopicResult.load(path)
    check_revision(result, path, recorded(folder, key))
    return result


def check_revision(result: TopicResult, path: Path, record: StoredRecord | None) -> None:
    """Checks a result against its record, if there is one that says what was fitted.

    Raises:
        InputError: it is another one.
    """
    said = None if record is None else record.payload.get("result")
    if said is not None and said != result.revision:
        raise InputError(
            f"{path} holds topics of revision {result.revision}, but its record says {said}; play "
            "the suite again: mtmbench run"
        )
