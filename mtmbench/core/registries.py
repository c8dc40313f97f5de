"""The five registries; built-in names come from the same entry points as any plugin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.judges.base import JudgeClient
    from mtmbench.metrics.base import Metric
    from mtmbench.models.base import TopicModel

MODELS: Registry[type[TopicModel]] = Registry("model", "mtmbench.models")
METRICS: Registry[type[Metric]] = Registry("metric", "mtmbench.metrics")
JUDGES: Registry[type[JudgeClient]] = Registry("judge client", "mtmbench.judges")
FEATURES: Registry[Any] = Registry("feature source", "mtmbench.features")
CORPORA: Registry[Any] = Registry("corpus", "mtmbench.corpora")

register_model = MODELS.register
register_metric = METRICS.register
register_judge = JUDGES.register
register_features = FEATURES.register
register_corpus = CORPORA.register
