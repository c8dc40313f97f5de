"""Which judges the metrics and models of a suite ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtmbench.core.cells import FitCell, MetricCell
from mtmbench.judges.registry import load_judge_card, traits_of
from mtmbench.models.registry import MODELS


def judges_of_metrics(cells: Sequence[MetricCell]) -> list[str]:
    """Returns the judge cards that metrics ask."""
    return sorted({str(name) for cell in cells if (name := cell.params.get("judge")) is not None})


def judges_of_fits(cells: Iterable[FitCell]) -> list[str]:
    """Returns the judge cards that models ask."""
    return sorted({str(c.params["judge"]) for c in cells if MODELS.get(c.registry).asks})


def asks_models(cells: Sequence[MetricCell]) -> bool:
    """Whether a language model answers any of these metrics."""
    return any(traits_of(load_judge_card(name))["is_llm"] for name in judges_of_metrics(cells))
