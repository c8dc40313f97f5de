"""Held-out perplexity by document completion, for models that are mixtures over items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, Float64Array, IntArray, ItemView, Views
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.left_out import improbable_items
from mtmbench.metrics.params import read_params, share, whole_number
from mtmbench.models.registry import MODELS

UNIFORM_SHARE = 1e-6


class Perplexity(Metric):
    """Perplexity of the unseen half of held-out documents (Wallach et al. 2009, completion).

    A seeded share of the documents is held out and the model is fitted anew on the rest, with the
    seed of the result. A random half of each held-out document's item occurrences is given to
    ``transform``; the value is exp(−mean log p) over the other half with
    p(item) = (1 − 1e-6) Σ_k θ_dk β_k,item + 1e-6 / V. The uniform share is what an item costs to
    which the model gives no probability; such occurrences are counted in the details. A held-out
    document for which ``transform`` finds no mass is scored under the mean θ of the fit, and
    documents of fewer than two occurrences cannot be split and take no part.

    Parameters: ``held_out`` (share of documents) and ``seed`` (of the split). It compares models
    over the same items only: a feature is not a word.
    """

    name = "perplexity"
    higher_is_better = False
    bounds = (1.0, math.inf)
    needs = ("refit",)
    item_views = ("own",)
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({"held_out": 0.1, "seed": 0},)

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = "own",
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`."""
        del view
        setting = read_params(self.name, params, self.variants[0])
        held_share = share(self.name, "held_out", setting["held_out"])
        seed = whole_number(self.name, "seed", setting["seed"], 0)
        if result.model in MODELS and not MODELS.get(result.model).has_perplexity:
            return MetricValue.missing(_undefined(result.model))
        if context.refit is None or context.views is None:
            return MetricValue.missing("the model cannot be fitted anew here")
        counts = context.views.words if result.items.kind == "words" else context.views.features
        if counts is None:
            return MetricValue.missing(f"the {result.items.kind} counts were not given")
        if counts.weighted is not None:
            return MetricValue.missing(
                "models were fitted to weights of firings, under which occurrences have no "
                "probability"
            )
        rng = np.random.default_rng(seed)
        train, held = split_documents(len(context.corpus), held_share, rng)
        observed, scored = split_occurrences(counts.select_docs(held), rng)
        usable = np.flatnonzero(observed.matrix.sum(axis=1) > 0)
        if len(train) == 0 or len(usable) == 0:
            return MetricValue.missing("no held-out document has two item occurrences to split")
        model, fitted = context.refit(context.views.select_docs(train), result.seed)
        if not model.has_perplexity:
            return MetricValue.missing(_undefined(result.model))
        if fitted.items.ids != counts.item_ids:
            raise InputError(
                f"model {result.model!r} fitted on {len(train)} documents has other items than "
                "the corpus; held-out perplexity needs the same ones"
            )
        seen = observed.select_docs(usable)
        corpus = context.corpus.select(held[usable])
        views = Views(corpus, words=seen) if seen.kind == "words" else Views(corpus, features=seen)
        theta = np.asarray(model.transform(views), dtype=np.float64)
        log_p, n_occurrences, n_zero = completion_log_likelihood(
            theta, fitted, scored.select_docs(usable)
        )
        return MetricValue(
            float(np.exp(-log_p / n_occurrences)),
            details={
                "n_held_out_documents": len(held),
                "n_documents_scored": len(usable),
                **improbable_items(n_zero, n_occurrences),
                "reference": counts.revision,
            },
        )


def split_documents(
    n_documents: int, held_share: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Returns sorted rows to fit on and sorted rows held out, at least one of the latter."""
    n_held = max(1, round(n_documents * held_share))
    shuffled = rng.permutation(n_documents).astype(np.int64)
    return np.sort(shuffled[n_held:]), np.sort(shuffled[:n_held])


def split_occurrences(counts: Counts, rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Splits every document's item occurrences at random into two halves.

    The first gets the smaller half of an odd number. Its ``n_tokens`` shrink in proportion, never
    below the largest count of the document; continuous activations are dropped, since they were
    averaged over all tokens.
    """
    matrix = counts.matrix.tocsr()
    first, second = matrix.copy(), matrix.copy()
    n_tokens = counts.n_tokens.copy()
    for row in range(matrix.shape[0]):
        cells = slice(matrix.indptr[row], matrix.indptr[row + 1])
        given = matrix.data[cells].astype(np.int64)
        total = int(given.sum())
        chosen = rng.multivariate_hypergeometric(given, total // 2, method="marginals")
        first.data[cells] = chosen
        second.data[cells] = given - chosen
        if total:
            part = -(-int(n_tokens[row]) * (total // 2) // total)
            n_tokens[row] = max(part, int(chosen.max()))
    for half in (first, second):
        half.eliminate_zeros()
    return (
        replace(counts, matrix=first, n_tokens=n_tokens, activation=None),
        replace(counts, matrix=second, activation=None),
    )


def completion_log_likelihood(
    theta: Float64Array, fitted: TopicResult, scored: Counts
) -> tuple[float, int, int]:
    """Returns Σ log p over all occurrences, their number, and how many the model excludes.

    Args:
        theta: (D, K) of the scored documents; rows without mass get the fit's mean θ.
        fitted: the result whose ``topic_item`` and mean θ are used.
        scored: the D documents' occurrences to score.
    """
    theta = np.where(theta.sum(axis=1, keepdims=True) > 0, theta, fitted.shares)
    theta = theta / np.maximum(theta.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    beta = np.asarray(fitted.topic_item, dtype=np.float64)
    matrix = scored.matrix.tocsr()
    log_p, n_zero = 0.0, 0
    for row in range(matrix.shape[0]):
        cells = slice(matrix.indptr[row], matrix.indptr[row + 1])
        times = matrix.data[cells]
        p = theta[row] @ beta[:, matrix.indices[cells]]
        log_p += float(
            (times * np.log((1 - UNIFORM_SHARE) * p + UNIFORM_SHARE / beta.shape[1])).sum()
        )
        n_zero += int(times[p == 0].sum())
    return log_p, int(matrix.data.sum()), n_zero


def _undefined(model: str) -> str:
    return f"model {model!r} defines no likelihood of items, so it has no perplexity"
