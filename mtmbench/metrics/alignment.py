"""Gold-label alignment: do topics and labels group the documents alike? No items are read.

A document's cluster is its topic of largest θ (the first of equals). With ``documents="all"``,
documents that a model assigns to no topic (outliers, and rows of θ without mass) form one cluster
of their own; with ``documents="assigned"`` they are left out. Documents without a gold label are
always left out. Both numbers of documents are in the details. Labels that group nothing, one for
all documents or one for nearly each, give a reason instead of a value.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import BoolArray, Corpus, FloatArray, IntArray, ItemView
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import Gold, MetricContext
from mtmbench.metrics.params import read_params, whole_number

LABEL_EACH = 0.9
"""Where there are this many labels a document, they name documents, not groups of them."""


class _Alignment(Metric):
    """A comparison of clusters with gold labels. Parameter: ``documents``, "all" or "assigned"."""

    bounds = (0.0, 1.0)
    needs = ("labels",)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"documents": "all"},
        {"documents": "assigned"},
    )

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`."""
        del view
        setting = read_params(self.name, params, self.variants[0])
        chosen = _select(self.name, result, context, setting["documents"])
        if isinstance(chosen, str):
            return MetricValue.missing(chosen)
        gold, rows, details = chosen
        clusters = np.argmax(result.doc_topic, axis=1)
        clusters[context.unassigned(result)] = result.n_topics
        return MetricValue(self._score(gold.codes[rows], clusters[rows]), details=details)

    @abstractmethod
    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        """Compares two equally long, non-empty codings."""


class Purity(_Alignment):
    """Share of documents whose label is the commonest of their cluster."""

    name = "purity"

    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        return purity(labels, clusters)


class InversePurity(_Alignment):
    """Share of documents whose cluster is the commonest of their label."""

    name = "inverse_purity"

    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        return purity(clusters, labels)


class PurityF1(_Alignment):
    """Harmonic mean of purity and inverse purity."""

    name = "purity_f1"

    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        forward, backward = purity(labels, clusters), purity(clusters, labels)
        return 2 * forward * backward / (forward + backward)


class NMI(_Alignment):
    """Mutual information over the arithmetic mean of the two entropies."""

    name = "nmi"

    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        from sklearn.metrics import normalized_mutual_info_score

        return float(normalized_mutual_info_score(labels, clusters, average_method="arithmetic"))


class ARI(_Alignment):
    """Adjusted Rand index (Hubert and Arabie 1985)."""

    name = "ari"
    bounds = (-0.5, 1.0)

    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        from sklearn.metrics import adjusted_rand_score

        return float(adjusted_rand_score(labels, clusters))


class VMeasure(_Alignment):
    """Harmonic mean of homogeneity and completeness; equals NMI with the arithmetic mean."""

    name = "v_measure"

    def _score(self, labels: IntArray, clusters: IntArray) -> float:
        from sklearn.metrics import v_measure_score

        return float(v_measure_score(labels, clusters))


class ProbeF1(Metric):
    """Macro-F1 of a linear probe that predicts the gold label from θ.

    Multinomial logistic regression (L2, C = 1, lbfgs to a gradient of 1e-3) on standardised columns
    of θ; the predictions of ``folds`` stratified, seeded folds are pooled before F1 is taken.
    Labels of fewer documents than ``folds`` are left out, with their number in the details. θ is
    taken as it is, so an outlier counts by its memberships and a row without mass as zeros.
    """

    name = "probe_f1"
    bounds = (0.0, 1.0)
    needs = ("labels",)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"documents": "all", "folds": 5, "seed": 0},
        {"documents": "assigned", "folds": 5, "seed": 0},
    )

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`."""
        del view
        setting = read_params(self.name, params, self.variants[0])
        folds = whole_number(self.name, "folds", setting["folds"], 2)
        seed = whole_number(self.name, "seed", setting["seed"], 0)
        chosen = _select(self.name, result, context, setting["documents"])
        if isinstance(chosen, str):
            return MetricValue.missing(chosen)
        gold, rows, details = chosen
        sizes = np.bincount(gold.codes[rows], minlength=len(gold.names))
        too_rare = sizes < folds
        rows = rows & ~too_rare[gold.codes]
        details = {
            **details,
            "n_documents": int(rows.sum()),
            "n_labels_too_rare": int((too_rare & (sizes > 0)).sum()),
        }
        if len(np.unique(gold.codes[rows])) < 2:
            return MetricValue.missing(
                f"fewer than two labels have {folds} documents or more", **details
            )
        # Without unassigned documents both variants are the same probe: it is trained once.
        key = ("probe", result.revision, rows.tobytes(), folds, seed)
        value, converged = context.memo(
            key, lambda: _probe(result.doc_topic[rows], gold.codes[rows], folds, seed)
        )
        return MetricValue(value, details={**details, "converged": converged})


def purity(labels: IntArray, clusters: IntArray) -> float:
    """Returns Σ_k max_c n_kc / N over clusters k and labels c."""
    table = np.zeros((int(clusters.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (clusters, labels), 1)
    return float(table.max(axis=1).sum() / len(labels))


def ungrouped(corpus: Corpus) -> str | None:
    """Returns why a corpus's gold labels cannot be aligned with anything; None where they can.

    One label for all documents, or one for nearly each (an id, a title), groups no documents:
    scores would be 0 or near 1 whatever the topics are.
    """
    n_labelled = sum(label is not None for label in corpus.labels or ())
    if corpus.n_labels == 1:
        only = next(label for label in corpus.labels or () if label is not None)
        return (
            f"corpus {corpus.name!r} has one gold label, {only!r:.60}, for all its {n_labelled:,} "
            "labelled documents, so there is nothing to align"
        )
    if n_labelled > 1 and corpus.n_labels >= LABEL_EACH * n_labelled:
        return (
            f"corpus {corpus.name!r} has {corpus.n_labels:,} gold labels for {n_labelled:,} "
            "documents, nearly one each, which group nothing; is the column of labels right?"
        )
    return None


def _select(
    metric: str, result: TopicResult, context: MetricContext, documents: object
) -> tuple[Gold, BoolArray, dict[str, int]] | str:
    """Returns labels, the documents that count and the details, or why there are none."""
    if documents not in ("all", "assigned"):
        raise InputError(
            f'documents of metric {metric!r} must be "all" or "assigned", not {documents!r}'
        )
    if context.gold is None:
        return f"corpus {context.corpus.name!r} has no gold labels"
    unassigned = context.unassigned(result)
    labelled = context.gold.codes >= 0
    rows = labelled & ~unassigned if documents == "assigned" else labelled
    if not rows.any():
        return "no document with a gold label is assigned to a topic"
    if (reason := ungrouped(context.corpus)) is not None:
        return reason
    if len(names := np.unique(context.gold.codes[rows])) < 2:
        return (
            f"all {int(rows.sum())} documents that count have the gold label "
            f"{context.gold.names[names[0]]!r:.60}, so there is nothing to align"
        )
    details = {
        "n_documents": int(rows.sum()),
        "n_unlabelled": int((~labelled).sum()),
        "n_unassigned": int((unassigned & labelled).sum()),
    }
    return context.gold, rows, details


def _probe(theta: FloatArray, labels: IntArray, folds: int, seed: int) -> tuple[float, bool]:
    """Returns macro-F1 of the pooled predictions, and whether every fold's fit converged."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    features = np.asarray(theta, dtype=np.float64)
    predicted = np.empty_like(labels)
    converged = True
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(features, labels):
        scaler = StandardScaler().fit(features[train])
        probe = LogisticRegression(max_iter=1000, tol=1e-3)
        # BLAS sums in an order that depends on the number of threads.
        with threadpool_limits(1), warnings.catch_warnings():
            # Said in the details instead: a fit cut short still predicts.
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(scaler.transform(features[train]), labels[train])
        converged &= bool((probe.n_iter_ < probe.max_iter).all())
        predicted[test] = probe.predict(scaler.transform(features[test]))
    f1 = float(f1_score(labels, predicted, average="macro", zero_division=0))
    return f1, converged
