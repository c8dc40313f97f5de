"""A feature source whose best setting is known, loaded with ``--plugin``; no language model.

A document's features are drawn from its label's own and, with a probability that the setting
sets, from all of them alike. The threshold quantile 0.7 draws the fewest at random; so do layer 4,
width 300, and the document-share filter turned off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts, Views
from mtmbench.features.base import LocatingSource, TokenContext, TopFeature
from mtmbench.features.registry import register_features
from mtmbench.models.lda import MLDA
from mtmbench.models.registry import register_model

N_LABELS = 4
OWN = 10
SAES = {
    "a-small": {"layer": 2, "width": 100, "window": 1, "hook_point": "blocks.1"},
    "b-small": {"layer": 4, "width": 100, "window": 1, "hook_point": "blocks.3"},
    "b-large": {"layer": 4, "width": 300, "window": 1, "hook_point": "blocks.3"},
}
DEFAULT = {
    "sae": "a-small",
    "threshold_quantile": 0.0,
    "max_doc_share": 0.9,
    "max_density_multiple": False,
    "drop_label_classes": ["stop words"],
}


@register_model("other")
class Other(MLDA):
    """A second model over features."""

    name = "other"


@register_model("slow")
class Slow(MLDA):
    """mLDA that takes its time, so that a run can be killed under way."""

    name = "slow"

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        time.sleep(0.3)
        return super().fit(views, seed=seed)


@register_features("planted")
class PlantedFeatures(LocatingSource):
    """See the module.

    Args:
        settings: further settings by name.
        only: the SAEs that there are; all by default.
        counted: a file to which a line is added whenever counts are made.
        empty: quantile from which no feature is left.
    """

    name = "planted"

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        only: Sequence[str] = tuple(SAES),
        counted: str | None = None,
        empty: float | None = None,
    ) -> None:
        self._settings = {"default": DEFAULT, **{k: dict(v) for k, v in (settings or {}).items()}}
        self._only = tuple(only)
        self._counted = counted
        self._empty = empty

    def settings(self) -> list[str]:
        return list(self._settings)

    def saes(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: SAES[name] for name in self._only}

    def describe(self, setting: str = "default") -> dict[str, Any]:
        if setting not in self._settings:
            raise UnknownNameError("feature setting", setting, self._settings)
        values = {**DEFAULT, **self._settings[setting]}
        for key in values:
            if key not in DEFAULT:
                raise InputError(f"the planted SAE knows no {key}")
        if values["max_density_multiple"]:
            raise InputError("the planted SAE has no densities")
        limits = ("max_doc_share", "max_density_multiple", "drop_label_classes")
        return {
            "sae": values["sae"],
            "sae_hash": values["sae"],
            "threshold": {"quantile": values["threshold_quantile"]},
            "filter_limits": {name: values[name] or None for name in limits},
        }

    def counts(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Counts:
        if self._counted is not None:
            with open(self._counted, "a") as file:
                file.write(f"{setting}\n")
        described = self.describe(setting)
        quantile = described["threshold"]["quantile"]
        if self._empty is not None and quantile >= self._empty:
            raise InputError("no SAE feature is left")
        rng = np.random.default_rng(0)
        at_random = noise(described)
        n_features = N_LABELS * OWN
        matrix = np.zeros((len(corpus), n_features), dtype=np.int32)
        for row, text in enumerate(corpus.texts):
            label = int(text.split()[0].removeprefix("subject"))
            for _ in range(20):
                anywhere = rng.random() < at_random
                drawn = rng.integers(n_features) if anywhere else label * OWN + rng.integers(OWN)
                matrix[row, drawn] += 1
        if setting == "default" or quantile == 0:
            matrix[0] = 0  # one document that is left without a count
        labels = tuple(f"feature {i} of subject {i // OWN}" for i in range(n_features))
        return Counts(
            kind="features",
            matrix=csr_matrix(matrix),
            n_tokens=np.full(len(corpus), 40, dtype=np.int64),
            item_ids=tuple(map(str, range(n_features))),
            item_labels=labels,
            source={**described, "filters": {"items": 100, "kept": 40, "firings_kept": 0.75}},
        )

    def top_activations(
        self,
        corpus: Corpus,
        rows: Sequence[int],
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        n_features: int = 5,
        n_contexts: int = 3,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[TopFeature]]:
        counts = self.counts(corpus, setting=setting)
        found = []
        for row in rows:
            words = corpus.texts[row].split()
            dense = counts.matrix[row].toarray().ravel()
            best = [int(i) for i in np.argsort(-dense, kind="stable")[:n_features] if dense[i]]
            contexts = tuple(
                TokenContext(" ".join(words[:i]), words[i], " ".join(words[i + 1 : i + 4]), 2.0 - i)
                for i in range(n_contexts)
            )
            found.append(
                [TopFeature(i, counts.item_labels[i], int(dense[i]), contexts) for i in best]
            )
        return found


def noise(described: Mapping[str, Any]) -> float:
    """Returns the probability that a count falls anywhere."""
    sae = SAES[described["sae"]]
    worse = 0.45 * abs(described["threshold"]["quantile"] - 0.7) / 0.7
    if described["sae"] != "a-small":
        worse = 0.3 - 0.25 * (sae["width"] == 300)
    if described["filter_limits"]["max_doc_share"] is None:
        worse = 0.1
    return 0.4 + worse
