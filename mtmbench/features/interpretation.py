"""What came of labelling features: labels, how they told contexts apart, and their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mtmbench.features.labels import NO_LABEL

LabelStatus = Literal["ok", "none", "unparsed", "refused", "no contexts", "not asked"]
ScoreStatus = Literal["ok", "unparsed", "refused", "too few contexts", "no label"]

MARKS: Mapping[LabelStatus, str] = {
    "none": NO_LABEL,
    "unparsed": "(unparsed)",
    "refused": "(refused)",
    "no contexts": "(dead)",
    "not asked": "(unlabelled)",
}
"""What stands in a label file for a feature that got no label."""


@dataclass(frozen=True)
class Detection:
    """How well a label told held-out contexts apart.

    Attributes:
        status: "ok", or why there is no score.
        n_active: activating contexts shown.
        hits: how many of them were named.
        n_random: random contexts shown.
        false_alarms: how many of them were named.
    """

    status: ScoreStatus
    n_active: int = 0
    hits: int = 0
    n_random: int = 0
    false_alarms: int = 0

    @property
    def score(self) -> float | None:
        """Balanced accuracy: the mean of the shares of either kind judged rightly."""
        if self.status != "ok":
            return None
        return (self.hits / self.n_active + 1 - self.false_alarms / self.n_random) / 2


@dataclass(frozen=True)
class FeatureLabel:
    """A feature's label and its score.

    Attributes:
        feature: its number.
        label: None with a ``status`` other than "ok".
        status: how the labelling went.
        detection: None where no score was asked for.
    """

    feature: int
    label: str | None
    status: LabelStatus
    detection: Detection | None = None

    @property
    def shown(self) -> str:
        """The label, or the mark that stands for it in a label file."""
        return MARKS[self.status] if self.label is None else self.label


@dataclass(frozen=True, eq=False)
class Interpretation:
    """Labels of all F features, in order, and how they came about.

    Attributes:
        labels: one for each feature; "not asked" for those that were not asked about.
        classes: the class of each feature's label ("none" for no class, "unparsed" or "refused"
            where a reply was that, "not asked"); None where no classes were asked for.
        judge: card, revisions, questions and tokens (:meth:`Asker.record`).
        prompts: name and content hash of each prompt used, by "label", "detect" and "class".
        asked: questions put to the judge this time; the others were answered before.
    """

    labels: tuple[FeatureLabel, ...]
    classes: tuple[str, ...] | None
    judge: Mapping[str, Any]
    prompts: Mapping[str, Mapping[str, str]]
    asked: int
