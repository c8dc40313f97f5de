"""The metrics by name; nothing is imported until a name is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.metrics.base import Metric

METRICS: Registry[type[Metric]] = Registry("metric", "mtmbench.metrics")

register_metric = METRICS.register


def faults_of(name: str) -> str:
    """Returns what is known to be wrong with a metric; nothing of one that is not registered."""
    return METRICS.get(name).faults if name in METRICS else ""
