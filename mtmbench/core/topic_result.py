"""TopicResult: what a fitted topic model leaves behind, and all that the harness ever reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.figures import Bar, BarPanel, bar_figure
from mtmbench.core.files import parse_json
from mtmbench.core.notebook import html_table
from mtmbench.core.records import SCHEMA_VERSION
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.types import (
    AnyArray,
    BoolArray,
    Corpus,
    CrossedLabels,
    FloatArray,
    ItemKind,
    ItemSpace,
)

if TYPE_CHECKING:
    from mtmbench.core.notebook_figure import NotebookFigure

_T = TypeVar("_T")
_SHOWN_ITEMS = 10


@dataclass(frozen=True)
class TopicResult:
    """Topics of one corpus by one model.

    Attributes:
        model: the registry name, or the name under which a result was imported.
        params: every parameter as resolved; ``params_given``: those that the user set.
        seed: the seed of the fit.
        doc_topic: (D, K) f32 θ; rows sum to one, or are all zero where the document has no mass.
        topic_item: (K, V) f32 β, non-negative, rows sum to one (all-zero for an empty topic).
        items: the V items.
        corpus: ``{"name", "revision"}`` of the corpus it was fitted on.
        outlier: (D,) bool, documents that the model assigned to no topic; None if it has no such
            notion.
        shown_item: (K, V) f32 weights by which items are shown and steered where these differ from
            ``topic_item`` (mETM: the excess over the mean topic); None otherwise.
        summaries: K one-sentence summaries, or None.
        info: JSON values learned or noticed in the fit (iterations, number of topics found,
            learned scalars); never timings.
    """

    model: str
    params: Mapping[str, object]
    params_given: Mapping[str, object]
    seed: int
    doc_topic: FloatArray
    topic_item: FloatArray
    items: ItemSpace
    corpus: Mapping[str, str]
    outlier: BoolArray | None = None
    shown_item: FloatArray | None = None
    summaries: tuple[str, ...] | None = None
    info: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("doc_topic", "topic_item", "shown_item"):
            array = getattr(self, name)
            if array is not None and (array.ndim != 2 or array.dtype.kind not in "fiu"):
                raise InputError(
                    f"{name} must be a matrix of real numbers, not {array.dtype} of shape "
                    f"{array.shape}"
                )
        n_docs, n_topics = self.doc_topic.shape
        expected = (n_topics, len(self.items))
        for name in ("topic_item", "shown_item"):
            array = getattr(self, name)
            if array is not None and array.shape != expected:
                raise InputError(f"{name} has shape {array.shape}; expected (K, V) = {expected}")
        for name in ("doc_topic", "topic_item", "shown_item"):
            array = getattr(self, name)
            if array is not None and not (np.isfinite(array).all() and (array >= 0).all()):
                raise InputError(f"{name} holds negative or non-finite values")
        if n_topics == 0:
            raise InputError(f"model {self.model!r} found no topic")
        for name in ("doc_topic", "topic_item"):
            sums = getattr(self, name).sum(axis=1, dtype=np.float64)
            if not ((np.abs(sums - 1) < 1e-3) | (sums == 0)).all():
                worst = float(sums[np.argmax(np.abs(sums - 1))])
                raise InputError(
                    f"rows of {name} must sum to 1 or be all zero; one sums to {worst:.4g}"
                )
        crossed = self.items.crossed
        if crossed is not None and len(crossed.halves) != n_docs:
            raise InputError(
                f"labels by halves of {len(crossed.halves)} documents for a result of {n_docs}"
            )
        if self.outlier is not None and self.outlier.shape != (n_docs,):
            raise InputError(f"outlier has shape {self.outlier.shape}; expected ({n_docs},)")
        if self.summaries is not None and len(self.summaries) != n_topics:
            raise InputError(f"{len(self.summaries)} summaries for {n_topics} topics")

    def __repr__(self) -> str:
        return f"TopicResult({', '.join(self._about())})"

    def _repr_html_(self) -> str:
        shown = zip(self.shares, self.top_labels(_SHOWN_ITEMS), strict=True)
        rows = [(k, f"{share:.3f}", ", ".join(labels)) for k, (share, labels) in enumerate(shown)]
        return html_table(("topic", "share", "top items"), rows, " · ".join(self._about()))

    def plot_topics(self, n: int = 8, *, most: int = 20) -> NotebookFigure:
        """Draws the topics of largest share, largest first, with their top items beside them.

        Args:
            n: items a topic at most.
            most: topics at most.

        Raises:
            InputError: ``n`` or ``most`` is below 1.
        """
        for name, number in (("n", n), ("most", most)):
            if not isinstance(number, int) or number < 1:
                raise InputError(f"{name} must be a whole number of at least 1, not {number!r}")
        shares, labels = self.shares, self.top_labels(n)
        order = [int(k) for k in np.argsort(-shares, kind="stable")[:most]]
        notes = ["Share: mean θ over all documents. Items: those of most weight, by weight."]
        if len(order) < self.n_topics:
            held = 100 * shares[order].sum()
            notes.append(
                f"The {len(order)} largest of {self.n_topics} topics, {held:.0f} % of all mass."
            )
        if self.outlier is not None:
            notes.append(f"{100 * self.outlier.mean():.0f} % of documents have no topic.")
        bars = [Bar(float(shares[k]), f"{100 * shares[k]:.1f} %") for k in order]
        return bar_figure(
            [f"topic {k}" for k in order],
            [BarPanel("", bars)],
            title=" · ".join(self._about()),
            axis="share",
            notes=notes,
            shares=True,
            beside=[", ".join(labels[k]) or "no item" for k in order],
        )

    def _about(self) -> tuple[str, ...]:
        """Model, K, documents and corpus, in words."""
        documents = f"{self.doc_topic.shape[0]:,} documents of {self.corpus.get('name')}"
        return self.model, f"K = {self.n_topics}", documents

    @property
    def n_topics(self) -> int:
        """K, the number of real topics (an outlier cluster is never one)."""
        return int(self.doc_topic.shape[1])

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K,) mean θ over all documents; they sum to less than one where some have no mass."""
        shares: NDArray[np.float64] = self.doc_topic.mean(axis=0, dtype=np.float64)
        return shares

    @property
    def item_weights(self) -> FloatArray:
        """(K, V) weights by which items are shown: ``shown_item`` if given, else ``topic_item``."""
        return self.topic_item if self.shown_item is None else self.shown_item

    def top_items(self, n: int) -> list[list[int]]:
        """Returns, per topic, the columns of its ``n`` strongest items of weight above zero.

        Ties are broken by column, so the order is the same on every machine.
        """
        weights = self.item_weights
        least = np.zeros(len(weights), weights.dtype)
        if 0 < n < weights.shape[1]:
            # To find the n-th strongest and to sort what is as strong is a tenth of sorting all.
            least = -np.partition(-weights, n - 1, axis=1)[:, n - 1]
        top = []
        for row, limit in zip(weights, least, strict=True):
            candidates = np.flatnonzero((row > 0) & (row >= limit))
            order = np.argsort(-row[candidates], kind="stable")[:n]
            top.append([int(i) for i in candidates[order]])
        return top

    def top_labels(self, n: int) -> list[list[str]]:
        """Returns, per topic, the labels of :meth:`top_items`."""
        return [[self.items.labels[i] for i in row] for row in self.top_items(n)]

    def check_corpus(self, corpus: Corpus) -> None:
        """Checks that the topics were fitted on a corpus, where the result says on which.

        Raises:
            InputError: they were fitted on another one.
        """
        given = self.corpus.get("revision")
        if given is not None and given != corpus.revision:
            raise InputError(
                f"the result was fitted on corpus {self.corpus.get('name')!r} of revision {given}, "
                f"not on {corpus.name!r} of revision {corpus.revision}"
            )

    @cached_property
    def revision(self) -> str:
        """Content hash of everything that metrics, judging and steering read."""
        crossed = self.items.crossed
        return content_hash(
            self.model, self.doc_topic, self.topic_item, list(self.items.ids),
            list(self.items.labels),
            self.outlier if self.outlier is not None else None,
            self.shown_item if self.shown_item is not None else None,
            self.summaries,
            *([] if crossed is None else [crossed.halves, *map(list, crossed.of_half)]),
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Writes one safetensors file; JSON parts are in its metadata. Whole or not at all."""
        from safetensors.numpy import save

        tensors = {"doc_topic": self.doc_topic, "topic_item": self.topic_item}
        if self.outlier is not None:
            tensors["outlier"] = self.outlier.astype(np.uint8)
        if self.shown_item is not None:
            tensors["shown_item"] = self.shown_item
        contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        metadata: dict[str, object] = {
            "schema": SCHEMA_VERSION,
            "model": self.model,
            "params": self.params,
            "params_given": self.params_given,
            "seed": self.seed,
            "items": {
                "kind": self.items.kind,
                "ids": self.items.ids,
                "labels": self.items.labels,
                "source": self.items.source,
                **_crossed_values(self.items.crossed),
            },
            "corpus": self.corpus,
            "summaries": self.summaries,
            "info": self.info,
        }
        metadata["checksum"] = _checksum(metadata, contiguous)
        write_atomically(path, save(contiguous, metadata={"mtmbench": canonical_json(metadata)}))

    @classmethod
    def load(cls, path: Path) -> TopicResult:
        """Reads what :meth:`save` wrote.

        Raises:
            InputError: the file is not a topic result, is damaged, or does not hold what was
                written (its checksum says so); the message names it.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                metadata: Any = parse_json((file.metadata() or {})["mtmbench"], "its metadata")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            # Results of earlier releases have no checksum; the record of their fit has a hash.
            checksum = _checksum(metadata, tensors)
            if metadata.get("checksum", checksum) != checksum:
                raise ValueError("it fails its checksum")
            items = metadata["items"]
            outlier = tensors.get("outlier")
            return cls(
                model=_of(metadata, "model", str),
                params=_of(metadata, "params", dict),
                params_given=_of(metadata, "params_given", dict),
                seed=_of(metadata, "seed", int),
                doc_topic=tensors["doc_topic"],
                topic_item=tensors["topic_item"],
                items=ItemSpace(
                    _kind(items), _texts(items, "ids"), _texts(items, "labels"),
                    _of(items, "source", dict), _crossed_labels(items),
                ),
                corpus=_of(metadata, "corpus", dict),
                outlier=None if outlier is None else outlier.astype(bool),
                shown_item=tensors.get("shown_item"),
                summaries=None
                if metadata["summaries"] is None
                else _texts(metadata, "summaries"),
                info=_of(metadata, "info", dict),
            )  # fmt: skip
        except KeyError as error:
            raise InputError(f"{path} is not a whole topic result: it has no {error}") from error
        # TypeError, AttributeError: what metadata of another kind leads to.
        except (
            OSError, SafetensorError, ValueError, TypeError, AttributeError, MemoryError,
        ) as error:  # fmt: skip
            raise InputError(f"{path} is not a whole topic result: {error}") from error


def _checksum(metadata: Mapping[str, object], tensors: Mapping[str, AnyArray]) -> str:
    """Returns the content hash of a whole file."""
    return content_hash(
        {name: value for name, value in metadata.items() if name != "checksum"},
        *(part for name in sorted(tensors) for part in (name, tensors[name])),
    )


def _crossed_values(crossed: CrossedLabels | None) -> dict[str, object]:
    """Returns what a file says of labels by halves; nothing where there are none."""
    if crossed is None:
        return {}
    return {"crossed": {"halves": crossed.halves, "of_half": crossed.of_half}}


def _crossed_labels(items: Mapping[str, Any]) -> CrossedLabels | None:
    if "crossed" not in items:
        return None
    held = _of(items, "crossed", dict)
    first, second = (tuple(map(str, labels)) for labels in held["of_half"])
    return CrossedLabels(_of(held, "halves", str), (first, second))


def _of(values: Mapping[str, object], name: str, kind: type[_T]) -> _T:
    value = values[name]
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r:.60}, which is no {kind.__name__}")
    return value


def _texts(values: Mapping[str, object], name: str) -> tuple[str, ...]:
    texts = _of(values, name, list)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{name} holds something that is no text")
    return tuple(texts)


def _kind(items: Mapping[str, object]) -> ItemKind:
    for kind in get_args(ItemKind):
        if items["kind"] == kind:
            return cast(ItemKind, kind)
    raise ValueError(f"its items are of kind {items['kind']!r:.60}")
