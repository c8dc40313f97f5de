"""What a metric may look at, as a cell of a run names it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mtmbench.core.cells import FitCell, MetricCell
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, ItemKind, Views
from mtmbench.engine.results import result_path
from mtmbench.engine.workspace import Workspace
from mtmbench.features.encoders import is_default, shown_encoder
from mtmbench.judges.panel import Consult
from mtmbench.models.registry import MODELS

if TYPE_CHECKING:
    from mtmbench.metrics.context import MetricContext
    from mtmbench.models.base import TopicModel


def metric_context(workspace: Workspace, consult: Consult, cell: MetricCell) -> MetricContext:
    """Returns the context of a metric's value; what it holds is made when it is asked for.

    Args:
        workspace: has the corpus, views and results.
        consult: asks the metric's judge, if it has one.
        cell: the value.
    """
    from mtmbench.features.embeddings import embed_texts
    from mtmbench.metrics.context import MetricContext

    fit = cell.fit
    views = workspace.views(fit.corpus, fit.setting)
    model, encoder = _model(fit), workspace.suite.embeddings.encoder

    def refit(train: Views, seed: int) -> tuple[TopicModel, TopicResult]:
        fresh = _model(fit)
        return fresh, fresh.fit(train, seed=seed)

    counts: dict[ItemKind, Callable[[], Counts]] = {
        view: partial(views.require, view, model.name) for view in ("words", model.item_view)
    }
    return MetricContext(
        views.corpus,
        tokens=partial(workspace.tokens, fit.corpus),
        counts=counts,
        siblings=[workspace.result(other.key) for other in cell.siblings if not other.order],
        reordered=[workspace.result(other.key) for other in cell.siblings if other.order],
        others={
            other.competitor.name: workspace.result(other.key)
            if result_path(workspace.folder, other.key).exists()
            else None
            for other in cell.others
        },
        # A model that needs no view was fitted elsewhere and cannot be fitted anew here.
        refit=refit if model.needs else None,
        views=views,
        embed=partial(embed_texts, model=encoder),
        encoder=None if is_default(encoder) else shown_encoder(encoder),
        consult=consult,
        cache=workspace.shared(fit.corpus),
    )


def _model(cell: FitCell) -> TopicModel:
    return MODELS.get(cell.registry)(**cell.params)
