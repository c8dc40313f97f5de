"""What is on record of fits, of what their items are called, and of their metrics' values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from mtmbench.core.types import ItemKind


class CompetitorFields(TypedDict):
    """Who plays on a board: a model, and its feature setting, None for models that read none."""

    model: str
    setting: str | None


class _AboutFits(CompetitorFields):
    corpus: str
    corpus_revision: str
    k: int
    k_spec: int | str


class FitPlace(_AboutFits):
    """What records of and about one fit have in common."""

    seed: int


class FittedItems(TypedDict):
    """The items of a fit: how many of which kind, and where they come from."""

    kind: ItemKind
    n: int
    source: Mapping[str, object]


class FittedTopic(TypedDict):
    """A topic for people to read: its top items, its projected words and its mean share."""

    items: Sequence[str]
    words: Sequence[str]
    share: float


class FitCautions(TypedDict, total=False):
    """What readers of a fit's ratings are told; each is there only where it holds.

    ``found`` are its topics, fewer than K; ``converged`` is False; ``start`` says from what topics
    were started, "clusters" of the documents; ``largest_cluster`` is the share of documents for
    which HDBSCAN's leaves stand in place of its own choice.
    """

    found: int
    converged: bool
    start: str
    largest_cluster: float


class FitParticulars(TypedDict, total=False):
    """What only some fits have: in which order the documents came, if not in the corpus's own."""

    order: int


class FitIdentity(FitPlace, FitParticulars):
    """Which fit; ``version`` is the model's, which records of the first releases do not say."""

    registry: str
    params: Mapping[str, object]
    version: NotRequired[int]


class FitValues(TypedDict, total=False):
    """What became of a fit; ``result`` is the revision of its topics.

    ``no_words`` says why there are no projected words, where the corpus's cannot be told apart.
    ``encoder`` names what embedded the documents for a model that reads embeddings, where it is not
    all-MiniLM-L6-v2.
    Records of the first releases have no ``cautions``, so that their boards tell none.
    """

    n_docs: int
    n_empty: int
    n_duplicates: int
    params_given: Mapping[str, object]
    needs: Sequence[str]
    n_topics: int
    result: str
    items: FittedItems
    info: Mapping[str, object]
    cautions: FitCautions
    topics: Sequence[FittedTopic]
    no_words: str
    encoder: str
    reason: str | None


class FitPayload(FitIdentity, FitValues):
    """Payload of a "fit" record; its ``params`` are as resolved in the fit."""


class LabelsIdentity(FitPlace):
    """Under which labels the items of which fit are shown; ``labels`` says where they are from."""

    fits: Sequence[str]
    labels: Mapping[str, object]


class LabelsValues(TypedDict, total=False):
    """The top items of every topic under these labels, and what has none of them.

    ``unlabelled`` counts the fit's items that keep their own labels, as nothing gave them another:
    in all documents, and in each half.
    """

    topics: Sequence[Sequence[str]]
    unlabelled: Sequence[int]
    reason: str | None


class LabelsPayload(LabelsIdentity, LabelsValues):
    """Payload of a "labels" record."""


class MetricParticulars(TypedDict, total=False):
    """What only some values have: labels other than the fit's own, by which items were read."""

    labels: Mapping[str, object]


class MetricIdentity(_AboutFits, MetricParticulars):
    """Which value of which fit, or of which model over its seeds (``seed`` None)."""

    seed: int | None
    fits: Sequence[str]
    metric: str
    version: int
    higher_is_better: bool
    view: str | None
    params: Mapping[str, object]


class MetricValues(TypedDict, total=False):
    """A metric's value, with what the metric itself tells of it."""

    value: float | None
    per_topic: Sequence[float | None] | None
    details: Mapping[str, Any]
    reason: str | None


class MetricPayload(MetricIdentity, MetricValues):
    """Payload of a "metric" record."""
