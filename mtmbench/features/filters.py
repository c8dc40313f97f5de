"""Filters over SAE features (DESIGN, "The method, exactly"): each switchable, each on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import BoolArray, Counts, FloatArray
from mtmbench.features.labels import class_name, in_class

Values = Literal["counts", "sums"]
VALUES: tuple[str, ...] = get_args(Values)


def apply_filters(
    counts: Counts,
    density: FloatArray | None,
    setting: FeatureSetting,
    *,
    label_scores: FloatArray | None = None,
    label_classes: Mapping[str, BoolArray] | None = None,
) -> Counts:
    """Drops features and records what each filter did under ``source["filters"]``.

    Every filter looks at all features, so its numbers do not depend on the others: ``dropped`` is
    how many it drops by itself, ``firings`` the share of the corpus's counts that lies in them.
    Features without any count in the corpus are dropped as well ("absent").

    Args:
        counts: the counts of all F features of an SAE.
        density: (F,) share of a reference text's tokens on which each feature fires; None where
            it is not known.
        setting: the filters; one that is None or empty is off.
        label_scores: (F,) scores of the labels, NaN for one without, if there are any.
        label_classes: for each class (F,) whether a judge put the label into it, if one has.

    Raises:
        InputError: no feature is left, or a filter needs what there is not (densities, a judge's
            scores or classes); the message names the filter.
    """
    judged(setting, label_scores, label_classes)
    n_features = len(counts.item_ids)
    frequency = np.bincount(counts.matrix.indices, minlength=n_features)
    totals = np.bincount(counts.matrix.indices, weights=counts.matrix.data, minlength=n_features)
    dropped: dict[str, BoolArray] = {"absent": frequency == 0}
    report: dict[str, dict[str, object]] = {"absent": {}}
    if setting.max_doc_share is not None:
        dropped["max_doc_share"] = frequency > setting.max_doc_share * counts.matrix.shape[0]
        report["max_doc_share"] = {"limit": setting.max_doc_share}
    for name, limit in setting.density_limits.items():
        if density is None:
            raise InputError(
                f"{name} is {limit}, but no reference text says how often the SAE's features fire; "
                "set it to false, or build a folder with `mtmbench features`"
            )
        unit = density.mean() if name == "max_density_multiple" else 1.0
        dropped[name] = density > limit * unit
        report[name] = {"limit": limit}
    if setting.drop_label_classes:
        classes = {
            class_name(name): (
                in_class(counts.item_labels, name)
                if setting.label_classes_by == "words" or label_classes is None
                else label_classes[class_name(name)]
            )
            for name in setting.drop_label_classes
        }
        dropped["label_classes"] = np.any(list(classes.values()), axis=0)
        report["label_classes"] = {
            "classes": {name: int(member.sum()) for name, member in sorted(classes.items())}
        }
        if setting.label_classes_by != "words":
            report["label_classes"]["by"] = setting.label_classes_by
    if setting.min_label_score is not None and label_scores is not None:
        dropped["min_label_score"] = label_scores < np.float32(setting.min_label_score)
        report["min_label_score"] = {
            "limit": setting.min_label_score,
            "unscored": int(np.isnan(label_scores).sum()),
        }
    everything = float(totals.sum())
    for name, mask in dropped.items():
        report[name]["dropped"] = int(mask.sum())
        share = float(totals[mask].sum()) / everything if everything else 0.0
        report[name]["firings"] = round(share, 6)
    kept = np.flatnonzero(~np.any(list(dropped.values()), axis=0))
    if not len(kept):
        raise InputError(_nothing_left(report, n_features, counts.matrix.shape[0]))
    share = float(totals[kept].sum()) / everything
    return counts.select_items(
        kept,
        filters={
            "items": n_features,
            **report,
            "kept": len(kept),
            "firings_kept": round(share, 6),
        },
    )


def _nothing_left(report: dict[str, dict[str, object]], n_features: int, n_docs: int) -> str:
    parts = []
    for name, found in report.items():
        limit = f"={found['limit']}" if "limit" in found else ""
        parts.append(f"{name}{limit} drops {found['dropped']}")
    return (
        f"no SAE feature is left of {n_features} in a corpus of {n_docs} document(s): "
        f"{', '.join(parts)}; loosen a filter or give more documents"
    )


@dataclass(frozen=True)
class FeatureSetting:
    """How firings become counts.

    Attributes:
        threshold_quantile: level of the thresholds q_i among a feature's non-zero activations.
        max_doc_share: features in more than this share of the documents are dropped; None is off.
        max_density_multiple: features that fire on the training text more than this many times
            as often as the SAE's mean feature are dropped; None is off.
        max_density: features that fire on more than this share of the training text's tokens are
            dropped, as in the paper; None is off.
        drop_label_classes: features whose label is of one of these classes are dropped
            (:mod:`mtmbench.features.labels`).
        label_classes_by: who says of what class a label is: stated "words" lists, or a "judge"
            that sorted the labels (``mtmbench label --classes``).
        min_label_score: features whose label's score is below this are dropped, those without a
            score are not (:mod:`mtmbench.labelling.autointerp`); None is off.
        values: what models read: "counts" of tokens on which a feature fires, or "sums" of its
            activations there, scaled so that each feature keeps its mass.
        idf: whether that is weighed by inverse document frequency
            (:mod:`mtmbench.features.weighting`).
    """

    threshold_quantile: float = 0.8
    max_doc_share: float | None = 0.9
    max_density_multiple: float | None = 2.7
    drop_label_classes: tuple[str, ...] = ()
    label_classes_by: str = "words"
    min_label_score: float | None = None
    values: Values = "counts"
    idf: bool = False
    max_density: float | None = None

    @property
    def density_limits(self) -> dict[str, float]:
        """The limits on how often features fire on the training text that are on, by name."""
        limits = {
            "max_density_multiple": self.max_density_multiple,
            "max_density": self.max_density,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def weighting(self) -> dict[str, object]:
        """How firings weigh, as JSON values; empty where they are only counted."""
        plain = self.values == "counts" and not self.idf
        return {} if plain else {"values": self.values, "idf": self.idf}

    @property
    def limits(self) -> dict[str, object]:
        """The filters as JSON values; those that came later only where they are on.

        Records made before there were these thereby keep their hashes.
        """
        known: dict[str, object] = {
            "max_doc_share": self.max_doc_share,
            "max_density_multiple": self.max_density_multiple,
            "drop_label_classes": list(self.drop_label_classes),
        }
        if self.label_classes_by != "words":
            known["label_classes_by"] = self.label_classes_by
        if self.min_label_score is not None:
            known["min_label_score"] = self.min_label_score
        if self.max_density is not None:
            known["max_density"] = self.max_density
        return known

    def as_dict(self) -> dict[str, object]:
        """Returns the fields as JSON values; those that came later only where they are used."""
        return {"threshold_quantile": self.threshold_quantile, **self.limits, **self.weighting}


def judged(
    setting: FeatureSetting,
    label_scores: FloatArray | None,
    label_classes: Mapping[str, BoolArray] | None,
) -> list[object]:
    """Returns what a setting reads of what a judge said of the labels, for hashes.

    Raises:
        InputError: there is no such thing; the message says how to come by it.
    """
    said: list[object] = []
    if setting.min_label_score is not None:
        if label_scores is None:
            raise InputError(
                f"min_label_score is {setting.min_label_score}, but the SAE's labels have no "
                "scores; `mtmbench label` writes them, or set it to false"
            )
        said += ["label scores", label_scores]
    if setting.drop_label_classes and setting.label_classes_by == "judge":
        if label_classes is None:
            raise InputError(
                "label_classes_by is judge, but no judge has sorted the SAE's labels; `mtmbench "
                "label --classes` has one do it, or set it to words"
            )
        for name in setting.drop_label_classes:
            said += ["label class", name, label_classes[name]]
    return said
