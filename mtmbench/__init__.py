"""mtmbench: the evaluation-first benchmark harness for topic models.

Everything here is imported when first used, so ``import mtmbench`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtmbench import errors
    from mtmbench.api import (
        Board,
        Judgement,
        Steering,
        compare,
        judge,
        load_corpus,
        model,
        plot_ratings,
        rate,
        run,
        score,
        steer,
        topics,
        views,
    )
    from mtmbench.core.errors import InputError
    from mtmbench.core.records import Record
    from mtmbench.core.topic_result import TopicResult
    from mtmbench.core.types import Corpus, Counts, ItemSpace, Views
    from mtmbench.corpora.registry import register_corpus
    from mtmbench.features.base import FeatureSource
    from mtmbench.features.registry import register_features
    from mtmbench.features.tokenisers import Tokeniser, register_tokeniser
    from mtmbench.judges.base import Completion, JudgeClient, Option, Question
    from mtmbench.judges.registry import register_judge
    from mtmbench.metrics.base import Metric, MetricValue
    from mtmbench.metrics.registry import register_metric
    from mtmbench.models.base import TopicModel
    from mtmbench.models.registry import register_model
    from mtmbench.publishing.loggers import register_logger

__version__ = "0.1.0"

_HOMES = {
    "mtmbench.api": (
        "Board", "Judgement", "Steering", "compare", "judge", "load_corpus", "model",
        "plot_ratings", "rate", "run", "score", "steer", "topics", "views",
    ),
    "mtmbench.judges.base": ("Completion", "JudgeClient", "Option", "Question"),
    "mtmbench.metrics.base": ("Metric", "MetricValue"),
    "mtmbench.models.base": ("TopicModel",),
    "mtmbench.corpora.registry": ("register_corpus",),
    "mtmbench.features.base": ("FeatureSource",),
    "mtmbench.features.registry": ("register_features",),
    "mtmbench.features.tokenisers": ("Tokeniser", "register_tokeniser"),
    "mtmbench.judges.registry": ("register_judge",),
    "mtmbench.metrics.registry": ("register_metric",),
    "mtmbench.models.registry": ("register_model",),
    "mtmbench.publishing.loggers": ("register_logger",),
    "mtmbench.core.errors": ("InputError",),
    "mtmbench.core.records": ("Record",),
    "mtmbench.core.topic_result": ("TopicResult",),
    "mtmbench.core.types": ("Corpus", "Counts", "ItemSpace", "Views"),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Board",
    "Completion",
    "Corpus",
    "Counts",
    "FeatureSource",
    "InputError",
    "ItemSpace",
    "JudgeClient",
    "Judgement",
    "Metric",
    "MetricValue",
    "Option",
    "Question",
    "Record",
    "Steering",
    "Tokeniser",
    "TopicModel",
    "TopicResult",
    "Views",
    "compare",
    "errors",
    "judge",
    "load_corpus",
    "model",
    "plot_ratings",
    "rate",
    "register_corpus",
    "register_features",
    "register_judge",
    "register_logger",
    "register_metric",
    "register_model",
    "register_tokeniser",
    "run",
    "score",
    "steer",
    "topics",
    "views",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("mtmbench.errors")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mtmbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
