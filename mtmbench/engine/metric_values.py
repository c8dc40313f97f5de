"""The metric values of a suite: a cell for each metric, view and fit it is of, with its key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtmbench.core.cards import Suite
from mtmbench.core.cells import FitCell, LabelCell, MetricCell, labels_of
from mtmbench.core.competitors import Competitor
from mtmbench.core.errors import UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.features.encoders import encoder_in_keys
from mtmbench.features.words import identity_of
from mtmbench.metrics.registry import METRICS


def metric_cells(
    suite: Suite,
    fits: Sequence[FitCell],
    reordered: Sequence[FitCell],
    labels: Sequence[LabelCell],
) -> Iterator[MetricCell]:
    """Lays out every metric value of a suite, once each.

    Args:
        suite: what to play.
        fits: the fits that compete.
        reordered: those in other orders of the documents, for what compares orders.
        labels: the cells that name the items of fits.

    Raises:
        UnknownNameError: there is no metric of a name that the suite gives, or it has parameters
            for one that it does not play.
    """
    from mtmbench.metrics.compute import metric_variants

    tuned_by = () if suite.tuning is None else (suite.tuning.metric,)
    for named in suite.metric_params:
        if named not in (known := (*suite.metrics, *tuned_by)):
            raise UnknownNameError("metric in metric_params", named, known)
    if not suite.metrics:
        return
    by_group: dict[tuple[str, int | str, Competitor], list[FitCell]] = {}
    for fit in fits:
        by_group.setdefault(_group_of(fit), []).append(fit)
    words = identity_of(suite.words)
    keys: set[str] = set()
    for name, view, defaults in metric_variants(suite.metrics):
        metric = METRICS.get(name)
        params = {**defaults, **suite.metric_params.get(name, {})}
        # What the parameters name counts with its content.
        inputs = metric.inputs(params)
        encoder = encoder_in_keys(suite.embeddings.encoder) if "embeddings" in metric.needs else {}
        for place, group in by_group.items():
            over_seeds, over_orders = ("siblings" in metric.needs, "orders" in metric.needs)
            for fit in group[:1] if over_seeds or over_orders else group:
                siblings = tuple(group[1:]) if over_seeds else ()
                if over_orders:
                    siblings = tuple(o for o in reordered if _group_of(o) == place)
                others = _others(fit, fits) if "others" in metric.needs else ()
                reads_labels = metric.reads_labels and view == "own"
                called = labels_of(labels, fit) if reads_labels else None
                key = content_hash(
                    "metric", name, metric.version, view, params,
                    fit.key, [other.key for other in siblings], words,
                    *([inputs] if inputs else []), *([encoder] if encoder else []),
                    *([called.key] if called else []),
                    *([[other.key for other in others]] if others else []),
                )  # fmt: skip
                if key in keys:  # variants are alike where the suite sets what they differ in
                    continue
                keys.add(key)
                yield MetricCell(
                    key, name, metric.version, metric.higher_is_better, view, params, fit,
                    siblings, called, others,
                )  # fmt: skip


def _group_of(fit: FitCell) -> tuple[str, int | str, Competitor]:
    return fit.corpus, fit.k_spec, fit.competitor


def _others(fit: FitCell, fits: Sequence[FitCell]) -> tuple[FitCell, ...]:
    """Returns the fits of other competitors on the same corpus with the same K and seed."""
    place = fit.corpus, fit.k_spec, fit.seed
    return tuple(
        other
        for other in fits
        if (other.corpus, other.k_spec, other.seed) == place and other.competitor != fit.competitor
    )
