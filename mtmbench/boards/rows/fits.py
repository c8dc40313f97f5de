"""The rows of fits: what was fitted to what, the topics found, and what items are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from mtmbench.core.fit_payloads import CompetitorFields, FitCautions

if TYPE_CHECKING:
    from mtmbench.core.types import ItemKind


class FitItems(TypedDict):
    """The items of a competitor's fits, and what each filter did to them."""

    kind: ItemKind | None
    n: int | None
    filters: Mapping[str, object] | None


class ToldFits(TypedDict, total=False):
    """What readers are told of fits, by seed; there where records hold it, None of one without.

    ``plays`` is the seed of the fit that is rated.
    """

    cautions: Sequence[FitCautions | None]
    plays: int


class FitRow(CompetitorFields, ToldFits):
    """A competitor's fits; ``n_topics`` is None of one that failed."""

    corpus: str
    k: int
    k_spec: int | str
    registry: str | None
    seeds: Sequence[int]
    n_topics: Sequence[int | None]
    n_failed: int
    params_given: Mapping[str, object] | None
    items: FitItems | None


class TopicCell(TypedDict):
    """One topic of a fit."""

    topic: int
    share: float | None
    items: Sequence[str]
    words: Sequence[str]


class ItemsCalled(TypedDict, total=False):
    """Where the labels of items are from; there where records say it."""

    labels: str | None


class TopicsRow(CompetitorFields, ItemsCalled):
    """The largest topics of a competitor's first seed."""

    corpus: str
    k: int
    k_spec: int | str
    seed: int
    n_topics: int
    topics: Sequence[TopicCell]


class LabelsRow(TypedDict):
    """Where the labels of features are from, under a setting; see :func:`label_rows`."""

    setting: str | None
    source: Mapping[str, object]
    fits: int
    items: int
    unlabelled: Sequence[int]
